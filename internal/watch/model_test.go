// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"math"
	"testing"
	"time"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// near reports whether a rate is as wanted, but for what the kernel's timers
// are late.
func near(is, want float64) bool { return math.Abs(is-want) <= 0.02*want }

// Whatever the interval, and whenever the kernel brings its counters up to date,
// a steady rate is shown as one, from the second or third reading on.
func TestSteadyRatesAreSteady(t *testing.T) {
	for _, interval := range []time.Duration{1, 2, 3, 5, 10, 60} {
		interval *= time.Second
		for phase := time.Duration(0); phase < period; phase += 123 * time.Millisecond {
			w := newWorld()
			w.add(tcp(1, 10))
			w.count(&w.services[0].Stats, 20, 200, 30000, phase)
			w.pass(10 * time.Second)
			var m Model
			m.Update(w.read())
			if f := figuresOf(t, &m, 1, 0).figures; f[connRate] != unknown {
				t.Fatalf("one reading makes the rate %v", f[connRate])
			}
			for n := range 400 {
				// Readings are late, now more, now less.
				late := time.Duration(n*7919%40) * time.Millisecond
				w.pass(interval + late - m.at.Sub(time.Unix(1e9, 0))%time.Second)
				m.Update(w.read())
				f := figuresOf(t, &m, 1, 0).figures
				if f[inPkts] == unknown && time.Duration(n+1)*interval <= 2*period {
					continue
				}
				if !near(f[connRate], 20) || !near(f[inPkts], 200) || !near(f[inBytes], 30000) || f[outPkts] != 0 {
					t.Fatalf("interval %v, phase %v, reading %d: %v", interval, phase, n, f)
				}
			}
		}
	}
}

// readings makes some readings, two seconds apart.
func (w *world) readings(m *Model, n int) {
	for range n {
		w.pass(2 * time.Second)
		m.Update(w.read())
	}
}

func TestRatesFollowTheTraffic(t *testing.T) {
	w := newWorld()
	w.add(tcp(1, 10))
	stats := &w.services[0].Stats
	w.count(stats, 0, 100, 6000, time.Second)
	var m Model
	w.readings(&m, 4)
	for _, pkts := range []float64{100, 400, 100, 0, 0, 1000} {
		c := w.counted[stats]
		c.pkts, c.bytes = pkts, 60*pkts
		w.readings(&m, 2)
		if f := figuresOf(t, &m, 1, 0).figures; !near(f[inPkts], pkts) {
			t.Errorf("%v packets a second are %v", pkts, f[inPkts])
		}
	}
}

func TestRatesNeedTwoSoundReadings(t *testing.T) {
	start := func(t *testing.T) (*world, *Model) {
		w, m := newWorld(), new(Model)
		w.add(tcp(1, 10), tcp(2, 20))
		for i := range w.services {
			w.count(&w.services[i].Stats, 10, 100, 6000, time.Second)
			w.count(&w.services[i].Destinations[0].Stats, 10, 100, 6000, time.Second)
		}
		w.pass(6 * time.Second)
		w.readings(m, 3)
		return w, m
	}
	expect := func(t *testing.T, m *Model, service, server int, want float64) {
		t.Helper()
		if is := figuresOf(t, m, service, server).figures[inPkts]; is != want && !near(is, want) {
			t.Errorf("service %d, server %d: %v packets a second, want %v", service, server, is, want)
		}
	}
	zero := func(s *ipvs.Stats) { *s = ipvs.Stats{} }
	t.Run("zeroed", func(t *testing.T) {
		w, m := start(t)
		s := &w.services[0]
		zero(&s.Stats)
		zero(&s.Destinations[0].Stats)
		w.readings(m, 1)
		expect(t, m, 1, 0, unknown)
		expect(t, m, 1, 10, unknown)
		expect(t, m, 2, 0, 100)
		w.readings(m, 1)
		expect(t, m, 1, 0, 100)
		expect(t, m, 1, 10, 100)
	})
	t.Run("zeroed while a server had little", func(t *testing.T) {
		w, m := start(t)
		s := &w.services[0]
		zero(&s.Stats)
		s.Destinations[0].Stats.InPkts += 5000 // more than before, zeroed nevertheless
		w.readings(m, 1)
		expect(t, m, 1, 10, unknown)
		w.readings(m, 1)
		expect(t, m, 1, 10, 100)
	})
	t.Run("server replaced", func(t *testing.T) {
		w, m := start(t)
		zero(&w.services[0].Destinations[0].Stats)
		w.readings(m, 1)
		expect(t, m, 1, 0, 100)
		expect(t, m, 1, 10, unknown)
		w.readings(m, 1)
		expect(t, m, 1, 10, 100)
	})
	t.Run("new", func(t *testing.T) {
		w, m := start(t)
		w.add(tcp(3, 30))
		w.count(&w.services[2].Stats, 10, 100, 6000, time.Second)
		w.readings(m, 1)
		expect(t, m, 3, 0, unknown)
		expect(t, m, 3, 30, unknown)
		expect(t, m, 2, 0, 100)
		w.readings(m, 2)
		expect(t, m, 3, 0, 100)
	})
	t.Run("after a pause", func(t *testing.T) {
		w, m := start(t)
		w.pass(time.Hour)
		m.Break()
		m.Update(w.read())
		expect(t, m, 1, 0, unknown)
		w.readings(m, 1)
		expect(t, m, 1, 0, 100)
	})
	t.Run("missed by a partial reading", func(t *testing.T) {
		w, m := start(t)
		w.pass(2 * time.Second)
		r := w.read()
		r.Services, r.Partial = r.Services[1:], true
		m.Update(r)
		if got, want := marks(m), "12.0.0.1: 192.0.0.10\n12.0.0.2: 192.0.0.20\n"; got != want {
			t.Errorf("%swant\n%s", got, want)
		}
		w.readings(m, 1)
		expect(t, m, 1, 0, unknown)
		expect(t, m, 1, 10, unknown)
		expect(t, m, 2, 0, 100)
		w.readings(m, 1)
		expect(t, m, 1, 0, 100)
	})
}

func TestMarksLastForOneReading(t *testing.T) {
	w, m := newWorld(), new(Model)
	step := func(want string) {
		t.Helper()
		w.readings(m, 1)
		if got := marks(m); got != want {
			t.Errorf("%swant\n%s", got, want)
		}
	}
	w.add(tcp(1, 10, 11, 12), tcp(2, 20))
	step("12.0.0.1: 192.0.0.10 192.0.0.11 192.0.0.12\n12.0.0.2: 192.0.0.20\n")
	w.services[0].Destinations = append(w.services[0].Destinations[:1:1], w.services[0].Destinations[2], tcp(1, 13).Destinations[0])
	w.services[0].Destinations[0].Weight = 7
	w.services[1].Scheduler = "rr"
	w.add(tcp(3))
	step("12.0.0.1: *192.0.0.10 -192.0.0.11 192.0.0.12 +192.0.0.13\n*12.0.0.2: 192.0.0.20\n+12.0.0.3:\n")
	step("12.0.0.1: 192.0.0.10 192.0.0.12 192.0.0.13\n12.0.0.2: 192.0.0.20\n12.0.0.3:\n")
	w.services = w.services[2:]
	step("-12.0.0.1: 192.0.0.10 192.0.0.12 192.0.0.13\n-12.0.0.2: 192.0.0.20\n12.0.0.3:\n")
	w.services = append([]ipvs.ServiceEntry{tcp(2, 20)}, w.services...) // back at once
	step("+12.0.0.2: +192.0.0.20\n12.0.0.3:\n")
	w.services = nil
	step("-12.0.0.2: 192.0.0.20\n-12.0.0.3:\n")
	step("")
}

// Counters are no change, and a service sums its servers.
func TestServicesSumTheirServers(t *testing.T) {
	w, m := newWorld(), new(Model)
	w.add(tcp(1, 10, 20))
	d := w.services[0].Destinations
	d[0].Conns, d[1].Conns = ipvs.ConnCounts{Active: 3, Inactive: 5}, ipvs.ConnCounts{Active: 4}
	w.count(&d[0].Stats, 1, 30, 100, 0)
	w.count(&d[1].Stats, 1, 90, 100, 0)
	w.pass(4 * time.Second)
	w.readings(m, 2)
	f := figuresOf(t, m, 1, 0)
	if f.figures[weight] != 30 || f.figures[active] != 7 || f.figures[inactive] != 5 || f.mark != stays {
		t.Errorf("%+v", f)
	}
	if sum := m.services[0].inPkts; !near(sum, 120) {
		t.Errorf("%v packets a second", sum)
	}
}
