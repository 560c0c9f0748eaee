// SPDX-License-Identifier: Apache-2.0

package ipvs_test

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/model"
	"github.com/ipvsadm-go/ipvsadm/internal/test/change"
	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// randomTable returns the result of random changes, without the refused ones.
// It sets all timeouts, since Diff treats zeros specially.
func randomTable(r *rand.Rand) *ipvs.Table {
	m := model.New(&ipvs.Table{Timeouts: ipvs.Timeouts{TCP: 900 * time.Second, TCPFin: 120 * time.Second, UDP: 300 * time.Second}})
	for range r.IntN(60) {
		_ = m.Apply(randomChange(r))
	}
	return m.Table()
}

// fewest returns the minimum number of changes from a to b, calculated
// independently of Diff.
func fewest(a, b *ipvs.Table) int {
	n := 0
	if a.Timeouts != b.Timeouts {
		n++
	}
	type key struct {
		id ipvs.ServiceID
		ap netip.AddrPort
	}
	flat := func(t *ipvs.Table) map[key]ipvs.DestinationEntry {
		m := map[key]ipvs.DestinationEntry{}
		for _, s := range t.Services {
			for _, d := range s.Destinations {
				m[key{s.ServiceID, d.AddrPort()}] = d
			}
		}
		return m
	}
	from, to := flat(a), flat(b)
	plain := func(d ipvs.Destination) ipvs.Destination {
		if d.Forward != ipvs.Tunnel {
			d.Tunnel = ipvs.TunnelInfo{}
		}
		return d
	}
	for k, d := range to {
		if old, ok := from[k]; !ok || plain(old.Destination) != plain(d.Destination) {
			n++
		}
	}
	for k := range from {
		if _, ok := to[k]; !ok && b.Lookup(k.id) != nil {
			n++
		}
	}
	for _, s := range a.Services {
		if b.Lookup(s.ServiceID) == nil {
			n++
		}
	}
	for _, s := range b.Services {
		old := a.Lookup(s.ServiceID)
		switch {
		case old == nil, old.Scheduler != s.Scheduler, old.Flags != s.Flags, old.PersistenceEngine != s.PersistenceEngine,
			s.Flags&ipvs.FlagPersistent != 0 && (old.Timeout != s.Timeout || old.Netmask != s.Netmask):
			n++
		}
	}
	for _, state := range []ipvs.DaemonState{ipvs.Master, ipvs.Backup} {
		find := func(t *ipvs.Table) (ipvs.Daemon, int) {
			for _, d := range t.Daemons {
				if d.State == state {
					return d, 1
				}
			}
			return ipvs.Daemon{}, 0
		}
		x, inA := find(a)
		y, inB := find(b)
		switch {
		case inA != inB:
			n++
		case x.Group != y.Group || x.Port != y.Port || x.TTL != y.TTL || x.SyncID != y.SyncID:
			n += 2
		}
	}
	return n
}

// plainTable clears settings without effect, which Diff ignores.
func plainTable(t *ipvs.Table) *ipvs.Table {
	p := t.Clone()
	for i := range p.Services {
		s := &p.Services[i]
		if s.Flags&ipvs.FlagPersistent == 0 {
			s.Timeout, s.Netmask = 0, 0
		}
		for j := range s.Destinations {
			if d := &s.Destinations[j]; d.Forward != ipvs.Tunnel {
				d.Tunnel = ipvs.TunnelInfo{}
			}
		}
	}
	return p
}

func TestDiffLeadsFromAnyTableToAnyOther(t *testing.T) {
	for i := range 3000 {
		r := rand.New(rand.NewPCG(4, uint64(i)))
		a, b := randomTable(r), randomTable(r)
		if d := model.Diff(a, a.Clone()); len(d) != 0 {
			t.Fatalf("case %d: a table differs from itself by %v", i, d)
		}
		changes := model.Diff(a, b)
		if want := fewest(a, b); len(changes) != want {
			t.Fatalf("case %d: %d changes, want %d: %v", i, len(changes), want, changes)
		}
		got := model.New(a)
		for _, c := range changes {
			if err := got.Apply(c); err != nil {
				t.Fatalf("case %d: %v of %v", i, err, changes)
			}
		}
		if d := diffTables(plainTable(got.Table()), plainTable(b)); d != "" {
			t.Fatalf("case %d: %v lead to\n%s", i, changes, d)
		}
		checkOnTheWay(t, i, a, b, changes)
	}
}

// checkOnTheWay checks each intermediate table: a service with usable servers
// in both tables always has one, and no wanted service is deleted.
func checkOnTheWay(t *testing.T, i int, a, b *ipvs.Table, changes []ipvs.Change) {
	t.Helper()
	serves := func(table *ipvs.Table, id ipvs.ServiceID) bool {
		s := table.Lookup(id)
		if s == nil {
			return false
		}
		for _, d := range s.Destinations {
			if d.Weight > 0 {
				return true
			}
		}
		return false
	}
	model := model.New(a)
	for n, c := range changes {
		must.OK(t, model.Apply(c))
		now := model.Table()
		for _, s := range b.Services {
			if a.Lookup(s.ServiceID) != nil && now.Lookup(s.ServiceID) == nil {
				t.Fatalf("case %d: %v is gone after change %d of %v", i, s.ServiceID, n, changes)
			}
			if serves(a, s.ServiceID) && serves(b, s.ServiceID) && !serves(now, s.ServiceID) {
				t.Fatalf("case %d: %v serves nobody after change %d of %v", i, s.ServiceID, n, changes)
			}
		}
	}
}

var anyAddr = netip.MustParseAddr("12.0.0.1")

func aService(port uint16, servers ...string) ipvs.ServiceEntry {
	s := ipvs.ServiceEntry{Service: ipvs.NewService(ipvs.AddrID(ipvs.TCP, anyAddr, port), "rr"), Destinations: []ipvs.DestinationEntry{}}
	for _, d := range servers {
		s.Destinations = append(s.Destinations, ipvs.DestinationEntry{Destination: dest(d, ipvs.Masquerade)})
	}
	return s
}

// A table is plain data: Diff and Lookup must not cache anything, since it
// may be changed in place.
func TestTableRemembersNothing(t *testing.T) {
	have := &ipvs.Table{Services: []ipvs.ServiceEntry{aService(80), aService(81)}}
	want := have.Clone()
	if d := model.Diff(have, want); len(d) != 0 {
		t.Fatalf("%v", d)
	}
	old := want.Services[0].ServiceID
	want.Services[0].ServiceID = ipvs.AddrID(ipvs.TCP, anyAddr, 8080)
	got := model.Diff(have, want)
	if expected := []ipvs.Change{change.AddService(want.Services[0].Service), change.DeleteService(old)}; !slices.Equal(got, expected) {
		t.Errorf("%v, want %v", got, expected)
	}
	if s := want.Lookup(old); s != nil {
		t.Errorf("the old identity finds %v", s)
	}
	if s := want.Lookup(want.Services[0].ServiceID); s != &want.Services[0] {
		t.Errorf("the new identity finds %v", s)
	}
}

func TestDiffTakesWhatIsThereTwiceForOne(t *testing.T) {
	d := ipvs.DestinationEntry{Destination: dest("10.0.0.1:80", ipvs.Masquerade)}
	web := ipvs.ServiceEntry{Service: ipvs.NewService(tcp("12.0.0.1:80"), "rr"), Destinations: []ipvs.DestinationEntry{d, d}}
	have := []ipvs.ServiceEntry{web, web}
	once := web
	once.Destinations = web.Destinations[:1]
	bare := web
	bare.Destinations = []ipvs.DestinationEntry{}
	for _, c := range []struct {
		want []ipvs.ServiceEntry
		ops  ipvs.Batch
	}{
		{[]ipvs.ServiceEntry{once}, nil},
		{[]ipvs.ServiceEntry{bare}, ipvs.Batch{change.DeleteDestination(web.ServiceID, d.AddrPort())}},
		{[]ipvs.ServiceEntry{}, ipvs.Batch{change.DeleteService(web.ServiceID)}},
	} {
		if got := ipvs.Diff(have, c.want); !slices.Equal(got, c.ops) {
			t.Errorf("to %v: %v, want %v", c.want, got, c.ops)
		}
	}
}

func TestNilAndEmptyBothMeanNone(t *testing.T) {
	have := []ipvs.ServiceEntry{aService(80, "10.0.0.1:80")}
	id, server := have[0].ServiceID, have[0].Destinations[0].AddrPort()
	bare := aService(80)
	bare.Destinations = nil
	for _, want := range [][]ipvs.ServiceEntry{nil, {}} {
		if got := ipvs.Diff(have, want); !slices.Equal(got, ipvs.Batch{change.DeleteService(id)}) {
			t.Errorf("to %#v: %v", want, got)
		}
	}
	for _, s := range []ipvs.ServiceEntry{bare, aService(80)} {
		if got := ipvs.Diff(have, []ipvs.ServiceEntry{s}); !slices.Equal(got, ipvs.Batch{change.DeleteDestination(id, server)}) {
			t.Errorf("to %#v: %v", s, got)
		}
	}
	if got := ipvs.Diff(nil, []ipvs.ServiceEntry{bare}); !slices.Equal(got, ipvs.Batch{change.AddService(bare.Service)}) {
		t.Errorf("%v", got)
	}
}
