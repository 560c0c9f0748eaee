// SPDX-License-Identifier: Apache-2.0

package restore

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/ipvsadm-go/ipvsadm/internal/model"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// A plan contains the changes to make, in the order of sending.
type plan struct {
	// changes are all differences between the current and wanted tables.
	changes []ipvs.Change
	// first are made at once. They set servers in use to weight 0 instead
	// of removing them.
	first []ipvs.Change
	// removals are made when the connections have ended.
	removals []ipvs.Change
	// starts start daemons. They come last: the kernel refuses to start one
	// while any server and its service differ in address family.
	starts []ipvs.Change
}

// Plan returns the changes that a run would make to the table have. With
// strict, they are in the order of an all-or-nothing run; with drain, removed
// servers in use get weight 0 first.
func (w *Wanted) Plan(have *ipvs.Table, strict, drain bool) []ipvs.Change {
	p := w.plan(indexOf(have), strict, drain)
	return slices.Concat(p.first, p.removals, p.starts)
}

// Target is the table after a run.
type Target struct {
	*ipvs.Table
	// HasTimeouts and HasDaemon report which of these the file mentions.
	HasTimeouts bool
	HasDaemon   map[ipvs.DaemonState]bool
}

// Target returns the table that a run on the table have would produce.
func (w *Wanted) Target(have *ipvs.Table) Target {
	t := w.Table.Clone()
	mentioned := t.Timeouts != ipvs.Timeouts{}
	t.Timeouts.TCP = cmp.Or(t.Timeouts.TCP, have.Timeouts.TCP)
	t.Timeouts.TCPFin = cmp.Or(t.Timeouts.TCPFin, have.Timeouts.TCPFin)
	t.Timeouts.UDP = cmp.Or(t.Timeouts.UDP, have.Timeouts.UDP)
	for _, d := range have.Daemons {
		if !w.mentionsDaemon(d) {
			t.Daemons = append(t.Daemons, d)
		}
	}
	for _, s := range have.Services {
		if !w.mentionsService(s) {
			t.Services = append(t.Services, s)
		}
	}
	return Target{t, mentioned, w.daemons}
}

func (w *Wanted) mentionsDaemon(d ipvs.Daemon) bool { return w.daemons[d.State] }

func (w *Wanted) mentionsService(s ipvs.ServiceEntry) bool { return !w.merge || w.named[s.ServiceID] }

// mentioned returns the part of the table that the file mentions. A run does
// not change the rest.
func (w *Wanted) mentioned(have *ipvs.Table) *ipvs.Table {
	part := *have
	part.Daemons = slices.DeleteFunc(slices.Clone(have.Daemons), func(d ipvs.Daemon) bool { return !w.mentionsDaemon(d) })
	if w.merge {
		part.Services = slices.DeleteFunc(slices.Clone(have.Services), func(s ipvs.ServiceEntry) bool { return !w.mentionsService(s) })
	}
	return &part
}

func (w *Wanted) plan(have index, strict, drain bool) plan {
	p := plan{changes: model.Diff(w.mentioned(have.Table), w.Table)}
	end := len(p.changes)
	for end > 0 && isDaemon(p.changes[end-1]) {
		end--
	}
	p.first, p.starts = p.changes[:end], p.changes[end:]
	if drain {
		p.first, p.removals = w.drain(have, p.first)
	}
	if strict {
		p.riskyFirst(have.Table)
	}
	return p
}

// riskyFirst moves changes to the front that only the kernel can check:
// schedulers, addresses and, unless removals are delayed, interfaces. Then a
// refusal leaves little to undo. It keeps the order if the new one would fail.
func (p *plan) riskyFirst(have *ipvs.Table) {
	left, starts := p.first, p.starts
	if len(p.removals) == 0 {
		left, starts = slices.Concat(p.first, p.starts), nil
	}
	var risky, rest []ipvs.Change
	for len(left) > 0 {
		n := pieceLen(left)
		if slices.ContainsFunc(left[:n], isRisky) {
			risky = append(risky, left[:n]...)
		} else {
			rest = append(rest, left[:n]...)
		}
		left = left[n:]
	}
	order, m := append(risky, rest...), model.New(have)
	for _, c := range order {
		if m.Apply(c) != nil {
			return
		}
	}
	p.first, p.starts = order, starts
}

func isRisky(c ipvs.Change) bool {
	return slices.Contains([]ipvs.Op{ipvs.OpAddService, ipvs.OpEditService, ipvs.OpAddDestination, ipvs.OpStartDaemon}, c.Op)
}

// maxSearch limits the estimated number of removed servers that the kernel
// searches in a run. The estimate is twice the actual number; beyond it,
// removal in a second step is faster.
const maxSearch = 4 << 20

// drain splits changes into those to make at once and those to make after
// draining. The kernel drops packets of a connection whose server has been
// removed, so a request in progress would hang. A server is in use if it has a
// connection in any state: an inactive one may become active again. A service
// that is removed with servers in use accepts no new connections meanwhile.
//
// If many servers are replaced, idle ones are removed later as well: the
// kernel keeps removed servers for minutes and searches them on each addition.
func (w *Wanted) drain(have index, changes []ipvs.Change) (first, removals []ipvs.Change) {
	removed, added := 0, 0
	for _, c := range changes {
		switch c.Op {
		case ipvs.OpDeleteDestination:
			removed++
		case ipvs.OpAddDestination:
			added++
		}
	}
	all := int64(removed)*int64(added) > maxSearch
	want := ByID(w.Table)
	isInUse := func(d ipvs.DestinationEntry) bool { return d.Conns.Active+d.Conns.Inactive > 0 }
	for _, c := range changes {
		id := c.Service.ServiceID
		var draining []ipvs.DestinationEntry
		switch c.Op {
		case ipvs.OpDeleteDestination:
			d := have.server(serverOf(c))
			if s := want[id]; d != nil && drains(s.Service, true) && (all || isInUse(*d)) {
				draining = []ipvs.DestinationEntry{*d}
			}
		case ipvs.OpDeleteService:
			if s := have.services[id]; s != nil && drains(s.Service, false) && slices.ContainsFunc(s.Destinations, isInUse) {
				draining = s.Destinations
			}
		}
		if draining == nil {
			first = append(first, c)
			continue
		}
		removals = append(removals, c)
		for i := range draining {
			if d := draining[i].Destination; d.Weight != 0 {
				d.Weight = 0
				first = append(first, ipvs.Change{Op: ipvs.OpEditDestination, Service: c.Service, Destination: d})
			}
		}
	}
	return first, removals
}

// drains reports whether weight 0 drains a server of a service that is kept or
// removed as well. UDP connections do not end, and schedulers that only use a
// hash reject the clients whose server has weight 0.
func drains(s ipvs.Service, kept bool) bool {
	if s.Protocol == ipvs.UDP || s.Flags&ipvs.FlagOnePacket != 0 {
		return false
	}
	switch s.Scheduler {
	case "dh":
		return !kept
	case "sh", "mh":
		return !kept || s.Flags&ipvs.FlagSched1 != 0 // sh-fallback, mh-fallback
	}
	return true
}

// index is a table with its services and servers by identity.
type index struct {
	*ipvs.Table
	services map[ipvs.ServiceID]*ipvs.ServiceEntry
	servers  map[ipvs.ServiceID]map[netip.AddrPort]*ipvs.DestinationEntry // built on first use
}

func indexOf(t *ipvs.Table) index {
	return index{t, ByID(t), map[ipvs.ServiceID]map[netip.AddrPort]*ipvs.DestinationEntry{}}
}

// ByID returns the services of a table by their identities.
func ByID(t *ipvs.Table) map[ipvs.ServiceID]*ipvs.ServiceEntry {
	m := make(map[ipvs.ServiceID]*ipvs.ServiceEntry, len(t.Services))
	for i := range t.Services {
		m[t.Services[i].ServiceID] = &t.Services[i]
	}
	return m
}

// server returns a server, or nil if it is not in the table.
func (x index) server(id serverID) *ipvs.DestinationEntry {
	list := x.servers[id.service]
	if s := x.services[id.service]; list == nil && s != nil {
		list = make(map[netip.AddrPort]*ipvs.DestinationEntry, len(s.Destinations))
		for i := range s.Destinations {
			list[s.Destinations[i].AddrPort()] = &s.Destinations[i]
		}
		x.servers[id.service] = list
	}
	return list[id.server]
}

// daemonIn returns the daemon of a state, or nil if there is none.
func daemonIn(list []ipvs.Daemon, state ipvs.DaemonState) *ipvs.Daemon {
	for _, d := range list {
		if d.State == state {
			return &d
		}
	}
	return nil
}
