// SPDX-License-Identifier: Apache-2.0

package restore_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/model"
	"github.com/ipvsadm-go/ipvsadm/internal/restore"
	"github.com/ipvsadm-go/ipvsadm/internal/test/change"
	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
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

func timeouts(tcp, udp int) ipvs.Timeouts {
	return ipvs.Timeouts{TCP: time.Duration(tcp) * time.Second, UDP: time.Duration(udp) * time.Second}
}

// reader parses a small language for tests: "add 80 rr", "edit 80 rr", "delete
// 80", "server 80 7 WEIGHT", "remove 80 7". A "!" after the command sets
// Rule.Exist. It counts the lines.
type reader struct{ lines atomic.Int32 }

func (r *reader) parser() restore.Parse { return r.parse }

func (r *reader) parse(_ context.Context, words []string) (restore.Rule, error) {
	r.lines.Add(1)
	command, exist := strings.CutSuffix(words[0], "!")
	c, err := changeOf(command, words)
	return restore.Rule{Change: c, Exist: exist}, err
}

func changeOf(command string, words []string) (ipvs.Change, error) {
	n := make([]int, 4)
	for i := range words {
		n[i], _ = strconv.Atoi(words[i])
	}
	switch command {
	case "add":
		return change.AddService(ipvs.NewService(web(n[1]), words[2])), nil
	case "edit":
		return change.EditService(ipvs.NewService(web(n[1]), words[2])), nil
	case "delete":
		return change.DeleteService(web(n[1])), nil
	case "server":
		d := server(n[2])
		d.Weight = int32(n[3])
		return change.AddDestination(web(n[1]), d), nil
	case "remove":
		return change.DeleteDestination(web(n[1]), server(n[2]).AddrPort()), nil
	case "flush":
		return change.Flush(), nil
	case "start":
		return change.StartDaemon(ipvs.Daemon{State: ipvs.Master, Interface: append(words, "lo")[1]}), nil
	case "backup":
		return change.StartDaemon(ipvs.Daemon{State: ipvs.Backup, Interface: words[1]}), nil
	case "stop":
		return change.StopDaemon(ipvs.Master), nil
	case "timeouts":
		return change.SetTimeouts(timeouts(n[1], n[2])), nil
	}
	return ipvs.Change{}, errNonsense
}

func read(t *testing.T, lines ...string) (*restore.File, *reader) {
	t.Helper()
	var r reader
	f, err := restore.Read(t.Context(), strings.NewReader(strings.Join(lines, "\n")), 1<<30, r.parser, nil)
	must.OK(t, err)
	return f, &r
}

// kernel returns a kernel with the table that some lines describe.
func kernel(t *testing.T, lines ...string) *ipvstest.Kernel {
	t.Helper()
	k := ipvstest.New(nil)
	f, _ := read(t, lines...)
	must.OK(t, k.Do(f.Wanted(k.Now(), false).Plan(k.Now(), false, true)...))
	return k
}

// run runs a file against a kernel whose table was have.
func run(t *testing.T, f *restore.File, k restore.Kernel, have *ipvs.Table, o restore.Options) restore.Result {
	t.Helper()
	return f.Wanted(have, false).Run(t.Context(), k, have, o)
}

// list returns the complaints as LINE:ERROR.
func list(w *restore.Wanted) string {
	var list []string
	for _, c := range w.Complaints.List {
		err := c.Err.Error()
		if i := strings.LastIndex(err, ": "); i >= 0 {
			err = err[i+2:]
		}
		list = append(list, fmt.Sprintf("%d:%s", c.Line, err))
	}
	return strings.Join(list, " ")
}

var options = restore.Options{Drain: restore.DrainTime, Stopped: func() bool { return false }, Progress: func(int, int) {}}

// refuseNosuch refuses a scheduler or an interface named nosuch, and server 9.
func refuseNosuch(c ipvs.Change) syscall.Errno {
	switch {
	case c.Daemon.Interface == "nosuch":
		return syscall.ENODEV
	case c.Service.Scheduler == "nosuch":
		return syscall.ENOENT
	case c.Op == ipvs.OpAddDestination && c.Destination.Addr == server(9).Addr:
		return syscall.EINVAL
	}
	return 0
}

// refuseEdits refuses to edit a server.
func refuseEdits(c ipvs.Change) syscall.Errno {
	if c.Op == ipvs.OpEditDestination {
		return syscall.ENOMEM
	}
	return 0
}

func TestFileIsReadWithoutAKernel(t *testing.T) {
	f, r := read(t, "add 80 rr", "# add 81 rr", "", "add 80 rr", "bogus", "server 80 1 1", "server 99 1 1")
	w := f.Wanted(nil, false)
	if got, want := list(w), "4:service already exists 5:nonsense 7:no such service"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if !f.Faults.Any() || !w.Refused || w.Last.Err == nil || r.lines.Load() != 5 {
		t.Errorf("%+v, %d lines were read", w, r.lines.Load())
	}
	if c := w.Complaints.List[1]; c.Change.Op != 0 || c.Err != errNonsense {
		t.Errorf("%+v", c)
	}
	f, _ = read(t)
	if w := f.Wanted(nil, false); !f.Empty() || w.Refused || w.Last.Err != nil || w.Complaints.Any() {
		t.Error("an empty file has faults")
	}
}

// A file is parsed once, however often the kernel refuses.
func TestFileIsParsedOnce(t *testing.T) {
	for _, c := range []struct {
		lines []string
		said  string
	}{
		{[]string{"add 80 rr", "server 80 1 1"}, ""},
		{[]string{"add 80 nosuch", "add 81 nosuch", "server 80 1 1", "add 82 rr", "server 82 9 1"},
			"1:scheduler or persistence engine not found 2:scheduler or persistence engine not found 3:no such service 5:invalid argument"},
	} {
		f, r := read(t, c.lines...)
		k := kernel(t)
		k.Refuse = refuseNosuch
		end := run(t, f, k, k.Now(), options)
		if got := list(end.Wanted); end.How != restore.Finished || int(r.lines.Load()) != len(c.lines) || got != c.said {
			t.Errorf("%+v, %d lines of %d were read, complaints %s", end, r.lines.Load(), len(c.lines), got)
		}
	}
}

func TestEnds(t *testing.T) {
	broken := errors.New("broken")
	old, file := []string{"add 80 rr", "server 80 1 1", "add 81 rr", "server 81 1 1"}, []string{"add 80 nosuch", "server 80 1 1", "server 80 2 1"}
	// from returns a hook that calls do when the table is read for the
	// first-th time and later.
	from := func(first int, do func(k *ipvstest.Kernel) error) func(*ipvstest.Kernel) func(string) error {
		return func(k *ipvstest.Kernel) func(string) error {
			seen := 0
			return func(method string) error {
				if method == "Table" {
					if seen++; seen >= first {
						return do(k)
					}
				}
				return nil
			}
		}
	}
	never := func(*ipvstest.Kernel) error { return nil }
	fail := func(*ipvstest.Kernel) error { return broken }
	again := func(k *ipvstest.Kernel) error {
		_ = k.Do(change.AddService(ipvs.NewService(web(99), "rr")))
		return nil
	}
	const nosuch = "1:scheduler or persistence engine not found"
	for _, c := range []struct {
		name   string
		strict bool
		before func(*ipvstest.Kernel) func(string) error
		want   restore.Result
		table  []string // nil: not checked
	}{
		{"finished", false, from(1, never), restore.Result{How: restore.Finished}, []string{"add 80 rr", "server 80 1 1", "server 80 2 1"}},
		{"refused", true, from(1, never), restore.Result{How: restore.Refused, Undo: restore.Undone}, old},
		{"the table cannot be read again", false, from(1, fail), restore.Result{How: restore.Failed, Err: broken}, nil},
		{"the table cannot be read to undo", true, from(1, fail), restore.Result{How: restore.Refused, Undo: restore.NotUndone, UndoErr: broken}, nil},
		{"another program changes it again and again", false, from(1, again), restore.Result{How: restore.Differing}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := kernel(t, old...)
			k.Refuse, k.Before = refuseNosuch, c.before(k)
			f, _ := read(t, file...)
			o := options
			o.Strict = c.strict
			end := run(t, f, k, k.Now(), o)
			if end.How != c.want.How || !errors.Is(end.Err, c.want.Err) || end.Undo != c.want.Undo || !errors.Is(end.UndoErr, c.want.UndoErr) ||
				(end.How == restore.Differing) != (len(end.Left) > 0) {
				t.Errorf("%+v, want %+v", end, c.want)
			}
			// The refused line is reported, however the run ended.
			if got := list(end.Wanted); got != nosuch {
				t.Errorf("complaints %s, want %s", got, nosuch)
			}
			if c.table != nil {
				want := kernel(t, c.table...).Now()
				if d := model.Diff(k.Now(), want); len(d) > 0 {
					t.Errorf("the table lacks %v", d)
				}
			}
		})
	}
}

// A refusal is reported although the kernel fails later in the same round.
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
	end := run(t, f, k, k.Now(), options)
	if end.How != restore.Failed || !errors.Is(end.Err, broken) || list(end.Wanted) != "1:scheduler or persistence engine not found" {
		t.Errorf("%+v, complaints %s", end, list(end.Wanted))
	}
}

func TestStopEndsBetweenPieces(t *testing.T) {
	lines := manyPieces()
	f, _ := read(t, lines...)
	k := kernel(t)
	asked, told := 0, []int{}
	end := run(t, f, k, k.Now(), restore.Options{
		Stopped:  func() bool { asked++; return asked > 2 },
		Progress: func(done, all int) { told = append(told, done, all) },
	})
	if end.How != restore.Interrupted || end.All != len(lines) || end.Done == 0 || end.Done >= end.All || !slices.Contains(told, end.Done) {
		t.Errorf("%+v, told %v", end, told)
	}
	made := 0
	for _, s := range k.Now().Services {
		if made += 1 + len(s.Destinations); len(s.Destinations) != 2 {
			t.Errorf("half a service: %v", s)
		}
	}
	if made != end.Done {
		t.Errorf("%d changes were made, said %d", made, end.Done)
	}
}

// manyPieces returns a file of services with two servers each that is applied
// in several calls.
func manyPieces() (lines []string) {
	for port := 1; port < 1500; port++ {
		lines = append(lines, fmt.Sprintf("add %d rr", port), fmt.Sprintf("server %d 1 1", port), fmt.Sprintf("server %d 2 1", port))
	}
	return lines
}

// A strict run is undone whatever ends it, and after any number of pieces.
func TestStrictIsUndone(t *testing.T) {
	old := []string{"add 80 wlc", "server 80 1 5", "server 80 2 5", "add 2000 rr", "server 2000 1 1", "add 2001 rr"}
	file := manyPieces()
	before := kernel(t, old...).Now()
	broken := errors.New("broken")
	for piece := range 5 {
		for name, c := range map[string]struct {
			stop bool
			fail bool
			how  restore.Ending
		}{
			"told to stop":        {stop: true, how: restore.Interrupted},
			"the kernel is lost":  {fail: true, how: restore.Failed},
			"the kernel refuses":  {how: restore.Refused},
			"stopped and refused": {stop: true, how: restore.Interrupted},
		} {
			k := kernel(t, old...)
			applied := 0
			k.Before = func(method string) error {
				if method == "Apply" {
					if applied++; c.fail && applied == piece+1 {
						return broken
					}
				}
				return nil
			}
			if strings.Contains(name, "refuse") {
				k.Refuse = func(ch ipvs.Change) syscall.Errno {
					if applied == piece+1 && ch.Op == ipvs.OpAddService && ch.Service.Port < 1500 && ch.Service.Port%100 == 99 {
						return syscall.ENOENT
					}
					return 0
				}
			}
			f, _ := read(t, file...)
			end := run(t, f, k, k.Now(), restore.Options{Strict: true, Drain: restore.DrainTime, Progress: func(int, int) {},
				Stopped: func() bool { return c.stop && applied >= piece }})
			if end.How == restore.Finished { // the run ended before this piece
				continue
			}
			if end.How != c.how && end.How != restore.Refused || end.Undo != restore.Undone {
				t.Errorf("%s at piece %d: %+v", name, piece, end)
			}
			if d := model.Diff(k.Now(), before); len(d) > 0 {
				t.Errorf("%s at piece %d: the table lacks %v", name, piece, d)
			}
		}
	}
}

// Changes that another writer made meanwhile are not undone.
func TestUndoLeavesWhatOthersDid(t *testing.T) {
	add := func(port int, scheduler string) ipvs.Change {
		return change.AddService(ipvs.NewService(web(port), scheduler))
	}
	edited := server(2)
	edited.Weight = 7
	for _, c := range []struct {
		name      string
		old, file []string
		other     []ipvs.Change
		want      []string
	}{
		{"a service of their own", nil, []string{"add 80 rr"}, []ipvs.Change{add(99, "rr")}, []string{"add 99 rr"}},
		{"their server in a service that was added", nil, []string{"add 80 rr", "server 80 1 1"},
			[]ipvs.Change{change.AddDestination(web(80), server(2))}, []string{"add 80 rr", "server 80 2 1"}},
		{"a service that was added, and they edited", nil, []string{"add 80 rr", "server 80 1 1"},
			[]ipvs.Change{change.EditService(ipvs.NewService(web(80), "wlc"))}, []string{"add 80 wlc"}},
		{"a service that was added, and they deleted", nil, []string{"add 80 rr", "server 80 1 1"}, []ipvs.Change{change.DeleteService(web(80))}, nil},
		{"a service that was deleted, and they added again", []string{"add 80 rr", "server 80 1 1"}, nil, []ipvs.Change{add(80, "wlc")}, []string{"add 80 wlc"}},
		{"a service that was edited, and they deleted", []string{"add 80 rr", "server 80 1 1"}, []string{"add 80 wlc", "server 80 2 1"},
			[]ipvs.Change{change.DeleteService(web(80))}, nil},
		{"a server that was added, and they edited", []string{"add 80 rr"}, []string{"add 80 rr", "server 80 2 1"},
			[]ipvs.Change{change.EditDestination(web(80), edited)}, []string{"add 80 rr", "server 80 2 7"}},
		{"a server that was deleted, and they added again", []string{"add 80 rr", "server 80 2 1"}, []string{"add 80 rr"},
			[]ipvs.Change{change.AddDestination(web(80), edited)}, []string{"add 80 rr", "server 80 2 7"}},
		{"a daemon that was started, and they stopped", nil, []string{"start", "backup nosuch"}, []ipvs.Change{change.StopDaemon(ipvs.Master)}, nil},
		{"a daemon that was stopped, and they started again", []string{"start"}, []string{"stop"},
			[]ipvs.Change{change.StartDaemon(ipvs.Daemon{State: ipvs.Master, Interface: "eth1"})}, []string{"start eth1"}},
		{"a timeout", []string{"timeouts 5 5"}, []string{"timeouts 6 6"}, []ipvs.Change{change.SetTimeouts(timeouts(0, 7))}, []string{"timeouts 5 7"}},
		{"nothing of the kind", []string{"add 80 rr", "server 80 1 1", "add 81 rr"}, []string{"add 80 wlc", "server 80 2 1", "add 82 rr", "start", "backup nosuch"}, nil,
			[]string{"add 80 rr", "server 80 1 1", "add 81 rr"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := kernel(t, c.old...)
			have := k.Now()
			if !slices.Contains(c.file, "backup nosuch") {
				c.file = append(c.file, "add 555 nosuch")
			}
			f, _ := read(t, c.file...)
			k.Refuse = refuseNosuch
			k.Before = func(method string) error {
				if method == "Table" && c.other != nil { // between the changes and undoing them
					if err := k.Do(c.other...); err != nil {
						t.Error(err)
					}
					c.other = nil
				}
				return nil
			}
			o := options
			o.Strict = true
			if end := run(t, f, k, have, o); end.How != restore.Refused || end.Undo != restore.Undone {
				t.Errorf("%+v", end)
			}
			want := kernel(t, c.want...).Now()
			if d := model.Diff(k.Now(), want); len(d) > 0 {
				t.Errorf("the table lacks %v, it is %v", d, k.Now())
			}
		})
	}
}

// Entries that another writer keeps changing are not restored over and over.
func TestUndoAmongManyChanges(t *testing.T) {
	deleteService, deleteServer := change.DeleteService(web(80)), change.DeleteDestination(web(81), server(1).AddrPort())
	addService, addServer := change.AddService(ipvs.NewService(web(80), "rr")), change.AddDestination(web(81), server(1))
	for _, c := range []struct {
		name string
		// Changes by others before the table is read for the first and
		// second time, and before each call that undoes changes.
		first, second, beforeChange []ipvs.Change
		want                        []string
	}{
		{"they delete a service that is back", nil, []ipvs.Change{deleteService}, nil, []string{"add 81 rr", "server 81 1 1"}},
		{"they delete a server that is back", nil, []ipvs.Change{deleteServer}, nil, []string{"add 80 rr", "add 81 rr"}},
		{"a service is theirs whenever it could come back", nil, []ipvs.Change{deleteService}, []ipvs.Change{addService}, []string{"add 81 rr", "server 81 1 1"}},
		{"a server is theirs whenever it could come back", nil, []ipvs.Change{deleteServer}, []ipvs.Change{addServer}, []string{"add 80 rr", "add 81 rr"}},
		{"they add a service for a while", []ipvs.Change{addService}, []ipvs.Change{deleteService}, nil, []string{"add 81 rr", "server 81 1 1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := kernel(t, "add 80 rr", "add 81 rr", "server 81 1 1")
			f, _ := read(t, "add 81 rr", "add 555 nosuch")
			k.Refuse = refuseNosuch
			batches, tables := 0, 0
			k.Before = func(method string) error {
				switch method {
				case "Apply":
					if batches++; batches > 1 {
						_ = k.Do(c.beforeChange...)
					}
				case "Table":
					switch tables++; tables {
					case 1:
						_ = k.Do(c.first...)
					case 2:
						_ = k.Do(c.second...)
					}
				}
				return nil
			}
			o := options
			o.Strict = true
			if end := run(t, f, k, k.Now(), o); end.How != restore.Refused || end.Undo != restore.Undone {
				t.Errorf("%+v", end)
			}
			if d := model.Diff(k.Now(), kernel(t, c.want...).Now()); len(d) > 0 {
				t.Errorf("the table lacks %v", d)
			}
		})
	}
}

// partialKernel is a kernel that lists only the first service of its table,
// with ErrChanging, the given number of times.
type partialKernel struct {
	*ipvstest.Kernel
	times int
}

func (k *partialKernel) Table(ctx context.Context) (*ipvs.Table, error) {
	t, err := k.Kernel.Table(ctx)
	if k.times--; k.times < 0 || err != nil {
		return t, err
	}
	t.Services = t.Services[:1]
	return t, &ipvs.QueryError{Query: "list services", Err: ipvs.ErrChanging}
}

// A run is not reported as undone if entries may be missing from the list.
func TestUndoOfATableThatKeepsChanging(t *testing.T) {
	for times, c := range map[int]struct {
		undo restore.Undo
		err  error
	}{
		2:   {restore.Undone, nil},
		100: {restore.NotUndone, ipvs.ErrChanging},
	} {
		k := &partialKernel{kernel(t, "add 80 rr"), times}
		before := k.Now()
		f, _ := read(t, "add 80 rr", "add 81 rr", "server 81 1 1", "add 555 nosuch")
		k.Refuse = refuseNosuch
		o := options
		o.Strict = true
		end := run(t, f, k, before, o)
		if end.How != restore.Refused || end.Undo != c.undo || !errors.Is(end.UndoErr, c.err) {
			t.Errorf("unsure %d times: %+v", times, end)
		}
		if d := model.Diff(k.Now(), before); len(d) > 0 {
			t.Errorf("unsure %d times: the table lacks %v", times, d)
		}
	}
}

// A refused edit may have removed the scheduler: it is restored, whether the
// other changes are kept or undone.
func TestSchedulerThatARefusalTookAwayComesBack(t *testing.T) {
	for _, strict := range []bool{false, true} {
		k := kernel(t, "add 80 rr", "server 80 1 1")
		k.Refuse = func(c ipvs.Change) syscall.Errno {
			if c.Op == ipvs.OpEditService && c.Service.Scheduler == "mh" {
				return syscall.ENOMEM
			}
			return 0
		}
		k.Before = func(method string) error {
			if method == "Table" && len(k.Batches()) == 1 {
				return k.Do(change.EditService(ipvs.NewService(web(80), "none")))
			}
			return nil
		}
		f, _ := read(t, "add 80 mh", "server 80 1 1", "server 80 2 1")
		o := options
		o.Strict = strict
		end := run(t, f, k, k.Now(), o)
		if s := k.Now().Lookup(web(80)); s.Scheduler != "rr" || len(s.Destinations) != map[bool]int{false: 2, true: 1}[strict] {
			t.Errorf("strict %v: %+v, %v", strict, end, s)
		}
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
		change.EditDestination(web(80), idle),
		change.DeleteDestination(web(80), server(3).AddrPort()),
		change.DeleteDestination(web(80), server(1).AddrPort()),
	}
	if got := f.Wanted(table, false).Plan(table, false, true); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// If much is replaced, removals come last, since the kernel searches all
// removed servers for each added one.
func TestPlanRemovesLastWhereMuchIsReplaced(t *testing.T) {
	for services, want := range map[int]bool{100: false, 2100: true} {
		var old, file []string
		for port := 1; port <= services; port++ {
			old = append(old, fmt.Sprintf("add %d rr", port), fmt.Sprintf("server %d 1 5", port))
			file = append(file, fmt.Sprintf("add %d rr", port), fmt.Sprintf("server %d 2 5", port))
		}
		f, _ := read(t, file...)
		plan := f.Wanted(kernel(t, old...).Now(), false).Plan(kernel(t, old...).Now(), false, true)
		removes := func(c ipvs.Change) bool { return c.Op == ipvs.OpDeleteDestination }
		last := slices.IndexFunc(plan, removes) >= len(plan)-services
		if last != want {
			t.Errorf("%d services: the first removal is change %d of %d", services, slices.IndexFunc(plan, removes), len(plan))
		}
		after := kernel(t, old...)
		if end := run(t, f, after, after.Now(), options); end.How != restore.Finished || len(model.Diff(after.Now(), kernel(t, file...).Now())) > 0 {
			t.Errorf("%d services: %+v", services, end)
		}
	}
}

func TestDaemonsThatTheFileDoesNotMentionStay(t *testing.T) {
	running := &ipvs.Table{Services: []ipvs.ServiceEntry{}, Daemons: []ipvs.Daemon{{State: ipvs.Master, Interface: "lo"}}}
	for _, c := range []struct {
		lines []string
		have  *ipvs.Table
		plan  []ipvs.Change
		said  string
	}{
		{nil, running, nil, ""},
		{[]string{"stop"}, running, []ipvs.Change{change.StopDaemon(ipvs.Master)}, ""},
		{[]string{"stop"}, &ipvs.Table{Services: []ipvs.ServiceEntry{}}, nil, "1:no such sync daemon runs"},
		{[]string{"stop", "stop"}, running, []ipvs.Change{change.StopDaemon(ipvs.Master)}, "2:no such sync daemon runs"},
	} {
		f, _ := read(t, c.lines...)
		w := f.Wanted(c.have, false)
		if got := w.Plan(c.have, false, true); !slices.Equal(got, c.plan) || list(w) != c.said {
			t.Errorf("%v: %v, %s, want %v, %s", c.lines, got, list(w), c.plan, c.said)
		}
	}
}

func TestLinesOfAFile(t *testing.T) {
	for name, c := range map[string]struct {
		text, said string
		services   int
	}{
		"a byte order mark":            {"\ufeffadd 80 rr\nadd 81 rr\n", "", 2},
		"one on a line of its own":     {"\ufeff\nadd 80 rr\nbogus\n", "3:nonsense", 1},
		"one that is not at the start": {"add 80 rr\n\ufeffadd 81 rr\n", "2:nonsense", 1},
		"a path to ipvsadm":            {"/sbin/ipvsadm add 80 rr\nipvsadm add 81 rr\n  ./ipvsadm  add 82 rr\n", "", 3},
		"a path to something else":     {"/sbin/ipvsadmx add 80 rr\n", "1:nonsense", 0},
		"a path that is not in front":  {"add 80 rr\nadd 81 /sbin/ipvsadm\n", "2:scheduler or persistence engine not found", 1},
		"a comment behind a command":   {"add 80 rr # the web\nadd 81 rr #add 82 rr\nadd 83 rr#x\n", "3:scheduler or persistence engine not found", 2},
		"ends of lines of either kind": {"add 80 rr\r\nadd 81 rr", "", 2},
		"nothing behind a path":        {"/sbin/ipvsadm\n/sbin/ipvsadm # -C\n", "", 0},
		"a line that is too long":      {"add 80 rr\n" + strings.Repeat("x", restore.MaxLine+1) + "\nadd 81 rr\nbogus\n", "2:line too long 4:nonsense", 2},
		"one that is just not":         {"add 80 rr" + strings.Repeat(" ", restore.MaxLine-9) + "\nbogus\n", "2:nonsense", 1},
	} {
		t.Run(name, func(t *testing.T) {
			var r reader
			f, err := restore.Read(t.Context(), strings.NewReader(c.text), 1<<30, r.parser, nil)
			must.OK(t, err)
			k := kernel(t)
			end := run(t, f, k, k.Now(), options)
			if got := len(k.Now().Services); end.How != restore.Finished || list(end.Wanted) != c.said || got != c.services {
				t.Errorf("%+v, %d services, said %q, want %d and %q", end, got, list(end.Wanted), c.services, c.said)
			}
		})
	}
}

// Lines that wait for names take effect in the order of the file, and are
// parsed at the same time.
func TestLinesThatWaitForNamesKeepTheirOrder(t *testing.T) {
	var lines []string
	for n := range 100 {
		lines = append(lines, fmt.Sprintf("add %d rr", 100-n), "bogus")
	}
	synctest.Test(t, func(t *testing.T) {
		var r reader
		slow := func() restore.Parse {
			return func(ctx context.Context, words []string) (restore.Rule, error) {
				if n, _ := strconv.Atoi(words[min(1, len(words)-1)]); n%2 == 0 {
					time.Sleep(time.Second)
				}
				return r.parse(ctx, words)
			}
		}
		begin, next := time.Now(), 0
		check := func(number int, _ []string, c ipvs.Change) error {
			if next++; number != 2*next-1 || int(c.Service.Port) != 101-next {
				t.Errorf("line %d is number %d: %v", next, number, c)
			}
			return nil
		}
		f, err := restore.Read(t.Context(), strings.NewReader(strings.Join(lines, "\n")), 1<<30, slow, check)
		if took := time.Since(begin); err != nil || next != 100 || took > 5*time.Second {
			t.Errorf("%v, %d lines after %v", err, next, took)
		}
		all := f.Faults
		if len(all.List) != restore.MaxComplaints || all.List[99].Line != 200 {
			t.Errorf("%d complaints, the last about line %d", len(all.List), all.List[len(all.List)-1].Line)
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var r reader
	if _, err := restore.Read(ctx, strings.NewReader("add 80 rr\n"), 1<<30, r.parser, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("an interrupted wait ends with %v", err)
	}
}

// Complaints have the right line numbers, whatever lines there are between the
// rules.
func TestLinesKeepTheirNumbers(t *testing.T) {
	lines := []string{"# one", "", "add 80 rr", "bogus", "   ", "add 81 nosuch # five", "add 82 rr"}
	for range 20_000 { // more than one block
		lines = append(lines, "add 80 rr", "# a comment that is longer than the rule")
	}
	lines = append(lines, "add 83 nosuch")
	f, _ := read(t, lines...)
	k := kernel(t)
	k.Refuse = refuseNosuch
	end := run(t, f, k, k.Now(), options)
	if end.How != restore.Finished || len(k.Now().Services) != 2 {
		t.Errorf("%+v", end)
	}
	all := end.Wanted.Complaints
	if got := len(all.List) + all.More; got != 20_003 || len(all.List) != restore.MaxComplaints {
		t.Errorf("%d complaints of %d", len(all.List), got)
	}
	if all.List[0].Line != 4 || all.List[1].Line != 6 || end.Wanted.Last.Err == nil {
		t.Errorf("%+v", all.List[:3])
	}
}

// endless is an input that repeats a line forever.
type endless struct{ line string }

func (e endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = e.line[i%len(e.line)]
	}
	return len(p), nil
}

func TestAnEndlessInputIsRefused(t *testing.T) {
	for _, line := range []string{"\n", "x"} {
		var r reader
		if _, err := restore.Read(t.Context(), endless{line}, 1<<24, r.parser, nil); !errors.Is(err, restore.ErrLarge) {
			t.Errorf("%v", err)
		}
	}
	var exact reader
	if f, err := restore.Read(t.Context(), strings.NewReader("add 80 rr\n"), 10, exact.parser, nil); err != nil || f.Empty() {
		t.Errorf("an input of exactly the limit: %v", err)
	}
	broken := errors.New("broken")
	var r reader
	if _, err := restore.Read(t.Context(), io.MultiReader(strings.NewReader("add 80 rr\n"), iotest.ErrReader(broken)), 1<<30, r.parser, nil); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}

// With Exist an addition edits an existing entry, and a deletion ignores a
// missing one; other rules about missing entries are still refused.
func TestRulesWithExist(t *testing.T) {
	for _, c := range []struct {
		lines      []string
		said, like string
	}{
		{[]string{"add 80 rr", "add! 80 wlc"}, "", "add 80 wlc"},
		{[]string{"add! 80 rr", "server! 80 1 1", "server! 80 1 5"}, "", "add 80 rr,server 80 1 5"},
		{[]string{"add 80 rr", "delete! 81", "remove! 80 1", "remove! 82 1"}, "", "add 80 rr"},
		{[]string{"add 80 rr", "server 80 1 1", "remove! 80 1", "delete! 80"}, "", ""},
		{[]string{"add 80 rr", "add 80 wlc"}, "2:service already exists", "add 80 rr"},
		{[]string{"server! 80 1 1", "edit! 81 rr"}, "1:no such service 2:no such service", ""},
	} {
		f, _ := read(t, c.lines...)
		w := f.Wanted(nil, false)
		if got := list(w); got != c.said {
			t.Errorf("%v: %s, want %s", c.lines, got, c.said)
		}
		var like []string
		if c.like != "" {
			like = strings.Split(c.like, ",")
		}
		if d := model.Diff(w.Table, kernel(t, like...).Now()); len(d) > 0 {
			t.Errorf("%v: the table lacks %v", c.lines, d)
		}
	}
}

// A merged file only changes services that it mentions, and keeps those that
// another writer adds meanwhile.
func TestMergedFileLeavesOtherServicesAlone(t *testing.T) {
	for _, c := range []struct {
		lines []string
		like  string
	}{
		{[]string{"add 80 wlc", "server 80 3 1", "add 82 rr"}, "add 80 wlc,server 80 3 1,add 81 rr,server 81 2 1,add 82 rr,add 90 rr"},
		{[]string{"delete! 81"}, "add 80 rr,server 80 1 1,add 90 rr"},
		{nil, "add 80 rr,server 80 1 1,add 81 rr,server 81 2 1,add 90 rr"},
	} {
		f, _ := read(t, c.lines...)
		k := kernel(t, "add 80 rr", "server 80 1 1", "add 81 rr", "server 81 2 1")
		have := k.Now()
		must.OK(t, k.Do(change.AddService(ipvs.NewService(web(90), "rr"))))
		end := f.Wanted(have, true).Run(t.Context(), k, have, options)
		if d := model.Diff(k.Now(), kernel(t, strings.Split(c.like, ",")...).Now()); end.How != restore.Finished || len(d) > 0 || list(end.Wanted) != "" {
			t.Errorf("%v: %+v, %s, the table lacks %v", c.lines, end, list(end.Wanted), d)
		}
	}
}

// A merged file keeps a service that only refused or ignored lines mention.
func TestMergedFileLeavesServicesOfRefusedLinesAlone(t *testing.T) {
	for _, c := range []struct {
		lines      []string
		said, like string
	}{
		{[]string{"edit 80 wrr"}, "1:no such service", "add 80 rr,server 80 1 1"},
		{[]string{"delete 80", "add 82 rr"}, "1:no such service", "add 80 rr,server 80 1 1,add 82 rr"},
		{[]string{"server 80 1 5"}, "1:no such service", "add 80 rr,server 80 1 1"},
		{[]string{"remove! 80 1"}, "1:no such service", "add 80 rr,server 80 1 1"},
		{[]string{"add 80 nosuch", "server 80 2 1"}, "1:scheduler or persistence engine not found", "add 80 rr,server 80 2 1"},
		{[]string{"add 80 wrr", "server 80 9 1"}, "2:invalid argument", "add 80 wrr"},
		{[]string{"add 80 wrr", "delete 80"}, "", ""},
	} {
		f, _ := read(t, c.lines...)
		k := kernel(t, "add 80 rr", "server 80 1 1")
		k.Refuse = refuseNosuch
		end := f.Wanted(k.Now(), true).Run(t.Context(), k, k.Now(), options)
		var like []string
		if c.like != "" {
			like = strings.Split(c.like, ",")
		}
		if d := model.Diff(k.Now(), kernel(t, like...).Now()); end.How != restore.Finished || len(d) > 0 || list(end.Wanted) != c.said {
			t.Errorf("%v: %+v, %s, the table lacks %v", c.lines, end, list(end.Wanted), d)
		}
	}
}
