// SPDX-License-Identifier: Apache-2.0

package restore

import (
	"cmp"
	"slices"

	"github.com/ipvsadm-go/ipvsadm/internal/model"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// A plan contains the changes to make, in the order of sending.
type plan struct {
	// first are made at once. They set servers in use to weight 0 instead
	// of removing them.
	first []ipvs.Change
	// removals are made when the connections have ended.
	removals []ipvs.Change
	// starts start daemons. They come last: the kernel refuses to start one
	// while any server and its service differ in address family.
	starts []ipvs.Change
	// drained are the servers that get weight 0.
	drained map[part]bool
}

func (p plan) changes() []ipvs.Change { return slices.Concat(p.first, p.removals, p.starts) }

// Plan returns the changes that a run would make to the table have. With
// strict, they are in the order of an all-or-nothing run; with drain, removed
// servers in use get weight 0 first.
func (w *Wanted) Plan(have *ipvs.Table, strict, drain bool) []ipvs.Change {
	return w.plan(have, strict, drain).changes()
}

// Target returns the table that a run on the table have would produce.
func (w *Wanted) Target(have *ipvs.Table) *ipvs.Table {
	t := w.Table.Clone()
	t.Timeouts.TCP = cmp.Or(t.Timeouts.TCP, have.Timeouts.TCP)
	t.Timeouts.TCPFin = cmp.Or(t.Timeouts.TCPFin, have.Timeouts.TCPFin)
	t.Timeouts.UDP = cmp.Or(t.Timeouts.UDP, have.Timeouts.UDP)
	for _, d := range have.Daemons {
		if !w.MentionsDaemon(d.State) {
			t.Daemons = append(t.Daemons, d)
		}
	}
	for _, s := range have.Services {
		if !w.mentionsService(s.ServiceID) {
			t.Services = append(t.Services, s)
		}
	}
	return t
}

// MentionsDaemon reports whether the file starts or stops a daemon. A run does
// not change others.
func (w *Wanted) MentionsDaemon(state ipvs.DaemonState) bool { return w.mentioned[part{daemon: state}] }

func (w *Wanted) mentionsService(id ipvs.ServiceID) bool {
	return !w.merge || w.mentioned[part{service: id}]
}

func (w *Wanted) plan(have *ipvs.Table, strict, drain bool) plan {
	mine := *have
	mine.Daemons = slices.DeleteFunc(slices.Clone(have.Daemons), func(d ipvs.Daemon) bool { return !w.MentionsDaemon(d.State) })
	mine.Services = slices.DeleteFunc(slices.Clone(have.Services), func(s ipvs.ServiceEntry) bool { return !w.mentionsService(s.ServiceID) })
	p := planOf(&mine, w.Table, drain)
	if strict && !model.MixedFamilies(have) {
		p.first, p.starts = append(p.first, p.starts...), nil // it need not wait for removals
	}
	if strict {
		p.first = riskyFirst(p.first)
	}
	return p
}

// planOf plans the changes that turn the table have into the table want.
func planOf(have, want *ipvs.Table, drain bool) plan {
	changes := model.Diff(have, want)
	end := len(changes)
	for end > 0 && isDaemon(changes[end-1]) {
		end--
	}
	p := plan{first: changes[:end], starts: changes[end:], drained: map[part]bool{}}
	if drain {
		p.delayRemovals(have, want)
	}
	return p
}

// riskyFirst moves changes to the front that only the kernel can check, of
// schedulers, addresses and interfaces: then a refusal leaves little to undo.
func riskyFirst(changes []ipvs.Change) []ipvs.Change {
	ordered := make([]ipvs.Change, 0, len(changes))
	for _, risky := range []bool{true, false} {
		for left := changes; len(left) > 0; {
			n := pieceLen(left)
			if risky == (isDaemon(left[0]) || slices.ContainsFunc(left[:n], isRisky)) {
				ordered = append(ordered, left[:n]...)
			}
			left = left[n:]
		}
	}
	return ordered
}

func isRisky(c ipvs.Change) bool {
	return slices.Contains([]ipvs.Op{ipvs.OpAddService, ipvs.OpEditService, ipvs.OpAddDestination}, c.Op)
}

// maxSearch limits the estimated number of removed servers that the kernel
// searches in a run. The estimate is twice the actual number; beyond it,
// removal in a second step is faster.
const maxSearch = 4 << 20

// delayRemovals splits the first changes of a plan into those to make at once
// and those to make after draining. The kernel drops packets of a connection
// whose server has been removed, so a request in progress would hang. A server
// is in use if it has a connection in any state: an inactive one may become
// active again. A service that is removed with servers in use accepts no new
// connections meanwhile.
//
// If many servers are replaced, idle ones are removed later as well: the
// kernel keeps removed servers for minutes and searches them on each addition.
func (p *plan) delayRemovals(have, want *ipvs.Table) {
	count := map[ipvs.Op]int{}
	for _, c := range p.first {
		count[c.Op]++
	}
	removed, added := count[ipvs.OpDeleteDestination], count[ipvs.OpAddDestination]
	if removed+count[ipvs.OpDeleteService] == 0 {
		return
	}
	all := int64(removed)*int64(added) > maxSearch
	servers := map[part]*ipvs.DestinationEntry{}
	if removed > 0 {
		servers = serversOf(have)
	}
	had, kept := ByID(have), ByID(want)
	changes := p.first
	p.first = nil
	for _, c := range changes {
		id := c.Service.ServiceID
		var draining []ipvs.DestinationEntry
		switch c.Op {
		case ipvs.OpDeleteDestination:
			if d := servers[partOf(c)]; drains(kept[id].Service, true) && (all || isInUse(*d)) {
				draining = []ipvs.DestinationEntry{*d}
			}
		case ipvs.OpDeleteService:
			if s := had[id]; drains(s.Service, false) && slices.ContainsFunc(s.Destinations, isInUse) {
				draining = s.Destinations
			}
		}
		if draining == nil {
			p.first = append(p.first, c)
			continue
		}
		p.removals = append(p.removals, c)
		for i := range draining {
			if d := draining[i].Destination; d.Weight != 0 {
				d.Weight = 0
				edit := ipvs.Change{Op: ipvs.OpEditDestination, Service: c.Service, Destination: d}
				p.first, p.drained[partOf(edit)] = append(p.first, edit), true
			}
		}
	}
}

func isInUse(d ipvs.DestinationEntry) bool { return d.Conns.Active+d.Conns.Inactive > 0 }

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

// ByID returns the services of a table by their identities.
func ByID(t *ipvs.Table) map[ipvs.ServiceID]*ipvs.ServiceEntry {
	m := make(map[ipvs.ServiceID]*ipvs.ServiceEntry, len(t.Services))
	for i := range t.Services {
		m[t.Services[i].ServiceID] = &t.Services[i]
	}
	return m
}

// serversOf returns the servers of a table.
func serversOf(t *ipvs.Table) map[part]*ipvs.DestinationEntry {
	m := map[part]*ipvs.DestinationEntry{}
	for i := range t.Services {
		s := &t.Services[i]
		for j := range s.Destinations {
			d := &s.Destinations[j]
			m[part{service: s.ServiceID, server: d.AddrPort()}] = d
		}
	}
	return m
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
