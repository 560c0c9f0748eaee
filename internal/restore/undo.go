// SPDX-License-Identifier: Apache-2.0

package restore

import (
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
	servers  map[serverID]*entry[ipvs.Destination]
	daemons  map[ipvs.DaemonState]*entry[ipvs.Daemon]
	timeouts *entry[ipvs.Timeouts]
}

// entry is a part of the table; nil means that there is none.
type entry[T any] struct{ was, is *T }

func newJournal() *journal {
	return &journal{
		services: map[ipvs.ServiceID]*entry[ipvs.Service]{},
		servers:  map[serverID]*entry[ipvs.Destination]{},
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

// record notes changes that the kernel has made to the table have.
func (j *journal) record(have map[ipvs.ServiceID]*ipvs.ServiceEntry, t *ipvs.Table, changes []ipvs.Change) {
	for i := range changes {
		c := changes[i]
		id := c.Service.ServiceID
		s := have[id]
		switch c.Op {
		case ipvs.OpAddService, ipvs.OpEditService:
			note(j.services, id, configOf(s), &c.Service)
		case ipvs.OpDeleteService:
			note(j.services, id, configOf(s), nil)
			if s == nil {
				break
			}
			for k := range s.Destinations {
				d := s.Destinations[k].Destination
				note(j.servers, serverID{id, d.AddrPort()}, &d, nil)
			}
		case ipvs.OpAddDestination, ipvs.OpEditDestination:
			note(j.servers, serverOf(c), serverIn(s, c.Destination.AddrPort()), &c.Destination)
		case ipvs.OpDeleteDestination:
			note(j.servers, serverOf(c), serverIn(s, c.Destination.AddrPort()), nil)
		case ipvs.OpStartDaemon:
			note(j.daemons, c.Daemon.State, daemonIn(t.Daemons, c.Daemon.State), &c.Daemon)
		case ipvs.OpStopDaemon:
			note(j.daemons, c.Daemon.State, daemonIn(t.Daemons, c.Daemon.State), nil)
		case ipvs.OpSetTimeouts:
			if j.timeouts == nil {
				was := t.Timeouts
				j.timeouts = &entry[ipvs.Timeouts]{was: &was}
			}
			j.timeouts.is = &c.Timeouts
		}
	}
}

// recordRefused notes the side effect of a refusal: kernels before mid-2026
// remove a service's scheduler before they find that the new one of an edit
// does not start.
func (j *journal) recordRefused(have map[ipvs.ServiceID]*ipvs.ServiceEntry, refused ipvs.ChangeErrors) {
	for _, e := range refused {
		was := configOf(have[e.Change.Service.ServiceID])
		if e.Change.Op == ipvs.OpEditService && was != nil {
			without := *was
			without.Scheduler = "none"
			note(j.services, was.ServiceID, was, &without)
		}
	}
}

func configOf(s *ipvs.ServiceEntry) *ipvs.Service {
	if s == nil {
		return nil
	}
	config := s.Service
	return &config
}

func serverIn(s *ipvs.ServiceEntry, server netip.AddrPort) *ipvs.Destination {
	if s == nil {
		return nil
	}
	d := s.Lookup(server)
	if d == nil {
		return nil
	}
	config := d.Destination
	return &config
}

func daemonIn(list []ipvs.Daemon, state ipvs.DaemonState) *ipvs.Daemon {
	for _, d := range list {
		if d.State == state {
			return &d
		}
	}
	return nil
}

// forgetChanged drops services and servers that are no longer as the run left
// them: they are another writer's, whatever becomes of them. Otherwise what
// is added and deleted all the time would be restored again and again.
func (j *journal) forgetChanged(now *ipvs.Table) {
	have := ByID(now)
	for key, e := range j.servers {
		s, deleted := have[key.service], j.services[key.service]
		again := s != nil && deleted != nil && deleted.is == nil // added again, with its servers
		is := serverIn(s, key.server)
		if again || (is == nil) != (e.is == nil) || is != nil && !sameServer(*is, *e.is) {
			delete(j.servers, key)
		}
	}
	for id, e := range j.services {
		is := configOf(have[id])
		if (is == nil) != (e.is == nil) || is != nil && !sameService(*is, *e.is) {
			delete(j.services, id)
		}
	}
}

// forget drops the part of the table that a change is about.
func (j *journal) forget(c ipvs.Change) {
	id := c.Service.ServiceID
	switch c.Op {
	case ipvs.OpAddService:
		delete(j.services, id)
		for key := range j.servers {
			if key.service == id {
				delete(j.servers, key)
			}
		}
	case ipvs.OpEditService, ipvs.OpDeleteService:
		delete(j.services, id)
	case ipvs.OpAddDestination, ipvs.OpEditDestination, ipvs.OpDeleteDestination:
		delete(j.servers, serverOf(c))
	case ipvs.OpStartDaemon, ipvs.OpStopDaemon:
		delete(j.daemons, c.Daemon.State)
	}
}

// undone returns the table now without the changes of the run. A part that is
// no longer as the run left it stays, since another writer has changed it.
func (j *journal) undone(now *ipvs.Table) *ipvs.Table {
	t := now.Clone()
	j.undoDaemons(t)
	j.undoTimeouts(t)
	have := ByID(now)
	// Servers first, since a service that the run added is only removed
	// if it has no server of another writer.
	servers := map[ipvs.ServiceID][]ipvs.DestinationEntry{}
	list := func(id ipvs.ServiceID) []ipvs.DestinationEntry {
		if l, found := servers[id]; found {
			return l
		}
		if s := have[id]; s != nil {
			return slices.Clone(s.Destinations)
		}
		return []ipvs.DestinationEntry{}
	}
	for key, e := range j.servers {
		if s := j.services[key.service]; s != nil && s.is == nil && have[key.service] != nil {
			continue // another writer has added the service again
		}
		l := list(key.service)
		i := slices.IndexFunc(l, func(d ipvs.DestinationEntry) bool { return d.AddrPort() == key.server })
		switch found := i >= 0; {
		case found != (e.is != nil), found && !sameServer(l[i].Destination, *e.is):
		case e.was == nil && found:
			l = slices.Delete(l, i, i+1)
		case e.was != nil && found:
			l[i].Destination = *e.was
		case e.was != nil:
			l = append(l, ipvs.DestinationEntry{Destination: *e.was})
		}
		servers[key.service] = l
	}
	kept := make([]ipvs.ServiceEntry, 0, len(t.Services))
	for _, s := range t.Services {
		s.Destinations = list(s.ServiceID)
		if e := j.services[s.ServiceID]; e != nil && e.is != nil && sameService(s.Service, *e.is) {
			switch {
			case e.was != nil:
				s.Service = *e.was
			case len(s.Destinations) == 0:
				continue
			}
		}
		kept = append(kept, s)
	}
	for id, e := range j.services {
		if have[id] == nil && e.is == nil && e.was != nil {
			kept = append(kept, ipvs.ServiceEntry{Service: *e.was, Destinations: list(id)})
		}
	}
	t.Services = kept
	return t
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
