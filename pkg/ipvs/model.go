// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"net/netip"
	"slices"
	"syscall"
	"time"
)

// Model answers changes as the kernel does, in memory: it says what a table
// becomes by them, and which of them would be refused.
//
// A running kernel also refuses what a model cannot know: a scheduler,
// persistence engine or interface that it lacks, an address that its routing
// tables do not know as local or unicast, and a multicast group that it has
// no route to. Of the kernels' behavior it follows Linux 6.1 to 7.2.
//
// The zero value is an empty table. A Model is not safe for concurrent use.
type Model struct {
	services []ServiceEntry
	timeouts Timeouts
	daemons  []Daemon

	index map[ServiceID]int // place of each service
	arena arena             // of the destinations that Apply adds
}

// NewModel returns a model that begins with a copy of t.
func NewModel(t *Table) *Model {
	c := t.Clone()
	m := &Model{timeouts: c.Timeouts, daemons: c.Daemons}
	m.own(c.Services)
	return m
}

// own takes services that nobody else holds.
func (m *Model) own(services []ServiceEntry) {
	m.services, m.index = services, make(map[ServiceID]int, len(services))
	for i := range services {
		m.index[services[i].ServiceID] = i
	}
}

// Table returns a copy of the table as it is now.
func (m *Model) Table() *Table {
	t := Table{Services: m.services, Timeouts: m.timeouts, Daemons: m.daemons}
	return t.Clone().complete()
}

// Take returns the table without copying it and leaves the model empty, as the
// zero value is.
func (m *Model) Take() *Table {
	t := &Table{Services: m.services, Timeouts: m.timeouts, Daemons: m.daemons}
	*m = Model{}
	return t.complete()
}

// complete makes what is absent empty.
func (t *Table) complete() *Table {
	if t.Services == nil {
		t.Services = []ServiceEntry{}
	}
	for i := range t.Services {
		if s := &t.Services[i]; s.Destinations == nil {
			s.Destinations = []DestinationEntry{}
		}
	}
	if t.Daemons == nil {
		t.Daemons = []Daemon{}
	}
	return t
}

// Service returns a copy of a service with its destinations, and whether the
// table has it.
func (m *Model) Service(id ServiceID) (ServiceEntry, bool) {
	i, found := m.index[id]
	if !found {
		return ServiceEntry{}, false
	}
	s := m.services[i]
	s.Destinations = append(make([]DestinationEntry, 0, len(s.Destinations)), s.Destinations...)
	return s, true
}

// Apply does to the table what the kernel does on the change, and refuses
// what the kernel refuses: the error is then a *[ChangeError] with the
// kernel's errno, and the table is as it was.
func (m *Model) Apply(c Change) error {
	if err := m.apply(&c); err != nil {
		return &ChangeError{Change: c, Err: err}
	}
	return nil
}

func (m *Model) apply(c *Change) error {
	if err := c.validate(); err != nil {
		return err
	}
	var s *ServiceEntry
	if c.Op.onService() {
		i, found := m.index[c.Service.ServiceID]
		if found {
			s = &m.services[i]
		} else if c.Op != OpAddService {
			return syscall.ESRCH
		}
	}
	switch c.Op {
	case OpAddService:
		if s != nil {
			return syscall.EEXIST
		}
		return m.addService(c.Service)
	case OpEditService:
		if err := checkService(c.Service); err != nil {
			return err
		}
		s.Service = c.Service
	case OpDeleteService:
		m.deleteService(c.Service.ServiceID)
	case OpAddDestination, OpEditDestination, OpDeleteDestination:
		return m.applyDestination(s, c.Op, c.Destination)
	case OpFlush:
		m.services, m.index = nil, nil
	case OpZero:
		for i := range m.services {
			m.services[i].zero()
		}
	case OpZeroService:
		s.zero()
	case OpSetTimeouts:
		return m.setTimeouts(c.Timeouts)
	case OpStartDaemon:
		return m.startDaemon(c.Daemon)
	case OpStopDaemon:
		return m.stopDaemon(c.Daemon.State)
	}
	return nil
}

// checkService is what the kernel looks at in a service before it adds or
// edits one.
func checkService(s Service) error {
	if s.Scheduler == "" {
		return syscall.ENOENT // there is no module of that name
	}
	if s.Family() == IPv6 && (s.Netmask < 1 || s.Netmask > 128) {
		return syscall.EINVAL
	}
	return nil
}

func (m *Model) addService(s Service) error {
	if err := checkService(s); err != nil {
		return err
	}
	if m.index == nil {
		m.index = map[ServiceID]int{}
	}
	m.index[s.ServiceID] = len(m.services)
	if n := len(m.services); n == cap(m.services) {
		// append grows long lists by a quarter: of a million services it would
		// leave four times their memory behind.
		m.services = slices.Grow(m.services, max(n, 4))
	}
	m.services = append(m.services, ServiceEntry{Service: s})
	return nil
}

// deleteService moves the last service into the gap, so that removing many
// takes no longer than adding them.
func (m *Model) deleteService(id ServiceID) {
	i, last := m.index[id], len(m.services)-1
	delete(m.index, id)
	if i != last {
		m.services[i] = m.services[last]
		m.index[m.services[i].ServiceID] = i
	}
	m.services[last] = ServiceEntry{}
	m.services = m.services[:last]
}

// applyDestination checks in the kernel's order, which decides the errno
// where several things are wrong.
func (m *Model) applyDestination(s *ServiceEntry, op Op, d Destination) error {
	if op != OpDeleteDestination {
		if FamilyOf(d.Addr) != s.Family() && (len(m.daemons) > 0 || d.Forward != Tunnel) {
			// The sync protocol cannot express a service of mixed families.
			return syscall.EINVAL
		}
		if d.Weight < 0 || d.LowerThreshold > d.UpperThreshold {
			return syscall.ERANGE
		}
		if d.Tunnel.Type == TunnelGUE && d.Tunnel.Port == 0 {
			return syscall.EINVAL
		}
	}
	i := findDestination(s.Destinations, d.AddrPort())
	switch {
	case op == OpAddDestination && i >= 0:
		return syscall.EEXIST
	case op != OpAddDestination && i < 0:
		return syscall.ENOENT
	}
	switch op {
	case OpAddDestination:
		if !destinationAddr(d.Addr) {
			return syscall.EINVAL
		}
		s.Destinations = m.arena.append(s.Destinations, DestinationEntry{Destination: d})
	case OpEditDestination:
		s.Destinations[i].Destination = d
	case OpDeleteDestination:
		s.Destinations = slices.Delete(s.Destinations, i, i+1)
	}
	return nil
}

// destinationAddr reports whether the kernel accepts an address for a real
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

// maxTimeout is the kernel's limit of timeouts: a 32-bit number of ticks,
// here with the fewest ticks a second, 100, that a kernel can have.
const maxTimeout = (1<<31 - 1) / 100 * time.Second

func (m *Model) setTimeouts(w Timeouts) error {
	if max(w.TCP, w.TCPFin, w.UDP) > maxTimeout {
		return syscall.EINVAL
	}
	for _, p := range []struct {
		have *time.Duration
		want time.Duration
	}{{&m.timeouts.TCP, w.TCP}, {&m.timeouts.TCPFin, w.TCPFin}, {&m.timeouts.UDP, w.UDP}} {
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

func (m *Model) startDaemon(d Daemon) error {
	if d.Group.IsValid() && (!d.Group.IsMulticast() || d.Group.Is4In6()) || m.mixedFamilies() {
		return syscall.EINVAL
	}
	if d.Interface == "" {
		return syscall.ENODEV
	}
	if d.State != Master && d.State != Backup {
		return syscall.EINVAL
	}
	if findDaemon(m.daemons, d.State) >= 0 {
		return syscall.EEXIST
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
	m.daemons = append(m.daemons, d.clamped())
	return nil
}

func (m *Model) stopDaemon(s DaemonState) error {
	if s != Master && s != Backup {
		return syscall.EINVAL
	}
	i := findDaemon(m.daemons, s)
	if i < 0 {
		return syscall.ESRCH
	}
	m.daemons = slices.Delete(m.daemons, i, i+1)
	return nil
}

// mixedFamilies reports whether some destination is of another family than
// its service.
func (m *Model) mixedFamilies() bool {
	for i := range m.services {
		s := &m.services[i]
		for j := range s.Destinations {
			if FamilyOf(s.Destinations[j].Addr) != s.Family() {
				return true
			}
		}
	}
	return false
}
