// SPDX-License-Identifier: Apache-2.0

package ipvs_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// randomTable makes a table by random changes, of which the refused ones are
// dropped. It has all timeouts set, since zeros mean something else to Diff.
func randomTable(r *rand.Rand) *ipvs.Table {
	t := &ipvs.Table{Timeouts: ipvs.Timeouts{TCP: 900 * time.Second, TCPFin: 120 * time.Second, UDP: 300 * time.Second}}
	for range r.IntN(60) {
		_ = t.Apply(randomChange(r))
	}
	return t
}

// fewest counts, by its own reckoning, the changes that no way from a to b can
// do without.
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
	gone := 0
	for _, s := range a.Services {
		if b.Lookup(s.ServiceID) == nil {
			gone++
		}
	}
	if len(b.Services) == 0 {
		gone = min(gone, 1)
	}
	n += gone
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

// plainTable drops what has no effect, which Diff leaves as it is.
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
		if d := ipvs.Diff(a, a.Clone()); len(d) != 0 {
			t.Fatalf("case %d: a table differs from itself by %v", i, d)
		}
		changes := ipvs.Diff(a, b)
		if want := fewest(a, b); len(changes) != want {
			t.Fatalf("case %d: %d changes, want %d: %v", i, len(changes), want, changes)
		}
		got := a.Clone()
		for _, c := range changes {
			if err := got.Apply(c); err != nil {
				t.Fatalf("case %d: %v of %v", i, err, changes)
			}
		}
		if d := diffTables(plainTable(got), plainTable(b)); d != "" {
			t.Fatalf("case %d: %v lead to\n%s", i, changes, d)
		}
		checkOnTheWay(t, i, a, b, changes)
	}
}

// checkOnTheWay makes sure that no service that both tables have lacks, at any
// moment, a server with weight if it has one before and after, and that no
// wanted service goes.
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
	now := a.Clone()
	for n, c := range changes {
		if err := now.Apply(c); err != nil {
			t.Fatal(err)
		}
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

func testDiffOnKernel(t *testing.T) {
	cases := 40
	if testing.Short() {
		cases = 10
	}
	for i := range cases {
		t.Run(fmt.Sprintf("case %d", i), func(t *testing.T) {
			r := rand.New(rand.NewPCG(5, uint64(i)))
			a, b := randomTable(r), randomTable(r)
			a.Daemons, b.Daemons = nil, nil
			c := inNamespace(t)
			for _, want := range []*ipvs.Table{a, b, a} {
				have, err := c.Table(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if err := c.Apply(t.Context(), ipvs.Diff(have, want)...); err != nil {
					t.Fatal(err)
				}
				if have, err = c.Table(t.Context()); err != nil {
					t.Fatal(err)
				}
				if d := ipvs.Diff(have, want); len(d) != 0 {
					t.Fatalf("still to do: %v", d)
				}
				if d := diffTables(plainTable(have), plainTable(want)); d != "" {
					t.Fatal(d)
				}
			}
		})
	}
}
