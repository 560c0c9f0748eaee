// SPDX-License-Identifier: Apache-2.0

package cli

// This file tests --watch on a terminal, with a shell and with traffic, and
// --monitor while the table keeps changing.

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/internal/test/change"
	"github.com/ipvsadm-go/ipvsadm/internal/test/guest/guesttest"
	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/internal/test/terminal"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

func TestWatchOnAKernel(t *testing.T) {
	guesttest.InGuest(t, func(t *testing.T) {
		guesttest.Modprobe(t, "ip_vs")
		t.Run("from a shell", testWatchFromAShell)
		t.Run("ended", testWatchEnded)
		t.Run("rates", testWatchRates)
		t.Run("another namespace", testWatchElsewhere)
		t.Run("one service", testWatchOneService)
		t.Run("monitor under a writer", testMonitorUnderAWriter)
	})
}

// onTerminal starts a command on a new terminal.
func (d director) onTerminal(cmd *exec.Cmd, width, height int) *terminal.Terminal {
	d.Helper()
	on := terminal.New(d.T, width, height)
	cmd.Env = append(os.Environ(), "TERM=xterm", "LC_ALL=C.UTF-8")
	on.Start(d.T, cmd)
	return on
}

func (d director) shows(on *terminal.Terminal, texts ...string) {
	d.Helper()
	for _, text := range texts {
		on.Await(d.T, text, func(all string) bool { return strings.Contains(all, text) })
	}
}

// testWatchFromAShell stops the program with Ctrl-Z and continues it.
func testWatchFromAShell(t *testing.T) {
	d := newDirector(t)
	if a := d.do(web+web10+web20+dns, "ipvsadm", "-R"); a != (answer{}) {
		t.Fatal(a)
	}
	exe, err := os.Executable()
	must.OK(t, err)
	must.OK(t, os.Symlink(exe, filepath.Join(d.dir, "ipvsadm")))
	on := d.onTerminal(&exec.Cmd{Path: "/bin/bash", Dir: d.dir, Args: []string{"bash", "-c", `set -m
		stty -a >before; echo ready; ./ipvsadm --watch 1
		stty -a >stopped; echo stopped; read line; fg; echo "status $?"
		stty -a >after; echo end; read line`}}, 80, 24)
	d.shows(on, "2 services, 2 servers", "192.168.168.10:80")
	must.OK(t, on.Type("sf192.168.168.2\r"))
	d.shows(on, "filter: 192.168.168.2", "1-2 of 2", "192.168.168.20:80")
	must.OK(t, on.Resize(132, 43))
	d.shows(on, "out/s")
	must.OK(t, on.Type("\x1a"))
	d.shows(on, "stopped")
	on.Look(func(s *terminal.Screen) {
		if text := s.String(); s.Other || s.CursorHidden || !strings.HasPrefix(text, "ready\n") {
			t.Errorf("stopped, it leaves the screen\n%s", text)
		}
	})
	must.OK(t, on.Type("\r"))
	d.shows(on, "filter: 192.168.168.2", "1-2 of 2")
	must.OK(t, on.Resize(80, 10))
	d.shows(on, "packets/s")
	must.OK(t, on.Type("q"))
	d.shows(on, "status 0\nend")
	before := d.content("before")
	for _, when := range []string{"stopped", "after"} {
		// The first line shows a different size.
		_, now, _ := strings.Cut(d.content(when), "\n")
		if _, was, _ := strings.Cut(before, "\n"); now != was {
			t.Errorf("%s, the terminal is set to\n%s, before to\n%s", when, now, was)
		}
	}
}

func (d director) content(name string) string {
	d.Helper()
	b, err := os.ReadFile(filepath.Join(d.dir, name))
	must.OK(d.T, err)
	return string(b)
}

// testWatchEnded ends the program by signals and by closing its terminal.
func testWatchEnded(t *testing.T) {
	d := newDirector(t)
	if a := d.do(web+web10, "ipvsadm", "-R"); a != (answer{}) {
		t.Fatal(a)
	}
	start := func() (*exec.Cmd, *terminal.Terminal) {
		cmd := d.command("ipvsadm", "--watch", "1")
		on := d.onTerminal(cmd, 80, 24)
		d.shows(on, "192.168.168.10:80")
		return cmd, on
	}
	before := terminal.New(t, 80, 24).Settings(t)
	for _, sig := range []unix.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT} {
		cmd, on := start()
		must.OK(t, cmd.Process.Signal(sig))
		_ = cmd.Wait()
		if status := cmd.ProcessState.ExitCode(); status != 128+int(sig) {
			t.Errorf("%v: status %d", sig, status)
		}
		if s := on.Settings(t); s != before {
			t.Errorf("%v: the terminal is set to %+v", sig, s)
		}
		on.Await(t, "the screen before", func(text string) bool { return strings.TrimSpace(text) == "" })
	}
	cmd, on := start()
	must.OK(t, on.Hangup())
	timer := time.AfterFunc(must.Patience, func() { cmd.Process.Kill() })
	_ = cmd.Wait()
	timer.Stop()
	if status := cmd.ProcessState.ExitCode(); status != 128+int(unix.SIGHUP) && status != statusList {
		t.Errorf("without a terminal: %v", cmd.ProcessState)
	}
}

// The traffic sent, per second.
const (
	sentPackets = 400
	sentConns   = 80
	sentBytes   = 100 // of a packet, with its headers
)

// client sends UDP packets and records when it sent them: on a busy machine it
// falls behind and catches up later.
type client struct {
	mu   sync.Mutex
	sent []time.Time
}

// send sends packets until over is closed. The packets of one socket are one
// connection; no source port is used twice.
func (c *client) send(address string, over <-chan struct{}) error {
	begin := time.Now()
	var socket net.Conn
	for sent := 0; ; sent++ {
		if sent%(sentPackets/sentConns) == 0 {
			if socket != nil {
				socket.Close()
			}
			var err error
			from := net.UDPAddr{Port: 10_000 + sent/(sentPackets/sentConns)}
			if socket, err = (&net.Dialer{LocalAddr: &from}).Dial("udp", address); err != nil {
				return err
			}
		}
		due := begin.Add(time.Duration(sent) * time.Second / sentPackets)
		select {
		case <-over:
			return socket.Close()
		case <-time.After(time.Until(due)):
		}
		c.mu.Lock()
		c.sent = append(c.sent, time.Now())
		c.mu.Unlock()
		if _, err := socket.Write(make([]byte, sentBytes-28)); err != nil {
			return err
		}
	}
}

// pace returns the lowest and the highest rate, in packets a second, of all
// two- and four-second intervals that end in the period of length while before
// at.
func (c *client) pace(at time.Time, while time.Duration) (lowest, highest float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := func(t time.Time) int {
		n, _ := slices.BinarySearchFunc(c.sent, t, time.Time.Compare)
		return n
	}
	lowest = math.Inf(1)
	for end := at.Add(-while); !end.After(at); end = end.Add(20 * time.Millisecond) {
		for _, seconds := range [...]int{2, 4} {
			rate := float64(before(end)-before(end.Add(-time.Duration(seconds)*time.Second))) / float64(seconds)
			lowest, highest = min(lowest, rate), max(highest, rate)
		}
	}
	return lowest, highest
}

// testWatchRates compares rates with what a client sends.
func testWatchRates(t *testing.T) {
	d := newDirector(t)
	for _, a := range []string{"10.5.5.5/32", "10.6.6.6/32", "10.6.6.7/32"} {
		if out, err := exec.Command("ip", "addr", "add", a, "dev", "lo").CombinedOutput(); err != nil {
			t.Fatalf("ip: %v %s", err, out)
		}
	}
	for _, a := range []string{"10.6.6.6:5353", "10.6.6.7:5353"} { // prevents ICMP port unreachable
		l, err := net.ListenPacket("udp", a)
		must.OK(t, err)
		defer l.Close()
	}
	if a := d.do("-A -u 10.5.5.5:53 -s wrr\n-a -u 10.5.5.5:53 -r 10.6.6.6:5353 -m -w 1\n-a -u 10.5.5.5:53 -r 10.6.6.7:5353 -m -w 1\n", "ipvsadm", "-R"); a != (answer{}) {
		t.Fatal(a)
	}
	over, ended := make(chan struct{}), make(chan error, 1)
	var c client
	sending := d.inNamespace(func() { ended <- c.send("10.5.5.5:53", over) })
	defer func() {
		close(over)
		if err := <-ended; err != nil {
			t.Error(err)
		}
		<-sending
	}()
	for _, interval := range []string{"1", "3"}[:must.Count(1, 2)] {
		cmd := d.command("ipvsadm", "--watch", interval)
		on := d.onTerminal(cmd, 200, 24)
		must.OK(t, on.Type("uu")) // all digits
		service := func() []string { return fieldsOf(on.Text(), "10.5.5.5:53") }
		known := func(string) bool { f := service(); return f != nil && f[connsField] != "-" && f[bytesField] != "0" }
		on.Await(t, "a rate", known)
		awaitRates(t, on, &c, interval)
		on.Await(t, "no rate after -Z", func(string) bool {
			if a := d.do("", "ipvsadm", "-Z"); a != (answer{}) {
				t.Fatal(a)
			}
			f := service()
			return f != nil && f[connsField] == "-"
		})
		on.Await(t, "a rate", known)
		awaitRates(t, on, &c, interval)
		must.OK(t, on.Type("q"))
		must.OK(t, cmd.Wait())
	}
}

// awaitRates waits until three consecutive screens show the rates sent. The
// first screens do not, nor do those after a pause of the guest.
func awaitRates(t *testing.T, on *terminal.Terminal, c *client, interval string) {
	t.Helper()
	pace, err := time.ParseDuration(interval + "s")
	must.OK(t, err)
	wrong, right, last := "", 0, ""
	if !must.Soon(func() bool {
		text := on.Text()
		if text == last {
			return false
		}
		last = text
		if wrong = wrongRate(text, c, pace); wrong == "" {
			right++
		} else {
			right = 0
		}
		return right == 3
	}) {
		t.Errorf("every %s s: %s", interval, wrong)
	}
}

// wrongRate compares the rates on the screen with those sent. It returns the
// first that is wrong, or "".
func wrongRate(text string, c *client, interval time.Duration) string {
	// The kernel's last update is up to two seconds old, and the last read up to
	// one interval.
	lowest, highest := c.pace(time.Now(), interval+2500*time.Millisecond)
	for _, r := range []struct {
		name  string
		field int
		each  float64 // per packet
	}{
		{"10.5.5.5:53", connsField, float64(sentConns) / sentPackets},
		{"10.5.5.5:53", packetsField, 1},
		{"10.5.5.5:53", bytesField, sentBytes},
		{"10.6.6.6:5353", connsField, float64(sentConns) / sentPackets / 2},
		{"10.6.6.6:5353", packetsField, 1. / 2},
		{"10.6.6.6:5353", bytesField, sentBytes / 2},
	} {
		fields := fieldsOf(text, r.name)
		if fields == nil {
			return "no " + r.name
		}
		if is, err := strconv.ParseFloat(fields[r.field], 64); err != nil || is < 0.9*lowest*r.each || is > 1.1*highest*r.each {
			return fmt.Sprintf("%s: field %d is %v, %v, want %v to %v", r.name, r.field, is, err, lowest*r.each, highest*r.each)
		}
	}
	return ""
}

// The indexes of fields after the name in a line.
const (
	connsField   = 2
	packetsField = 3
	bytesField   = 5
)

// fieldsOf returns the fields after a name on the screen, or nil.
func fieldsOf(text, name string) []string {
	_, line, found := strings.Cut(text, name+" ")
	line, _, _ = strings.Cut(line, "\n")
	if f := strings.Fields(line); found && len(f) > bytesField {
		return f
	}
	return nil
}

// inNamespace calls f in another goroutine in the same network namespace.
func (d director) inNamespace(f func()) (done chan struct{}) {
	d.Helper()
	here, err := os.Open("/proc/thread-self/ns/net")
	must.OK(d.T, err)
	done = make(chan struct{})
	go func() {
		defer close(done)
		defer here.Close()
		runtime.LockOSThread() // never unlocked, so that the thread ends with its goroutine
		if err := unix.Setns(int(here.Fd()), unix.CLONE_NEWNET); err != nil {
			d.Error(err)
		}
		f()
	}()
	return done
}

func testWatchElsewhere(t *testing.T) {
	d := newDirector(t)
	if a := d.do(web+web10, "ipvsadm", "-R"); a != (answer{}) {
		t.Fatal(a)
	}
	other := exec.Command("unshare", "-n", "sleep", "1000")
	must.OK(t, other.Start())
	defer other.Wait()
	defer other.Process.Kill()
	pid := strconv.Itoa(other.Process.Pid)
	here, err := os.Readlink("/proc/thread-self/ns/net")
	must.OK(t, err)
	must.Soon(func() bool {
		there, err := os.Readlink("/proc/" + pid + "/ns/net")
		must.OK(t, err)
		return there != here
	})
	cmd := d.command("ipvsadm", "--watch", "--netns", pid)
	on := d.onTerminal(cmd, 80, 24)
	d.shows(on, "every 2 s, netns "+pid+"  0 services, 0 servers")
	must.OK(t, on.Type("q"))
	must.OK(t, cmd.Wait())
}

// testMonitorUnderAWriter makes up to a thousand changes a second. The changes
// that --monitor prints must lead to the final table.
func testMonitorUnderAWriter(t *testing.T) {
	d := newDirector(t)
	random := rand.New(rand.NewPCG(1, 1))
	server := func() ipvs.Destination {
		return ipvs.Destination{Addr: netip.AddrFrom4([4]byte{10, 1, 0, byte(random.IntN(20))}), Port: 80, Forward: ipvs.Masquerade, Weight: int32(random.IntN(9))}
	}
	marked := server()
	var services []ipvs.Service
	for i := range 50 {
		services = append(services, ipvs.NewService(ipvs.AddrID(ipvs.TCP, netip.AddrFrom4([4]byte{12, 0, 0, byte(i + 1)}), 80), "wrr"))
		must.OK(t, d.client.Apply(t.Context(), change.AddService(services[i]), change.AddDestination(services[i].ServiceID, marked)))
	}
	before := fakeOf(d.table())
	cmd := d.command("ipvsadm", "--monitor", "--timestamp")
	var printed printedLines
	var errs strings.Builder
	cmd.Stdout, cmd.Stderr = &printed, &errs
	must.OK(t, cmd.Start())
	if !must.Soon(func() bool { // one change at a time, until the first read has ended
		marked.Weight++
		must.OK(t, d.client.Apply(t.Context(), change.EditDestination(services[0].ServiceID, marked)))
		_, looks := printed.changes()
		return looks > 0
	}) {
		t.Fatal("the monitor shows nothing")
	}

	const most, some = 5, 10
	made := 0
	if !must.Soon(func() bool {
		for range 5 {
			var changes []ipvs.Change
			for range some {
				s := services[random.IntN(len(services))]
				switch random.IntN(8) {
				case 0:
					changes = append(changes, change.DeleteService(s.ServiceID))
				case 1, 2:
					changes = append(changes, change.AddService(s))
				case 3:
					changes = append(changes, change.DeleteDestination(s.ServiceID, server().AddrPort()))
				case 4, 5:
					changes = append(changes, change.AddDestination(s.ServiceID, server()))
				default:
					changes = append(changes, change.EditDestination(s.ServiceID, server()))
				}
			}
			_ = d.client.Apply(t.Context(), changes...) // refusals do not matter
			made += some
		}
		_, looks := printed.changes()
		return looks >= most
	}) {
		t.Fatalf("the monitor does not look %d times", most)
	}
	end, want := time.Now(), d.rules()
	got := func() string {
		rules, _ := printed.changes()
		k := fakeOf(before.Now())
		k.run(t, rules)
		return k.rules()
	}
	if !must.Soon(func() bool { return got() == want }) {
		t.Errorf("the lines lead to\n%swant\n%s", got(), want)
	}
	rules, looks := printed.changes()
	t.Logf("%d changes, %d lines in %d looks, the last %v after the last change", made, strings.Count(rules, "\n"), looks, time.Since(end))
	must.OK(t, cmd.Process.Signal(unix.SIGTERM))
	_ = cmd.Wait()
	if errs.Len() > 0 {
		t.Error(errs.String())
	}
}

// printedLines collects the output of --monitor, lines that start with a time.
type printedLines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (p *printedLines) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

// changes returns the changes so far, and the number of reads that found any.
func (p *printedLines) changes() (rules string, reads int) {
	p.mu.Lock()
	text := p.text.String()
	p.mu.Unlock()
	var b strings.Builder
	last := ""
	for line := range strings.Lines(text[:strings.LastIndexByte(text, '\n')+1]) {
		at, change, _ := strings.Cut(line, "] ")
		b.WriteString(change)
		if at != last {
			reads++
		}
		last = at
	}
	return b.String(), reads
}

// testWatchOneService shows a service of each kind alone.
func testWatchOneService(t *testing.T) {
	d := newDirector(t)
	services := []string{"-t 12.0.0.1:80", "-u 12.0.0.1:80", "--sctp-service 12.0.0.1:80", "-f 80"}
	var rules strings.Builder
	for i, s := range services {
		fmt.Fprintf(&rules, "-A %s -s rr\n-a %s -r 192.168.168.%d:80 -m -w 1\n", s, s, 10+i)
	}
	if a := d.do(rules.String(), "ipvsadm", "-R"); a != (answer{}) {
		t.Fatal(a)
	}
	for i, s := range services {
		cmd := d.command(strings.Fields("ipvsadm --watch 0.1 " + s)...)
		on := d.onTerminal(cmd, 80, 24)
		d.shows(on, "every 0.1 s  1 service, 1 server", fmt.Sprintf("192.168.168.%d:80", 10+i), "1-2 of 2")
		d.do("", strings.Fields("ipvsadm -D "+s)...)
		d.shows(on, "0 services, 0 servers")
		must.OK(t, on.Type("q"))
		must.OK(t, cmd.Wait())
	}
	on := terminal.New(t, 80, 24)
	cmd := d.command("ipvsadm", "--watch", "-f", "80")
	var errs strings.Builder
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = append(os.Environ(), "TERM=xterm"), on.Slave, on.Slave, &errs
	if _ = cmd.Run(); cmd.ProcessState.ExitCode() != statusList || errs.String() != "No such service\n" {
		t.Errorf("a service that does not exist: %v, %s", cmd.ProcessState, errs.String())
	}
}
