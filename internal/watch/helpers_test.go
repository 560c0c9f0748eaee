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

// world is a kernel in miniature: entries whose counters are brought up to date
// every two seconds, each at a time of its own.
type world struct {
	now      time.Time
	services []ipvs.ServiceEntry
	counted  map[*ipvs.Stats]*traffic
}

// traffic is what is to be counted of an entry.
type traffic struct {
	conns, pkts, bytes float64 // a second
	since              time.Time
	next               time.Time // of the updates
	averages           [3]float64
}

func newWorld() *world {
	return &world{now: time.Unix(1e9, 0), services: make([]ipvs.ServiceEntry, 0, 10), counted: map[*ipvs.Stats]*traffic{}}
}

// count makes an entry have traffic, as a kernel does that has updates some time
// after the world's beginning.
func (w *world) count(s *ipvs.Stats, conns, pkts, bytes float64, phase time.Duration) {
	w.counted[s] = &traffic{conns: conns, pkts: pkts, bytes: bytes, since: w.now, next: w.now.Add(phase),
		averages: [3]float64{conns, pkts, bytes}}
}

// pass lets time go by.
func (w *world) pass(d time.Duration) {
	w.now = w.now.Add(d)
	for s, c := range w.counted {
		for ; !c.next.After(w.now); c.next = c.next.Add(period + 16*time.Millisecond) {
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

// read returns the table as a dump would.
func (w *world) read() Reading {
	t := ipvs.Table{Services: w.services}
	return Reading{At: w.now, Services: t.Clone().Services}
}

// add adds services, up to ten; their counters stay where they are.
func (w *world) add(services ...ipvs.ServiceEntry) { w.services = append(w.services, services...) }

// tcp is a service with servers, by their last numbers.
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

// figuresOf returns a service of the model, or a server of it.
func figuresOf(t *testing.T, m *Model, service, server int) *entry {
	t.Helper()
	for i := range m.services {
		if s := &m.services[i]; s.Addr == ipv4(12, service) {
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
	t.Fatalf("server %d of service %d is not there", server, service)
	return nil
}

// marks returns each line's mark and name.
func marks(m *Model) string {
	var b strings.Builder
	for i := range m.services {
		s := &m.services[i]
		fmt.Fprintf(&b, "%s%v:", signs[s.mark], s.Addr)
		for j := range s.servers {
			sign := signs[s.servers[j].mark]
			if s.mark == gone { // with all its servers
				sign = ""
			}
			fmt.Fprintf(&b, " %s%v", sign, s.servers[j].Addr)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// show brings a terminal from one screen to another and compares them.
func show(t testing.TB, on *terminal.Screen, before, s *Screen, l Look) {
	t.Helper()
	if _, err := on.Write(s.AppendDiff(nil, before, l)); err != nil {
		t.Fatal(err)
	}
	for y := range s.Height {
		for x, c := range s.line(y) {
			if got, want := on.At(x, y), (terminal.Cell{Rune: c.r, Attributes: c.style.attributes(l)}); got != want {
				t.Fatalf("line %d, column %d: %+v, want %+v; the screen is\n%s", y, x, got, want, on)
			}
		}
	}
}
