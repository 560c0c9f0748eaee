// SPDX-License-Identifier: Apache-2.0

package ipvs

import "fmt"

// Change is one alteration of the table, the only thing that a Table or a
// Client takes. Op says which of the other fields count; those that do not
// are to be left zero, so that changes compare with ==.
type Change struct {
	Op Op
	// Service is whole for AddService and EditService; the other operations
	// on a service or a destination read its ServiceID only.
	Service Service
	// Destination is whole for AddDestination and EditDestination;
	// DeleteDestination reads its address and port only.
	Destination Destination
	// Timeouts are for SetTimeouts.
	Timeouts Timeouts
	// Daemon is whole for StartDaemon; StopDaemon reads its State only.
	Daemon Daemon
}

// Op is the kind of a Change.
type Op uint8

// The kinds of change, each with the kernel's command.
const (
	AddService        Op = iota + 1 // IPVS_CMD_NEW_SERVICE
	EditService                     // IPVS_CMD_SET_SERVICE
	DeleteService                   // IPVS_CMD_DEL_SERVICE, with all its destinations
	AddDestination                  // IPVS_CMD_NEW_DEST
	EditDestination                 // IPVS_CMD_SET_DEST
	DeleteDestination               // IPVS_CMD_DEL_DEST
	Flush                           // IPVS_CMD_FLUSH: all services; timeouts and daemons stay
	Zero                            // IPVS_CMD_ZERO: the counters of everything
	ZeroService                     // IPVS_CMD_ZERO: the counters of a service and its destinations
	SetTimeouts                     // IPVS_CMD_SET_CONFIG
	StartDaemon                     // IPVS_CMD_NEW_DAEMON
	StopDaemon                      // IPVS_CMD_DEL_DAEMON
)

// String names the operation, as in "add service".
func (o Op) String() string {
	switch o {
	case AddService:
		return "add service"
	case EditService:
		return "edit service"
	case DeleteService:
		return "delete service"
	case AddDestination:
		return "add destination"
	case EditDestination:
		return "edit destination"
	case DeleteDestination:
		return "delete destination"
	case Flush:
		return "flush"
	case Zero:
		return "zero"
	case ZeroService:
		return "zero service"
	case SetTimeouts:
		return "set timeouts"
	case StartDaemon:
		return "start daemon"
	case StopDaemon:
		return "stop daemon"
	}
	return fmt.Sprintf("Op(%d)", uint8(o))
}

// onService and onDestination tell which part of the table an operation
// names.
func (o Op) onService() bool {
	return o == AddService || o == EditService || o == DeleteService || o == ZeroService || o.onDestination()
}

func (o Op) onDestination() bool {
	return o == AddDestination || o == EditDestination || o == DeleteDestination
}

// String names the change and what it is about, as in
// "add destination 192.168.168.10:80 of TCP 12.0.0.1:80".
func (c Change) String() string {
	s := c.Op.String()
	switch {
	case c.Op.onDestination():
		s += " " + c.Destination.AddrPort().String() + " of " + c.Service.ServiceID.String()
	case c.Op.onService():
		s += " " + c.Service.ServiceID.String()
	case c.Op == StartDaemon || c.Op == StopDaemon:
		s += " " + c.Daemon.State.String()
	}
	return s
}

// validate refuses what cannot be said to the kernel at all. What it can be
// told and refuses is left to it.
func (c Change) validate() error {
	switch c.Op {
	case AddService, EditService:
		return c.Service.validate()
	case DeleteService, ZeroService:
		return c.Service.ServiceID.validate()
	case AddDestination, EditDestination, DeleteDestination:
		if err := c.Service.ServiceID.validate(); err != nil {
			return err
		}
		return c.Destination.validateID()
	case SetTimeouts:
		return c.Timeouts.validate()
	case StartDaemon, StopDaemon:
		return c.Daemon.validate()
	case Flush, Zero:
		return nil
	}
	return invalid("there is no operation %v", c.Op)
}
