// SPDX-License-Identifier: Apache-2.0

// Package ipvstest has a kernel in memory, for tests of programs that use
// package ipvs. Such a program accepts an interface with the methods that it
// calls, which both *ipvs.Client and [Kernel] have.
package ipvstest

import (
	"context"
	"errors"
	"iter"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/ipvsadm-go/ipvsadm/internal/model"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// Kernel is the IPVS of one network namespace in memory, with the methods of
// an *ipvs.Client and their errors. It answers changes as package model does.
// It is safe for concurrent use; set the exported fields before the first.
type Kernel struct {
	ipvs.Actions

	// Refuse returns the errno with which the kernel refuses a change that it
	// would accept otherwise, such as ENODEV for an interface, or 0. It may
	// be nil.
	Refuse func(ipvs.Change) syscall.Errno
	// Before is called at the start of each call with the name of its method,
	// such as "Apply". It may be nil. Its error ends the call like a failed
	// connection to the kernel; it may call Do to act as another program.
	Before func(method string) error
	// Rows are the rows of Connections.
	Rows []ipvs.Connection
	// Counted is the result of Totals, since there is no traffic to count.
	Counted ipvs.Stats
	// IPVS is the result of Info; New sets a version and a size.
	IPVS ipvs.Info
	// Inode is the result of NetNS.
	Inode uint64
	// Schedulers are the kernel's schedulers; New sets those of Linux 6.1 to
	// 7.2.
	Schedulers []string
	// IPv4Mapped is that of ipvs.Config.
	IPv4Mapped bool

	mu      sync.Mutex
	model   *model.Model
	batches [][]ipvs.Change
}

// New returns a kernel with a copy of a table, or with an empty one for nil.
func New(t *ipvs.Table) *Kernel {
	if t == nil {
		t = &ipvs.Table{}
	}
	k := &Kernel{model: model.New(t), IPVS: ipvs.Info{Version: 0x010201, ConnTableSize: 4096}}
	k.Schedulers = strings.Fields("dh fo lblc lblcr lc mh nq none ovf rr sed sh twos wlc wrr")
	k.Actions = ipvs.ActionsOn(k)
	return k
}

// Do makes changes as another program would: it does not call Refuse or
// Before, and Batches does not contain them. It stops at the first refusal
// and returns its *ipvs.ChangeError.
func (k *Kernel) Do(changes ...ipvs.Change) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, c := range changes {
		if err := k.model.Apply(c); err != nil {
			return err
		}
	}
	return nil
}

// Set replaces the table, counters included, by a copy of t.
func (k *Kernel) Set(t *ipvs.Table) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.model = model.New(t)
}

// SetConns sets the numbers of connections of a destination; the error is that
// of SetWeight if there is none.
func (k *Kernel) SetConns(of ipvs.ServiceID, server netip.AddrPort, conns ipvs.ConnCounts) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	t := k.model.Table()
	if s := t.Lookup(of); s != nil {
		if d := s.Lookup(server); d != nil {
			d.Conns = conns
			k.model = model.New(t)
			return nil
		}
	}
	c := ipvs.Change{Op: ipvs.OpEditDestination, Service: ipvs.Service{ServiceID: of}, Destination: ipvs.Destination{Addr: server.Addr(), Port: server.Port()}}
	return &ipvs.ChangeError{Change: c, Err: syscall.ENOENT}
}

// Now returns a copy of the table, without calling Before.
func (k *Kernel) Now() *ipvs.Table {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.model.Table()
}

// Batches returns the changes of each call of Apply so far, whether they were
// refused or not.
func (k *Kernel) Batches() [][]ipvs.Change {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.batches)
}

// begin is the start of a call.
func (k *Kernel) begin(ctx context.Context, method string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if k.Before != nil {
		return k.Before(method)
	}
	return nil
}

// ask runs a query on a copy of the table.
func ask[T any](ctx context.Context, k *Kernel, method string, answer func(*ipvs.Table) T) (a T, err error) {
	if err := k.begin(ctx, method); err != nil {
		return a, queryError(method, err)
	}
	return answer(k.Now()), nil
}

// queryError wraps an error of Before in a *ipvs.QueryError, unless it is
// one.
func queryError(method string, err error) error {
	if errors.As(err, new(*ipvs.QueryError)) {
		return err
	}
	return &ipvs.QueryError{Query: method, Err: err}
}

// Apply makes changes as Client.Apply does.
func (k *Kernel) Apply(ctx context.Context, changes ...ipvs.Change) error {
	err := k.begin(ctx, "Apply")
	k.mu.Lock()
	defer k.mu.Unlock()
	k.batches = append(k.batches, slices.Clone(changes))
	if err != nil {
		if errors.As(err, new(*ipvs.ApplyError)) || errors.As(err, new(ipvs.ChangeErrors)) {
			return err
		}
		return &ipvs.ApplyError{Err: err}
	}
	var refused ipvs.ChangeErrors
	for i, c := range changes {
		if err := k.apply(c); err != nil {
			refused = append(refused, &ipvs.ChangeError{Index: i, Change: c, Err: err})
		}
	}
	if len(refused) > 0 {
		return refused
	}
	return nil
}

func (k *Kernel) apply(c ipvs.Change) error {
	if !k.IPv4Mapped {
		if err := c.Validate(); err != nil {
			return err
		}
	}
	if k.Refuse != nil {
		if errno := k.Refuse(c); errno != 0 {
			return errno
		}
	}
	adds := c.Op == ipvs.OpAddService || c.Op == ipvs.OpEditService
	if adds && !slices.Contains(k.Schedulers, c.Service.Scheduler) && k.model.Has(c.Service.ServiceID) == (c.Op == ipvs.OpEditService) {
		return syscall.ENOENT
	}
	var e *ipvs.ChangeError
	if errors.As(k.model.Apply(c), &e) {
		return e.Err
	}
	return nil
}

// Info returns the field IPVS.
func (k *Kernel) Info(ctx context.Context) (ipvs.Info, error) {
	return ask(ctx, k, "Info", func(*ipvs.Table) ipvs.Info { return k.IPVS })
}

// Totals returns the field Counted.
func (k *Kernel) Totals(ctx context.Context) (ipvs.Stats, error) {
	return ask(ctx, k, "Totals", func(*ipvs.Table) ipvs.Stats { return k.Counted })
}

// Timeouts returns the timeouts of connections.
func (k *Kernel) Timeouts(ctx context.Context) (ipvs.Timeouts, error) {
	return ask(ctx, k, "Timeouts", func(t *ipvs.Table) ipvs.Timeouts { return t.Timeouts })
}

// Daemons returns the running sync daemons, master before backup.
func (k *Kernel) Daemons(ctx context.Context) ([]ipvs.Daemon, error) {
	return ask(ctx, k, "Daemons", func(t *ipvs.Table) []ipvs.Daemon { return byState(t.Daemons) })
}

func byState(list []ipvs.Daemon) []ipvs.Daemon {
	slices.SortStableFunc(list, func(a, b ipvs.Daemon) int { return int(a.State) - int(b.State) })
	return list
}

// Service returns one service without its destinations.
func (k *Kernel) Service(ctx context.Context, id ipvs.ServiceID) (ipvs.ServiceEntry, error) {
	s, err := k.find(ctx, "Service", id)
	s.Destinations = nil
	return s, err
}

// Destinations returns the destinations of a service, none if there is no such
// service.
func (k *Kernel) Destinations(ctx context.Context, id ipvs.ServiceID) ([]ipvs.DestinationEntry, error) {
	s, err := k.find(ctx, "Destinations", id)
	if errors.Is(err, ipvs.ErrNoService) {
		return []ipvs.DestinationEntry{}, nil
	}
	return s.Destinations, err
}

func (k *Kernel) find(ctx context.Context, method string, id ipvs.ServiceID) (ipvs.ServiceEntry, error) {
	if err := (ipvs.Change{Op: ipvs.OpDeleteService, Service: ipvs.Service{ServiceID: id}}).Validate(); err != nil {
		return ipvs.ServiceEntry{}, queryError(method, err)
	}
	if err := k.begin(ctx, method); err != nil {
		return ipvs.ServiceEntry{}, queryError(method, err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	s, found := k.model.Service(id)
	if !found {
		return s, queryError(method+" "+id.String(), syscall.ESRCH)
	}
	return s, nil
}

// Services returns all services without their destinations.
func (k *Kernel) Services(ctx context.Context) ([]ipvs.ServiceEntry, error) {
	return ask(ctx, k, "Services", func(t *ipvs.Table) []ipvs.ServiceEntry {
		for i := range t.Services {
			t.Services[i].Destinations = nil
		}
		return t.Services
	})
}

// ServicesWithDestinations returns all services with their destinations.
func (k *Kernel) ServicesWithDestinations(ctx context.Context) ([]ipvs.ServiceEntry, error) {
	return ask(ctx, k, "ServicesWithDestinations", func(t *ipvs.Table) []ipvs.ServiceEntry { return t.Services })
}

// Table returns the whole table.
func (k *Kernel) Table(ctx context.Context) (*ipvs.Table, error) {
	return ask(ctx, k, "Table", func(t *ipvs.Table) *ipvs.Table {
		byState(t.Daemons)
		return t
	})
}

// Connections returns the elements of Rows that match a filter.
func (k *Kernel) Connections(ctx context.Context, filter ipvs.ConnectionFilter) iter.Seq2[ipvs.Connection, error] {
	return func(yield func(ipvs.Connection, error) bool) {
		if err := k.begin(ctx, "Connections"); err != nil {
			yield(ipvs.Connection{}, queryError("Connections", err))
			return
		}
		for _, c := range k.Rows {
			if err := ctx.Err(); err != nil {
				yield(ipvs.Connection{}, queryError("Connections", err))
				return
			}
			if filter.Match(&c) && !yield(c, nil) {
				return
			}
		}
	}
}

// NetNS returns the field Inode.
func (k *Kernel) NetNS() (uint64, error) { return k.Inode, nil }

// Close does nothing: a kernel outlives its clients.
func (k *Kernel) Close() error { return nil }
