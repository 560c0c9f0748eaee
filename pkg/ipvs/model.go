// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"iter"
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
	services packed
	timeouts Timeouts
	daemons  []Daemon
}

// NewModel returns a model that begins with a copy of t.
func NewModel(t *Table) *Model {
	m := &Model{timeouts: t.Timeouts, daemons: slices.Clone(t.Daemons)}
	for i := range t.Services {
		m.services.pack(&t.Services[i])
	}
	return m
}

// Table returns a copy of the table as it is now.
func (m *Model) Table() *Table {
	t := &Table{Services: make([]ServiceEntry, m.services.n), Timeouts: m.timeouts, Daemons: append([]Daemon{}, m.daemons...)}
	for i := range t.Services {
		t.Services[i] = m.services.at(i).unpack()
	}
	return t
}

// Service returns a copy of a service with its destinations, and whether the
// table has it.
func (m *Model) Service(id ServiceID) (ServiceEntry, bool) {
	i := m.services.find(id)
	if i < 0 {
		return ServiceEntry{}, false
	}
	return m.services.at(i).unpack(), true
}

// Services iterates over the services and their destinations, in the order of
// Table, without counters and without copying them: the destinations are not
// to be changed, and valid until the next call of Apply.
func (m *Model) Services() iter.Seq2[Service, []Destination] {
	return func(yield func(Service, []Destination) bool) {
		for i := range m.services.n {
			if s := m.services.at(i); !yield(s.service(), s.list()) {
				return
			}
		}
	}
}

// Has reports whether the table has a service.
func (m *Model) Has(id ServiceID) bool { return m.services.find(id) >= 0 }

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
	place := -1
	var s *packedService
	if c.Op.onService() {
		if place = m.services.find(c.Service.ServiceID); place >= 0 {
			s = m.services.at(place)
		} else if c.Op != OpAddService {
			return syscall.ESRCH
		}
	}
	switch c.Op {
	case OpAddService:
		if s != nil {
			return syscall.EEXIST
		}
		if err := checkService(c.Service); err != nil {
			return err
		}
		m.services.add(c.Service)
	case OpEditService:
		if err := checkService(c.Service); err != nil {
			return err
		}
		s.settings = m.services.share(c.Service)
	case OpDeleteService:
		m.services.remove(place)
	case OpAddDestination, OpEditDestination, OpDeleteDestination:
		return m.applyDestination(s, c.Op, c.Destination)
	case OpFlush:
		m.services = packed{}
	case OpZero:
		for i := range m.services.n {
			m.services.at(i).zero()
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

// applyDestination checks in the kernel's order, which decides the errno
// where several things are wrong.
func (m *Model) applyDestination(s *packedService, op Op, d Destination) error {
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
	i := s.find(d.AddrPort())
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
		m.services.append(s, d)
	case OpEditDestination:
		s.members.list[i] = d
	case OpDeleteDestination:
		s.members.delete(i)
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
	for s, list := range m.Services() {
		if slices.ContainsFunc(list, func(d Destination) bool { return FamilyOf(d.Addr) != s.Family() }) {
			return true
		}
	}
	return false
}
