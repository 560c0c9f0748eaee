// SPDX-License-Identifier: Apache-2.0

package restore

import (
	"slices"

	"github.com/ipvsadm-go/ipvsadm/internal/model"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// A plan is the changes to make, in the order in which they are sent.
type plan struct {
	// changes turn the current table into the wanted one.
	changes []ipvs.Change
	// first are the same changes, but servers in use get weight 0 instead
	// of being removed. removals are their removals, which wait until the
	// connections have ended.
	first, removals []ipvs.Change
}

// Plan returns the changes that a run would make to the table have. With
// strict, they are in the order of a run that is all or nothing; with drain,
// removed servers in use get weight 0 first.
func (f *File) Plan(have *ipvs.Table, strict, drain bool) []ipvs.Change {
	return f.plan(have, strict, drain).all()
}

// Target is the table that a run makes.
type Target struct {
	*ipvs.Table
	// HasTimeouts and HasDaemon say which of these the file mentions.
	HasTimeouts bool
	HasDaemon   map[ipvs.DaemonState]bool
}

// Target returns the table that a run would make of have.
func (f *File) Target(have *ipvs.Table) Target {
	want := f.want.Table()
	t := Target{want, want.Timeouts != ipvs.Timeouts{}, map[ipvs.DaemonState]bool{}}
	for state := range f.daemons {
		t.HasDaemon[state] = true
	}
	m := model.New(&ipvs.Table{Timeouts: have.Timeouts})
	_ = m.Apply(ipvs.Change{Op: ipvs.OpSetTimeouts, Timeouts: want.Timeouts}) // the file's were accepted
	want.Timeouts = m.Table().Timeouts
	for _, d := range have.Daemons {
		if !f.speaksOfDaemon(d) {
			want.Daemons = append(want.Daemons, d)
		}
	}
	for _, s := range have.Services {
		if !f.speaksOfService(s) {
			want.Services = append(want.Services, s)
		}
	}
	return t
}

// spoken returns what the table has of what the file speaks of. The rest
// stays as it is.
func (f *File) spoken(have *ipvs.Table) *ipvs.Table {
	spoken := *have
	spoken.Daemons = slices.DeleteFunc(slices.Clone(have.Daemons), func(d ipvs.Daemon) bool { return !f.speaksOfDaemon(d) })
	if f.merged {
		spoken.Services = slices.DeleteFunc(slices.Clone(have.Services), func(s ipvs.ServiceEntry) bool { return !f.speaksOfService(s) })
	}
	return &spoken
}

func (f *File) speaksOfDaemon(d ipvs.Daemon) bool {
	_, spoken := f.daemons[d.State]
	return spoken
}

func (f *File) speaksOfService(s ipvs.ServiceEntry) bool { return !f.merged || f.named[s.ServiceID] }

func (p plan) all() []ipvs.Change {
	if len(p.removals) == 0 {
		return p.first
	}
	return slices.Concat(p.first, p.removals)
}

func (f *File) plan(have *ipvs.Table, strict, drain bool) plan {
	p := plan{changes: model.Diff(f.spoken(have), f.want.View())}
	if strict {
		p.changes = riskyFirst(have, p.changes)
	}
	p.first = p.changes
	if drain {
		p.drain(have, f.want)
	}
	return p
}

// riskyFirst moves to the front what only the kernel can check: schedulers,
// addresses and interfaces. Then a refusal leaves little to undo. If the
// changes cannot be made in that order, they stay as they are.
func riskyFirst(have *ipvs.Table, changes []ipvs.Change) []ipvs.Change {
	var risky, rest []ipvs.Change
	for left := changes; len(left) > 0; {
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
			return changes
		}
	}
	return order
}

func isRisky(c ipvs.Change) bool {
	return c.Op == ipvs.OpAddService || c.Op == ipvs.OpEditService || c.Op == ipvs.OpAddDestination || c.Op == ipvs.OpStartDaemon
}

// maxSearch is how many removed servers the kernel may search through in a
// run, twice as many as it does: more take longer than to remove servers in a
// second step.
const maxSearch = 4 << 20

// drain makes servers in use drain before they are removed. The kernel drops
// what arrives on a connection whose server has been removed, so a request in
// progress would hang. A server is in use if it has a connection in any
// state: one without an active connection now may have one a moment later.
// Where much is replaced, those that are not in use wait too: the kernel
// keeps what was removed for minutes and searches it for each server that is
// added.
func (p *plan) drain(have *ipvs.Table, want *model.Model) {
	removes := func(c ipvs.Change) bool { return c.Op == ipvs.OpDeleteDestination }
	removed, added := 0, 0
	for _, c := range p.changes {
		switch c.Op {
		case ipvs.OpDeleteDestination:
			removed++
		case ipvs.OpAddDestination:
			added++
		}
	}
	if removed == 0 {
		return
	}
	all := int64(removed)*int64(added) > maxSearch
	p.first = slices.Clone(p.changes)
	had, drainable := ByID(have), map[ipvs.ServiceID]bool{}
	for _, s := range want.View().Services {
		drainable[s.ServiceID] = isDrainable(s.Service)
	}
	for i, c := range p.first {
		if !removes(c) {
			continue
		}
		d := had[c.Service.ServiceID].Lookup(c.Destination.AddrPort())
		if d == nil || !drainable[c.Service.ServiceID] || d.Weight == 0 || !all && d.Conns.Active+d.Conns.Inactive == 0 {
			continue
		}
		idle := d.Destination
		idle.Weight = 0
		p.first[i] = ipvs.Change{Op: ipvs.OpEditDestination, Service: c.Service, Destination: idle}
		p.removals = append(p.removals, c)
	}
}

// ByID returns the services of a table by their identities.
func ByID(t *ipvs.Table) map[ipvs.ServiceID]*ipvs.ServiceEntry {
	m := make(map[ipvs.ServiceID]*ipvs.ServiceEntry, len(t.Services))
	for i := range t.Services {
		m[t.Services[i].ServiceID] = &t.Services[i]
	}
	return m
}

// isDrainable reports whether weight 0 drains a server of the service. UDP
// connections do not end, and schedulers that only use a hash reject the
// clients whose server has weight 0.
func isDrainable(s ipvs.Service) bool {
	switch s.Scheduler {
	case "dh":
		return false
	case "sh", "mh":
		return s.Flags&ipvs.FlagSched1 != 0 // sh-fallback, mh-fallback
	}
	return s.Protocol != ipvs.UDP
}
