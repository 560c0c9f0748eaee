// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"net/netip"
	"slices"
	"time"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// figure is a number of a line.
type figure int

// The figures, in the order of their columns. Rates are a second.
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

// unknown is a rate that is not known yet.
const unknown = -1

// mark says what has become of an entry since the reading before.
type mark uint8

const (
	stays mark = iota
	fresh
	changed
	gone
)

// entry is what services and servers have in common.
type entry struct {
	meter
	figures figures
	mark    mark
	missed  bool // a partial reading lacked it
}

type server struct {
	*ipvs.DestinationEntry
	entry
}

// service is a virtual service. Its weight and connections are those of its
// servers together.
type service struct {
	*ipvs.ServiceEntry
	entry
	servers []server
	inPkts  float64 // of its servers together, a second
}

// Model is the table as it changes: what was counted between two readings, and
// which entries are new, changed and gone. The zero Model has had no reading.
type Model struct {
	services []service
	live     int // services without those gone
	servers  int // of all services, likewise
	inet6    bool
	at       time.Time
	broken   bool
	// now and past are the memory of this reading and of the one before, which
	// the next one takes.
	now, past memory
}

type memory struct {
	services []service
	servers  []server
}

// resize returns a list of so many empty entries.
func resize[E any](list []E, n int) []E {
	list = slices.Grow(list[:0], n)[:n]
	clear(list)
	return list
}

// Break says that the next reading comes too late for rates: it is only the
// first of the two that they need.
func (m *Model) Break() { m.broken = true }

// Update takes a reading.
func (m *Model) Update(r Reading) {
	u := update{first: m.at.IsZero()}
	if !m.broken && !u.first {
		u.elapsed = r.At.Sub(m.at)
	}
	m.at, m.broken = r.At, false
	m.live, m.servers, m.inet6 = len(r.Services), 0, false
	for i := range r.Services {
		m.servers += len(r.Services[i].Destinations)
	}
	m.now, m.past = m.past, m.now
	m.now.services, m.now.servers = resize(m.now.services, m.live), resize(m.now.servers, m.servers)
	next, room := m.now.services, m.now.servers
	past := finder[ipvs.ServiceID, service]{list: m.services, key: func(s *service) ipvs.ServiceID { return s.ServiceID }}
	for i := range r.Services {
		e, s := &r.Services[i], &next[i]
		n := len(e.Destinations)
		s.ServiceEntry, s.servers, room = e, room[:n:n], room[n:]
		m.inet6 = m.inet6 || e.Addr.Is6() && e.FWMark == 0 || n > 0 && e.Destinations[0].Addr.Is6()
		u.service(s, past.find(e.ServiceID), r.Partial)
	}
	m.services = past.merge(next, func(s *service) bool {
		s.servers = slices.Clone(s.servers) // whose memory the next reading takes
		return s.leave(r.Partial)
	})
}

// update compares a reading with the one before.
type update struct {
	first   bool          // there is none before
	elapsed time.Duration // zero where no rates can be had
}

// service fills in a service that was another before, nil if it was not there.
func (u *update) service(s, was *service, partial bool) {
	past := finder[netip.AddrPort, server]{key: func(d *server) netip.AddrPort { return d.AddrPort() }}
	if was != nil && was.mark == gone {
		was = nil
	}
	zeroed := false
	if was != nil {
		past.list = was.servers
		zeroed = was.missed || fell(&was.Stats, &s.Stats)
	}
	for i := range s.servers {
		d := &s.servers[i]
		d.DestinationEntry = &s.ServiceEntry.Destinations[i]
		d.figures[weight] = float64(d.Weight)
		d.figures[active], d.figures[inactive] = float64(d.Conns.Active), float64(d.Conns.Inactive)
		before := past.find(d.AddrPort())
		if before == nil || before.mark == gone {
			u.entry(&d.entry, nil, nil, &d.Stats, false, false)
		} else {
			// Counters of a service are zeroed with those of its servers.
			u.entry(&d.entry, &before.entry, &before.Stats, &d.Stats, zeroed, before.Destination != d.Destination)
		}
		for _, f := range [...]figure{weight, active, inactive} {
			s.figures[f] += d.figures[f]
		}
		s.inPkts += max(d.figures[inPkts], 0)
	}
	if was == nil {
		u.entry(&s.entry, nil, nil, &s.Stats, false, false)
		return
	}
	u.entry(&s.entry, &was.entry, &was.Stats, &s.Stats, zeroed, was.Service != s.Service)
	s.servers = past.merge(s.servers, func(d *server) bool { return d.leave(partial) })
}

// entry fills in the mark and the rates of an entry that was another before,
// with other counters, nil if it was not there.
func (u *update) entry(e, was *entry, before, now *ipvs.Stats, zeroed, differs bool) {
	for f := connRate; f <= outBytes; f++ {
		e.figures[f] = unknown
	}
	switch {
	case was == nil && !u.first:
		e.mark = fresh
	case was != nil && differs:
		e.mark = changed
	}
	e.begun = u.first || was != nil
	if was == nil || was.missed || zeroed || u.elapsed == 0 || fell(before, now) {
		return
	}
	e.meter = was.meter
	if e.known {
		copy(e.figures[connRate:outBytes+1], was.figures[connRate:outBytes+1])
	}
	e.next(before, now, u.elapsed, &e.figures)
}

// leave marks an entry that a reading lacks, and reports whether it is still to
// be shown.
func (e *entry) leave(partial bool) bool {
	shown := e.mark != gone
	e.mark = gone
	if partial { // it may be there
		e.mark, e.missed = stays, true
	}
	return shown
}

// finder finds entries in the list of the reading before. Most are behind the
// one that was found last, so the index is seldom made.
type finder[K comparable, E any] struct {
	list  []E
	key   func(*E) K
	next  int
	hits  int
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

// merge adds to a list what the one before had besides and keep accepts, each
// behind the entry that it followed.
func (f *finder[K, E]) merge(list []E, keep func(*E) bool) []E {
	if f.hits == len(f.list) {
		return list
	}
	type straggler struct {
		behind int
		entry  E
	}
	var stragglers []straggler
	index, behind := indexOf(list, f.key), 0
	for i := range f.list {
		if at, found := index[f.key(&f.list[i])]; found {
			behind = at + 1
		} else if e := f.list[i]; keep(&e) {
			stragglers = append(stragglers, straggler{behind, e})
		}
	}
	slices.SortStableFunc(stragglers, func(a, b straggler) int { return a.behind - b.behind })
	merged := make([]E, 0, len(list)+len(stragglers))
	for i := range len(list) + 1 {
		for len(stragglers) > 0 && stragglers[0].behind == i {
			merged, stragglers = append(merged, stragglers[0].entry), stragglers[1:]
		}
		if i < len(list) {
			merged = append(merged, list[i])
		}
	}
	return merged
}
