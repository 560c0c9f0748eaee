// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"html"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/test/guest"
	"github.com/ipvsadm-go/ipvsadm/internal/test/guest/guesttest"
	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/internal/test/program"
	"github.com/ipvsadm-go/ipvsadm/internal/test/terminal"
)

// picture is the README's picture of --watch.
const picture = "../../packaging/doc/watch.svg"

// TestPictureOfWatch draws the picture and compares its text with the stored
// one, ignoring numbers. With IPVSADM_TEST_UPDATE, which make picture sets,
// it writes the file.
func TestPictureOfWatch(t *testing.T) {
	if guest.InGuest() {
		fmt.Print(takePicture(t))
		return
	}
	kernel := guesttest.Kernel(t)
	var out, errs bytes.Buffer
	status, err := guest.Run(t.Context(), guest.Job{
		Kernel: kernel, Args: []string{os.Args[0], "-test.run=^TestPictureOfWatch$"},
		Env: []string{"PATH=" + guest.GuestPath()}, Stdout: &out, Stderr: &errs,
	})
	taken, found := strings.CutSuffix(out.String(), "PASS\n")
	if err != nil || status != 0 || !found {
		t.Fatalf("%v, status %d\n%s%s", err, status, out.String(), errs.String())
	}
	if os.Getenv("IPVSADM_TEST_UPDATE") != "" {
		program.Write(t, picture, taken)
		return
	}
	if shown := program.Read(t, picture); textOf(shown) != textOf(taken) {
		t.Errorf("the screen shows\n%snot\n%s: make picture", textOf(taken), textOf(shown))
	}
}

var svgTag = regexp.MustCompile(`<[^>]*>`)

// textOf returns the text of a picture without its numbers.
func textOf(svg string) string {
	return withoutFigures(html.UnescapeString(svgTag.ReplaceAllString(svg, "")))
}

// colors are the fill colors of text with the attributes that --watch uses.
var colors = map[string]string{"": "#c9d1d9", "1": "#ffffff", "4": "#8b949e", "7": "#79c0ff", "32": "#56d364", "33": "#e3b341", "31": "#ff7b72", "1;31": "#ff7b72"}

// svg draws a screen: a line of text for each of its lines, a span for each run
// of cells with the same attributes.
func svg(on *terminal.Screen) string {
	const cellWidth, lineHeight = 8.4, 18
	var b strings.Builder
	width, height := float64(on.Width)*cellWidth+24, on.Height*lineHeight+24
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %d" width="%.0f" height="%d" font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="14">`+"\n", width, height, width, height)
	b.WriteString(`<!-- Written by make picture: do not edit. -->` + "\n" + `<rect width="100%" height="100%" rx="8" fill="#0d1117"/>` + "\n")
	for y := range on.Height {
		fmt.Fprintf(&b, `<text x="12" y="%d" xml:space="preserve">`, 12+(y+1)*lineHeight-5)
		for x := 0; x < on.Width; {
			begin, attributes := x, on.At(x, y).Attributes
			var run strings.Builder
			for ; x < on.Width && on.At(x, y).Attributes == attributes; x++ {
				run.WriteRune(on.At(x, y).Rune)
			}
			text := run.String()
			if x == on.Width {
				text = strings.TrimRight(text, " ")
			}
			if text == "" {
				continue
			}
			bold := ""
			if strings.HasPrefix(attributes, "1") {
				bold = ` font-weight="bold"`
			}
			fmt.Fprintf(&b, `<tspan x="%.1f" fill="%s"%s>%s</tspan>`, 12+float64(begin)*cellWidth, colors[attributes], bold, html.EscapeString(text))
		}
		b.WriteString("</text>\n")
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// withoutFigures removes the parts of a picture that differ between runs.
func withoutFigures(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		clock := len("        17:00:00\n")
		switch {
		case b.Len() == 0:
			line = line[:max(0, len(line)-clock)] + "\n"
		case strings.ContainsAny(line, ":") && len(line) > 32:
			line = line[:32] + "\n"
		}
		b.WriteString(line)
	}
	return b.String()
}

const pictureRules = `-A -t 12.0.0.1:80 -s wrr
-a -t 12.0.0.1:80 -r 192.168.168.10:80 -m -w 2
-a -t 12.0.0.1:80 -r 192.168.168.20:80 -m -w 1
-A -u 12.0.0.1:53 -s rr
-a -u 12.0.0.1:53 -r 192.168.168.10:53 -m
-a -u 12.0.0.1:53 -r 192.168.168.20:53 -m
-A -t [2001:db8::1]:443 -s wlc
-a -t [2001:db8::1]:443 -r [2001:db8::10]:443 -m
`

// takePicture shows services that have traffic, and a server that was just
// added.
func takePicture(t *testing.T) string {
	guesttest.Modprobe(t, "ip_vs")
	program.Run(t, "ip", "link", "set", "lo", "up")
	for _, a := range []string{"12.0.0.1/32", "192.168.168.10/32", "192.168.168.20/32", "192.168.168.30/32", "2001:db8::1/128", "2001:db8::10/128"} {
		program.Run(t, "ip", "addr", "add", a, "dev", "lo", "nodad")
	}
	for _, a := range []string{"192.168.168.10:80", "192.168.168.20:80", "[2001:db8::10]:443"} {
		l, err := net.Listen("tcp", a)
		must.OK(t, err)
		go serve(l)
	}
	for _, a := range []string{"192.168.168.10:53", "192.168.168.20:53"} {
		l, err := net.ListenPacket("udp", a)
		must.OK(t, err)
		go answer(l)
	}
	program.InPath(t)
	restore := exec.Command("ipvsadm", "-R")
	restore.Stdin = strings.NewReader(pictureRules)
	if out, err := restore.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	go ask("tcp", "12.0.0.1:80", 15*time.Millisecond)
	go ask("udp", "12.0.0.1:53", 8*time.Millisecond)
	go ask("tcp", "[2001:db8::1]:443", 50*time.Millisecond)

	on := terminal.New(t, 80, 14)
	cmd := exec.Command("ipvsadm", "--watch")
	cmd.Env = append(os.Environ(), "TERM=xterm", "LC_ALL=C.UTF-8")
	on.Start(t, cmd)
	on.Await(t, "the rates", func(text string) bool {
		return strings.Contains(text, "192.168.168.20:53") && !strings.Contains(text, "  - ")
	})
	program.Run(t, "ipvsadm", "-a", "-t", "12.0.0.1:80", "-r", "192.168.168.30:80", "-m", "-w", "0")
	on.Await(t, "the new server", func(text string) bool { return strings.Contains(text, "+  192.168.168.30:80") })
	var drawn string
	on.Look(func(s *terminal.Screen) { drawn = svg(s) })
	must.OK(t, on.Type("q"))
	must.OK(t, cmd.Wait())
	return drawn
}

// serve answers a request on each connection.
func serve(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			if _, err := c.Read(make([]byte, 1000)); err == nil {
				c.Write(make([]byte, 10_000))
			}
		}()
	}
}

// answer answers each packet.
func answer(l net.PacketConn) {
	b := make([]byte, 1000)
	for {
		_, from, err := l.ReadFrom(b)
		if err != nil {
			return
		}
		l.WriteTo(b[:120], from)
	}
}

// ask repeats a request, each time on a new connection that ends some time
// later.
func ask(network, address string, pause time.Duration) {
	for range time.Tick(pause) {
		c, err := net.Dial(network, address)
		if err != nil {
			continue
		}
		go func() {
			defer c.Close()
			c.SetDeadline(time.Now().Add(time.Second))
			c.Write(make([]byte, 50))
			if network == "tcp" {
				io.Copy(io.Discard, c)
				return
			}
			c.Read(make([]byte, 1000))
		}()
	}
}
