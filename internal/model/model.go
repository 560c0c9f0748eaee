// SPDX-License-Identifier: Apache-2.0

// Package model is the kernel's table in memory. It answers changes as the
// kernel does.
package model

import (
	"net/netip"
	"slices"
	"syscall"
	"time"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// Model is a table to which changes are applied: it says what the table
// becomes by them, and which of them the kernel would refuse.
//
// A running kernel also refuses what a model cannot know: a scheduler,
// persistence engine or interface that it lacks, an address that its routing
// tables do not know as local or unicast, and a multicast group without a
// route. The model follows Linux 6.1 to 7.2.
//
// The zero value is an empty table. A Model is not safe for concurrent use.
type Model struct {
	table  ipvs.Table
	places map[ipvs.ServiceID]int // in table.Services
	// servers are the places of the destinations of services that have many.
	servers map[ipvs.ServiceID]map[netip.AddrPort]int
}

// New returns a model that starts with a copy of t.
func New(t *ipvs.Table) *Model {
	m := &Model{table: *t.Clone()}
	m.places = make(map[ipvs.ServiceID]int, len(t.Services))
	for i := range t.Services {
		m.places[t.Services[i].ServiceID] = i
	}
	return m
}

// Table returns a copy of the table, whose parts are never nil.
func (m *Model) Table() *ipvs.Table {
	t := m.table.Clone()
	t.Services = append([]ipvs.ServiceEntry{}, t.Services...)
	t.Daemons = append([]ipvs.Daemon{}, t.Daemons...)
	for i := range t.Services {
		if t.Services[i].Destinations == nil {
			t.Services[i].Destinations = []ipvs.DestinationEntry{}
		}
	}
	return t
}

// View returns the table itself, which must not be changed. It is valid until
// the next call of Apply.
func (m *Model) View() *ipvs.Table { return &m.table }

// Service returns a copy of a service with its destinations, and whether the
// table has it.
func (m *Model) Service(id ipvs.ServiceID) (ipvs.ServiceEntry, bool) {
	i, found := m.places[id]
	if !found {
		return ipvs.ServiceEntry{}, false
	}
	s := m.table.Services[i]
	s.Destinations = append([]ipvs.DestinationEntry{}, s.Destinations...)
	return s, true
}

// Has reports whether the table has a service.
func (m *Model) Has(id ipvs.ServiceID) bool {
	_, found := m.places[id]
	return found
}

// Apply changes the table as the kernel would, and refuses what the kernel
// refuses: the error is then an *ipvs.ChangeError with the kernel's errno, and
// the table stays as it was.
func (m *Model) Apply(c ipvs.Change) error {
	if err := m.apply(&c); err != nil {
		return &ipvs.ChangeError{Change: c, Err: err}
	}
	return nil
}

func (m *Model) apply(c *ipvs.Change) error {
	unmapped := *c // the kernel takes IPv4-mapped services
	unmapped.Service.Addr, unmapped.Destination.Addr = c.Service.Addr.Unmap(), c.Destination.Addr.Unmap()
	if err := unmapped.Validate(); err != nil {
		return err
	}
	id := c.Service.ServiceID
	place, found := m.places[id]
	switch c.Op {
	case ipvs.OpEditService, ipvs.OpDeleteService, ipvs.OpZeroService,
		ipvs.OpAddDestination, ipvs.OpEditDestination, ipvs.OpDeleteDestination:
		if !found {
			return syscall.ESRCH
		}
	}
	switch c.Op {
	case ipvs.OpAddService:
		if found {
			return syscall.EEXIST
		}
		if err := checkService(&c.Service); err != nil {
			return err
		}
		if m.places == nil {
			m.places = map[ipvs.ServiceID]int{}
		}
		m.places[id] = len(m.table.Services)
		m.table.Services = append(m.table.Services, ipvs.ServiceEntry{Service: c.Service})
	case ipvs.OpEditService:
		if err := checkService(&c.Service); err != nil {
			return err
		}
		m.table.Services[place].Service = c.Service
	case ipvs.OpDeleteService:
		if removeAt(&m.table.Services, place) {
			m.places[m.table.Services[place].ServiceID] = place
		}
		delete(m.places, id)
		delete(m.servers, id)
	case ipvs.OpAddDestination, ipvs.OpEditDestination, ipvs.OpDeleteDestination:
		return m.applyDestination(&m.table.Services[place], c.Op, c.Destination)
	case ipvs.OpFlush:
		m.table.Services, m.places, m.servers = nil, nil, nil
	case ipvs.OpZero:
		for i := range m.table.Services {
			zero(&m.table.Services[i])
		}
	case ipvs.OpZeroService:
		zero(&m.table.Services[place])
	case ipvs.OpSetTimeouts:
		return m.setTimeouts(c.Timeouts)
	case ipvs.OpStartDaemon:
		return m.startDaemon(c.Daemon)
	case ipvs.OpStopDaemon:
		return m.stopDaemon(c.Daemon.State)
	}
	return nil
}

// removeAt removes an element in constant time: the last one takes its place,
// which removeAt reports.
func removeAt[T any](list *[]T, i int) (moved bool) {
	last := len(*list) - 1
	(*list)[i] = (*list)[last]
	clear((*list)[last:])
	*list = (*list)[:last]
	return i < last
}

// zero resets the counters, but not the numbers of connections.
func zero(s *ipvs.ServiceEntry) {
	s.Stats = ipvs.Stats{}
	for i := range s.Destinations {
		s.Destinations[i].Stats = ipvs.Stats{}
	}
}

// checkService is what the kernel checks in a service that is added or edited.
// It sets a netmask that is missing.
func checkService(s *ipvs.Service) error {
	if s.Netmask == 0 {
		s.Netmask = ipvs.FullNetmask(s.Family())
	}
	if s.Scheduler == "" {
		return syscall.ENOENT // there is no module of that name
	}
	if s.Family() == ipvs.IPv6 && s.Netmask > 128 {
		return syscall.EINVAL
	}
	return nil
}

// applyDestination checks in the kernel's order, which decides the errno of a
// change with several faults.
func (m *Model) applyDestination(s *ipvs.ServiceEntry, op ipvs.Op, d ipvs.Destination) error {
	if op != ipvs.OpDeleteDestination {
		if ipvs.FamilyOf(d.Addr) != s.Family() && (len(m.table.Daemons) > 0 || d.Forward != ipvs.Tunnel) {
			// The sync protocol cannot express a service of mixed families.
			return syscall.EINVAL
		}
		if d.Weight < 0 || d.LowerThreshold > d.UpperThreshold {
			return syscall.ERANGE
		}
		if d.Tunnel.Type == ipvs.TunnelGUE && d.Tunnel.Port == 0 {
			return syscall.EINVAL
		}
	}
	i := m.server(s, d.AddrPort())
	switch {
	case op == ipvs.OpAddDestination && i >= 0:
		return syscall.EEXIST
	case op != ipvs.OpAddDestination && i < 0:
		return syscall.ENOENT
	}
	index := m.servers[s.ServiceID]
	switch op {
	case ipvs.OpAddDestination:
		if !destinationAddr(d.Addr) {
			return syscall.EINVAL
		}
		if index != nil {
			index[d.AddrPort()] = len(s.Destinations)
		}
		s.Destinations = append(s.Destinations, ipvs.DestinationEntry{Destination: d})
	case ipvs.OpEditDestination:
		s.Destinations[i].Destination = d
	case ipvs.OpDeleteDestination:
		if removeAt(&s.Destinations, i) && index != nil {
			index[s.Destinations[i].AddrPort()] = i
		}
		delete(index, d.AddrPort())
	}
	return nil
}

// longList is the length from which an index pays.
const longList = 32

// server returns the place of a destination, or -1.
func (m *Model) server(s *ipvs.ServiceEntry, ap netip.AddrPort) int {
	index := m.servers[s.ServiceID]
	if index == nil {
		if len(s.Destinations) < longList {
			return slices.IndexFunc(s.Destinations, func(d ipvs.DestinationEntry) bool { return d.AddrPort() == ap })
		}
		index = make(map[netip.AddrPort]int, 2*len(s.Destinations))
		for i := range s.Destinations {
			index[s.Destinations[i].AddrPort()] = i
		}
		if m.servers == nil {
			m.servers = map[ipvs.ServiceID]map[netip.AddrPort]int{}
		}
		m.servers[s.ServiceID] = index
	}
	if i, found := index[ap]; found {
		return i
	}
	return -1
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

// maxTimeout is the kernel's limit of timeouts: a 32-bit number of ticks, here
// with the fewest ticks a second, 100, that a kernel can have.
const maxTimeout = (1<<31 - 1) / 100 * time.Second

func (m *Model) setTimeouts(w ipvs.Timeouts) error {
	if max(w.TCP, w.TCPFin, w.UDP) > maxTimeout {
		return syscall.EINVAL
	}
	t := &m.table.Timeouts
	for _, p := range []struct {
		have *time.Duration
		want time.Duration
	}{{&t.TCP, w.TCP}, {&t.TCPFin, w.TCPFin}, {&t.UDP, w.UDP}} {
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

func (m *Model) startDaemon(d ipvs.Daemon) error {
	if d.Group.IsValid() && (!d.Group.IsMulticast() || d.Group.Is4In6()) || m.mixedFamilies() {
		return syscall.EINVAL
	}
	if d.Interface == "" {
		return syscall.ENODEV
	}
	if d.State != ipvs.Master && d.State != ipvs.Backup {
		return syscall.EINVAL
	}
	if findDaemon(m.table.Daemons, d.State) >= 0 {
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
	m.table.Daemons = append(m.table.Daemons, clamped(d))
	return nil
}

func (m *Model) stopDaemon(s ipvs.DaemonState) error {
	if s != ipvs.Master && s != ipvs.Backup {
		return syscall.EINVAL
	}
	i := findDaemon(m.table.Daemons, s)
	if i < 0 {
		return syscall.ESRCH
	}
	m.table.Daemons = slices.Delete(m.table.Daemons, i, i+1)
	return nil
}

// findDaemon returns the place of the daemon of a state in a list, or -1.
func findDaemon(list []ipvs.Daemon, s ipvs.DaemonState) int {
	return slices.IndexFunc(list, func(d ipvs.Daemon) bool { return d.State == s })
}

// clamped returns the daemon with the longest message that the kernel makes of
// the requested one: the headers have to fit as well, and a backup has room
// for whatever a master may send.
func clamped(d ipvs.Daemon) ipvs.Daemon {
	const udp, ip4, ip6, minBackup = 8, 20, 40, 1024
	longest := uint16(1<<16 - 1 - udp - ip4)
	if d.Group.Is6() {
		longest = 1<<16 - 1 - udp - ip6
	}
	switch {
	case d.MaxLen == 0:
	case d.State == ipvs.Backup && d.MaxLen < minBackup:
		d.MaxLen = minBackup
	case d.MaxLen > longest:
		d.MaxLen = longest
	}
	return d
}

// mixedFamilies reports whether some destination is of another family than its
// service.
func (m *Model) mixedFamilies() bool {
	for i := range m.table.Services {
		s := &m.table.Services[i]
		if slices.ContainsFunc(s.Destinations, func(d ipvs.DestinationEntry) bool { return ipvs.FamilyOf(d.Addr) != s.Family() }) {
			return true
		}
	}
	return false
}
