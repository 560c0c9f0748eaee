// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"net/netip"
	"slices"
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
	missing bool // it was missing from the last partial reading
}

type server struct {
	*ipvs.DestinationEntry
	entry
}

// service is a virtual service. Its weight and numbers of connections are the
// sums of its servers'.
type service struct {
	*ipvs.ServiceEntry
	entry
	servers []server
	inPkts  float64 // the sum of its servers' rates
}

// Model is the table with the rates and marks that follow from successive
// readings. It keeps a removed entry, with a mark, until the next reading.
// The zero Model is one without a reading.
type Model struct {
	services     []service
	serviceCount int // without removed services
	serverCount  int // without removed servers
	inet6        bool
	readAt       time.Time
	ratesReset   bool
	// The lists of the current and the previous reading. Update reuses
	// the older ones, since a table can have 100,000 entries.
	current, previous lists
}

type lists struct {
	services []service
	servers  []server
}

// resize returns a list of n zero entries in the memory of list.
func resize[E any](list []E, n int) []E {
	list = slices.Grow(list[:0], n)[:n]
	clear(list)
	return list
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
	for i := range r.Services {
		m.serverCount += len(r.Services[i].Destinations)
	}
	m.current, m.previous = m.previous, m.current
	c := &m.current
	c.services, c.servers = resize(c.services, m.serviceCount), resize(c.servers, m.serverCount)
	services, free := c.services, c.servers
	old := finder[ipvs.ServiceID, service]{list: m.services}
	old.key = func(s *service) ipvs.ServiceID { return s.ServiceID }
	for i := range r.Services {
		e, s := &r.Services[i], &services[i]
		n := len(e.Destinations)
		s.ServiceEntry, s.servers, free = e, free[:n:n], free[n:]
		m.inet6 = m.inet6 || e.Addr.Is6() && e.FWMark == 0 || n > 0 && e.Destinations[0].Addr.Is6()
		u.service(s, old.find(e.ServiceID), r.Partial)
	}
	m.services = old.merge(services, func(s *service) bool {
		s.servers = slices.Clone(s.servers) // the next Update reuses the memory
		return s.remove(r.Partial)
	})
}

// update compares a reading with the previous one.
type update struct {
	first   bool          // there is no previous reading
	elapsed time.Duration // since the previous reading; 0 if rates were reset
}

// service fills in s by comparing it with old, the service in the previous
// reading, which is nil for a new service.
func (u *update) service(s, old *service, partial bool) {
	oldServers := finder[netip.AddrPort, server]{key: func(d *server) netip.AddrPort { return d.AddrPort() }}
	if old != nil && old.mark == markRemoved {
		old = nil
	}
	zeroed := false
	if old != nil {
		oldServers.list = old.servers
		zeroed = old.missing || decreased(&old.Stats, &s.Stats)
	}
	for i := range s.servers {
		d := &s.servers[i]
		d.DestinationEntry = &s.ServiceEntry.Destinations[i]
		d.figures[weight] = float64(d.Weight)
		d.figures[active], d.figures[inactive] = float64(d.Conns.Active), float64(d.Conns.Inactive)
		o := oldServers.find(d.AddrPort())
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
		return
	}
	u.entry(&s.entry, &old.entry, &old.Stats, &s.Stats, zeroed, old.Service != s.Service)
	s.servers = oldServers.merge(s.servers, func(d *server) bool { return d.remove(partial) })
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
	if old == nil || old.missing || zeroed || u.elapsed == 0 || decreased(oldStats, stats) {
		return
	}
	e.meter = old.meter
	if e.measured {
		copy(e.figures[connRate:outBytes+1], old.figures[connRate:outBytes+1])
	}
	e.measure(oldStats, stats, u.elapsed, &e.figures)
}

// remove marks an entry that is not in the new reading as removed, or as
// missing if the reading is partial. It reports whether the entry is still
// shown: one that was already marked as removed is not.
func (e *entry) remove(partial bool) bool {
	shown := e.mark != markRemoved
	e.mark = markRemoved
	if partial {
		e.mark, e.missing = markNone, true
	}
	return shown
}

// finder finds entries in the list of the previous reading. It first looks at
// the entry after the last result: entries rarely change their order, so that
// the index is rarely needed.
type finder[K comparable, E any] struct {
	list  []E
	key   func(*E) K
	next  int // index of the entry to look at first
	hits  int // number of entries found
	index map[K]int
}

// find returns the entry with a key, or nil.
func (f *finder[K, E]) find(k K) *E {
	i := f.next
	if i >= len(f.list) || f.key(&f.list[i]) != k {
		if f.index == nil {
			f.index = indexOf(f.list, f.key)
		}
		var found bool
		if i, found = f.index[k]; !found {
			return nil
		}
	}
	f.next = i + 1
	f.hits++
	return &f.list[i]
}

func indexOf[K comparable, E any](list []E, key func(*E) K) map[K]int {
	index := make(map[K]int, len(list))
	for i := range list {
		index[key(&list[i])] = i
	}
	return index
}

// merge returns list plus the removed entries, which only the list of the
// previous reading contains. It omits those for which keep returns false.
// Each removed entry follows the same entry as before.
func (f *finder[K, E]) merge(list []E, keep func(*E) bool) []E {
	if f.hits == len(f.list) {
		return list
	}
	type removal struct {
		pos   int // the index in list to insert it at
		entry E
	}
	var removals []removal
	index, pos := indexOf(list, f.key), 0
	for i := range f.list {
		if found, ok := index[f.key(&f.list[i])]; ok {
			pos = found + 1
		} else if e := f.list[i]; keep(&e) {
			removals = append(removals, removal{pos, e})
		}
	}
	slices.SortStableFunc(removals, func(a, b removal) int { return a.pos - b.pos })
	merged := make([]E, 0, len(list)+len(removals))
	for i := range len(list) + 1 {
		for len(removals) > 0 && removals[0].pos == i {
			merged, removals = append(merged, removals[0].entry), removals[1:]
		}
		if i < len(list) {
			merged = append(merged, list[i])
		}
	}
	return merged
}
