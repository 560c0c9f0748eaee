// SPDX-License-Identifier: Apache-2.0

package ipvs

import "net/netip"

// Change is one change of the table, for [Client.Apply]. A [Batch] creates
// changes.
//
// Op determines which other fields are used. The others are zero, so that
// changes are comparable with ==.
type Change struct {
	Op Op
	// Service is complete for OpAddService and OpEditService; other
	// operations on a service or a destination use only its ServiceID.
	Service Service
	// Destination is complete for OpAddDestination and OpEditDestination;
	// OpDeleteDestination uses only its address and port.
	Destination Destination
	// Timeouts are for OpSetTimeouts.
	Timeouts Timeouts
	// Daemon is complete for OpStartDaemon; OpStopDaemon uses only its State.
	Daemon Daemon
}

// Batch is a list of changes to be made together: its methods queue one each,
// and Client.Apply(ctx, batch...) makes them.
type Batch []Change

func (b *Batch) add(c Change) { *b = append(*b, c) }

// AddService queues the addition of a service without destinations.
func (b *Batch) AddService(s Service) { b.add(Change{Op: OpAddService, Service: s}) }

// EditService queues the replacement of a service's configuration. Its
// destinations, connections and counters stay.
func (b *Batch) EditService(s Service) { b.add(Change{Op: OpEditService, Service: s}) }

// DeleteService queues the deletion of a service with all its destinations.
func (b *Batch) DeleteService(id ServiceID) {
	b.add(Change{Op: OpDeleteService, Service: Service{ServiceID: id}})
}

// AddDestination queues the addition of a destination to a service.
func (b *Batch) AddDestination(to ServiceID, d Destination) {
	b.add(Change{Op: OpAddDestination, Service: Service{ServiceID: to}, Destination: d})
}

// EditDestination queues the replacement of the configuration of the
// destination with d's address and port. Its connections and counters stay.
func (b *Batch) EditDestination(of ServiceID, d Destination) {
	b.add(Change{Op: OpEditDestination, Service: Service{ServiceID: of}, Destination: d})
}

// DeleteDestination queues the deletion of a destination. The kernel drops the
// packets that still arrive on its connections: see [Client.Drain].
func (b *Batch) DeleteDestination(of ServiceID, ap netip.AddrPort) {
	b.add(Change{
		Op:          OpDeleteDestination,
		Service:     Service{ServiceID: of},
		Destination: Destination{Addr: ap.Addr(), Port: ap.Port()},
	})
}

// Flush queues the deletion of all services, whoever made them. Timeouts and
// sync daemons stay.
func (b *Batch) Flush() { b.add(Change{Op: OpFlush}) }

// Zero queues a reset of all counters.
func (b *Batch) Zero() { b.add(Change{Op: OpZero}) }

// ZeroService queues a reset of the counters of a service and its destinations.
func (b *Batch) ZeroService(id ServiceID) {
	b.add(Change{Op: OpZeroService, Service: Service{ServiceID: id}})
}

// SetTimeouts queues a change of the timeouts of connections; zero leaves one
// unchanged.
func (b *Batch) SetTimeouts(t Timeouts) { b.add(Change{Op: OpSetTimeouts, Timeouts: t}) }

// StartDaemon queues the start of a sync daemon.
func (b *Batch) StartDaemon(d Daemon) { b.add(Change{Op: OpStartDaemon, Daemon: d}) }

// StopDaemon queues the stop of the sync daemon of a state.
func (b *Batch) StopDaemon(s DaemonState) {
	b.add(Change{Op: OpStopDaemon, Daemon: Daemon{State: s}})
}

// Op is the kind of a Change.
type Op uint8

// The kinds of change, each with the kernel's command.
const (
	OpAddService        Op = iota + 1 // IPVS_CMD_NEW_SERVICE
	OpEditService                     // IPVS_CMD_SET_SERVICE
	OpDeleteService                   // IPVS_CMD_DEL_SERVICE
	OpAddDestination                  // IPVS_CMD_NEW_DEST
	OpEditDestination                 // IPVS_CMD_SET_DEST
	OpDeleteDestination               // IPVS_CMD_DEL_DEST
	OpFlush                           // IPVS_CMD_FLUSH
	OpZero                            // IPVS_CMD_ZERO without a service
	OpZeroService                     // IPVS_CMD_ZERO with one
	OpSetTimeouts                     // IPVS_CMD_SET_CONFIG
	OpStartDaemon                     // IPVS_CMD_NEW_DAEMON
	OpStopDaemon                      // IPVS_CMD_DEL_DAEMON
)

// onService reports whether an operation names a service.
func (o Op) onService() bool {
	switch o {
	case OpAddService, OpEditService, OpDeleteService, OpZeroService:
		return true
	}
	return o.onDestination()
}

// onDaemon reports whether an operation names a sync daemon.
func (o Op) onDaemon() bool { return o == OpStartDaemon || o == OpStopDaemon }

// onDestination reports whether an operation names a destination.
func (o Op) onDestination() bool {
	return o == OpAddDestination || o == OpEditDestination || o == OpDeleteDestination
}

// sameGroup reports whether two changes are about the same service, or both
// about sync daemons.
func sameGroup(a, b *Change) bool {
	if a.Op.onService() && b.Op.onService() {
		return a.Service.ServiceID == b.Service.ServiceID
	}
	return a.Op.onDaemon() && b.Op.onDaemon()
}

// String returns the change as text, as in "add destination 192.168.168.10:80
// Masq weight 1 of TCP 12.0.0.1:80".
func (c Change) String() string {
	s := c.Op.String()
	switch c.Op {
	case OpAddService, OpEditService:
		s += " " + c.Service.String()
	case OpDeleteService, OpZeroService:
		s += " " + c.Service.ServiceID.String()
	case OpAddDestination, OpEditDestination:
		s += " " + c.Destination.String() + " of " + c.Service.ServiceID.String()
	case OpDeleteDestination:
		s += " " + c.Destination.AddrPort().String() + " of " + c.Service.ServiceID.String()
	case OpSetTimeouts:
		s += " " + c.Timeouts.String()
	case OpStartDaemon:
		s += " " + c.Daemon.String()
	case OpStopDaemon:
		s += " " + c.Daemon.State.String()
	}
	return s
}

// Validate rejects a change that cannot be encoded, or that adds or edits an
// entry at an IPv4-mapped address; its error matches [ErrInvalid]. Everything
// else is left to the kernel.
func (c Change) Validate() error {
	for _, a := range []netip.Addr{c.Service.Addr, c.Destination.Addr} {
		if a.Is4In6() && (c.Op == OpAddService || c.Op == OpAddDestination || c.Op == OpEditDestination) {
			return invalid("the address %v is IPv4-mapped: use %v", a, a.Unmap())
		}
	}
	return c.validate()
}

// validate is Validate, but accepts IPv4-mapped addresses.
func (c Change) validate() error {
	switch c.Op {
	case OpAddService, OpEditService:
		return c.Service.validate()
	case OpDeleteService, OpZeroService:
		return c.Service.ServiceID.validate()
	case OpAddDestination, OpEditDestination, OpDeleteDestination:
		if err := c.Service.ServiceID.validate(); err != nil {
			return err
		}
		if c.Op == OpDeleteDestination {
			return c.Destination.validateID()
		}
		return c.Destination.validate()
	case OpSetTimeouts:
		return c.Timeouts.validate()
	case OpStartDaemon, OpStopDaemon:
		return c.Daemon.validate()
	case OpFlush, OpZero:
		return nil
	}
	return invalid("there is no operation %v", c.Op)
}
