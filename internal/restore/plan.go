// SPDX-License-Identifier: Apache-2.0

package restore

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/ipvsadm-go/ipvsadm/internal/model"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// A plan is the changes to make, in the order in which they are sent.
type plan struct {
	// changes turn the current table into the wanted one.
	changes []ipvs.Change
	// first are made at once: servers in use get weight 0 instead of being
	// removed.
	first []ipvs.Change
	// removals wait until the connections have ended.
	removals []ipvs.Change
	// starts are those of daemons. They come last: while a server belongs
	// to another family than its service, the kernel starts none.
	starts []ipvs.Change
}

// Plan returns the changes that a run would make to the table have. With
// strict, they are in the order of a run that is all or nothing; with drain,
// removed servers in use get weight 0 first.
func (w *Wanted) Plan(have *ipvs.Table, strict, drain bool) []ipvs.Change {
	p := w.plan(indexOf(have), strict, drain)
	return slices.Concat(p.first, p.removals, p.starts)
}

// Target is the table that a run makes.
type Target struct {
	*ipvs.Table
	// HasTimeouts and HasDaemon say which of these the file mentions.
	HasTimeouts bool
	HasDaemon   map[ipvs.DaemonState]bool
}

// Target returns the table that a run would make of have.
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

// mentioned returns the part of the table that the file mentions. The rest
// stays as it is.
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
// schedulers, addresses and, if no removal waits, interfaces. Then a refusal
// leaves little to undo. If they cannot be made in that order, they stay.
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

// maxSearch is how many removed servers the kernel may search through in a
// run, twice as many as it does: more take longer than to remove servers in a
// second step.
const maxSearch = 4 << 20

// drain makes servers in use drain before they are removed, and returns what
// is to do at once and after that. The kernel drops what arrives on a
// connection whose server has been removed, so a request in progress would
// hang. A server is in use if it has a connection in any state: one without
// an active connection now may have one a moment later. A service that is
// removed with servers in use takes no new connections meanwhile.
//
// If much is replaced, those that are not in use wait too: the kernel keeps
// what was removed for minutes and searches it for each server that is added.
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

// drains reports whether weight 0 drains a server of a service, which stays
// or is removed as well. UDP connections do not end, and schedulers that only
// use a hash reject the clients whose server has weight 0.
func drains(s ipvs.Service, stays bool) bool {
	if s.Protocol == ipvs.UDP || s.Flags&ipvs.FlagOnePacket != 0 {
		return false
	}
	switch s.Scheduler {
	case "dh":
		return !stays
	case "sh", "mh":
		return !stays || s.Flags&ipvs.FlagSched1 != 0 // sh-fallback, mh-fallback
	}
	return true
}

// index finds the services and servers of a table.
type index struct {
	*ipvs.Table
	services map[ipvs.ServiceID]*ipvs.ServiceEntry
	servers  map[ipvs.ServiceID]map[netip.AddrPort]*ipvs.DestinationEntry // built when first used
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

// server returns a server, or nil if the table has none.
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
