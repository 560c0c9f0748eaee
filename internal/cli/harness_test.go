// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"errors"
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
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs/ipvstest"
)

// fakeKernel is a kernel in memory with hooks that counts calls.
type fakeKernel struct {
	*ipvstest.Kernel
	// beforeTable and beforeApply are called with the number of each read
	// of the table and of each batch, before it. They act as another
	// writer or send a signal.
	beforeTable, beforeApply func(n int)
	beforeDestinations       func(n int)
	// infoErr, tableErr and down are the errors of Info, Table and Apply.
	infoErr, tableErr, down error

	dials, reads, asked int
}

func fakeOf(table *ipvs.Table) *fakeKernel {
	k := &fakeKernel{Kernel: ipvstest.New(table)}
	k.Before = k.before
	return k
}

func (k *fakeKernel) before(method string) error {
	call := func(f func(int), n int) {
		if f != nil {
			f(n)
		}
	}
	switch method {
	case "Info":
		return k.infoErr
	case "Table":
		k.reads++
		call(k.beforeTable, k.reads)
		return k.tableErr
	case "ServicesWithDestinations":
		return k.tableErr
	case "Destinations":
		k.asked++
		call(k.beforeDestinations, k.asked)
	case "Apply":
		call(k.beforeApply, len(k.Batches())+1)
		return k.down
	}
	return nil
}

// newFakeKernel returns a kernel with the table of some rules and the timeouts
// of the constant timeouts.
func newFakeKernel(t testing.TB, rules string) *fakeKernel {
	t.Helper()
	k := fakeOf(&ipvs.Table{Timeouts: ipvs.Timeouts{TCP: 900 * time.Second, TCPFin: 120 * time.Second, UDP: 300 * time.Second}})
	k.run(t, rules)
	return k
}

// run applies rules as another program.
func (k *fakeKernel) run(t testing.TB, rules string) {
	t.Helper()
	each(t, rules, k.Do)
}

// each calls do with the change of each rule, which must not be refused.
func each(t testing.TB, rules string, do func(...ipvs.Change) error) {
	t.Helper()
	s := newSession(Process{Args: []string{"ipvsadm"}})
	s.parser, s.names = args.New(noNames()), noNames()
	parse := s.ruleParser()
	for line, text := range strings.Split(strings.TrimSuffix(rules, "\n"), "\n") {
		words := rule.AppendFileWords(nil, []byte(text))
		if len(words) == 0 {
			continue
		}
		c, err := parse(t.Context(), words)
		if err == nil {
			err = do(c.Change)
		}
		if err != nil {
			t.Fatalf("line %d of the test's own rules: %v", line+1, err)
		}
	}
}

// edit changes the table directly, including counters.
func (k *fakeKernel) edit(f func(*ipvs.Table)) {
	t := k.Now()
	f(t)
	k.Set(t)
}

// rules returns the table as rule text.
func (k *fakeKernel) rules() string { return rulesOf(k.Now()) }

func rulesOf(table *ipvs.Table) string {
	table = table.Clone()
	render.Sort(table.Services)
	slices.SortFunc(table.Daemons, func(a, b ipvs.Daemon) int { return int(a.State) - int(b.State) })
	var b strings.Builder
	_ = rule.Writer{}.Write(&b, rule.Changes(table))
	return b.String()
}

// changes returns all changes that were sent.
func (k *fakeKernel) changes() []ipvs.Change { return slices.Concat(k.Batches()...) }

// answer is the result of a run of the program.
type answer struct {
	status      int
	out, errors string
}

// process returns a run of the program on the fake kernel. done sets the
// output in a.
func (k *fakeKernel) process(a *answer, stdin string, argv ...string) (p *session, done func()) {
	var out, errs bytes.Buffer
	p = k.session(Process{Args: argv, Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &errs})
	return p, func() { a.out, a.errors = out.String(), errs.String() }
}

// session returns a session that uses the fake kernel.
func (k *fakeKernel) session(p Process) *session {
	s := newSession(p)
	s.names = noNames()
	s.dial = func(context.Context, ipvs.Config) (kernel, error) { k.dials++; return k, nil }
	s.redial = s.dial
	return s
}

func (k *fakeKernel) do(t testing.TB, stdin string, argv ...string) (a answer) {
	t.Helper()
	p, done := k.process(&a, stdin, argv...)
	a.status = p.start(t.Context())
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

// noDNS is a resolver that finds no names.
type noDNS struct{}

var errNoName = errors.New("no such name")

func (noDNS) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return nil, errNoName
}
func (noDNS) LookupAddr(context.Context, string) ([]string, error) { return nil, errNoName }

func noNames() *names.Resolver { return names.NewFrom("/dev/null", "/dev/null", noDNS{}) }

// refuseLikeAKernel refuses values that a table in memory cannot check: a
// scheduler or an interface named nosuch, and the server 10.9.9.9.
func refuseLikeAKernel(c ipvs.Change) syscall.Errno {
	switch c.Op {
	case ipvs.OpAddService, ipvs.OpEditService:
		if c.Service.Scheduler == "nosuch" {
			return unix.ENOENT
		}
	case ipvs.OpAddDestination:
		if c.Destination.Addr == netip.AddrFrom4([4]byte{10, 9, 9, 9}) {
			return unix.EINVAL
		}
	case ipvs.OpStartDaemon:
		if c.Daemon.Interface == "nosuch" {
			return unix.ENODEV
		}
	}
	return 0
}
