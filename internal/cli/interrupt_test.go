// SPDX-License-Identifier: Apache-2.0

package cli

// This file interrupts restores with SIGKILL and other signals while they
// change the table of a real kernel.

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/internal/model"
	"github.com/ipvsadm-go/ipvsadm/internal/test/guest/guesttest"
	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

func TestInterruptedRestoreOnAKernel(t *testing.T) {
	guesttest.InGuest(t, func(t *testing.T) {
		guesttest.Modprobe(t, "ip_vs")
		t.Run("killed at random instants", testKilled)
		t.Run("ended by signals at random instants", testSignalled)
		t.Run("all or nothing, ended by signals", testStrictSignalled)
		t.Run("all or nothing, without a reader", testStrictWithoutReader)
		t.Run("while the kernel loads a module", testWaitingForAModule)
	})
}

// testWaitingForAModule ends commands by a signal while the kernel waits for a
// modprobe that hangs. As with 1.31, they exit at once.
func testWaitingForAModule(t *testing.T) {
	const setting = "/proc/sys/kernel/modprobe"
	d := newDirector(t)
	usual, err := os.ReadFile(setting)
	must.OK(t, err)
	begun, hanging := filepath.Join(d.dir, "begun"), filepath.Join(d.dir, "modprobe")
	must.OK(t, os.WriteFile(hanging, []byte("#!/bin/sh\n: >"+begun+"\nsleep 1000\n"), 0o700))
	must.OK(t, os.WriteFile(setting, []byte(hanging), 0))
	defer func() { must.OK(t, os.WriteFile(setting, usual, 0)) }()
	for n, c := range []struct{ processors, option string }{{"1", "-A"}, {"1", "-R"}, {"2", "-A"}, {"2", "-R"}} {
		rule := fmt.Sprintf("-A -t 12.0.0.1:80 -s hanging%d\n", n)
		cmd := d.command("ipvsadm", "-R")
		if c.option == "-A" {
			cmd = d.command(append([]string{"ipvsadm"}, strings.Fields(rule)...)...)
		}
		cmd.Env = append(os.Environ(), "GOMAXPROCS="+c.processors)
		cmd.Stdin = strings.NewReader(rule)
		must.OK(t, cmd.Start())
		if !must.Soon(func() bool { return os.Remove(begun) == nil }) {
			t.Fatal("the kernel asks for no module")
		}
		must.OK(t, cmd.Process.Signal(unix.SIGTERM))
		late := time.AfterFunc(must.Patience, func() { cmd.Process.Kill() })
		_ = cmd.Wait()
		late.Stop()
		if ws := cmd.ProcessState.Sys().(syscall.WaitStatus); ws.Signal() != unix.SIGTERM {
			t.Errorf("%s with %s processors: %v", c.option, c.processors, cmd.ProcessState)
		}
	}
}

// alternation restores two files in turn. Each interrupted restore is then
// repeated and completes.
type alternation struct {
	director
	tables [2]*ipvs.Table
	files  [2]string
	large  int           // number of large services at the end of each table
	whole  time.Duration // duration of a restore
}

func newAlternation(t *testing.T, large int) *alternation {
	a := &alternation{director: newDirector(t), large: large}
	r := rand.New(rand.NewPCG(10, rand.Uint64()))
	for i := range a.tables {
		a.tables[i] = largeTable(r, large)
		a.files[i] = a.file(fmt.Sprint(i), a.tables[i])
	}
	for i := range a.tables { // the first loads the modules
		begin := time.Now()
		cmd, errs := a.start(i)
		if err := cmd.Wait(); err != nil {
			t.Fatalf("%v, %s", err, errs)
		}
		a.whole = time.Since(begin)
	}
	return a
}

// largeTable returns a table that takes long to change but not to read: it has
// few services with many servers. Two such tables share most servers, with
// different weights, since the kernel keeps removed servers for minutes and
// searches them for each added one.
func largeTable(r *rand.Rand, large int) *ipvs.Table {
	t := randomTable(r, 20)
	t.Daemons = nil
	for i := range large {
		s := ipvs.ServiceEntry{Service: ipvs.Service{
			ServiceID: ipvs.AddrID(ipvs.TCP, netip.AddrFrom4([4]byte{10, 3, byte(i >> 8), byte(i)}), 80),
			Netmask:   ipvs.FullNetmask(ipvs.IPv4), Scheduler: pick(r, "rr", "wrr"),
		}}
		for j := range 60 {
			if r.IntN(200) > 0 {
				s.Destinations = append(s.Destinations, ipvs.DestinationEntry{Destination: ipvs.Destination{
					Addr: netip.AddrFrom4([4]byte{192, 168, 1, byte(j + 1)}), Port: 80, Weight: r.Int32N(1000),
				}})
			}
		}
		t.Services = append(t.Services, s)
	}
	return t
}

// hasBegun reports whether a restore of the file has made changes: timeouts
// come first.
func (a *alternation) hasBegun(i int) bool {
	a.Helper()
	now, err := a.client.Timeouts(a.Context())
	must.OK(a.T, err)
	return now == a.tables[i].Timeouts
}

// isRestored reports whether a large service, which differs between the files,
// is as in the file.
func (a *alternation) isRestored(i, service int) bool {
	a.Helper()
	want := a.tables[i].Services[service]
	now := want
	var err error
	now.Destinations, err = a.client.Destinations(a.Context(), want.ServiceID)
	must.OK(a.T, err)
	return len(model.Diff(&ipvs.Table{Services: []ipvs.ServiceEntry{now}}, &ipvs.Table{Services: []ipvs.ServiceEntry{want}})) == 0
}

// awaitChanges returns when a restore of the file has changed a random one of
// the first large services.
func (a *alternation) awaitChanges(i, first int) {
	a.Helper()
	service := len(a.tables[i].Services) - a.large + rand.IntN(first)
	for end := time.Now().Add(must.Patience); !a.isRestored(i, service); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			a.Fatal("the restore changes nothing")
		}
	}
}

// startNice starts a command with a low priority: the guest has one CPU, and
// the test must get it whenever it wakes up.
func startNice(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	must.OK(t, unix.Setpriority(unix.PRIO_PROCESS, 0, 19)) // of this thread, for the child
	must.OK(t, cmd.Start())
	must.OK(t, unix.Setpriority(unix.PRIO_PROCESS, 0, 0))
}

// start starts a restore of a file.
func (a *alternation) start(i int, options ...string) (cmd *exec.Cmd, errs *bytes.Buffer) {
	a.Helper()
	cmd, errs = a.command(append([]string{"ipvsadm-restore", "--lock", "lock", a.files[i]}, options...)...), new(bytes.Buffer)
	cmd.Stderr = errs
	startNice(a.T, cmd)
	return cmd, errs
}

// left returns the changes that an interrupted restore of the file did not
// make. Each service must be as in one of the files.
func (a *alternation) left(i int) []ipvs.Change {
	a.Helper()
	now := a.table()
	left, back := model.Diff(now, a.tables[i]), map[ipvs.ServiceID]bool{}
	for _, c := range model.Diff(now, a.tables[1-i]) {
		back[c.Service.ServiceID] = true
	}
	for _, c := range left {
		if back[c.Service.ServiceID] {
			a.Fatalf("as in neither file: %v, of\n%s", c, rulesOf(now))
		}
	}
	return left
}

// repeat repeats an interrupted restore.
func (a *alternation) repeat(i int) {
	a.Helper()
	if out := a.do("", "ipvsadm-restore", "--lock", filepath.Join(a.dir, "lock"), a.files[i]); out != (answer{}) {
		a.Fatal(out)
	}
	if left := model.Diff(a.table(), a.tables[i]); len(left) > 0 {
		a.Fatalf("a restore after an interrupted one left %v", left)
	}
}

// testKilled kills restores at random instants, most of them after the first
// changes: the time before these is much longer.
func testKilled(t *testing.T) {
	kills := must.Count(20, 100)
	a := newAlternation(t, 30)
	n, before, midway, after := 0, 0, 0, 0
	for ; n < kills || midway < kills/3 && n < 6*kills; n++ { // more on a busy machine
		i := n % 2
		cmd, _ := a.start(i)
		if n%10 == 9 {
			time.Sleep(rand.N(a.whole))
		} else {
			a.awaitChanges(i, a.large)
		}
		must.OK(t, cmd.Process.Kill())
		_ = cmd.Wait()
		switch left := a.left(i); {
		case len(left) == 0:
			after++
		case a.hasBegun(i):
			midway++
		default:
			before++
		}
		a.repeat(i)
	}
	t.Logf("of %d kills %d came before the first of about %d changes, %d midway and %d after the last",
		n, before, len(model.Diff(a.tables[1], a.tables[0])), midway, after)
	if midway < kills/3 {
		t.Error("too few came midway to show anything")
	}
}

// endings are the signals that end a program.
var endings = []syscall.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT, unix.SIGABRT}

var interrupted = regexp.MustCompile(`^\S+: (interrupt|terminated|hangup|quit|aborted) after (\d+) of (\d+) changes; run it again to finish\n$`)

// testSignalled sends signals early, since with one CPU a Go program receives
// them some milliseconds late.
func testSignalled(t *testing.T) {
	signals := must.Count(5, 12)
	a := newAlternation(t, 150)
	n, midway := 0, 0
	for ; n < signals || midway < signals/3 && n < 6*signals; n++ { // more on a busy machine
		i, sig := n%2, endings[n%len(endings)]
		cmd, errs := a.start(i, "--keep-going")
		a.awaitChanges(i, a.large/3)
		_ = cmd.Process.Signal(sig) // unless it has exited
		_ = cmd.Wait()
		left := a.left(i)
		a.repeat(i)
		status := cmd.ProcessState.ExitCode()
		if status == 0 && errs.Len() == 0 && len(left) == 0 {
			continue // finished before the signal
		}
		m := interrupted.FindStringSubmatch(errs.String())
		if status != 128+int(sig) || m == nil {
			t.Fatalf("%v: %v, %s", sig, cmd.ProcessState, errs)
		}
		done, _ := strconv.Atoi(m[2])
		all, _ := strconv.Atoi(m[3])
		if all-done != len(left) {
			t.Errorf("%v: %s but %d changes are left", sig, errs, len(left))
		}
		midway++
	}
	t.Logf("%d of %d signals came midway", midway, n)
	if midway < signals/3 {
		t.Error("too few came midway to show anything")
	}
}

// testStrictSignalled sends each signal at random instants of an
// all-or-nothing restore.
func testStrictSignalled(t *testing.T) {
	each := must.Count(1, 3)
	a := newAlternation(t, 150)
	n, undone, finished := 0, 0, 0
	now := 1 // the file that the table matches
	for ; n < each*len(endings) || undone < each && n < 6*each*len(endings); n++ {
		next, sig := 1-now, endings[n%len(endings)]
		cmd, errs := a.start(next, "--strict")
		if n%3 == 0 {
			time.Sleep(rand.N(a.whole))
		} else {
			a.awaitChanges(next, a.large/3)
		}
		_ = cmd.Process.Signal(sig) // unless it has exited
		_ = cmd.Wait()
		status := cmd.ProcessState.ExitCode()
		switch {
		case status == 0 && errs.Len() == 0:
			now = next
			finished++
		case status == -1 && cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() == sig,
			status == 2 && bytes.HasPrefix(errs.Bytes(), []byte("SIG")): // before the program waits for signals
		case status == 128+int(sig) && bytes.HasSuffix(errs.Bytes(), []byte(": all changes were undone\n")):
			undone++
		default:
			t.Fatalf("%v: %v, %s", sig, cmd.ProcessState, errs)
		}
		if left := model.Diff(a.table(), a.tables[now]); len(left) > 0 {
			t.Fatalf("%v: %v, %s, but the table lacks %v", sig, cmd.ProcessState, errs, left)
		}
	}
	t.Logf("of %d signals %d were undone, and %d came after the end", n, undone, finished)
	if undone < each {
		t.Error("too few came midway to show anything")
	}
}

// testStrictWithoutReader restores files whose last line the kernel refuses,
// with a standard error that has no reader.
func testStrictWithoutReader(t *testing.T) {
	a := newAlternation(t, 30)
	text, err := os.ReadFile(a.files[0])
	must.OK(t, err)
	must.OK(t, os.WriteFile(a.files[0], append(text, "-A -t 10.9.9.9:1 -s nosuch\n"...), 0o600))
	before := a.rules()
	for range 5 {
		read, write, err := os.Pipe()
		must.OK(t, err)
		cmd := a.command("ipvsadm-restore", "--lock", "lock", a.files[0], "--strict")
		cmd.Stdout, cmd.Stderr = write, write
		must.OK(t, cmd.Start())
		write.Close()
		read.Close()
		_ = cmd.Wait()
		if status := cmd.ProcessState.ExitCode(); status != 2 || a.rules() != before {
			t.Errorf("%v, the table lacks %v", cmd.ProcessState, model.Diff(a.table(), a.tables[1]))
		}
	}
}
