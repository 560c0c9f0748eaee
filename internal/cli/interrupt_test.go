// SPDX-License-Identifier: Apache-2.0

package cli

// This file kills restores, and lets signals end them, while they change the
// table of a real kernel.

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os/exec"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/internal/uml/umltest"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

func TestInterruptedRestoreOnAKernel(t *testing.T) {
	umltest.InGuest(t, func(t *testing.T) {
		if out, err := exec.Command("modprobe", "ip_vs").CombinedOutput(); err != nil {
			t.Fatalf("modprobe: %v %s", err, out)
		}
		t.Run("killed at random instants", testKilled)
		t.Run("ended by signals at random instants", testSignalled)
	})
}

// alternation restores two files by turns, whatever the table is meanwhile.
type alternation struct {
	director
	tables [2]*ipvs.Table
	files  [2]string
	// whole is how long a restore takes, sending how long it makes changes.
	whole, sending time.Duration
}

func newAlternation(t *testing.T, services int) *alternation {
	a := &alternation{director: newDirector(t)}
	r := rand.New(rand.NewPCG(10, rand.Uint64()))
	for i := range a.tables {
		a.tables[i] = largeTable(r, services)
		a.files[i] = a.file(fmt.Sprint(i), a.tables[i])
		a.become(a.tables[i]) // loads the modules
	}
	return a
}

// largeTable is a table that takes long to change and not so long to read:
// it has many servers, few services. Two have most servers in common, with
// other weights: the kernel keeps those that go for minutes, and goes through
// them whenever one comes.
func largeTable(r *rand.Rand, services int) *ipvs.Table {
	t := randomTable(r, 20)
	t.Daemons = nil
	for i := range services {
		s := ipvs.ServiceEntry{Service: ipvs.Service{
			ServiceID: ipvs.AddrService(ipvs.TCP, netip.AddrFrom4([4]byte{10, 3, byte(i >> 8), byte(i)}), 80),
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

// next is the file to restore: the one whose timeouts, which come first, are
// not in force, so that they tell whether the restore has sent anything.
func (a *alternation) next() int {
	a.Helper()
	if a.begun(0) {
		return 1
	}
	return 0
}

// begun tells whether a restore of the file has sent something.
func (a *alternation) begun(i int) bool {
	a.Helper()
	now, err := a.client.Timeouts(a.Context())
	must(a.T, err)
	return now == a.tables[i].Timeouts
}

// awaitChanges returns when a restore of the file has sent something.
func (a *alternation) awaitChanges(i int) {
	a.Helper()
	for end := time.Now().Add(time.Minute); !a.begun(i); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			a.Fatal("the restore changes nothing")
		}
	}
}

// sent tells whether the last service of the file is as it is wanted.
func (a *alternation) sent(i int) bool {
	a.Helper()
	want := a.tables[i].Services[len(a.tables[i].Services)-1]
	now := want
	var err error
	now.Destinations, err = a.client.Destinations(a.Context(), want.ServiceID)
	must(a.T, err)
	return len(ipvs.Diff(&ipvs.Table{Services: []ipvs.ServiceEntry{now}}, &ipvs.Table{Services: []ipvs.ServiceEntry{want}})) == 0
}

// start begins to restore a file, with a low priority: the guest has one CPU,
// and the test is to have it whenever it wakes up.
func (a *alternation) start(i int) (cmd *exec.Cmd, errs *bytes.Buffer) {
	a.Helper()
	cmd, errs = a.command("ipvsadm-restore", "--lock", "lock", a.files[i]), new(bytes.Buffer)
	cmd.Stderr = errs
	must(a.T, unix.Setpriority(unix.PRIO_PROCESS, 0, 19)) // of this thread, for the child
	must(a.T, cmd.Start())
	must(a.T, unix.Setpriority(unix.PRIO_PROCESS, 0, 0))
	return cmd, errs
}

// finish restores a file to its end, makes sure that it got there, and
// measures how long that takes.
func (a *alternation) finish() {
	a.Helper()
	i, begin := a.next(), time.Now()
	cmd, errs := a.start(i)
	a.awaitChanges(i)
	changed := time.Now()
	for !a.sent(i) {
		time.Sleep(time.Millisecond)
	}
	a.sending = time.Since(changed)
	if err := cmd.Wait(); err != nil {
		a.Fatalf("%v, %s", err, errs)
	}
	a.whole = time.Since(begin)
	if left := ipvs.Diff(a.table(), a.tables[i]); len(left) > 0 {
		a.Fatalf("a restore that followed one that was interrupted left %v", left)
	}
}

// left is what a restore of the file that was interrupted has still to do.
// Each service has to be as in one of the files.
func (a *alternation) left(i int) []ipvs.Change {
	a.Helper()
	now := a.table()
	left, back := ipvs.Diff(now, a.tables[i]), map[ipvs.ServiceID]bool{}
	for _, c := range ipvs.Diff(now, a.tables[1-i]) {
		back[c.Service.ServiceID] = true
	}
	for _, c := range left {
		if back[c.Service.ServiceID] {
			a.Fatalf("as in neither file: %v, of\n%s", c, rulesOf(now))
		}
	}
	return left
}

// testKilled finishes few restores: what one that was killed left
// is where the next begins. Some kills come at any instant, most after the
// first changes, since what comes before takes many times as long.
func testKilled(t *testing.T) {
	kills := 200
	if testing.Short() {
		kills = 40
	}
	a := newAlternation(t, 160)
	before, midway, after := 0, 0, 0
	for n := range kills {
		if n%20 == 0 {
			a.finish() // what was left
			a.finish() // all
		}
		i := a.next()
		cmd, _ := a.start(i)
		if n%8 == 7 {
			time.Sleep(rand.N(a.whole))
		} else {
			a.awaitChanges(i)
			time.Sleep(rand.N(a.sending))
		}
		must(t, cmd.Process.Kill())
		_ = cmd.Wait()
		switch left := a.left(i); {
		case len(left) == 0:
			after++
		case a.begun(i):
			midway++
		default:
			before++
		}
	}
	a.finish()
	t.Logf("of %d kills %d came before the first of about %d changes, %d midway and %d after the last",
		kills, before, len(ipvs.Diff(a.tables[1], a.tables[0])), midway, after)
	if midway < kills/3 {
		t.Error("too few came midway to show anything")
	}
}

var interrupted = regexp.MustCompile(`^\S+: (interrupt|terminated) after (\d+) of (\d+) changes; restore again to finish\n$`)

func testSignalled(t *testing.T) {
	signals := 24
	if testing.Short() {
		signals = 6
	}
	a := newAlternation(t, 600)
	midway := 0
	for n := range signals {
		if n%20 == 0 {
			a.finish() // what was left
			a.finish() // all
		}
		i, sig := a.next(), []syscall.Signal{unix.SIGINT, unix.SIGTERM}[n%2]
		cmd, errs := a.start(i)
		a.awaitChanges(i)
		time.Sleep(rand.N(a.sending))
		_ = cmd.Process.Signal(sig) // if it has not ended
		_ = cmd.Wait()
		left := a.left(i)
		status := cmd.ProcessState.ExitCode()
		if status == 0 && errs.Len() == 0 && len(left) == 0 {
			continue // it was finished first
		}
		m := interrupted.FindStringSubmatch(errs.String())
		if status != 128+int(sig) || m == nil {
			t.Fatalf("%v: status %v, %s", sig, cmd.ProcessState, errs)
		}
		done, _ := strconv.Atoi(m[2])
		all, _ := strconv.Atoi(m[3])
		if all-done != len(left) {
			t.Errorf("%v: %s but %d changes are left", sig, errs, len(left))
		}
		midway++
	}
	a.finish()
	t.Logf("%d of %d signals came midway", midway, signals)
	if midway < signals/3 {
		t.Error("too few came midway to show anything")
	}
}
