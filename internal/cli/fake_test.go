// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/internal/args"
	"github.com/ipvsadm-go/ipvsadm/internal/names"
	"github.com/ipvsadm-go/ipvsadm/internal/render"
	"github.com/ipvsadm-go/ipvsadm/internal/rule"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// fakeKernel is a table in memory with hooks that make it a kernel for tests.
type fakeKernel struct {
	table ipvs.Table
	// refuse gives the errno for a change that a table in memory would take;
	// nil or 0 to take it.
	refuse func(ipvs.Change) syscall.Errno
	// before is called ahead of each reading and each batch, with the number of
	// those that there were, such as another writer or a signal.
	beforeTable, beforeApply func(n int)
	infoErr, tableErr        error
	// down is what every batch from now on ends with.
	down error

	dials, reads int
	batches      [][]ipvs.Change
}

// newFakeKernel has the table of some rules, and timeouts of its own.
func newFakeKernel(t testing.TB, rules string) *fakeKernel {
	t.Helper()
	k := &fakeKernel{table: ipvs.Table{Timeouts: ipvs.Timeouts{TCP: 900 * time.Second, TCPFin: 120 * time.Second, UDP: 300 * time.Second}}}
	k.run(t, rules)
	return k
}

// run makes the changes of rules, as another program.
func (k *fakeKernel) run(t testing.TB, rules string) {
	t.Helper()
	s := &session{Process: Process{Args: []string{"ipvsadm"}}, parser: args.New(noNames())}
	(&ruleset{session: s, text: []byte(rules)}).each(t.Context(), func(line int, c ipvs.Change, err error) {
		if err == nil {
			err = k.table.Apply(c)
		}
		if err != nil {
			t.Fatalf("line %d of the test's own rules: %v", line, err)
		}
	})
}

// rules are the table as rule text.
func (k *fakeKernel) rules() string { return rulesOf(&k.table) }

func rulesOf(table *ipvs.Table) string {
	table = table.Clone()
	render.Sort(table.Services)
	slices.SortFunc(table.Daemons, func(a, b ipvs.Daemon) int { return int(a.State) - int(b.State) })
	var b strings.Builder
	_ = writeRules(context.Background(), &b, rule.Writer{}, table)
	return b.String()
}

func (k *fakeKernel) Apply(_ context.Context, changes ...ipvs.Change) error {
	k.batches = append(k.batches, slices.Clone(changes))
	if k.beforeApply != nil {
		k.beforeApply(len(k.batches))
	}
	if k.down != nil {
		return k.down
	}
	var refused ipvs.ChangeErrors
	for i, c := range changes {
		var err error
		if errno := k.refusal(c); errno != 0 {
			err = errno
		} else if e := new(ipvs.ChangeError); errors.As(k.table.Apply(c), &e) {
			err = e.Err
		}
		if err != nil {
			refused = append(refused, &ipvs.ChangeError{Index: i, Change: c, Err: err})
		}
	}
	if len(refused) > 0 {
		return refused
	}
	return nil
}

func (k *fakeKernel) refusal(c ipvs.Change) syscall.Errno {
	if k.refuse == nil {
		return 0
	}
	return k.refuse(c)
}

func (k *fakeKernel) Table(context.Context) (*ipvs.Table, error) {
	k.reads++
	if k.beforeTable != nil {
		k.beforeTable(k.reads)
	}
	return k.table.Clone(), k.tableErr
}

func (k *fakeKernel) Info(context.Context) (ipvs.Info, error)         { return ipvs.Info{}, k.infoErr }
func (k *fakeKernel) Timeouts(context.Context) (ipvs.Timeouts, error) { return k.table.Timeouts, nil }
func (k *fakeKernel) Daemons(context.Context) ([]ipvs.Daemon, error) {
	return slices.Clone(k.table.Daemons), nil
}
func (k *fakeKernel) ServicesWithDestinations(context.Context) ([]ipvs.ServiceEntry, error) {
	return k.table.Clone().Services, k.tableErr
}
func (k *fakeKernel) Service(context.Context, ipvs.ServiceID) (ipvs.ServiceEntry, error) {
	return ipvs.ServiceEntry{}, errors.ErrUnsupported
}
func (k *fakeKernel) Destinations(context.Context, ipvs.ServiceID) ([]ipvs.DestinationEntry, error) {
	return nil, errors.ErrUnsupported
}
func (k *fakeKernel) Connections(context.Context) iter.Seq2[ipvs.Connection, error] { return nil }
func (k *fakeKernel) Close() error                                                  { return nil }

// changes are all that were sent.
func (k *fakeKernel) changes() []ipvs.Change { return slices.Concat(k.batches...) }

// answer is what a run of the program gives.
type answer struct {
	status      int
	out, errors string
}

// process is the program on the fake kernel.
func (k *fakeKernel) process(a *answer, stdin string, argv ...string) (p Process, done func()) {
	var out, errs bytes.Buffer
	return Process{
		Args: argv, Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &errs,
		dial:  func(context.Context) (kernel, error) { k.dials++; return k, nil },
		names: noNames(),
	}, func() { a.out, a.errors = out.String(), errs.String() }
}

func (k *fakeKernel) do(t testing.TB, stdin string, argv ...string) (a answer) {
	t.Helper()
	p, done := k.process(&a, stdin, argv...)
	a.status = Run(t.Context(), p)
	done()
	return a
}

// restore runs ipvsadm-restore with rules on standard input.
func (k *fakeKernel) restore(t testing.TB, rules string, options ...string) answer {
	t.Helper()
	return k.do(t, rules, restoreArgs(t, options...)...)
}

func restoreArgs(t testing.TB, options ...string) []string {
	return append([]string{"ipvsadm-restore", "--lock", filepath.Join(t.TempDir(), "lock")}, options...)
}

// noDNS knows no names.
type noDNS struct{}

var errNoName = errors.New("no such name")

func (noDNS) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return nil, errNoName
}
func (noDNS) LookupAddr(context.Context, string) ([]string, error) { return nil, errNoName }

func noNames() *names.Resolver { return names.With("/dev/null", "/dev/null", noDNS{}) }

// refuseLikeAKernel refuses what no table in memory can know: a scheduler
// called nosuch, the server 10.9.9.9 and the interface nosuch.
func refuseLikeAKernel(c ipvs.Change) syscall.Errno {
	switch c.Op {
	case ipvs.AddService, ipvs.EditService:
		if c.Service.Scheduler == "nosuch" {
			return unix.ENOENT
		}
	case ipvs.AddDestination:
		if c.Destination.Addr == netip.AddrFrom4([4]byte{10, 9, 9, 9}) {
			return unix.EINVAL
		}
	case ipvs.StartDaemon:
		if c.Daemon.Interface == "nosuch" {
			return unix.ENODEV
		}
	}
	return 0
}
