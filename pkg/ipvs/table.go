// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"fmt"
	"net/netip"
	"slices"
)

// Table is what IPVS holds in one network namespace. It is plain data: it may
// be built, altered, compared and copied like any other struct.
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

// ServiceEntry is a virtual service with its destinations and what the kernel
// counts of it.
type ServiceEntry struct {
	Service
	Stats Stats
	// Destinations are in no particular order, none of them twice.
	Destinations []DestinationEntry
}

// DestinationEntry is a destination with what the kernel counts of it.
type DestinationEntry struct {
	Destination
	Conns ConnCounts
	Stats Stats
}

// String shows the whole entry: configuration, counters and destinations.
func (s ServiceEntry) String() string {
	return fmt.Sprintf("%v %+v %v", s.Service, s.Stats, s.Destinations)
}

// String shows the whole entry: configuration, connections and counters.
func (d DestinationEntry) String() string {
	return fmt.Sprintf("%v %+v %+v", d.Destination, d.Conns, d.Stats)
}

// Lookup returns the service with an identity, or nil if the table has none.
// It goes through all services: who looks up many makes a map.
func (t *Table) Lookup(id ServiceID) *ServiceEntry {
	for i := range t.Services {
		if t.Services[i].ServiceID == id {
			return &t.Services[i]
		}
	}
	return nil
}

// Lookup returns the destination with an address and port, or nil if the
// service has none. It goes through all destinations.
func (s *ServiceEntry) Lookup(ap netip.AddrPort) *DestinationEntry {
	for i := range s.Destinations {
		if s.Destinations[i].AddrPort() == ap {
			return &s.Destinations[i]
		}
	}
	return nil
}

// Clone returns a copy of the table that shares nothing with it. What is nil
// stays nil.
func (t *Table) Clone() *Table {
	c := &Table{Services: slices.Clone(t.Services), Timeouts: t.Timeouts, Daemons: slices.Clone(t.Daemons)}
	for i := range c.Services {
		c.Services[i].Destinations = slices.Clone(c.Services[i].Destinations)
	}
	return c
}
