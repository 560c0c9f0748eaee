// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"math"
	"testing"
	"time"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// isNear reports whether a rate is within 2 % of the expected one: the
// kernel's timers are late.
func isNear(is, want float64) bool { return math.Abs(is-want) <= 0.02*want }

// TestSteadyRatesAreSteady checks that steady traffic has the same rate in
// every reading from the third on, for any interval between the readings and
// any update time in the kernel.
func TestSteadyRatesAreSteady(t *testing.T) {
	for _, interval := range []time.Duration{1, 2, 3, 5, 10, 60} {
		interval *= time.Second
		for phase := time.Duration(0); phase < period; phase += 123 * time.Millisecond {
			k := newFakeKernel()
			k.add(tcp(1, 10))
			k.addTraffic(&k.services[0].Stats, 20, 200, 30000, phase)
			k.advance(10 * time.Second)
			var m Model
			m.Update(k.read())
			if f := findEntry(t, &m, 1, 0).figures; f[connRate] != unknown {
				t.Fatalf("the rate after one reading is %v", f[connRate])
			}
			for n := range 400 {
				// Readings are late by up to 40 ms.
				late := time.Duration(n*7919%40) * time.Millisecond
				k.advance(interval + late - m.readAt.Sub(time.Unix(1e9, 0))%time.Second)
				m.Update(k.read())
				f := findEntry(t, &m, 1, 0).figures
				if f[inPkts] == unknown && time.Duration(n+1)*interval <= 2*period {
					continue
				}
				if !isNear(f[connRate], 20) || !isNear(f[inPkts], 200) ||
					!isNear(f[inBytes], 30000) || f[outPkts] != 0 {
					t.Fatalf("interval %v, phase %v, reading %d: %v", interval, phase, n, f)
				}
			}
		}
	}
}

// readTimes updates the model with n readings, two seconds apart.
func (k *fakeKernel) readTimes(m *Model, n int) {
	for range n {
		k.advance(2 * time.Second)
		m.Update(k.read())
	}
}

func TestRatesFollowTheTraffic(t *testing.T) {
	k := newFakeKernel()
	k.add(tcp(1, 10))
	stats := &k.services[0].Stats
	k.addTraffic(stats, 0, 100, 6000, time.Second)
	var m Model
	k.readTimes(&m, 4)
	for _, pkts := range []float64{100, 400, 100, 0, 0, 1000} {
		c := k.traffic[stats]
		c.pkts, c.bytes = pkts, 60*pkts
		k.readTimes(&m, 2)
		if f := findEntry(t, &m, 1, 0).figures; !isNear(f[inPkts], pkts) {
			t.Errorf("the rate of %v packets per second is %v", pkts, f[inPkts])
		}
	}
}

func TestRatesNeedTwoValidReadings(t *testing.T) {
	start := func(t *testing.T) (*fakeKernel, *Model) {
		k, m := newFakeKernel(), new(Model)
		k.add(tcp(1, 10), tcp(2, 20))
		for i := range k.services {
			k.addTraffic(&k.services[i].Stats, 10, 100, 6000, time.Second)
			k.addTraffic(&k.services[i].Destinations[0].Stats, 10, 100, 6000, time.Second)
		}
		k.advance(6 * time.Second)
		k.readTimes(m, 3)
		return k, m
	}
	expect := func(t *testing.T, m *Model, service, server int, want float64) {
		t.Helper()
		if got := findEntry(t, m, service, server).figures[inPkts]; got != want && !isNear(got, want) {
			t.Errorf("service %d, server %d: %v packets per second, want %v", service, server, got, want)
		}
	}
	zero := func(s *ipvs.Stats) { *s = ipvs.Stats{} }
	t.Run("zeroed", func(t *testing.T) {
		k, m := start(t)
		s := &k.services[0]
		zero(&s.Stats)
		zero(&s.Destinations[0].Stats)
		k.readTimes(m, 1)
		expect(t, m, 1, 0, unknown)
		expect(t, m, 1, 10, unknown)
		expect(t, m, 2, 0, 100)
		k.readTimes(m, 1)
		expect(t, m, 1, 0, 100)
		expect(t, m, 1, 10, 100)
	})
	t.Run("zeroed, with more traffic than before", func(t *testing.T) {
		k, m := start(t)
		s := &k.services[0]
		zero(&s.Stats)
		s.Destinations[0].Stats.InPkts += 5000 // more than before it was zeroed
		k.readTimes(m, 1)
		expect(t, m, 1, 10, unknown)
		k.readTimes(m, 1)
		expect(t, m, 1, 10, 100)
	})
	t.Run("server replaced", func(t *testing.T) {
		k, m := start(t)
		zero(&k.services[0].Destinations[0].Stats)
		k.readTimes(m, 1)
		expect(t, m, 1, 0, 100)
		expect(t, m, 1, 10, unknown)
		k.readTimes(m, 1)
		expect(t, m, 1, 10, 100)
	})
	t.Run("new service", func(t *testing.T) {
		k, m := start(t)
		k.add(tcp(3, 30))
		k.addTraffic(&k.services[2].Stats, 10, 100, 6000, time.Second)
		k.readTimes(m, 1)
		expect(t, m, 3, 0, unknown)
		expect(t, m, 3, 30, unknown)
		expect(t, m, 2, 0, 100)
		k.readTimes(m, 2)
		expect(t, m, 3, 0, 100)
	})
	t.Run("after a pause", func(t *testing.T) {
		k, m := start(t)
		k.advance(time.Hour)
		m.ResetRates()
		m.Update(k.read())
		expect(t, m, 1, 0, unknown)
		k.readTimes(m, 1)
		expect(t, m, 1, 0, 100)
	})
}

func TestMarksLastForOneReading(t *testing.T) {
	k, m := newFakeKernel(), new(Model)
	step := func(want string) {
		t.Helper()
		k.readTimes(m, 1)
		if got := marks(m); got != want {
			t.Errorf("%swant\n%s", got, want)
		}
	}
	k.add(tcp(1, 10, 11, 12), tcp(2, 20))
	step("12.0.0.1: 192.0.0.10 192.0.0.11 192.0.0.12\n12.0.0.2: 192.0.0.20\n")
	k.services[0].Destinations = append(k.services[0].Destinations[:1:1], k.services[0].Destinations[2], tcp(1, 13).Destinations[0])
	k.services[0].Destinations[0].Weight = 7
	k.services[1].Scheduler = "rr"
	k.add(tcp(3))
	step("12.0.0.1: *192.0.0.10 -192.0.0.11 192.0.0.12 +192.0.0.13\n*12.0.0.2: 192.0.0.20\n+12.0.0.3:\n")
	step("12.0.0.1: 192.0.0.10 192.0.0.12 192.0.0.13\n12.0.0.2: 192.0.0.20\n12.0.0.3:\n")
	k.services = k.services[2:]
	step("-12.0.0.1: 192.0.0.10 192.0.0.12 192.0.0.13\n-12.0.0.2: 192.0.0.20\n12.0.0.3:\n")
	k.services = append([]ipvs.ServiceEntry{tcp(2, 20)}, k.services...) // added again
	step("+12.0.0.2: +192.0.0.20\n12.0.0.3:\n")
	k.services = nil
	step("-12.0.0.2: 192.0.0.20\n-12.0.0.3:\n")
	step("")
}

// TestServicesSumTheirServers also checks that traffic sets no mark.
func TestServicesSumTheirServers(t *testing.T) {
	k, m := newFakeKernel(), new(Model)
	k.add(tcp(1, 10, 20))
	d := k.services[0].Destinations
	d[0].Conns, d[1].Conns = ipvs.ConnCounts{Active: 3, Inactive: 5}, ipvs.ConnCounts{Active: 4}
	k.addTraffic(&d[0].Stats, 1, 30, 100, 0)
	k.addTraffic(&d[1].Stats, 1, 90, 100, 0)
	k.advance(4 * time.Second)
	k.readTimes(m, 2)
	f := findEntry(t, m, 1, 0)
	if f.figures[weight] != 30 || f.figures[active] != 7 || f.figures[inactive] != 5 || f.mark != markNone {
		t.Errorf("%+v", f)
	}
	if sum := m.services[0].inPkts; !isNear(sum, 120) {
		t.Errorf("%v packets per second", sum)
	}
}
