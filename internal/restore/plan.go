// SPDX-License-Identifier: Apache-2.0

package restore

import (
	"slices"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// A plan is what there is to do, in the order in which it is sent.
type plan struct {
	// changes lead from the table as it is to the wanted one.
	changes []ipvs.Change
	// first are the same with weight 0 instead of the removal of each server
	// in use, and removals are these removals, which wait until its
	// connections have ended.
	first, removals []ipvs.Change
}

// Plan returns what a run would do to the table have. With strict it is in the
// order of a run that is all or nothing.
func (f *File) Plan(have *ipvs.Table, strict bool) []ipvs.Change {
	return f.plan(have, strict).all()
}

func (p plan) all() []ipvs.Change {
	if len(p.removals) == 0 {
		return p.first
	}
	return slices.Concat(p.first, p.removals)
}

func (f *File) plan(have *ipvs.Table, strict bool) plan {
	f.adoptDaemons(have)
	p := plan{changes: ipvs.Diff(have, f.want)}
	if strict {
		p.changes = riskyFirst(have, p.changes)
	}
	p.drain(have, f.want)
	return p
}

// adoptDaemons has the daemons that the file does not speak of stay as they
// are.
func (f *File) adoptDaemons(have *ipvs.Table) {
	unspoken := func(d ipvs.Daemon) bool { _, spoken := f.daemons[d.State]; return !spoken }
	f.want.Daemons = slices.DeleteFunc(f.want.Daemons, unspoken)
	for _, d := range have.Daemons {
		if unspoken(d) {
			f.want.Daemons = append(f.want.Daemons, d)
		}
	}
}

// riskyFirst puts what only the kernel can judge, schedulers, addresses and
// interfaces, before the rest, so that little has to be undone, if the changes
// can be made in that order.
func riskyFirst(have *ipvs.Table, changes []ipvs.Change) []ipvs.Change {
	var risky, rest []ipvs.Change
	for left := changes; len(left) > 0; {
		n := ipvs.Piece(left)
		if slices.ContainsFunc(left[:n], isRisky) {
			risky = append(risky, left[:n]...)
		} else {
			rest = append(rest, left[:n]...)
		}
		left = left[n:]
	}
	order, m := append(risky, rest...), ipvs.NewModel(have)
	for _, c := range order {
		if m.Apply(c) != nil {
			return changes
		}
	}
	return order
}

func isRisky(c ipvs.Change) bool {
	return c.Op == ipvs.OpAddService || c.Op == ipvs.OpEditService || c.Op == ipvs.OpAddDestination || c.Op == ipvs.OpStartDaemon
}

// drain lets servers go gently. The kernel drops what arrives on a connection
// whose server has been removed, so that a request under way hangs. A server in
// use therefore gets no new connections at first. In use is a server that has a
// connection in any state: one without an active connection at this very moment
// may have one at the next.
func (p *plan) drain(have, want *ipvs.Table) {
	p.first = p.changes
	removes := func(c ipvs.Change) bool { return c.Op == ipvs.OpDeleteDestination }
	if !slices.ContainsFunc(p.changes, removes) {
		return
	}
	p.first = slices.Clone(p.changes)
	had, wanted := byID(have), byID(want)
	for i, c := range p.first {
		if !removes(c) {
			continue
		}
		s, d := wanted[c.Service.ServiceID], had[c.Service.ServiceID].Lookup(c.Destination.AddrPort())
		if s == nil || d == nil || !drainable(s.Service) || d.Weight == 0 || d.Conns.Active+d.Conns.Inactive == 0 {
			continue
		}
		idle := d.Destination
		idle.Weight = 0
		p.first[i] = ipvs.EditDestination(c.Service.ServiceID, idle)
		p.removals = append(p.removals, c)
	}
}

func byID(t *ipvs.Table) map[ipvs.ServiceID]*ipvs.ServiceEntry {
	m := make(map[ipvs.ServiceID]*ipvs.ServiceEntry, len(t.Services))
	for i := range t.Services {
		m[t.Services[i].ServiceID] = &t.Services[i]
	}
	return m
}

// drainable reports whether weight 0 has the effect that is wanted. Connections
// of UDP have no end, and schedulers that choose by a hash alone turn away whom
// they would send to a server of weight 0.
func drainable(s ipvs.Service) bool {
	switch s.Scheduler {
	case "dh":
		return false
	case "sh", "mh":
		return s.Flags&ipvs.FlagSched1 != 0 // sh-fallback, mh-fallback
	}
	return s.Protocol != ipvs.UDP
}
