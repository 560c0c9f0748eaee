// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"io"
	"net"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/test/cluster"
	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
)

// loadTable is the table under load. A client on the director itself reaches
// the real servers 10.77.0.2, 10.77.0.3 and fd77::2 behind it.
const loadTable = `-A -t 10.0.0.1:80 -s rr -p 60
-a -t 10.0.0.1:80 -r 10.77.0.2:8080 -m
-A -t 10.0.0.1:81 -s wrr
-a -t 10.0.0.1:81 -r 10.77.0.2:8080 -m -w 3 -x 100 -y 10
-a -t 10.0.0.1:81 -r 10.77.0.3:8080 -m -w 1
-A -u 10.0.0.1:53 -s rr -o
-a -u 10.0.0.1:53 -r 10.77.0.3:5060 -m
-A -u 10.0.0.1:5060 -s rr -p 60 --pe sip
-a -u 10.0.0.1:5060 -r 10.77.0.2:5060 -m
-A -u [2001:db8::1]:53 -s rr
-a -u [2001:db8::1]:53 -r [fd77::2]:5060 -m
-A -f 5 -s rr
-a -f 5 -r 10.77.0.2
`

// TestListingsUnderLoad compares each format, and each pair of formats, with
// nonzero counters, rates and connections.
func TestListingsUnderLoad(t *testing.T) {
	inGuest(t, func(t *testing.T, p programs) {
		p.ours = ""
		a, err := p.enter()
		must.OK(t, err)
		defer a.close()
		n := loaded{t: t, arena: a}
		n.build()
		if got, err := a.runOriginal(a.ours, command{[]string{"ipvsadm", "-R"}, loadTable}); err != nil || got.Status != 0 {
			t.Fatalf("%v %v", got, err)
		}
		n.traffic()

		formats := [][]string{nil}
		options := []string{"--rate", "--stats", "--exact", "--thresholds", "--persistent-conn", "--tun-info", "--connection", "--nosort", "--daemon"}
		for i, o := range options {
			formats = append(formats, []string{o})
			for _, other := range options[i+1:] {
				formats = append(formats, []string{o, other})
			}
		}
		shown := map[string]string{}
		for _, numeric := range []string{"-L", "-Ln"} {
			for _, format := range formats {
				words := append([]string{"ipvsadm", numeric}, format...)
				shown[strings.Join(words[1:], " ")] = n.compare(command{words: words})
			}
		}
		for list, want := range map[string][]string{
			"-Ln --stats":                        {"TCP  10.0.0.1:81                         7 ", "UDP  10.0.0.1:53                        20 "},
			"-Ln --connection":                   {"TCP", "ESTABLISHED", "10.0.0.1:80", "10.77.0.3:8080"},
			"-Ln --persistent-conn --connection": {"sip", "a-call@load"},
			"-Ln --persistent-conn":              {"10.77.0.2:8080               1         1           1 "},
			"-Ln":                                {"Masq    3      4"},
			"-Ln --thresholds":                   {"100"},
		} {
			for _, w := range want {
				if !strings.Contains(shown[list], w) {
					t.Errorf("%s lacks %q:\n%s", list, w, shown[list])
				}
			}
		}
		n.compareRates()
	})
}

// loaded is our director, whose namespace the thread is in, with its real
// servers.
type loaded struct {
	t     *testing.T
	arena *arena
}

// build builds the network and starts echo servers.
func (n loaded) build() {
	must.OK(n.t, n.arena.in(n.arena.ours))
	servers := cluster.New(n.t, `
here    wire   inside 10.77.0.1/24 fd77::1/64
here    client vips   10.0.0.1/32 2001:db8::1/128
servers wire   inside 10.77.0.2/24 10.77.0.3/24 fd77::2/64 via 10.77.0.1
`).Host("servers")
	servers.Echo(n.t, "tcp", "10.77.0.2:8080", "10.77.0.3:8080")
	servers.Echo(n.t, "udp", "10.77.0.2:5060", "10.77.0.3:5060")
}

// invite is a message whose Call-ID the SIP engine reads.
const invite = "INVITE sip:a@load SIP/2.0\r\nVia: SIP/2.0/UDP 10.77.0.1:5060\r\nCall-ID: a-call@load\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"

// say sends a text over a new connection.
func (n loaded) say(protocol, to, text string) net.Conn {
	c, err := net.DialTimeout(protocol, to, must.Patience)
	must.OK(n.t, err)
	must.OK(n.t, c.SetDeadline(time.Now().Add(must.Patience)))
	_, err = io.WriteString(c, text)
	must.OK(n.t, err)
	return c
}

// traffic leaves some connections open and closes others, and waits until the
// kernel has counted them.
func (n loaded) traffic() {
	text := strings.Repeat("0123456789abcdef", 64)
	talk := func(protocol, to, text string) net.Conn {
		c := n.say(protocol, to, text)
		_, err := io.ReadFull(c, make([]byte, len(text)))
		must.OK(n.t, err)
		return c
	}
	keep := func(c net.Conn) { n.t.Cleanup(func() { c.Close() }) }
	for range 6 {
		keep(talk("tcp", "10.0.0.1:81", text))
	}
	keep(talk("tcp", "10.0.0.1:80", text))
	keep(n.say("udp", "[2001:db8::1]:53", text))
	keep(talk("udp", "10.0.0.1:5060", invite))
	talk("tcp", "10.0.0.1:81", text).Close()
	for range 20 {
		n.say("udp", "10.0.0.1:53", text).Close() // one-packet scheduling: there is no reply
	}
	// The kernel updates its counters every two seconds.
	counted := []*regexp.Regexp{
		regexp.MustCompile(`TCP  10\.0\.0\.1:81 +7 +[1-9]`), regexp.MustCompile(`UDP  10\.0\.0\.1:53 +20 +20 `),
		regexp.MustCompile(`UDP  \[2001:db8::1\]:53 +1 +1 `),
	}
	stats := command{words: []string{"ipvsadm", "-Ln", "--stats"}}
	var got answer
	if !must.Soon(func() bool {
		var err error
		got, err = n.arena.runOriginal(n.arena.ours, stats)
		return err == nil && !slices.ContainsFunc(counted, func(r *regexp.Regexp) bool { return !r.MatchString(got.Stdout) })
	}) {
		n.t.Fatalf("not counted is what was sent:\n%v", got)
	}
}

// compareRates compares a listing with nonzero rates, which last for some
// seconds after a packet.
func (n loaded) compareRates() {
	rates := command{words: []string{"ipvsadm", "-Ln", "--rate"}}
	zero := regexp.MustCompile(`(?m)^UDP  10\.0\.0\.1:53 +0 +0 +0 +0 +0$`)
	var shown string
	if !must.Soon(func() bool {
		for range 50 {
			n.say("udp", "10.0.0.1:53", "a packet").Close()
		}
		shown = n.compare(rates)
		return n.t.Failed() || !zero.MatchString(shown)
	}) {
		n.t.Errorf("all rates are zero:\n%s", shown)
	}
}

// remaining matches the remaining time in a list of connections.
var remaining = regexp.MustCompile(`(?m)^(\w+ +)\d\d:\d\d `)

// compare compares a listing at one moment: it retries if the listing changes
// while the programs run. If they always take more than a second, as in an
// emulator, it ignores the remaining time of connections.
func (n loaded) compare(c command) string {
	a := n.arena
	for try := range 20 {
		before, err := a.runOurs(a.ours, c)
		must.OK(n.t, err)
		s := step{command: c}
		s.original, err = a.runOriginal(a.ours, c)
		must.OK(n.t, err)
		s.ours, err = a.runOurs(a.ours, c)
		must.OK(n.t, err)
		if try >= 10 {
			for _, answer := range []*string{&before.Stdout, &s.original.Stdout, &s.ours.Stdout} {
				*answer = remaining.ReplaceAllString(*answer, "${1}--:-- ")
			}
		}
		if s.ours != before {
			continue
		}
		var cmp comparison
		if mismatch := s.compare(&cmp); mismatch != "" || len(cmp.used) > 0 && !slices.Equal(cmp.used, []string{"unsigned-fwmark"}) {
			n.t.Errorf("%s%v", mismatch, cmp.used)
		}
		return before.Stdout
	}
	n.t.Errorf("%v changes all the time", c)
	return ""
}
