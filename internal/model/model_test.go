// SPDX-License-Identifier: Apache-2.0

package model_test

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"syscall"
	"testing"

	"github.com/ipvsadm-go/ipvsadm/internal/model"
	"github.com/ipvsadm-go/ipvsadm/internal/test/change"
	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

func web(port uint16) ipvs.ServiceID {
	return ipvs.AddrID(ipvs.TCP, netip.MustParseAddr("12.0.0.1"), port)
}

func server(i int) ipvs.Destination {
	return ipvs.Destination{Addr: netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), Port: 80, Weight: 1}
}

// mustApply applies changes, which must not fail.
func mustApply(t testing.TB, m *model.Model, changes ...ipvs.Change) {
	t.Helper()
	for _, c := range changes {
		must.OK(t, m.Apply(c))
	}
}

func TestModelSharesNothing(t *testing.T) {
	mine := &ipvs.Table{
		Services: []ipvs.ServiceEntry{{Service: ipvs.NewService(web(1), "rr"), Destinations: []ipvs.DestinationEntry{{Destination: server(1)}}}},
		Daemons:  []ipvs.Daemon{{State: ipvs.Master, Interface: "lo"}},
	}
	before := mine.Clone()
	m := model.New(mine)
	one, _ := m.Service(web(1))
	first := m.Table()
	mustApply(t, m, change.EditService(ipvs.NewService(web(1), "wlc")), change.AddDestination(web(1), server(2)),
		change.DeleteDestination(web(1), server(1).AddrPort()), change.AddService(ipvs.NewService(web(2), "rr")), change.StopDaemon(ipvs.Master))
	if !reflect.DeepEqual(mine, before) {
		t.Errorf("the original table became %+v", mine)
	}
	if !reflect.DeepEqual(first, before) || !reflect.DeepEqual(one, before.Services[0]) {
		t.Errorf("the returned copies became %+v, %+v", first, one)
	}
	after := m.Table()
	after.Services[0].Destinations[0].Weight = 9
	after.Services[0].ServiceID = web(3)
	if again := m.Table(); again.Services[0].Destinations[0].Weight != 1 || again.Services[0].ServiceID != web(1) {
		t.Errorf("a change of the copy changed the model: %+v", again)
	}
}

func TestZeroModelIsAnEmptyTable(t *testing.T) {
	var m model.Model
	empty := &ipvs.Table{Services: []ipvs.ServiceEntry{}, Daemons: []ipvs.Daemon{}}
	if got := m.Table(); !reflect.DeepEqual(got, empty) {
		t.Errorf("%#v, want empty lists, not nil", got)
	}
	if _, found := m.Service(web(1)); found {
		t.Error("an empty model contains a service")
	}
	mustApply(t, &m, change.Flush(), change.AddService(ipvs.NewService(web(1), "rr")))
	if s, found := m.Service(web(1)); !found || s.Destinations == nil {
		t.Errorf("%+v, %v", s, found)
	}
	if got := m.Table().Services; len(got) != 1 || got[0].Destinations == nil {
		t.Errorf("%+v", got)
	}
	mustApply(t, &m, change.Flush(), change.AddService(ipvs.NewService(web(1), "rr")))
	err := m.Apply(change.DeleteService(web(2)))
	var refused *ipvs.ChangeError
	if !errors.As(err, &refused) || !errors.Is(err, ipvs.ErrNoService) || !errors.Is(err, syscall.ESRCH) || refused.Change != change.DeleteService(web(2)) {
		t.Errorf("%v", err)
	}
}

// TestModelKeepsATable makes the same random changes to a model and to a map
// of maps: thousands of services are added and deleted, and one of them has a
// long list of destinations.
func TestModelKeepsATable(t *testing.T) {
	for seed := range uint64(4) {
		r := rand.New(rand.NewPCG(seed, 3))
		type plain struct {
			ipvs.Service
			servers map[netip.AddrPort]ipvs.Destination
		}
		var m model.Model
		want := map[ipvs.ServiceID]*plain{}
		var ids []ipvs.ServiceID // of all services ever added
		schedulers := []string{"rr", "wlc", "sh"}
		for n := range 20_000 {
			id := web(uint16(r.IntN(3000)))
			if r.IntN(3) == 0 {
				id = web(0) // the service with many destinations
			}
			adding := n/3000%2 == 0
			var c ipvs.Change
			switch s := want[id]; {
			case s == nil || r.IntN(4) == 0:
				c = change.AddService(ipvs.NewService(id, schedulers[r.IntN(3)]))
				if s != nil {
					c.Op = ipvs.OpEditService
				}
				ids = append(ids, id)
			case !adding && id.Port != 0 && r.IntN(2) == 0:
				c = change.DeleteService(id)
			case !adding && len(s.servers) > 0:
				for ap := range s.servers {
					c = change.DeleteDestination(id, ap)
					break
				}
			default:
				d := server(1 + r.IntN(2000))
				d.Weight = int32(r.IntN(9))
				c = change.AddDestination(id, d)
				if _, found := s.servers[d.AddrPort()]; found {
					if err := m.Apply(c); !errors.Is(err, ipvs.ErrDestinationExists) {
						t.Fatalf("seed %d, change %d: %v: %v", seed, n, c, err)
					}
					c.Op = ipvs.OpEditDestination
				}
			}
			must.OK(t, m.Apply(c))
			switch c.Op {
			case ipvs.OpAddService:
				want[id] = &plain{c.Service, map[netip.AddrPort]ipvs.Destination{}}
			case ipvs.OpEditService:
				want[id].Service = c.Service
			case ipvs.OpDeleteService:
				delete(want, id)
			case ipvs.OpDeleteDestination:
				delete(want[id].servers, c.Destination.AddrPort())
			default:
				want[id].servers[c.Destination.AddrPort()] = c.Destination
			}
		}
		if got := len(m.View().Services); got != len(want) {
			t.Errorf("seed %d: %d services, want %d", seed, got, len(want))
		}
		for _, id := range ids {
			got, found := m.Service(id)
			s := want[id]
			if found != (s != nil) || m.Has(id) != found {
				t.Fatalf("seed %d: %v exists: %v", seed, id, found)
			}
			if !found {
				continue
			}
			if got.Service != s.Service || len(got.Destinations) != len(s.servers) {
				t.Fatalf("seed %d: %v, want %v", seed, got, s)
			}
			for _, d := range got.Destinations {
				if d.Destination != s.servers[d.AddrPort()] {
					t.Fatalf("seed %d: %v, want %v", seed, d, s.servers[d.AddrPort()])
				}
			}
		}
	}
}

func TestCountersStayUntilTheyAreZeroed(t *testing.T) {
	d := ipvs.DestinationEntry{Destination: server(1), Conns: ipvs.ConnCounts{Active: 3}, Stats: ipvs.Stats{InPkts: 7}}
	entry := func(port uint16) ipvs.ServiceEntry {
		return ipvs.ServiceEntry{Service: ipvs.NewService(web(port), "rr"), Stats: ipvs.Stats{Conns: 5}, Destinations: []ipvs.DestinationEntry{d}}
	}
	m := model.New(&ipvs.Table{Services: []ipvs.ServiceEntry{entry(1), entry(2)}})
	mustApply(t, m, change.EditService(ipvs.NewService(web(2), "wlc")), change.EditDestination(web(2), server(1)), change.ZeroService(web(1)))
	zeroed := entry(1)
	zeroed.Stats, zeroed.Destinations[0].Stats = ipvs.Stats{}, ipvs.Stats{}
	kept := entry(2)
	kept.Scheduler = "wlc"
	for _, want := range []ipvs.ServiceEntry{zeroed, kept} {
		if got, _ := m.Service(want.ServiceID); !reflect.DeepEqual(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	}
	mustApply(t, m, change.Zero())
	if s, _ := m.Service(web(2)); s.Stats != (ipvs.Stats{}) || s.Destinations[0].Stats != (ipvs.Stats{}) || s.Destinations[0].Conns != d.Conns {
		t.Errorf("%v", s)
	}
}

// BenchmarkModel builds 10,000 services with 10 servers each.
func BenchmarkModel(b *testing.B) {
	var changes ipvs.Batch
	for i := range 10_000 {
		changes.AddService(ipvs.NewService(web(uint16(i)), "rr"))
		for j := range 10 {
			changes.AddDestination(web(uint16(i)), server(j+1))
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		var m model.Model
		mustApply(b, &m, changes...)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(changes)), "ns/rule")
}
