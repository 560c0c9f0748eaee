// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"fmt"
	"net/netip"
	"slices"
)

// Table is the state of IPVS in one network namespace. It is plain data that
// may be built, changed, compared and copied like any struct.
//
// Nil and empty both mean none. What a [Client] returns is never nil, unless
// its documentation says so.
type Table struct {
	// Services are in no particular order, none of them twice. The kernel
	// lists them in the order of its hash table.
	Services []ServiceEntry `json:"services,omitzero"`
	Timeouts Timeouts       `json:"timeouts,omitzero"`
	// Daemons are the running sync daemons, at most one in each state.
	Daemons []Daemon `json:"daemons,omitzero"`
}

// ServiceEntry is a virtual service with its destinations and counters.
type ServiceEntry struct {
	Service
	Stats Stats
	// Destinations are in no particular order, none of them twice.
	Destinations []DestinationEntry
}

// DestinationEntry is a destination with its connections and counters.
type DestinationEntry struct {
	Destination
	Conns ConnCounts
	Stats Stats
}

// String returns configuration, counters and destinations.
func (s ServiceEntry) String() string {
	return fmt.Sprintf("%v %+v %v", s.Service, s.Stats, s.Destinations)
}

// String returns configuration, connections and counters.
func (d DestinationEntry) String() string {
	return fmt.Sprintf("%v %+v %+v", d.Destination, d.Conns, d.Stats)
}

// Lookup returns the service with an identity, or nil if the table has none.
// It is a linear search; build a map for many lookups.
func (t *Table) Lookup(id ServiceID) *ServiceEntry {
	for i := range t.Services {
		if t.Services[i].ServiceID == id {
			return &t.Services[i]
		}
	}
	return nil
}

// Lookup returns the destination with an address and port, or nil if the
// service has none. It is a linear search.
func (s *ServiceEntry) Lookup(ap netip.AddrPort) *DestinationEntry {
	for i := range s.Destinations {
		if s.Destinations[i].AddrPort() == ap {
			return &s.Destinations[i]
		}
	}
	return nil
}

// Clone returns a deep copy of the table, with nil slices as they are.
func (t *Table) Clone() *Table {
	c := &Table{Services: slices.Clone(t.Services), Timeouts: t.Timeouts, Daemons: slices.Clone(t.Daemons)}
	for i := range c.Services {
		c.Services[i].Destinations = slices.Clone(c.Services[i].Destinations)
	}
	return c
}
