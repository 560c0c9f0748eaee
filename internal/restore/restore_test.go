// SPDX-License-Identifier: Apache-2.0

package restore_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/ipvsadm-go/ipvsadm/internal/restore"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs/ipvstest"
)

var errNonsense = errors.New("nonsense")

func web(port int) ipvs.ServiceID {
	return ipvs.AddrID(ipvs.TCP, netip.MustParseAddr("12.0.0.1"), uint16(port))
}

func server(host int) ipvs.Destination {
	return ipvs.Destination{Addr: netip.AddrFrom4([4]byte{10, 0, byte(host >> 8), byte(host)}), Port: 80, Weight: 1}
}

// reader reads a language of its own: "add 80 rr", "edit 80 rr", "delete 80",
// "server 80 7 WEIGHT", "remove 80 7"; it counts the lines.
type reader struct{ lines int }

func (r *reader) parse(_ context.Context, words []string) (ipvs.Change, error) {
	r.lines++
	n := make([]int, 4)
	for i := range words {
		n[i], _ = strconv.Atoi(words[i])
	}
	switch words[0] {
	case "add":
		return ipvs.AddService(ipvs.NewService(web(n[1]), words[2])), nil
	case "edit":
		return ipvs.EditService(ipvs.NewService(web(n[1]), words[2])), nil
	case "delete":
		return ipvs.DeleteService(web(n[1])), nil
	case "server":
		d := server(n[2])
		d.Weight = int32(n[3])
		return ipvs.AddDestination(web(n[1]), d), nil
	case "remove":
		return ipvs.DeleteDestination(web(n[1]), server(n[2]).AddrPort()), nil
	case "start":
		return ipvs.StartDaemon(ipvs.Daemon{State: ipvs.Master, Interface: "lo"}), nil
	case "stop":
		return ipvs.StopDaemon(ipvs.Master), nil
	}
	return ipvs.Change{}, errNonsense
}

func read(t *testing.T, lines ...string) (*restore.File, *reader) {
	t.Helper()
	var r reader
	return restore.Read(t.Context(), []byte(strings.Join(lines, "\n")), r.parse), &r
}

// kernel has the table of some lines.
func kernel(t *testing.T, lines ...string) *ipvstest.Kernel {
	t.Helper()
	k := ipvstest.New(nil)
	f, _ := read(t, lines...)
	if err := k.Do(f.Plan(k.Now(), false)...); err != nil {
		t.Fatal(err)
	}
	return k
}

// said shows complaints as LINE:ERROR.
func said(f *restore.File) string {
	var list []string
	for _, c := range f.Complaints() {
		err := c.Err.Error()
		if i := strings.LastIndex(err, ": "); i >= 0 {
			err = err[i+2:]
		}
		list = append(list, fmt.Sprintf("%d:%s", c.Line, err))
	}
	return strings.Join(list, " ")
}

var quietly = restore.Options{Stopped: func() bool { return false }, Progress: func(int, int) {}}

// refuseNosuch refuses a scheduler called nosuch, and the server 9.
func refuseNosuch(c ipvs.Change) syscall.Errno {
	switch {
	case c.Service.Scheduler == "nosuch":
		return syscall.ENOENT
	case c.Op == ipvs.OpAddDestination && c.Destination.Addr == server(9).Addr:
		return syscall.EINVAL
	}
	return 0
}

func TestFileIsReadWithoutAKernel(t *testing.T) {
	f, r := read(t, "add 80 rr", "# add 81 rr", "", "add 80 rr", "bogus", "server 80 1 1", "server 99 1 1")
	if got, want := said(f), "4:service already exists 5:nonsense 7:no such service"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if !f.Faulty() || !f.Refused() || !f.LastRefused() || r.lines != 5 {
		t.Errorf("%v %v %v, %d lines were read", f.Faulty(), f.Refused(), f.LastRefused(), r.lines)
	}
	if c := f.Complaints()[1]; c.Op != 0 || c.Err != errNonsense {
		t.Errorf("%+v", c)
	}
	if f, _ := read(t); f.Faulty() || f.Refused() || f.LastRefused() || len(f.Complaints()) > 0 {
		t.Error("an empty file is found at fault")
	}
}

// A file is read once where the kernel refuses nothing, and twice where it
// does, however often.
func TestFileIsReadOnceMoreAtTheMost(t *testing.T) {
	for _, c := range []struct {
		lines []string
		times int
		said  string
	}{
		{[]string{"add 80 rr", "server 80 1 1"}, 1, ""},
		{[]string{"add 80 nosuch", "add 81 nosuch", "server 80 1 1", "add 82 rr", "server 82 9 1"}, 2,
			"1:scheduler or persistence engine not found 2:scheduler or persistence engine not found 3:no such service 5:invalid argument"},
	} {
		f, r := read(t, c.lines...)
		k := kernel(t)
		k.Refuse = refuseNosuch
		if end := f.Run(t.Context(), k, k.Now(), quietly); end.How != restore.Finished {
			t.Errorf("%+v", end)
		}
		if r.lines != c.times*len(c.lines) || said(f) != c.said {
			t.Errorf("%d lines of %d were read, complaints %s", r.lines, len(c.lines), said(f))
		}
	}
}

func TestEnds(t *testing.T) {
	broken := errors.New("broken")
	old, file := []string{"add 80 rr", "server 80 1 1"}, []string{"add 80 nosuch", "server 80 1 1", "server 80 2 1"}
	tables := func(n int, do func(k *ipvstest.Kernel) error) func(*ipvstest.Kernel) func(string) error {
		return func(k *ipvstest.Kernel) func(string) error {
			seen := 0
			return func(method string) error {
				if method == "Table" {
					if seen++; seen >= n {
						return do(k)
					}
				}
				return nil
			}
		}
	}
	never := func(*ipvstest.Kernel) error { return nil }
	fail := func(*ipvstest.Kernel) error { return broken }
	const nosuch = "1:scheduler or persistence engine not found"
	for _, c := range []struct {
		name   string
		strict bool
		before func(*ipvstest.Kernel) func(string) error
		how    restore.Ending
		err    error
		table  []string // nil: not looked at
	}{
		{"finished", false, tables(1, never), restore.Finished, nil, []string{"add 80 rr", "server 80 1 1", "server 80 2 1"}},
		{"undone", true, tables(1, never), restore.Undone, nil, old},
		{"the table cannot be read again", false, tables(1, fail), restore.Failed, broken, nil},
		{"the table cannot be read to undo", true, tables(2, fail), restore.NotUndone, broken, nil},
		{"another program changes it again and again", false, tables(1, func(k *ipvstest.Kernel) error {
			_ = k.Do(ipvs.AddService(ipvs.NewService(web(99), "rr")))
			return nil
		}), restore.Differing, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := kernel(t, old...)
			k.Refuse, k.Before = refuseNosuch, c.before(k)
			f, _ := read(t, file...)
			o := quietly
			o.Strict = c.strict
			end := f.Run(t.Context(), k, k.Now(), o)
			if end.How != c.how || !errors.Is(end.Err, c.err) || (end.How == restore.Differing) != (len(end.Left) > 0) {
				t.Errorf("%+v, want %+v", end, c)
			}
			// Whatever ended it, the line that was refused is not hidden.
			if said(f) != nosuch {
				t.Errorf("complaints %s, want %s", said(f), nosuch)
			}
			if c.table != nil {
				want := kernel(t, c.table...).Now()
				if d := ipvs.Diff(k.Now(), want); len(d) > 0 {
					t.Errorf("the table lacks %v", d)
				}
			}
		})
	}
}

// A kernel that goes away after it refused a line, in the same round.
func TestRefusalIsNotHiddenByAFailure(t *testing.T) {
	lines := []string{"add 1 nosuch"}
	for port := 2; port < 1200; port++ {
		lines = append(lines, "add "+strconv.Itoa(port)+" rr")
	}
	f, _ := read(t, lines...)
	k := kernel(t)
	k.Refuse = refuseNosuch
	broken := errors.New("broken")
	batches := 0
	k.Before = func(method string) error {
		if method == "Apply" {
			if batches++; batches > 1 {
				return broken
			}
		}
		return nil
	}
	end := f.Run(t.Context(), k, k.Now(), quietly)
	if end.How != restore.Failed || !errors.Is(end.Err, broken) || said(f) != "1:scheduler or persistence engine not found" {
		t.Errorf("%+v, complaints %s", end, said(f))
	}
}

func TestStopEndsBetweenPieces(t *testing.T) {
	var lines []string
	for port := 1; port < 1500; port++ {
		lines = append(lines, "add "+strconv.Itoa(port)+" rr", "server "+strconv.Itoa(port)+" 1 1")
	}
	f, _ := read(t, lines...)
	k := kernel(t)
	asked, told := 0, []int{}
	end := f.Run(t.Context(), k, k.Now(), restore.Options{
		Stopped:  func() bool { asked++; return asked > 2 },
		Progress: func(done, all int) { told = append(told, done, all) },
	})
	if end.How != restore.Interrupted || end.All != len(lines) || end.Done == 0 || end.Done >= end.All || !slices.Contains(told, end.Done) {
		t.Errorf("%+v, told %v", end, told)
	}
	made := 0
	for _, s := range k.Now().Services {
		if made += 1 + len(s.Destinations); len(s.Destinations) != 1 {
			t.Errorf("half a service: %v", s)
		}
	}
	if made != end.Done {
		t.Errorf("%d changes were made, said %d", made, end.Done)
	}
}

func TestPlanDrainsServersInUse(t *testing.T) {
	k := kernel(t, "add 80 rr", "server 80 1 5", "server 80 2 5", "server 80 3 5")
	table := k.Now()
	for i := range table.Services[0].Destinations[:2] {
		table.Services[0].Destinations[i].Conns.Inactive = 1
	}
	f, _ := read(t, "add 80 rr", "server 80 2 5")
	idle := server(1)
	idle.Weight = 0
	want := []ipvs.Change{
		ipvs.EditDestination(web(80), idle),
		ipvs.DeleteDestination(web(80), server(3).AddrPort()),
		ipvs.DeleteDestination(web(80), server(1).AddrPort()),
	}
	if got := f.Plan(table, false); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestDaemonsThatTheFileDoesNotSpeakOfStay(t *testing.T) {
	running := &ipvs.Table{Services: []ipvs.ServiceEntry{}, Daemons: []ipvs.Daemon{{State: ipvs.Master, Interface: "lo"}}}
	for _, c := range []struct {
		lines []string
		have  *ipvs.Table
		plan  []ipvs.Change
		said  string
	}{
		{nil, running, nil, ""},
		{[]string{"stop"}, running, []ipvs.Change{ipvs.StopDaemon(ipvs.Master)}, ""},
		{[]string{"stop"}, &ipvs.Table{Services: []ipvs.ServiceEntry{}}, nil, "1:no such sync daemon runs"},
		{[]string{"stop", "stop"}, running, []ipvs.Change{ipvs.StopDaemon(ipvs.Master)}, "2:no such sync daemon runs"},
	} {
		f, _ := read(t, c.lines...)
		f.Meet(c.have)
		if got := f.Plan(c.have, false); !slices.Equal(got, c.plan) || said(f) != c.said {
			t.Errorf("%v: %v, %s, want %v, %s", c.lines, got, said(f), c.plan, c.said)
		}
	}
}
