// SPDX-License-Identifier: Apache-2.0

package cli

import (
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

func TestRestoreSendsWhatItHasBeforeItWaitsForMore(t *testing.T) {
	k := newFakeKernel(t, "")
	sent := make(chan int, 10)
	k.beforeApply = func(n int) { sent <- n }
	var a answer
	p, done := k.process(&a, "", "ipvsadm", "-R")
	stdin, typed := io.Pipe()
	p.Stdin = stdin
	ended := make(chan int)
	go func() { ended <- p.start(t.Context()) }()
	for n := 1; n <= 3; n++ {
		fmt.Fprintf(typed, "-A -t 12.0.0.1:%d -s rr\n", n)
		select {
		case <-sent:
		case <-time.After(must.Patience):
			t.Fatalf("line %d is kept back while the program waits for the next", n)
		}
	}
	typed.Close()
	if status := <-ended; status != 0 {
		done()
		t.Errorf("status %d, %s", status, a.errors)
	}
	want := newFakeKernel(t, "-A -t 12.0.0.1:1 -s rr\n-A -t 12.0.0.1:2 -s rr\n-A -t 12.0.0.1:3 -s rr").rules()
	if got := k.rules(); got != want {
		t.Errorf("the table is\n%swant\n%s", got, want)
	}
}

// The result of a line is reported before the program waits for the next one,
// for any kind of input.
func TestRestoreReportsBeforeItWaitsForMore(t *testing.T) {
	for name, pipe := range map[string]func() (io.Reader, io.WriteCloser, error){
		"a pipe": func() (io.Reader, io.WriteCloser, error) {
			r, w, err := os.Pipe()
			return r, w, err
		},
		"some other reader": func() (io.Reader, io.WriteCloser, error) {
			r, w := io.Pipe()
			return r, w, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			var a answer
			p, _ := newFakeKernel(t, "").process(&a, "", "ipvsadm", "-R")
			stdin, typed, err := pipe()
			if err != nil {
				t.Fatal(err)
			}
			said := make(chan string, 10)
			p.Stdin, p.Stderr = stdin, writerFunc(func(b []byte) (int, error) { said <- string(b); return len(b), nil })
			ended := make(chan int)
			go func() { ended <- p.start(t.Context()) }()
			for n := 1; n <= 3; n++ {
				fmt.Fprintf(typed, "-D -f %d\n", n)
				select {
				case got := <-said:
					if want := fmt.Sprintf("line %d: No such service\n", n); got != want {
						t.Errorf("%q, want %q", got, want)
					}
				case <-time.After(must.Patience):
					t.Fatalf("nothing is said of line %d while the program waits for the next", n)
				}
			}
			typed.Close()
			if status := <-ended; status != statusRefused {
				t.Errorf("status %d, want %d", status, statusRefused)
			}
		})
	}
}

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

// differs: wide-counters
func TestServersCountersAreAsWideAsTheKernels(t *testing.T) {
	k := newFakeKernel(t, "-A -t 12.0.0.1:80 -s rr\n-a -t 12.0.0.1:80 -r 10.0.0.1:80 -m\n")
	k.edit(func(t *ipvs.Table) { t.Services[0].Destinations[0].Stats.InBytes = 1<<32 + 5 })
	a := k.do(t, "", "ipvsadm", "-Ln", "--stats", "--exact")
	if want := "  -> 10.0.0.1:80                         0        0        0 4294967301        0\n"; !strings.HasSuffix(a.out, want) {
		t.Errorf("the list is\n%swant at its end\n%s", a.out, want)
	}
}

func TestRestoreReadsLinesOfAnyLength(t *testing.T) {
	for _, blanks := range []int{32<<10 - 20, 32 << 10, 100 << 10} {
		k := newFakeKernel(t, "")
		rules := "-A -f 1 -s rr\n-A -f 2" + strings.Repeat(" ", blanks) + "-s wlc\n-A -f 3 -s rr"
		if a := k.do(t, rules, "ipvsadm", "-R"); a != (answer{}) {
			t.Errorf("a line with %d blanks gives %+v", blanks, a)
		}
		if want := newFakeKernel(t, "-A -f 1 -s rr\n-A -f 2 -s wlc\n-A -f 3 -s rr").rules(); k.rules() != want {
			t.Errorf("a line with %d blanks makes\n%swant\n%s", blanks, k.rules(), want)
		}
	}
}

func TestSchedulerThatARefusedEditTookAwayComesBack(t *testing.T) {
	const rules = "-A -t 12.0.0.1:80 -s rr -p 60\n"
	for _, c := range []struct {
		name   string
		errno  map[string]syscall.Errno // by scheduler
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
	s, _ := k.fakeKernel.ServicesWithDestinations(ctx)
	return s, &ipvs.QueryError{Query: "list services", Err: ipvs.ErrChanging}
}

func (k changingKernel) Table(ctx context.Context) (*ipvs.Table, error) {
	t, _ := k.fakeKernel.Table(ctx)
	return t, &ipvs.QueryError{Query: "list services", Err: ipvs.ErrChanging}
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
