// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"net/netip"
	"time"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// figure identifies a column of numbers.
type figure int

// The figures, in the order of their columns. Rates are per second.
const (
	weight figure = iota
	connRate
	inPkts
	outPkts
	inBytes
	outBytes
	active
	inactive
	figureCount
)

type figures [figureCount]float64

// unknown is the value of a rate that has not been measured yet.
const unknown = -1

// mark is the change of an entry since the previous reading.
type mark uint8

const (
	markNone mark = iota
	markAdded
	markChanged
	markRemoved
)

// entry contains the common fields of services and servers.
type entry struct {
	meter
	figures figures
	mark    mark
}

type server struct {
	*ipvs.DestinationEntry
	entry
}

func (d *server) key() netip.AddrPort { return d.AddrPort() }

// service is a virtual service. Its weight and numbers of connections are the
// sums of its servers'.
type service struct {
	*ipvs.ServiceEntry
	entry
	servers []*server
	inPkts  float64 // the sum of its servers' rates
}

func (s *service) key() ipvs.ServiceID { return s.ServiceID }

// Model is the table with the rates and marks that follow from successive
// readings. It keeps a removed entry, with a mark, until the next reading.
// The zero Model is one without a reading.
type Model struct {
	services     []*service
	serviceCount int // without removed services
	serverCount  int // without removed servers
	inet6        bool
	readAt       time.Time
	ratesReset   bool
}

// ResetRates starts the measurement of rates over: a rate needs two readings
// in close succession, and the next reading is the first of them. Call it
// after a pause.
func (m *Model) ResetRates() { m.ratesReset = true }

// Update replaces the table with a new reading.
func (m *Model) Update(r Reading) {
	u := update{first: m.readAt.IsZero()}
	if !m.ratesReset && !u.first {
		u.elapsed = r.At.Sub(m.readAt)
	}
	m.readAt, m.ratesReset = r.At, false
	m.serviceCount, m.serverCount, m.inet6 = len(r.Services), 0, false
	services, old := make([]*service, len(r.Services)), index(m.services)
	for i := range r.Services {
		e := &r.Services[i]
		n := len(e.Destinations)
		m.serverCount += n
		m.inet6 = m.inet6 || e.Addr.Is6() && e.FWMark == 0 || n > 0 && e.Destinations[0].Addr.Is6()
		services[i] = u.service(e, old[e.ServiceID])
		delete(old, e.ServiceID)
	}
	m.services = merge(services, m.services, old)
}

// update compares a reading with the previous one.
type update struct {
	first   bool          // there is no previous reading
	elapsed time.Duration // since the previous reading; 0 if rates were reset
}

// service compares a service with old, the service in the previous reading,
// which is nil for a new service.
func (u *update) service(e *ipvs.ServiceEntry, old *service) *service {
	s := &service{ServiceEntry: e, servers: make([]*server, len(e.Destinations))}
	if old != nil && old.mark == markRemoved {
		old = nil
	}
	var oldServers []*server
	zeroed := false
	if old != nil {
		oldServers = old.servers
		zeroed = decreased(&old.Stats, &s.Stats)
	}
	removed := index(oldServers)
	for i := range s.servers {
		d := &server{DestinationEntry: &e.Destinations[i]}
		s.servers[i] = d
		d.figures[weight] = float64(d.Weight)
		d.figures[active], d.figures[inactive] = float64(d.Conns.Active), float64(d.Conns.Inactive)
		o := removed[d.key()]
		delete(removed, d.key())
		if o == nil || o.mark == markRemoved {
			u.entry(&d.entry, nil, nil, &d.Stats, false, false)
		} else {
			// The kernel zeroes a service together with its
			// servers.
			u.entry(&d.entry, &o.entry, &o.Stats, &d.Stats, zeroed, o.Destination != d.Destination)
		}
		for _, f := range [...]figure{weight, active, inactive} {
			s.figures[f] += d.figures[f]
		}
		s.inPkts += max(d.figures[inPkts], 0)
	}
	if old == nil {
		u.entry(&s.entry, nil, nil, &s.Stats, false, false)
	} else {
		u.entry(&s.entry, &old.entry, &old.Stats, &s.Stats, zeroed, old.Service != s.Service)
	}
	s.servers = merge(s.servers, oldServers, removed)
	return s
}

// entry fills in the mark and the rates of e by comparing it with old, the
// entry in the previous reading, which is nil for a new entry. The counters
// are given separately; zeroed means that they were reset between the
// readings.
func (u *update) entry(e, old *entry, oldStats, stats *ipvs.Stats, zeroed, differs bool) {
	for f := connRate; f <= outBytes; f++ {
		e.figures[f] = unknown
	}
	switch {
	case old == nil && !u.first:
		e.mark = markAdded
	case old != nil && differs:
		e.mark = markChanged
	}
	e.synced = u.first || old != nil
	if old == nil || zeroed || u.elapsed == 0 || decreased(oldStats, stats) {
		return
	}
	e.meter = old.meter
	if e.measured {
		copy(e.figures[connRate:outBytes+1], old.figures[connRate:outBytes+1])
	}
	e.measure(oldStats, stats, u.elapsed, &e.figures)
}

// remove marks an entry that is not in the new reading as removed. It reports
// whether the entry is still shown: one that was already marked is not.
func (e *entry) remove() bool {
	shown := e.mark != markRemoved
	e.mark = markRemoved
	return shown
}

// item is a *service or a *server.
type item[K comparable] interface {
	key() K
	remove() (shown bool)
}

func index[K comparable, E item[K]](list []E) map[K]E {
	m := make(map[K]E, len(list))
	for _, e := range list {
		m[e.key()] = e
	}
	return m
}

// merge returns list plus the removed entries, which only the list of the
// previous reading contains. Each is in front of the same entry as before.
func merge[K comparable, E item[K]](list, previous []E, removed map[K]E) []E {
	if len(removed) == 0 {
		return list
	}
	inFront := map[K][]E{}
	var run []E
	for _, e := range previous {
		if _, ok := removed[e.key()]; !ok {
			inFront[e.key()], run = run, nil
		} else if e.remove() {
			run = append(run, e)
		}
	}
	var merged []E
	for _, e := range list {
		merged = append(append(merged, inFront[e.key()]...), e)
	}
	return append(merged, run...)
}
