// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/internal/test/change"
	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

func TestRestoreSendsManyLinesTogether(t *testing.T) {
	k := newFakeKernel(t, "")
	const n = 2500
	var rules strings.Builder
	for i := range n {
		fmt.Fprintf(&rules, "-A -f %d -s rr\n", i+1)
	}
	if a := k.do(t, rules.String(), "ipvsadm", "-R"); a != (answer{}) {
		t.Errorf("restore gives %+v", a)
	}
	if got := len(k.Now().Services); got != n {
		t.Errorf("%d services, want %d", got, n)
	}
	if got := len(k.Batches()); got > n/100 {
		t.Errorf("%d lines went in %d pieces", n, got)
	}
	for _, b := range k.Batches() {
		if len(b) > maxBatch {
			t.Errorf("a batch of %d changes, want at most %d", len(b), maxBatch)
		}
	}
}

// While the kernel makes changes, the lines of the next batches are read.
// Results are reported in the order of the lines.
func TestRestoreReadsOnWhileTheKernelIsBusy(t *testing.T) {
	const lines, length, block = 2000, 80, 32 << 10
	var rules, want strings.Builder
	for n := 1; n <= lines; n++ {
		line := fmt.Sprintf("-A -f %d -s rr", n)
		if n%100 == 0 {
			line = fmt.Sprintf("-D -f %d", lines+n)
			fmt.Fprintf(&want, "line %d: No such service\n", n)
		}
		fmt.Fprintf(&rules, "%-*s\n", length-1, line)
	}
	name := filepath.Join(t.TempDir(), "rules")
	must.OK(t, os.WriteFile(name, []byte(rules.String()), 0o600))
	f, err := os.Open(name)
	must.OK(t, err)
	defer f.Close()
	k := newFakeKernel(t, "")
	k.beforeApply = func(n int) {
		if n > 1 {
			return
		}
		for end := time.Now().Add(must.Patience); ; time.Sleep(time.Millisecond) {
			at, err := f.Seek(0, io.SeekCurrent)
			if err == nil && at > block {
				return
			}
			if err != nil || time.Now().After(end) {
				t.Errorf("%d bytes are read while the kernel makes the changes of the first %d, %v", at, maxBatch*length, err)
				return
			}
		}
	}
	var a answer
	p, done := k.process(&a, "", "ipvsadm", "-R")
	p.Stdin = f
	a.status = p.start(t.Context())
	done()
	if want := (answer{statusRefused, "", want.String()}); a != want {
		t.Errorf("got %+v\nwant %+v", a, want)
	}
	if got := len(k.Now().Services); got != lines-lines/100 {
		t.Errorf("%d services, want %d", got, lines-lines/100)
	}
}

// A line whose change may not have been made is reported, whether or not those
// before it were refused.
func TestRestoreReportsWhatMayNotHaveBeenMade(t *testing.T) {
	change := change.AddService(ipvs.NewService(ipvs.MarkID(2, ipvs.IPv4), "nosuch"))
	refused := ipvs.ChangeErrors{{Index: 1, Change: change, Err: syscall.ENOENT}}
	for name, c := range map[string]struct {
		down   error
		status int
		errors string
	}{
		"nothing is sent":          {unix.ENOBUFS, statusRefused, "line 1: No buffer space available\nline 2: No buffer space available\nline 3: No buffer space available\n"},
		"some answers are missing": {&ipvs.ApplyError{Tried: 2, Sent: 3, Refused: refused, Err: unix.ENOBUFS}, statusRefused, "line 2: Scheduler or persistence engine not found\nline 3: No buffer space available\n"},
		"one is refused":           {refused, statusOK, "line 2: Scheduler or persistence engine not found\n"},
	} {
		t.Run(name, func(t *testing.T) {
			k := newFakeKernel(t, "")
			k.down = c.down
			want := answer{c.status, "", c.errors}
			if got := k.do(t, "-A -f 1\n-A -f 2 -s nosuch\n-A -f 3\n", "ipvsadm", "-R"); got != want {
				t.Errorf("got %+v\nwant %+v", got, want)
			}
		})
	}
}

func TestInputThatBreaksOffIsReportedAfterWhatCame(t *testing.T) {
	k := newFakeKernel(t, "")
	var a answer
	p, done := k.process(&a, "", "ipvsadm", "-R")
	p.Stdin = io.MultiReader(strings.NewReader("-A -f 1 -s rr\n-A -f 2"), iotest.ErrReader(errors.New("broken")))
	status := p.start(t.Context())
	done()
	if status != statusList || a.errors != "can't read standard input: broken\n" {
		t.Errorf("status %d, %q", status, a.errors)
	}
	if got, want := k.rules(), newFakeKernel(t, "-A -f 1 -s rr").rules(); got != want {
		t.Errorf("the table is\n%swant, of the whole line that came,\n%s", got, want)
	}
}

func TestSchedulerThatARefusedEditTookAwayComesBack(t *testing.T) {
	const rules = "-A -t 12.0.0.1:80 -s rr -p 60\n"
	for _, c := range []struct {
		name   string
		errno  map[string]syscall.Errno // errnos by scheduler
		errors string
		rules  string
	}{
		{"it comes back", map[string]syscall.Errno{"mh": unix.ENOMEM},
			"TCP 12.0.0.1:80 has its scheduler rr back\nMemory allocation problem\n", rules},
		{"it does not", map[string]syscall.Errno{"mh": unix.ENOMEM, "rr": unix.ENOMEM},
			"TCP 12.0.0.1:80 has lost its scheduler rr: Memory allocation problem\nMemory allocation problem\n", "-A -t 12.0.0.1:80 -s none -p 60\n"},
	} {
		k := newFakeKernel(t, rules)
		k.Refuse = func(ch ipvs.Change) syscall.Errno { return c.errno[ch.Service.Scheduler] }
		k.beforeApply = func(n int) {
			if n == 1 {
				k.edit(func(t *ipvs.Table) { t.Services[0].Scheduler = "none" })
			}
		}
		a := k.do(t, "", "ipvsadm", "-E", "-t", "12.0.0.1:80", "-s", "mh")
		if want := (answer{status: 255, errors: c.errors}); a != want || k.rules() != timeouts+c.rules {
			t.Errorf("%s: %+v, want %+v, table\n%s", c.name, a, want, k.rules())
		}
	}
	// There is no message if no scheduler was removed.
	k := newFakeKernel(t, rules)
	k.Refuse = func(ipvs.Change) syscall.Errno { return unix.ENOENT }
	if a := k.do(t, "", "ipvsadm", "-E", "-t", "12.0.0.1:80", "-s", "nosuch"); a.errors != "Scheduler or persistence engine not found\n" {
		t.Errorf("%+v", a)
	}
}

// changingKernel lists its table, but always with ErrChanging.
type changingKernel struct{ *fakeKernel }

func (k changingKernel) ServicesWithDestinations(ctx context.Context) ([]ipvs.ServiceEntry, error) {
	s, err := k.fakeKernel.ServicesWithDestinations(ctx)
	return s, cmp.Or(err, error(&ipvs.QueryError{Query: "list services", Err: ipvs.ErrChanging}))
}

func (k changingKernel) Table(ctx context.Context) (*ipvs.Table, error) {
	t, err := k.fakeKernel.Table(ctx)
	return t, cmp.Or(err, error(&ipvs.QueryError{Query: "list services", Err: ipvs.ErrChanging}))
}

// A list shows the incomplete table, a save fails, a restore continues.
func TestTableThatKeepsChanging(t *testing.T) {
	k := newFakeKernel(t, web)
	run := func(stdin string, argv ...string) (a answer) {
		p, done := k.process(&a, stdin, argv...)
		p.dial = func(context.Context, ipvs.Config) (kernel, error) { return changingKernel{k}, nil }
		p.redial = p.dial
		a.status = p.start(t.Context())
		done()
		return a
	}
	if a := run("", "ipvsadm", "-Ln"); a.status != 0 || a.errors != "" || !strings.Contains(a.out, "TCP  12.0.0.1:80 rr\n") {
		t.Errorf("a list: %+v", a)
	}
	k.reads = 0
	if a := run(web, restoreArgs(t, "--diff")...); a != (answer{status: 2, errors: "The table keeps changing while it is read\n"}) || k.reads != 1 {
		t.Errorf("a diff: %+v, %d readings", a, k.reads)
	}
	if a := run("", "ipvsadm-save", "-n"); a != (answer{status: 1, errors: "The table keeps changing while it is read\n"}) {
		t.Errorf("a save: %+v", a)
	}
	if a := run(dns, restoreArgs(t)...); a != (answer{}) || k.rules() != timeouts+dns {
		t.Errorf("a restore: %+v, table\n%s", a, k.rules())
	}
}
