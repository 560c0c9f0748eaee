// SPDX-License-Identifier: Apache-2.0

package cli

// This file tests --watch on a terminal, with a shell and with traffic, and
// --monitor while the table keeps changing.

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/internal/test/guest/guesttest"
	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/internal/test/terminal"
)

func TestWatchOnAKernel(t *testing.T) {
	guesttest.InGuest(t, func(t *testing.T) {
		guesttest.Modprobe(t, "ip_vs")
		t.Run("from a shell", testWatchFromAShell)
		t.Run("without its terminal", testWatchHangup)
		t.Run("rates", testWatchRates)
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

// testWatchHangup closes the terminal. How signals end the program is in
// TestWatchLeavesTheTerminalAsItWas.
func testWatchHangup(t *testing.T) {
	d := newDirector(t)
	cmd := d.command("ipvsadm", "--watch", "1")
	on := d.onTerminal(cmd, 80, 24)
	d.shows(on, "0 services")
	must.OK(t, on.Hangup())
	timer := time.AfterFunc(must.Patience, func() { cmd.Process.Kill() })
	_ = cmd.Wait()
	timer.Stop()
	if status := cmd.ProcessState.ExitCode(); status != 128+int(unix.SIGHUP) && status != statusList {
		t.Errorf("without a terminal: %v", cmd.ProcessState)
	}
}

// sender makes about 20 connections a second, each of five UDP packets of 100
// bytes with their headers, and prints a line for each.
const sender = `while exec 3<>/dev/udp/10.5.5.5/53; do
	for i in 1 2 3 4 5; do printf %072d >&3; done
	exec 3>&-; echo; sleep 0.05
done`

// testWatchRates compares rates with what a sender sends.
func testWatchRates(t *testing.T) {
	d := newDirector(t)
	for _, a := range []string{"10.5.5.5", "10.6.6.6", "10.6.6.7"} {
		d.ip("addr add " + a + "/32 dev lo")
		silent, err := net.ListenPacket("udp", a+":5353") // prevents ICMP port unreachable
		must.OK(t, err)
		defer silent.Close()
	}
	// With a short timeout no connection has the port of an earlier one.
	if a := d.do("--set 0 0 1\n-A -u 10.5.5.5:53 -s wrr\n-a -u 10.5.5.5:53 -r 10.6.6.6:5353 -m -w 1\n-a -u 10.5.5.5:53 -r 10.6.6.7:5353 -m -w 1\n", "ipvsadm", "-R"); a != (answer{}) {
		t.Fatal(a)
	}
	cmd := exec.Command("bash", "-c", sender)
	out, err := cmd.StdoutPipe()
	must.OK(t, err)
	must.OK(t, cmd.Start())
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	var sent atomic.Int64 // connections
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			sent.Add(1)
		}
	}()
	watch := d.command("ipvsadm", "--watch", "1")
	on := d.onTerminal(watch, 200, 24)
	must.OK(t, on.Type("uu")) // all digits
	awaitRates(t, on, &sent)
	on.Await(t, "no rate after -Z", func(string) bool {
		if a := d.do("", "ipvsadm", "-Z"); a != (answer{}) {
			t.Fatal(a)
		}
		f := fieldsOf(on.Text(), "10.5.5.5:53")
		return f != nil && f[connsField] == "-"
	})
	awaitRates(t, on, &sent)
	must.OK(t, on.Type("q"))
	must.OK(t, watch.Wait())
}

// awaitRates waits until three consecutive screens show the rates of the last
// four seconds. The first screens do not, nor do those after a pause of the
// guest.
func awaitRates(t *testing.T, on *terminal.Terminal, sent *atomic.Int64) {
	t.Helper()
	type count struct {
		at    time.Time
		conns int64
	}
	wrong, right, last, counts := "", 0, "", []count(nil)
	if !must.Soon(func() bool {
		text := on.Text()
		if text == last {
			return false
		}
		last = text
		now := count{time.Now(), sent.Load()}
		counts = append(counts, now)
		for len(counts) > 1 && now.at.Sub(counts[1].at) >= 4*time.Second {
			counts = counts[1:]
		}
		pace := float64(now.conns-counts[0].conns) / now.at.Sub(counts[0].at).Seconds()
		if wrong = wrongRate(text, pace); wrong == "" {
			right++
		} else {
			right = 0
		}
		return right == 3
	}) {
		t.Error(wrong)
	}
}

// wrongRate compares the rates on the screen with those of connections a
// second, and returns the first that is wrong, or "". The kernel's last update
// is up to two seconds old, and the last reading up to one interval.
func wrongRate(text string, pace float64) string {
	for name, part := range map[string]float64{"10.5.5.5:53": 1, "10.6.6.6:5353": 0.5, "10.6.6.7:5353": 0.5} {
		fields := fieldsOf(text, name)
		if fields == nil {
			return "no " + name
		}
		for field, each := range map[int]float64{connsField: 1, packetsField: 5, bytesField: 500} {
			want := pace * part * each
			if is, err := strconv.ParseFloat(fields[field], 64); err != nil || is < 0.8*want || is > 1.25*want {
				return fmt.Sprintf("%s: field %d is %v, %v, want about %v", name, field, is, err, want)
			}
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

// testMonitorUnderAWriter has a program make random changes. The changes that
// --monitor prints must lead to the final table.
func testMonitorUnderAWriter(t *testing.T) {
	d := newDirector(t)
	r := rand.New(rand.NewPCG(1, 1))
	var services, changes []string
	for i := range 50 {
		services = append(services, fmt.Sprintf("-A -t 12.0.0.%d:80 -s wrr\n", i+1))
	}
	for range 1000 {
		service := fmt.Sprintf("-t 12.0.0.%d:80", 1+r.IntN(50))
		server := fmt.Sprintf("%s -r 10.1.0.%d:80", service, r.IntN(20))
		weight := fmt.Sprintf("%s -m -w %d", server, r.IntN(9))
		changes = append(changes, pick(r, "-D "+service, "-A "+service, "-A "+service, "-d "+server, "-a "+weight, "-a "+weight, "-e "+weight, "-e "+weight)+"\n")
	}
	if a := d.do(strings.Join(services, ""), "ipvsadm", "-R"); a != (answer{}) {
		t.Fatal(a)
	}
	before := fakeOf(d.table())
	cmd := d.command("ipvsadm", "--monitor", "--timestamp")
	out, err := os.Create(filepath.Join(d.dir, "printed"))
	must.OK(t, err)
	defer out.Close()
	var errs strings.Builder
	cmd.Stdout, cmd.Stderr = out, &errs
	must.OK(t, cmd.Start())
	looks := func() int { _, n := d.printed(); return n }
	n := 0
	if !must.Soon(func() bool { // one change at a time, until the first read has ended
		n++
		d.do("", "ipvsadm", "-E", "-t", "12.0.0.1:80", "-s", []string{"rr", "wrr"}[n%2])
		return looks() > 0
	}) {
		t.Fatal("the monitor shows nothing")
	}

	const most = 5
	w := d.write(changes)
	if !must.Soon(func() bool { return looks() >= most }) {
		t.Fatalf("the monitor does not look %d times", most)
	}
	w.stop()
	want := d.rules()
	got := func() string {
		rules, _ := d.printed()
		k := fakeOf(before.Now())
		k.run(t, rules)
		return k.rules()
	}
	if !must.Soon(func() bool { return got() == want }) {
		t.Errorf("the lines lead to\n%swant\n%s", got(), want)
	}
	must.OK(t, cmd.Process.Signal(unix.SIGTERM))
	_ = cmd.Wait()
	if errs.Len() > 0 {
		t.Error(errs.String())
	}
}

// printed returns the changes that --monitor has printed so far, in lines
// that start with a time, and the number of reads that found any.
func (d director) printed() (rules string, reads int) {
	text := d.content("printed")
	last := ""
	for line := range strings.Lines(text[:strings.LastIndexByte(text, '\n')+1]) {
		at, change, _ := strings.Cut(line, "] ")
		rules += change
		if at != last {
			reads++
		}
		last = at
	}
	return rules, reads
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
