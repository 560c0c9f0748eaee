// SPDX-License-Identifier: Apache-2.0

// Package model implements the kernel's table in memory. It accepts and
// refuses changes as the kernel does.
package model

import (
	"net/netip"
	"slices"
	"syscall"
	"time"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// Model is a table in memory. It applies changes, and rejects those that the
// kernel would refuse.
//
// A running kernel also refuses changes that a model cannot check: a missing
// scheduler, persistence engine or interface, an address that is neither local
// nor unicast in its routing tables, and a multicast group without a route.
// The model follows Linux 6.1 to 7.2.
//
// The zero value is an empty table. A Model is not safe for concurrent use.
type Model struct {
	table  ipvs.Table
	places map[ipvs.ServiceID]int // indexes of table.Services
	// servers are the indexes of destinations, for services with many.
	servers map[ipvs.ServiceID]map[netip.AddrPort]int
}

// New returns a model of a copy of t.
func New(t *ipvs.Table) *Model {
	m := &Model{table: *t.Clone()}
	m.places = make(map[ipvs.ServiceID]int, len(t.Services))
	for i := range t.Services {
		m.places[t.Services[i].ServiceID] = i
	}
	return m
}

// Table returns a copy of the table, in which no list is nil.
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

// Service returns a copy of a service with its destinations. It returns false
// if the table does not contain it.
func (m *Model) Service(id ipvs.ServiceID) (ipvs.ServiceEntry, bool) {
	i, found := m.places[id]
	if !found {
		return ipvs.ServiceEntry{}, false
	}
	s := m.table.Services[i]
	s.Destinations = append([]ipvs.DestinationEntry{}, s.Destinations...)
	return s, true
}

// Has reports whether the table contains a service.
func (m *Model) Has(id ipvs.ServiceID) bool {
	_, found := m.places[id]
	return found
}

// Apply changes the table as the kernel would. If the kernel would refuse the
// change, it returns an *ipvs.ChangeError with the kernel's errno and leaves
// the table unchanged.
func (m *Model) Apply(c ipvs.Change) error {
	if err := m.apply(&c); err != nil {
		return &ipvs.ChangeError{Change: c, Err: err}
	}
	return nil
}

func (m *Model) apply(c *ipvs.Change) error {
	unmapped := *c // the kernel accepts IPv4-mapped services
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

// removeAt removes an element in constant time by replacing it with the last
// one. It reports whether an element was moved.
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

// checkService makes the kernel's checks of a service that is added or edited.
// It sets a missing netmask.
func checkService(s *ipvs.Service) error {
	if s.Netmask == 0 {
		s.Netmask = ipvs.FullNetmask(s.Family())
	}
	if s.Scheduler == "" {
		return syscall.ENOENT // no module has that name
	}
	if s.Family() == ipvs.IPv6 && s.Netmask > 128 {
		return syscall.EINVAL
	}
	return nil
}

// applyDestination changes a destination. The checks are in the kernel's
// order, which determines the errno of a change with several faults.
func (m *Model) applyDestination(s *ipvs.ServiceEntry, op ipvs.Op, d ipvs.Destination) error {
	if op != ipvs.OpDeleteDestination {
		if ipvs.FamilyOf(d.Addr) != s.Family() && (len(m.table.Daemons) > 0 || d.Forward != ipvs.Tunnel) {
			// The sync protocol cannot express mixed address families.
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
		if !isServerAddr(d.Addr) {
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

// longList is the minimum number of destinations for which an index is built.
const longList = 32

// server returns the index of a destination, or -1.
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

// isServerAddr reports whether an address can be that of a real server, as far
// as the address alone determines: specified and unicast, and for IPv6 not
// link-local or IPv4-mapped.
func isServerAddr(a netip.Addr) bool {
	if a.Is4() {
		return !a.IsUnspecified() && !a.IsMulticast() && a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
	}
	return !a.IsUnspecified() && !a.IsMulticast() && !a.IsLinkLocalUnicast() && !a.Is4In6()
}

// maxTimeout is the kernel's limit of timeouts: 2^31-1 jiffies, assuming
// HZ=100, the lowest value of a kernel.
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

// The kernel's defaults for a sync daemon: IP_VS_SYNC_PORT and the multicast
// group registered for IPVS.
const (
	defaultSyncPort = 8848
	defaultSyncTTL  = 1
)

var defaultSyncGroup = netip.AddrFrom4([4]byte{224, 0, 0, 81})

func (m *Model) startDaemon(d ipvs.Daemon) error {
	if d.Group.IsValid() && (!d.Group.IsMulticast() || d.Group.Is4In6()) || MixedFamilies(&m.table) {
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

// findDaemon returns the index of the daemon with a state, or -1.
func findDaemon(list []ipvs.Daemon, s ipvs.DaemonState) int {
	return slices.IndexFunc(list, func(d ipvs.Daemon) bool { return d.State == s })
}

// clamped returns the daemon with the maximum message length that the kernel
// sets for the requested one: a packet also contains headers, and a backup
// must be able to receive any master's messages.
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

// MixedFamilies reports whether the address family of any destination differs
// from that of its service. The kernel then starts no daemon.
func MixedFamilies(t *ipvs.Table) bool {
	return slices.ContainsFunc(t.Services, func(s ipvs.ServiceEntry) bool {
		return slices.ContainsFunc(s.Destinations, func(d ipvs.DestinationEntry) bool { return ipvs.FamilyOf(d.Addr) != s.Family() })
	})
}
