// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"syscall"
	"time"
)

// Kernel is the interface that [Actions] need: a Client, or a kernel in
// memory for tests.
type Kernel interface {
	Apply(ctx context.Context, changes ...Change) error
	Destinations(ctx context.Context, of ServiceID) ([]DestinationEntry, error)
	ServicesWithDestinations(ctx context.Context) ([]ServiceEntry, error)
}

// Actions are the methods of a Client that change the table. Kernels in
// memory embed them too.
type Actions = actions

// ActionsOn returns the actions on a kernel.
func ActionsOn(k Kernel) Actions { return actions{k} }

type actions struct{ kernel Kernel }

// applyOne makes a single change. Its error is a *ChangeError if the kernel refused.
func (a actions) applyOne(ctx context.Context, queue func(*Batch)) error {
	if a.kernel == nil {
		return &ApplyError{Err: fs.ErrClosed} // the zero Client
	}
	var b Batch
	queue(&b)
	err := a.kernel.Apply(ctx, b...)
	if refused, ok := err.(ChangeErrors); ok && len(refused) == 1 {
		return refused[0]
	}
	return err
}

// AddService adds a service without destinations. The error matches
// [ErrServiceExists] if there is one with this identity.
func (a actions) AddService(ctx context.Context, s Service) error {
	return a.applyOne(ctx, func(b *Batch) { b.AddService(s) })
}

// EditService replaces the configuration of a service. Its destinations,
// connections and counters stay. The error matches [ErrNoService] if there is
// no such service.
func (a actions) EditService(ctx context.Context, s Service) error {
	return a.applyOne(ctx, func(b *Batch) { b.EditService(s) })
}

// DeleteService deletes a service with all its destinations. The error matches
// [ErrNoService] if there is no such service.
func (a actions) DeleteService(ctx context.Context, id ServiceID) error {
	return a.applyOne(ctx, func(b *Batch) { b.DeleteService(id) })
}

// AddDestination adds a destination to a service. The error matches
// [ErrDestinationExists] if the service has one with this address and port.
func (a actions) AddDestination(ctx context.Context, to ServiceID, d Destination) error {
	return a.applyOne(ctx, func(b *Batch) { b.AddDestination(to, d) })
}

// EditDestination replaces the configuration of the destination with d's
// address and port. Its connections and counters stay. The error matches
// [ErrNoDestination] if the service has none.
func (a actions) EditDestination(ctx context.Context, of ServiceID, d Destination) error {
	return a.applyOne(ctx, func(b *Batch) { b.EditDestination(of, d) })
}

// DeleteDestination deletes a destination. The kernel drops the packets that
// still arrive on its connections: call Drain first to spare them. The error
// matches [ErrNoDestination] if the service has none.
func (a actions) DeleteDestination(ctx context.Context, of ServiceID, server netip.AddrPort) error {
	return a.applyOne(ctx, func(b *Batch) { b.DeleteDestination(of, server) })
}

// Flush deletes all services, whoever made them. Timeouts and sync daemons
// stay.
func (a actions) Flush(ctx context.Context) error { return a.applyOne(ctx, (*Batch).Flush) }

// Zero resets all counters.
func (a actions) Zero(ctx context.Context) error { return a.applyOne(ctx, (*Batch).Zero) }

// ZeroService resets the counters of a service and its destinations.
func (a actions) ZeroService(ctx context.Context, id ServiceID) error {
	return a.applyOne(ctx, func(b *Batch) { b.ZeroService(id) })
}

// SetTimeouts sets the timeouts of connections; zero leaves one unchanged.
func (a actions) SetTimeouts(ctx context.Context, t Timeouts) error {
	return a.applyOne(ctx, func(b *Batch) { b.SetTimeouts(t) })
}

// StartDaemon starts a sync daemon. The error matches [ErrDaemonRunning] if one
// runs in this state.
func (a actions) StartDaemon(ctx context.Context, d Daemon) error {
	return a.applyOne(ctx, func(b *Batch) { b.StartDaemon(d) })
}

// StopDaemon stops the sync daemon of a state. The error matches [ErrNoDaemon]
// if none runs.
func (a actions) StopDaemon(ctx context.Context, s DaemonState) error {
	return a.applyOne(ctx, func(b *Batch) { b.StopDaemon(s) })
}

// SetWeight sets the weight of a destination and leaves its other settings. The
// error matches [ErrNoDestination] if the service has none with this address.
func (a actions) SetWeight(ctx context.Context, of ServiceID, server netip.AddrPort, weight int32) error {
	d, err := a.destination(ctx, of, server)
	if err != nil || d.Weight == weight {
		return err
	}
	d.Weight = weight
	return a.EditDestination(ctx, of, d.Destination)
}

// drainPoll is the interval between readings of a server's connections.
const drainPoll = 100 * time.Millisecond

// Drain gives a destination weight 0, so that it gets no new connections, and
// waits until it has no active connection. It neither deletes the destination
// nor restores its weight. If the context ends first, the error is that of
// the context.
func (a actions) Drain(ctx context.Context, of ServiceID, server netip.AddrPort) error {
	err := a.SetWeight(ctx, of, server, 0)
	for err == nil {
		var d DestinationEntry
		if d, err = a.destination(ctx, of, server); err != nil || d.Conns.Active == 0 {
			return err
		}
		select {
		case <-time.After(drainPoll):
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	return err
}

// destination reads one destination.
func (a actions) destination(ctx context.Context, of ServiceID, server netip.AddrPort) (DestinationEntry, error) {
	if a.kernel == nil {
		return DestinationEntry{}, &ApplyError{Err: fs.ErrClosed}
	}
	list, err := a.kernel.Destinations(ctx, of)
	service := ServiceEntry{Destinations: list}
	if d := service.Lookup(server); d != nil {
		return *d, nil
	}
	if err == nil {
		var b Batch
		b.EditDestination(of, Destination{Addr: server.Addr(), Port: server.Port()})
		err = &ChangeError{Change: b[0], Err: syscall.ENOENT}
	}
	return DestinationEntry{}, err
}

// maxRounds limits how often Reconcile starts again after a conflicting
// change of another program.
const maxRounds = 5

// Reconcile makes the services for which owns returns true equal to want, and
// changes no others; a nil owns means all services. It reads the table,
// applies what [Diff] returns, and reads again until nothing differs, so that
// it also corrects changes of other programs. It returns the changes that
// were made, also with an error.
//
// The error is [ChangeErrors] for changes that the kernel refused for another
// reason than a change by another program; the other changes are made. It
// matches [ErrChanging] if other programs kept changing the same services.
func (a actions) Reconcile(ctx context.Context, want []ServiceEntry, owns func(ServiceID) bool) (Batch, error) {
	if owns == nil {
		owns = func(ServiceID) bool { return true }
	}
	for i := range want {
		if !owns(want[i].ServiceID) {
			return nil, invalid("the service %v is wanted but not owned", want[i].ServiceID)
		}
	}
	if a.kernel == nil {
		return nil, &ApplyError{Err: fs.ErrClosed}
	}
	var made Batch
	for range maxRounds {
		have, unsure := a.kernel.ServicesWithDestinations(ctx)
		if unsure != nil && !errors.Is(unsure, ErrChanging) {
			return made, unsure
		}
		have = slices.DeleteFunc(have, func(s ServiceEntry) bool { return !owns(s.ServiceID) })
		changes := Diff(have, want)
		if len(changes) == 0 {
			return made, unsure
		}
		err := a.kernel.Apply(ctx, changes...)
		var refused ChangeErrors
		var ended *ApplyError
		if errors.As(err, &ended) {
			changes, refused = changes[:ended.Sent], ended.Refused
		} else if err != nil && !errors.As(err, &refused) {
			return made, err
		}
		bad := make([]bool, len(changes))
		for _, e := range refused {
			bad[e.Index] = true
		}
		for i := range changes {
			if !bad[i] {
				made = append(made, changes[i])
			}
		}
		if ended != nil {
			return made, err
		}
		refused = slices.DeleteFunc(refused, isRace)
		if len(refused) > 0 {
			return made, refused
		}
	}
	return made, fmt.Errorf("reconcile: %w: gave up after %d rounds", ErrChanging, maxRounds)
}

// isRace reports whether a change was refused because of another program's
// change.
func isRace(e *ChangeError) bool {
	return slices.ContainsFunc([]error{ErrServiceExists, ErrNoService, ErrDestinationExists, ErrNoDestination}, e.Is)
}
