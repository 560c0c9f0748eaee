// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Table is what IPVS holds in one network namespace, as plain data. The zero
// value is an empty table. Services and daemons may be filled in freely
// before the first Apply; from then on Apply alone may add or remove any.
// A Table is not safe for concurrent use.
type Table struct {
	// Services come in no particular order; the kernel gives them in that of
	// its hash table.
	Services []ServiceEntry
	Timeouts Timeouts
	// Daemons are the running sync daemons, at most one in each state.
	Daemons []Daemon

	// index finds a service by its identity; valid while it counts as many
	// as there are services.
	index map[ServiceID]int
	// room has the destinations of several services one behind the other;
	// the last of them can grow in place.
	room []DestinationEntry
}

// ServiceEntry is a virtual service with what the kernel counts of it.
type ServiceEntry struct {
	Service
	Stats        Stats
	Destinations []DestinationEntry
}

// DestinationEntry is a destination with what the kernel counts of it.
type DestinationEntry struct {
	Destination
	Conns ConnCounts
	Stats Stats
}

// Lookup finds a service; nil if the table has none such. What it points to
// is valid until the next Apply.
func (t *Table) Lookup(id ServiceID) *ServiceEntry {
	if i := t.find(id); i >= 0 {
		return &t.Services[i]
	}
	return nil
}

func (t *Table) find(id ServiceID) int {
	if t.index == nil || len(t.index) != len(t.Services) {
		t.index = make(map[ServiceID]int, len(t.Services))
		for i := range t.Services {
			t.index[t.Services[i].ServiceID] = i
		}
	}
	if i, ok := t.index[id]; ok {
		return i
	}
	return -1
}

// Lookup finds a destination by address and port; nil if the service has
// none such. What it points to is valid until the next Table.Apply.
func (s *ServiceEntry) Lookup(ap netip.AddrPort) *DestinationEntry {
	if i := findDestination(s.Destinations, ap); i >= 0 {
		return &s.Destinations[i]
	}
	return nil
}

func findDestination(list []DestinationEntry, ap netip.AddrPort) int {
	for i := range list {
		if d := &list[i]; d.Port == ap.Port() && d.Addr == ap.Addr() {
			return i
		}
	}
	return -1
}

// Clone copies the table; the two share nothing.
func (t *Table) Clone() *Table {
	c := &Table{Services: slices.Clone(t.Services), Timeouts: t.Timeouts, Daemons: slices.Clone(t.Daemons)}
	for i := range c.Services {
		c.Services[i].Destinations = slices.Clone(c.Services[i].Destinations)
	}
	return c
}

// Apply does to the table what the kernel does on the change, and refuses
// what the kernel refuses: the error is then a *ChangeError with the kernel's
// errno, and the table is as it was. A running kernel also refuses what a
// table in memory cannot know: a scheduler, persistence engine or interface
// that it lacks, an address that its routing tables do not know as local or
// unicast, and a multicast group that it has no route to.
func (t *Table) Apply(c Change) error {
	if err := t.apply(c); err != nil {
		return &ChangeError{Change: c, Err: err}
	}
	return nil
}

func (t *Table) apply(c Change) error {
	if err := c.validate(); err != nil {
		return err
	}
	var s *ServiceEntry
	if c.Op.onService() {
		s = t.Lookup(c.Service.ServiceID)
		if s == nil && c.Op != AddService {
			return unix.ESRCH
		}
	}
	switch c.Op {
	case AddService:
		if s != nil {
			return unix.EEXIST
		}
		return t.addService(c.Service)
	case EditService:
		if err := checkService(c.Service); err != nil {
			return err
		}
		s.Service = c.Service
	case DeleteService:
		t.deleteService(c.Service.ServiceID)
	case AddDestination, EditDestination, DeleteDestination:
		return t.applyDestination(s, c.Op, c.Destination)
	case Flush:
		t.Services, t.index = nil, nil
	case Zero:
		for i := range t.Services {
			t.Services[i].zero()
		}
	case ZeroService:
		s.zero()
	case SetTimeouts:
		return t.setTimeouts(c.Timeouts)
	case StartDaemon:
		return t.startDaemon(c.Daemon)
	case StopDaemon:
		return t.stopDaemon(c.Daemon.State)
	}
	return nil
}

// checkService is what the kernel looks at in a service before it adds or
// edits one.
func checkService(s Service) error {
	if s.Scheduler == "" {
		return unix.ENOENT // there is no module of that name
	}
	if s.Family() == IPv6 && (s.Netmask < 1 || s.Netmask > 128) {
		return unix.EINVAL
	}
	return nil
}

func (t *Table) addService(s Service) error {
	if err := checkService(s); err != nil {
		return err
	}
	t.Services = append(t.Services, ServiceEntry{Service: s})
	t.index[s.ServiceID] = len(t.Services) - 1
	return nil
}

// deleteService moves the last service into the gap, so that removing many
// takes no longer than adding them.
func (t *Table) deleteService(id ServiceID) {
	i, last := t.find(id), len(t.Services)-1
	delete(t.index, id)
	if i != last {
		t.Services[i] = t.Services[last]
		t.index[t.Services[i].ServiceID] = i
	}
	t.Services[last] = ServiceEntry{}
	t.Services = t.Services[:last]
}

// applyDestination checks in the kernel's order, which decides the errno
// where several things are wrong.
func (t *Table) applyDestination(s *ServiceEntry, op Op, d Destination) error {
	if op != DeleteDestination {
		if FamilyOf(d.Addr) != s.Family() && (len(t.Daemons) > 0 || d.Forward != Tunnel) {
			// The sync protocol cannot express a service of mixed families.
			return unix.EINVAL
		}
		if d.Weight < 0 || d.LowerThreshold > d.UpperThreshold {
			return unix.ERANGE
		}
		if d.Tunnel.Type == TunnelGUE && d.Tunnel.Port == 0 {
			return unix.EINVAL
		}
	}
	i := findDestination(s.Destinations, d.AddrPort())
	switch {
	case op == AddDestination && i >= 0:
		return unix.EEXIST
	case op != AddDestination && i < 0:
		return unix.ENOENT
	}
	switch op {
	case AddDestination:
		if !destinationAddr(d.Addr) {
			return unix.EINVAL
		}
		s.Destinations = t.extend(s.Destinations, DestinationEntry{Destination: d})
	case EditDestination:
		s.Destinations[i].Destination = d
	case DeleteDestination:
		s.Destinations = slices.Delete(s.Destinations, i, i+1)
	}
	return nil
}

// roomSize is how many destinations get their memory at once.
const roomSize = 256

// extend appends to the destinations of a service. Rule text mostly has those
// of a service together, which then take no more memory than they fill.
func (t *Table) extend(list []DestinationEntry, e DestinationEntry) []DestinationEntry {
	n, used := len(list), len(t.room)
	last := n > 0 && used > 0 && &list[n-1] == &t.room[used-1]
	switch {
	case n >= roomSize/2:
		return append(list, e)
	case last && used < cap(t.room):
		used -= n
	default:
		if cap(t.room)-used <= n {
			t.room, used = make([]DestinationEntry, 0, roomSize), 0
		}
		t.room = append(t.room, list...)
	}
	t.room = append(t.room, e)
	return t.room[used:len(t.room):len(t.room)]
}

// destinationAddr tells whether the kernel takes an address for a real
// server, as far as the address alone decides it: unicast, not link-local in
// IPv6, and not of the networks that name no host.
func destinationAddr(a netip.Addr) bool {
	if a.Is4() {
		return !a.IsUnspecified() && !a.IsMulticast() && a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
	}
	return !a.IsUnspecified() && !a.IsMulticast() && !a.IsLinkLocalUnicast() && !a.Is4In6()
}

func (s *ServiceEntry) zero() {
	s.Stats = Stats{}
	for i := range s.Destinations {
		s.Destinations[i].Stats = Stats{}
	}
}

// maxTimeout is where the kernel's timeouts end: a 32-bit number of ticks,
// here with the fewest ticks a second, 100, that a kernel can have.
const maxTimeout = (1<<31 - 1) / 100 * time.Second

func (t *Table) setTimeouts(w Timeouts) error {
	if max(w.TCP, w.TCPFin, w.UDP) > maxTimeout {
		return unix.EINVAL
	}
	for _, p := range []struct {
		have *time.Duration
		want time.Duration
	}{{&t.Timeouts.TCP, w.TCP}, {&t.Timeouts.TCPFin, w.TCPFin}, {&t.Timeouts.UDP, w.UDP}} {
		if p.want != 0 {
			*p.have = p.want
		}
	}
	return nil
}

// What the kernel fills in for a sync daemon (IP_VS_SYNC_PORT and the group
// that is registered for IPVS).
const (
	defaultSyncPort = 8848
	defaultSyncTTL  = 1
)

var defaultSyncGroup = netip.AddrFrom4([4]byte{224, 0, 0, 81})

func (t *Table) startDaemon(d Daemon) error {
	if d.Group.IsValid() && !d.Group.IsMulticast() || t.mixedFamilies() {
		return unix.EINVAL
	}
	if d.State != Master && d.State != Backup {
		return unix.EINVAL
	}
	if d.Interface == "" {
		return unix.ENODEV
	}
	if t.daemon(d.State) >= 0 {
		return unix.EEXIST
	}
	if !d.Group.IsValid() {
		d.Group = defaultSyncGroup
	}
	if d.Port == 0 {
		d.Port = defaultSyncPort
	}
	if d.TTL == 0 {
		d.TTL = defaultSyncTTL
	}
	t.Daemons = append(t.Daemons, d.clamped())
	return nil
}

func (t *Table) stopDaemon(s DaemonState) error {
	if s != Master && s != Backup {
		return unix.EINVAL
	}
	i := t.daemon(s)
	if i < 0 {
		return unix.ESRCH
	}
	t.Daemons = slices.Delete(t.Daemons, i, i+1)
	return nil
}

func (t *Table) daemon(s DaemonState) int {
	return slices.IndexFunc(t.Daemons, func(d Daemon) bool { return d.State == s })
}

// mixedFamilies tells whether some destination is of another family than its
// service.
func (t *Table) mixedFamilies() bool {
	for i := range t.Services {
		s := &t.Services[i]
		for j := range s.Destinations {
			if FamilyOf(s.Destinations[j].Addr) != s.Family() {
				return true
			}
		}
	}
	return false
}
