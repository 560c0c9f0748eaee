// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/internal/names"
	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
)

// heldDNS knows one name, once a function lets it.
type heldDNS struct {
	noDNS
	wait func()
}

func (d heldDNS) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	d.wait()
	return []netip.Addr{netip.MustParseAddr("10.0.0.7")}, nil
}

// sideBySide is a restore from a file whose last line takes as long as the name
// in it is looked up.
type sideBySide struct {
	t    *testing.T
	k    *fakeKernel
	lock string
	held *os.File  // the lock, if another program has it
	read chan bool // closed when the table is first read
}

func (r *sideBySide) isRead() bool {
	select {
	case <-r.read:
		return true
	default:
		return false
	}
}

func TestLargeFileAndTableAreReadSideBySide(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	runtime.GOMAXPROCS(max(2, before))
	t.Cleanup(func() { runtime.GOMAXPROCS(before) })
	const patience = 10 * time.Second
	large := manyServices(1000, "-m -w 1")
	if len(large) < earlySize {
		t.Fatalf("a file of %d bytes is not large", len(large))
	}
	notYet := func(r *sideBySide) {
		time.Sleep(20 * time.Millisecond)
		if r.isRead() {
			r.t.Error("the table is read already")
		}
	}
	for name, c := range map[string]struct {
		text    string // besides a line with a name, unless it has mistakes
		options []string
		begin   func(r *sideBySide)
		wait    func(r *sideBySide) // while the name is looked up
		short   bool                // the table is not kept for long
		reads   int                 // of the table, with one after the changes
		want    answer
		table   string
	}{
		"side by side": {
			text: large, reads: 2, table: large,
			wait: func(r *sideBySide) {
				select {
				case <-r.read:
				case <-time.After(patience):
					r.t.Error("the table is not read before the whole file is")
				}
				if isFree(r.t, r.lock) {
					r.t.Error("the table is read without the lock")
				}
			},
		},
		"merged": {
			text: large, options: []string{"--merge"}, reads: 2, table: large + dns,
			wait: func(r *sideBySide) { <-r.read },
		},
		"merged, with a line that may not be": {
			text: large + "-C\n", options: []string{"--merge"}, reads: 1, table: dns,
			wait: func(r *sideBySide) { <-r.read },
			want: answer{status: 2, errors: "<stdin>: line 2001: -C conflicts with --merge, which keeps other services\n"},
		},
		"a small file": {text: web, reads: 2, table: web, wait: notYet},
		"a dry run": {
			text: large, options: []string{"--dry-run"}, reads: 1, table: dns, wait: notYet,
			want: answer{errors: "<stdin>: line 2001: warning: TCP 10.0.0.7:99 has no servers\n"},
		},
		"a file with a mistake": {
			text: large + "-A\n", table: dns,
			wait: func(r *sideBySide) { <-r.read },
			want: answer{status: 2, errors: "<stdin>: line 2001: You need to supply the 'service-address' option for the 'add-service' command\n"}, reads: 1,
		},
		"another program has the lock": {
			text: large, reads: 2, table: large,
			begin: func(r *sideBySide) {
				var err error
				r.held, err = os.Create(r.lock)
				must.OK(r.t, err)
				must.OK(r.t, unix.Flock(int(r.held.Fd()), unix.LOCK_EX))
			},
			wait: func(r *sideBySide) { notYet(r); r.held.Close() },
		},
		"a file that takes long, while another program restores": {
			text: large, reads: 3, table: large, short: true,
			wait: func(r *sideBySide) {
				<-r.read
				for end := time.Now().Add(patience); !isFree(r.t, r.lock); time.Sleep(time.Millisecond) {
					if time.Now().After(end) {
						r.t.Error("the lock is kept")
						return
					}
				}
				r.k.run(r.t, large+web)
			},
		},
		"a kernel that does not answer": {
			text: large, table: dns, reads: 2,
			begin: func(r *sideBySide) { r.k.tableErr = unix.ENOBUFS },
			wait:  func(r *sideBySide) { <-r.read },
			want:  answer{status: 2, errors: "No buffer space available\n"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := &sideBySide{t: t, k: newFakeKernel(t, dns), lock: filepath.Join(t.TempDir(), "lock"), read: make(chan bool)}
			r.k.beforeTable = func(n int) {
				if n == 1 {
					close(r.read)
				}
			}
			if c.begin != nil {
				c.begin(r)
			}
			file := filepath.Join(t.TempDir(), "rules")
			must.OK(t, os.WriteFile(file, []byte(c.text+"-A -t web:99\n"), 0o600))
			in, err := os.Open(file)
			must.OK(t, err)
			defer in.Close()
			var a answer
			p, done := r.k.process(&a, "", append([]string{"ipvsadm-restore", "--lock", r.lock}, c.options...)...)
			p.Stdin, p.names = in, names.With("/dev/null", "/dev/null", heldDNS{wait: func() { c.wait(r) }})
			if !c.short {
				p.earlyWait = patience // on a busy machine, too
			}
			a.status = Run(t.Context(), p)
			done()
			if c.want.status == 0 && !slices.Contains(c.options, "--dry-run") {
				c.table = "-A -t 10.0.0.7:99 -s wlc\n" + c.table
			} else {
				a.out = ""
			}
			if a != c.want || r.k.reads != c.reads {
				t.Errorf("%+v, want %+v; the table was read %d times, want %d", a, c.want, r.k.reads, c.reads)
			}
			if got, want := r.k.rules(), timeouts+c.table; got != want {
				t.Errorf("table of %d bytes\n%.200s\nwant %d\n%.200s", len(got), got, len(want), want)
			}
			if !isFree(t, r.lock) {
				t.Error("the lock is kept in the end")
			}
		})
	}
}

// isFree reports whether nobody holds a lock.
func isFree(t *testing.T, path string) bool {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	must.OK(t, err)
	defer f.Close()
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil
}
