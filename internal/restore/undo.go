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

// A journal has each part of the table that a run changed, as it was and as
// it is since, so that nothing else is undone: another writer may have
// changed the table meanwhile.
type journal struct {
	services map[ipvs.ServiceID]*entry[ipvs.Service]
	servers  map[ipvs.ServiceID]map[netip.AddrPort]*entry[ipvs.Destination]
	daemons  map[ipvs.DaemonState]*entry[ipvs.Daemon]
	timeouts *entry[ipvs.Timeouts]
}

// entry is a part of the table; nil means that there is none.
type entry[T any] struct{ was, is *T }

func newJournal() *journal {
	return &journal{
		services: map[ipvs.ServiceID]*entry[ipvs.Service]{},
		servers:  map[ipvs.ServiceID]map[netip.AddrPort]*entry[ipvs.Destination]{},
		daemons:  map[ipvs.DaemonState]*entry[ipvs.Daemon]{},
	}
}

// note records that a part became is; was is only recorded at the first
// change of it.
func note[K comparable, T any](m map[K]*entry[T], key K, was, is *T) {
	if e := m[key]; e != nil {
		e.is = is
	} else {
		m[key] = &entry[T]{was, is}
	}
}

func (j *journal) noteServer(id serverID, was, is *ipvs.Destination) {
	if j.servers[id.service] == nil {
		j.servers[id.service] = map[netip.AddrPort]*entry[ipvs.Destination]{}
	}
	note(j.servers[id.service], id.server, was, is)
}

// record notes changes that the kernel has made to the table had.
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
				was := had.Timeouts
				j.timeouts = &entry[ipvs.Timeouts]{was: &was}
			}
			j.timeouts.is = &c.Timeouts
		}
	}
}

// recordRefused notes the side effect of a refusal: kernels before mid-2026
// remove a service's scheduler before they find that the new one of an edit
// does not start.
func (j *journal) recordRefused(had index, refused ipvs.ChangeErrors) {
	for _, e := range refused {
		was := configOf(had.services[e.Change.Service.ServiceID])
		if e.Change.Op == ipvs.OpEditService && was != nil {
			without := *was
			without.Scheduler = "none"
			note(j.services, was.ServiceID, was, &without)
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

// config returns the configuration of a server, or nil if the table has none.
func (x index) config(id serverID) *ipvs.Destination {
	if d := x.server(id); d != nil {
		config := d.Destination
		return &config
	}
	return nil
}

// forget drops the part of the table that a change is about.
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

// undone returns the table now without the changes of the run. What is no
// longer as the run left it stays, since another writer has changed it. If
// now is complete, it is forgotten as well: otherwise what is added and
// deleted all the time would be restored again and again.
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

// undoneService returns what a service becomes, which is now, nil for none.
func (j *journal) undoneService(id ipvs.ServiceID, now *ipvs.ServiceEntry, complete bool) *ipvs.ServiceEntry {
	e := j.services[id]
	same := e == nil || (e.is == nil) == (now == nil) && (now == nil || sameService(now.Service, *e.is))
	if !same && complete {
		delete(j.services, id)
	}
	if !same && (e.is == nil || now == nil) { // added again, or deleted
		if complete {
			delete(j.servers, id)
		}
		return now
	}
	was := configOf(now)
	if e != nil && same {
		was = e.was
	}
	// Servers first, since a service that the run added is only removed
	// if it has no server of another writer.
	servers := j.undoneServers(id, now, complete)
	switch {
	case was != nil:
		return &ipvs.ServiceEntry{Service: *was, Destinations: servers}
	case now != nil && len(servers) > 0:
		return &ipvs.ServiceEntry{Service: now.Service, Destinations: servers}
	}
	return nil
}

// undoneServers returns what the servers of a service become.
func (j *journal) undoneServers(id ipvs.ServiceID, now *ipvs.ServiceEntry, complete bool) []ipvs.DestinationEntry {
	list, seen := []ipvs.DestinationEntry{}, map[netip.AddrPort]bool{}
	theirs := func(server netip.AddrPort) {
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
		case e.is == nil || !sameServer(d.Destination, *e.is):
			theirs(d.AddrPort())
			list = append(list, d)
		case e.was != nil:
			list = append(list, ipvs.DestinationEntry{Destination: *e.was})
		}
	}
	for server, e := range j.servers[id] {
		switch {
		case seen[server]:
		case e.is != nil:
			theirs(server)
		case e.was != nil:
			list = append(list, ipvs.DestinationEntry{Destination: *e.was})
		}
	}
	return list
}

func (j *journal) undoDaemons(t *ipvs.Table) {
	for state, e := range j.daemons {
		i := slices.IndexFunc(t.Daemons, func(d ipvs.Daemon) bool { return d.State == state })
		switch found := i >= 0; {
		case found != (e.is != nil), found && !sameDaemon(t.Daemons[i], *e.is):
		case e.was == nil && found:
			t.Daemons = slices.Delete(t.Daemons, i, i+1)
		case e.was != nil && found:
			t.Daemons[i] = *e.was
		case e.was != nil:
			t.Daemons = append(t.Daemons, *e.was)
		}
	}
}

func (j *journal) undoTimeouts(t *ipvs.Table) {
	if j.timeouts == nil {
		return
	}
	was, is := j.timeouts.was, j.timeouts.is
	for _, f := range []struct{ now, was, is *time.Duration }{
		{&t.Timeouts.TCP, &was.TCP, &is.TCP}, {&t.Timeouts.TCPFin, &was.TCPFin, &is.TCPFin}, {&t.Timeouts.UDP, &was.UDP, &is.UDP},
	} {
		if *f.now == *f.is {
			*f.now = *f.was
		}
	}
}

// sameService, sameServer and sameDaemon report whether the first is what the
// second asked for, as in Diff.
func sameService(is, asked ipvs.Service) bool {
	return len(model.Diff(&ipvs.Table{Services: []ipvs.ServiceEntry{{Service: is}}}, &ipvs.Table{Services: []ipvs.ServiceEntry{{Service: asked}}})) == 0
}

func sameServer(is, asked ipvs.Destination) bool {
	one := func(d ipvs.Destination) *ipvs.Table {
		return &ipvs.Table{Services: []ipvs.ServiceEntry{{Destinations: []ipvs.DestinationEntry{{Destination: d}}}}}
	}
	return len(model.Diff(one(is), one(asked))) == 0
}

func sameDaemon(is, asked ipvs.Daemon) bool {
	return len(model.Diff(&ipvs.Table{Daemons: []ipvs.Daemon{is}}, &ipvs.Table{Daemons: []ipvs.Daemon{asked}})) == 0
}
