// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/test/terminal"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// fakeKernel is a table with traffic. Like the kernel, it updates the
// counters of each entry every two seconds, at a different time for each.
type fakeKernel struct {
	now      time.Time
	services []ipvs.ServiceEntry
	traffic  map[*ipvs.Stats]*traffic
}

// traffic is the steady traffic of an entry.
type traffic struct {
	conns, pkts, bytes float64   // per second
	since              time.Time // the last update
	next               time.Time // the next update
	averages           [3]float64
}

func newFakeKernel() *fakeKernel {
	k := &fakeKernel{now: time.Unix(1e9, 0), traffic: map[*ipvs.Stats]*traffic{}}
	k.services = make([]ipvs.ServiceEntry, 0, 10)
	return k
}

// addTraffic starts traffic of an entry, whose first update is after phase.
func (k *fakeKernel) addTraffic(s *ipvs.Stats, conns, pkts, bytes float64, phase time.Duration) {
	k.traffic[s] = &traffic{conns: conns, pkts: pkts, bytes: bytes, since: k.now, next: k.now.Add(phase),
		averages: [3]float64{conns, pkts, bytes}}
}

// advance moves the clock forward and makes the updates that are due.
func (k *fakeKernel) advance(d time.Duration) {
	k.now = k.now.Add(d)
	for s, c := range k.traffic {
		for ; !c.next.After(k.now); c.next = c.next.Add(period + 16*time.Millisecond) {
			seconds := c.next.Sub(c.since).Seconds()
			c.since = c.next
			for i, v := range [...]float64{c.conns, c.pkts, c.bytes} {
				c.averages[i] += (v*seconds/2 - c.averages[i]) / 4
			}
			s.Conns += uint64(c.conns*seconds + 0.5)
			s.InPkts += uint64(c.pkts*seconds + 0.5)
			s.InBytes += uint64(c.bytes*seconds + 0.5)
			s.Rates = ipvs.Rates{CPS: uint64(c.averages[0]), InPPS: uint64(c.averages[1]), InBPS: uint64(c.averages[2])}
		}
	}
}

// read returns a copy of the table.
func (k *fakeKernel) read() Reading {
	t := ipvs.Table{Services: k.services}
	return Reading{At: k.now, Services: t.Clone().Services}
}

// add adds services. There may be ten in all: growing the list would move the
// counters to which traffic points.
func (k *fakeKernel) add(services ...ipvs.ServiceEntry) { k.services = append(k.services, services...) }

// tcp returns the service 12.0.0.n with the given servers, 192.0.0.n.
func tcp(n int, servers ...int) ipvs.ServiceEntry {
	e := ipvs.ServiceEntry{Service: ipvs.NewService(ipvs.AddrID(ipvs.TCP, ipv4(12, n), 80), "wrr")}
	for _, d := range servers {
		e.Destinations = append(e.Destinations, ipvs.DestinationEntry{Destination: ipvs.Destination{
			Addr: ipv4(192, d), Port: 8080, Forward: ipvs.Masquerade, Weight: int32(d),
		}})
	}
	return e
}

func ipv4(first byte, n int) netip.Addr {
	return netip.AddrFrom4([4]byte{first, 0, byte(n >> 8), byte(n)})
}

// findEntry returns the entry of a service, if server is 0, or of its server.
func findEntry(t *testing.T, m *Model, service, server int) *entry {
	t.Helper()
	for i := range m.services {
		if s := m.services[i]; s.Addr == ipv4(12, service) {
			for j := range s.servers {
				if s.servers[j].Addr == ipv4(192, server) {
					return &s.servers[j].entry
				}
			}
			if server == 0 {
				return &s.entry
			}
		}
	}
	t.Fatalf("server %d of service %d not found", server, service)
	return nil
}

// marks returns a line for each service, with the signs and addresses of it
// and its servers.
func marks(m *Model) string {
	var b strings.Builder
	for i := range m.services {
		s := m.services[i]
		fmt.Fprintf(&b, "%s%v:", signs[s.mark], s.Addr)
		for j := range s.servers {
			sign := signs[s.servers[j].mark]
			if s.mark == markRemoved { // and its servers with it
				sign = ""
			}
			fmt.Fprintf(&b, " %s%v", sign, s.servers[j].Addr)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// checkDiff writes the diff from one screen to another to a terminal that
// shows the first, and fails unless it then shows the second.
func checkDiff(t testing.TB, on *terminal.Screen, before, s *Screen, d Display) {
	t.Helper()
	if _, err := on.Write(s.AppendDiff(nil, before, d)); err != nil {
		t.Fatal(err)
	}
	for y := range s.Height {
		for x, c := range s.line(y) {
			if got, want := on.At(x, y), (terminal.Cell{Rune: c.r, Attributes: c.style.attributes(d)}); got != want {
				t.Fatalf("line %d, column %d: %+v, want %+v; the screen is\n%s", y, x, got, want, on)
			}
		}
	}
}
