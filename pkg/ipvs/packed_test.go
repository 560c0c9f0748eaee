// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
)

// TestModelKeepsATable makes random changes of a model and of a plain table
// side by side: services come and go by the thousand, one has a long list of
// destinations, and what was there at the start has counters.
func TestModelKeepsATable(t *testing.T) {
	for seed := range uint64(4) {
		r := rand.New(rand.NewPCG(seed, 3))
		plain := bigTable(50)
		for i := range plain.Services {
			s := &plain.Services[i]
			s.Stats.Conns = uint64(i)
			for j := range s.Destinations {
				s.Destinations[j].Conns.Active, s.Destinations[j].Stats.InPkts = uint32(i%3), uint64(j)
			}
		}
		m, places := NewModel(plain), map[ServiceID]int{}
		for i := range plain.Services {
			places[plain.Services[i].ServiceID] = i
		}
		long := plain.Services[7].ServiceID
		schedulers := []string{"rr", "wlc", "sh"}
		for n := range 30_000 {
			adding := n/3000%2 == 0 // else what was added goes
			c := AddDestination(long, server(n))
			if r.IntN(3) > 0 {
				s := NewService(web(uint16(r.IntN(6000))), schedulers[r.IntN(3)])
				if c = AddService(s); !adding {
					c = DeleteService(plain.Services[r.IntN(len(plain.Services))].ServiceID)
				} else if r.IntN(4) == 0 {
					c = EditService(s)
				}
			} else if l := plain.Services[places[long]].Destinations; len(l) > 0 && (!adding || r.IntN(4) == 0) {
				d := l[r.IntN(len(l))].Destination
				if c = DeleteDestination(long, d.AddrPort()); r.IntN(4) == 0 {
					d.Weight++
					c = EditDestination(long, d)
				}
			}
			if c.Op == OpDeleteService && c.Service.ServiceID == long {
				c = Zero()
			}
			want := applyPlainly(plain, places, c)
			if err := m.Apply(c); (err == nil) != want {
				t.Fatalf("seed %d, change %d: %v: %v, want success %v", seed, n, c, err, want)
			}
			if n%1500 == 0 || n == 29_999 {
				if got := m.Table(); !reflect.DeepEqual(got.Services, plain.Services) {
					t.Fatalf("seed %d, change %d: the tables differ", seed, n)
				}
			}
		}
		for i, s := range plain.Services {
			if got, found := m.Service(s.ServiceID); !found || !m.Has(s.ServiceID) || !reflect.DeepEqual(got, s) {
				t.Fatalf("seed %d: service %d is %v, want %v", seed, i, got, s)
			}
		}
		n := 0
		for s, list := range m.Services() {
			if w := plain.Services[n]; s != w.Service || len(list) != len(w.Destinations) {
				t.Fatalf("seed %d: service %d is %v with %d destinations", seed, n, s, len(list))
			}
			n++
		}
		if n != len(plain.Services) {
			t.Errorf("seed %d: %d services, want %d", seed, n, len(plain.Services))
		}
	}
}

// applyPlainly makes a change of a table, and reports whether it could be made.
func applyPlainly(t *Table, places map[ServiceID]int, c Change) bool {
	id := c.Service.ServiceID
	i, found := places[id]
	switch c.Op {
	case OpAddService:
		if !found {
			places[id] = len(t.Services)
			t.Services = append(t.Services, ServiceEntry{Service: c.Service, Destinations: []DestinationEntry{}})
		}
		return !found
	case OpZero:
		for i := range t.Services {
			s := &t.Services[i]
			s.Stats = Stats{}
			for j := range s.Destinations {
				s.Destinations[j].Stats = Stats{}
			}
		}
		return true
	}
	if !found {
		return false
	}
	s, ap := &t.Services[i], c.Destination.AddrPort()
	j := slices.IndexFunc(s.Destinations, func(d DestinationEntry) bool { return d.AddrPort() == ap })
	switch c.Op {
	case OpEditService:
		s.Service = c.Service
	case OpDeleteService:
		last := len(t.Services) - 1
		t.Services[i] = t.Services[last]
		places[t.Services[i].ServiceID] = i
		t.Services = t.Services[:last]
		delete(places, id)
	case OpAddDestination:
		if j >= 0 {
			return false
		}
		s.Destinations = append(s.Destinations, DestinationEntry{Destination: c.Destination})
	case OpEditDestination:
		s.Destinations[j].Destination = c.Destination
	case OpDeleteDestination:
		s.Destinations = slices.Delete(s.Destinations, j, j+1)
	}
	return true
}

// TestPlacesAreSeldomAddedAnew has a service and a destination of a long list
// come for each that goes, with lists of any length.
func TestPlacesAreSeldomAddedAnew(t *testing.T) {
	const rounds = 1000
	for n := shortList + 2; n < 400; n++ {
		var m Model
		for i := range n {
			mustApply(t, &m, AddService(NewService(web(uint16(i)), "rr")), AddDestination(web(0), server(i+1)))
		}
		services, list := &m.services.places, &m.services.at(0).members.places
		s, l := &services.slots[0], &list.slots[0]
		anew := 0
		for i := range rounds {
			mustApply(t, &m, DeleteService(web(uint16(n+i-1))), AddService(NewService(web(uint16(n+i)), "rr")))
			mustApply(t, &m, AddDestination(web(0), server(n+i+1)), DeleteDestination(web(0), server(n+i+1).AddrPort()))
			for _, p := range []struct{ was, is **uint32 }{{&s, new(&services.slots[0])}, {&l, new(&list.slots[0])}} {
				if *p.was != *p.is {
					*p.was, anew = *p.is, anew+1
				}
			}
		}
		if most := 2 * (4*rounds/n + 2 + rounds/maxRemovals); anew > most {
			t.Fatalf("%d of %d rounds with %d entries added all places anew, want at most %d", anew, 2*rounds, n, most)
		}
	}
}

// TestAServiceThatComesAndGoesTakesOnePlace deletes and adds one of many
// services over and over.
func TestAServiceThatComesAndGoesTakesOnePlace(t *testing.T) {
	const many = 1000
	var m Model
	for i := range many {
		mustApply(t, &m, AddService(NewService(web(uint16(i)), "rr")))
	}
	for range many {
		mustApply(t, &m, DeleteService(web(7)), AddService(NewService(web(7), "rr")))
	}
	if used := m.services.places.used; used > many {
		t.Errorf("%d places of %d services", used, many)
	}
}

// BenchmarkModelOfOneService adds 50,000 destinations to one service.
func BenchmarkModelOfOneService(b *testing.B) {
	const many = 50_000
	for b.Loop() {
		var m Model
		mustApply(b, &m, AddService(NewService(web(1), "rr")))
		for i := range many {
			if err := m.Apply(AddDestination(web(1), server(i+1))); err != nil {
				b.Fatal(err)
			}
		}
	}
	perRule(b, many)
}
