// SPDX-License-Identifier: Apache-2.0

package restore

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/model"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// A journal records each part of the table that a run changed, before and
// after the changes. Only these are undone, since another writer may have
// changed other parts meanwhile.
type journal struct {
	services map[ipvs.ServiceID]*entry[ipvs.Service]
	servers  map[ipvs.ServiceID]map[netip.AddrPort]*entry[ipvs.Destination]
	daemons  map[ipvs.DaemonState]*entry[ipvs.Daemon]
	timeouts *entry[ipvs.Timeouts]
}

// entry is a part of the table before and after a run's changes; nil if it did
// not or does not exist.
type entry[T any] struct{ before, after *T }

func newJournal() *journal {
	return &journal{
		services: map[ipvs.ServiceID]*entry[ipvs.Service]{},
		servers:  map[ipvs.ServiceID]map[netip.AddrPort]*entry[ipvs.Destination]{},
		daemons:  map[ipvs.DaemonState]*entry[ipvs.Daemon]{},
	}
}

// note records a change of a part. Later changes of the same part only update
// after.
func note[K comparable, T any](m map[K]*entry[T], key K, before, after *T) {
	if e := m[key]; e != nil {
		e.after = after
	} else {
		m[key] = &entry[T]{before, after}
	}
}

func (j *journal) noteServer(id serverID, before, after *ipvs.Destination) {
	if j.servers[id.service] == nil {
		j.servers[id.service] = map[netip.AddrPort]*entry[ipvs.Destination]{}
	}
	note(j.servers[id.service], id.server, before, after)
}

// record adds changes that the kernel has made to the table had.
func (j *journal) record(had index, changes []ipvs.Change) {
	for i := range changes {
		c := changes[i]
		id, state := c.Service.ServiceID, c.Daemon.State
		switch c.Op {
		case ipvs.OpAddService, ipvs.OpEditService:
			note(j.services, id, configOf(had.services[id]), &c.Service)
		case ipvs.OpDeleteService:
			note(j.services, id, configOf(had.services[id]), nil)
			if s := had.services[id]; s != nil {
				for k := range s.Destinations {
					d := s.Destinations[k].Destination
					j.noteServer(serverID{id, d.AddrPort()}, &d, nil)
				}
			}
		case ipvs.OpAddDestination, ipvs.OpEditDestination:
			j.noteServer(serverOf(c), had.config(serverOf(c)), &c.Destination)
		case ipvs.OpDeleteDestination:
			j.noteServer(serverOf(c), had.config(serverOf(c)), nil)
		case ipvs.OpStartDaemon:
			note(j.daemons, state, daemonIn(had.Daemons, state), &c.Daemon)
		case ipvs.OpStopDaemon:
			note(j.daemons, state, daemonIn(had.Daemons, state), nil)
		case ipvs.OpSetTimeouts:
			if j.timeouts == nil {
				before := had.Timeouts
				j.timeouts = &entry[ipvs.Timeouts]{before: &before}
			}
			j.timeouts.after = &c.Timeouts
		}
	}
}

// recordRefused records the side effect of a refused edit: kernels before
// mid-2026 remove a service's scheduler before they start the new one, which
// may fail.
func (j *journal) recordRefused(had index, refused ipvs.ChangeErrors) {
	for _, e := range refused {
		before := configOf(had.services[e.Change.Service.ServiceID])
		if e.Change.Op == ipvs.OpEditService && before != nil {
			without := *before
			without.Scheduler = "none"
			note(j.services, before.ServiceID, before, &without)
		}
	}
}

func configOf(s *ipvs.ServiceEntry) *ipvs.Service {
	if s != nil {
		config := s.Service
		return &config
	}
	return nil
}

// config returns the configuration of a server, or nil if it is not in the
// table.
func (x index) config(id serverID) *ipvs.Destination {
	if d := x.server(id); d != nil {
		config := d.Destination
		return &config
	}
	return nil
}

// forget removes the entry of the part that a change concerns.
func (j *journal) forget(c ipvs.Change) {
	id := c.Service.ServiceID
	switch c.Op {
	case ipvs.OpAddService:
		delete(j.services, id)
		delete(j.servers, id)
	case ipvs.OpEditService, ipvs.OpDeleteService:
		delete(j.services, id)
	case ipvs.OpAddDestination, ipvs.OpEditDestination, ipvs.OpDeleteDestination:
		delete(j.servers[id], c.Destination.AddrPort())
	case ipvs.OpStartDaemon, ipvs.OpStopDaemon:
		delete(j.daemons, c.Daemon.State)
	}
}

// undone returns the table now without the changes of the run. It keeps parts
// that are no longer as the run left them, since another writer has changed
// them. If now is complete it also forgets them: otherwise entries that are
// added and deleted all the time would be restored again and again.
func (j *journal) undone(now index, complete bool) *ipvs.Table {
	t := &ipvs.Table{Services: []ipvs.ServiceEntry{}, Timeouts: now.Timeouts, Daemons: append([]ipvs.Daemon{}, now.Daemons...)}
	j.undoDaemons(t)
	j.undoTimeouts(t)
	ids := maps.Clone(now.services)
	for id := range j.services {
		ids[id] = now.services[id]
	}
	for id, s := range ids {
		if s := j.undoneService(id, s, complete); s != nil {
			t.Services = append(t.Services, *s)
		}
	}
	return t
}

// undoneService returns a service without the changes of the run. Both now and
// the result are nil if there is no such service.
func (j *journal) undoneService(id ipvs.ServiceID, now *ipvs.ServiceEntry, complete bool) *ipvs.ServiceEntry {
	e := j.services[id]
	same := e == nil || (e.after == nil) == (now == nil) && (now == nil || sameService(now.Service, *e.after))
	if !same && complete {
		delete(j.services, id)
	}
	if !same && (e.after == nil || now == nil) { // added again, or deleted
		if complete {
			delete(j.servers, id)
		}
		return now
	}
	before := configOf(now)
	if e != nil && same {
		before = e.before
	}
	// Servers first: a service that the run added is only removed if
	// another writer has added no server to it.
	servers := j.undoneServers(id, now, complete)
	switch {
	case before != nil:
		return &ipvs.ServiceEntry{Service: *before, Destinations: servers}
	case now != nil && len(servers) > 0:
		return &ipvs.ServiceEntry{Service: now.Service, Destinations: servers}
	}
	return nil
}

// undoneServers returns a service's servers without the changes of the run.
func (j *journal) undoneServers(id ipvs.ServiceID, now *ipvs.ServiceEntry, complete bool) []ipvs.DestinationEntry {
	list, seen := []ipvs.DestinationEntry{}, map[netip.AddrPort]bool{}
	forget := func(server netip.AddrPort) {
		if complete {
			delete(j.servers[id], server)
		}
	}
	for i := 0; now != nil && i < len(now.Destinations); i++ {
		d := now.Destinations[i]
		e := j.servers[id][d.AddrPort()]
		seen[d.AddrPort()] = true
		switch {
		case e == nil:
			list = append(list, d)
		case e.after == nil || !sameServer(d.Destination, *e.after):
			forget(d.AddrPort())
			list = append(list, d)
		case e.before != nil:
			list = append(list, ipvs.DestinationEntry{Destination: *e.before})
		}
	}
	for server, e := range j.servers[id] {
		switch {
		case seen[server]:
		case e.after != nil:
			forget(server)
		case e.before != nil:
			list = append(list, ipvs.DestinationEntry{Destination: *e.before})
		}
	}
	return list
}

func (j *journal) undoDaemons(t *ipvs.Table) {
	for state, e := range j.daemons {
		i := slices.IndexFunc(t.Daemons, func(d ipvs.Daemon) bool { return d.State == state })
		switch found := i >= 0; {
		case found != (e.after != nil), found && !sameDaemon(t.Daemons[i], *e.after):
		case e.before == nil && found:
			t.Daemons = slices.Delete(t.Daemons, i, i+1)
		case e.before != nil && found:
			t.Daemons[i] = *e.before
		case e.before != nil:
			t.Daemons = append(t.Daemons, *e.before)
		}
	}
}

func (j *journal) undoTimeouts(t *ipvs.Table) {
	if j.timeouts == nil {
		return
	}
	before, after := j.timeouts.before, j.timeouts.after
	for _, f := range []struct{ now, before, after *time.Duration }{
		{&t.Timeouts.TCP, &before.TCP, &after.TCP},
		{&t.Timeouts.TCPFin, &before.TCPFin, &after.TCPFin},
		{&t.Timeouts.UDP, &before.UDP, &after.UDP},
	} {
		if *f.now == *f.after {
			*f.now = *f.before
		}
	}
}

// sameService, sameServer and sameDaemon report whether model.Diff finds no
// difference between an entry and the wanted one.
func sameService(now, want ipvs.Service) bool {
	return len(model.Diff(&ipvs.Table{Services: []ipvs.ServiceEntry{{Service: now}}}, &ipvs.Table{Services: []ipvs.ServiceEntry{{Service: want}}})) == 0
}

func sameServer(now, want ipvs.Destination) bool {
	one := func(d ipvs.Destination) *ipvs.Table {
		return &ipvs.Table{Services: []ipvs.ServiceEntry{{Destinations: []ipvs.DestinationEntry{{Destination: d}}}}}
	}
	return len(model.Diff(one(now), one(want))) == 0
}

func sameDaemon(now, want ipvs.Daemon) bool {
	return len(model.Diff(&ipvs.Table{Daemons: []ipvs.Daemon{now}}, &ipvs.Table{Daemons: []ipvs.Daemon{want}})) == 0
}
