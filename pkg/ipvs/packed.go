// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"hash/maphash"
	"iter"
	"math/bits"
	"net/netip"
	"slices"
)

// places is where in a list a key may be found: a hash table of places without
// the keys, which the list has already. What has been removed from the list
// may keep its place, so each place that is found has to be compared.
type places[K comparable] struct {
	slots []uint32 // places plus one, 0 if never used, or gone
	used  int
	seed  maphash.Seed
}

// gone is a slot whose place was forgotten.
const gone = ^uint32(0)

// full reports whether reset has to come before the next call of add. It is
// true for the zero value.
func (p *places[K]) full() bool { return 4*(p.used+1) > 3*len(p.slots) }

// reset forgets all places and makes room for n of them, and at least a quarter
// more: where as many come as go, n places are added anew after n/4 at the
// earliest.
func (p *places[K]) reset(n int) {
	if p.slots == nil {
		p.seed = maphash.MakeSeed()
	}
	p.slots, p.used = make([]uint32, 1<<bits.Len(uint(max(7, 5*n/3)))), 0
}

// slot iterates over the slots of a key, up to the first free one.
func (p *places[K]) slot(key K) iter.Seq[*uint32] {
	return func(yield func(*uint32) bool) {
		for i := maphash.Comparable(p.seed, key); ; i++ {
			if s := &p.slots[i&uint64(len(p.slots)-1)]; !yield(s) || *s == 0 {
				return
			}
		}
	}
}

// add adds the place of a key.
func (p *places[K]) add(key K, place int) {
	for s := range p.slot(key) {
		if *s == 0 || *s == gone {
			if *s == 0 {
				p.used++
			}
			*s = uint32(place + 1)
			return
		}
	}
}

// move replaces a place of a key.
func (p *places[K]) move(key K, from, to int) { p.replace(key, from, uint32(to+1)) }

// forget makes room for another place of a key: one that came and went over
// and over would be searched for behind all its former places.
func (p *places[K]) forget(key K, place int) { p.replace(key, place, gone) }

func (p *places[K]) replace(key K, place int, slot uint32) {
	for s := range p.slot(key) {
		if *s == uint32(place+1) {
			*s = slot
			return
		}
	}
}

// find returns what compare returns for a place, the first that is not
// negative, or -1.
func (p *places[K]) find(key K, compare func(place int) int) int {
	if p.slots == nil {
		return -1
	}
	for s := range p.slot(key) {
		if *s == 0 {
			break
		}
		if *s == gone {
			continue
		}
		if found := compare(int(*s) - 1); found >= 0 {
			return found
		}
	}
	return -1
}

// packed is the services of a Model. A table describes a service in 192 bytes
// and a destination in 152, most of them for counters that a model seldom has;
// here it is 48 and 56, so that the model of a large file takes little more
// memory than its text. The zero value has no services.
type packed struct {
	blocks [][]packedService // all but the last one are full
	n      int
	places places[ServiceID]
	recent [8]*Service // settings that were used last, to be shared
	arena  arena
}

// packedService is a service without what it shares with others.
type packedService struct {
	ServiceID
	settings *Service // without its identity; not to be changed
	members  *members // nil if there are neither destinations nor counters
}

// members are the destinations of a service, and the counters of both.
type members struct {
	list   []Destination
	counts *counts // nil if all are zero
	// places are those of a long list. removals are the destinations that
	// were removed since, each of which may have moved others up by one.
	places   places[netip.AddrPort]
	removals int
}

type counts struct {
	service      Stats
	destinations []destinationCounts
}

type destinationCounts struct {
	conns ConnCounts
	stats Stats
}

// servicesOfBlock is how many services a block holds.
const servicesOfBlock = 1024

func (p *packed) at(i int) *packedService {
	return &p.blocks[i/servicesOfBlock][i%servicesOfBlock]
}

// find returns the place of a service, or -1.
func (p *packed) find(id ServiceID) int {
	return p.places.find(id, func(place int) int {
		if place < p.n && p.at(place).ServiceID == id {
			return place
		}
		return -1
	})
}

// add adds a service that is not there.
func (p *packed) add(s Service) *packedService {
	if p.n%servicesOfBlock == 0 && p.n/servicesOfBlock == len(p.blocks) {
		var block []packedService
		if p.n > 0 {
			block = make([]packedService, 0, servicesOfBlock)
		}
		p.blocks = append(p.blocks, block)
	}
	block := &p.blocks[p.n/servicesOfBlock]
	*block = append(*block, packedService{ServiceID: s.ServiceID, settings: p.share(s)})
	if p.places.full() {
		p.places.reset(p.n + 1)
		for i := range p.n {
			p.places.add(p.at(i).ServiceID, i)
		}
	}
	p.places.add(s.ServiceID, p.n)
	p.n++
	return p.at(p.n - 1)
}

// remove removes a service. The last one moves into the gap, so that removing
// many takes no longer than adding them.
func (p *packed) remove(place int) {
	p.places.forget(p.at(place).ServiceID, place)
	last := p.n - 1
	if place != last {
		*p.at(place) = *p.at(last)
		p.places.move(p.at(place).ServiceID, last, place)
	}
	*p.at(last) = packedService{}
	block := &p.blocks[last/servicesOfBlock]
	*block = (*block)[:last%servicesOfBlock]
	if len(*block) == 0 {
		p.blocks = p.blocks[:len(p.blocks)-1]
	}
	p.n--
}

// share returns the settings of a service, those of another one if they are
// the same: most services of a table have the same ones as others near them.
func (p *packed) share(s Service) *Service {
	s.ServiceID = ServiceID{}
	for i, known := range p.recent {
		if known != nil && *known == s {
			p.recent[0], p.recent[i] = known, p.recent[0]
			return known
		}
	}
	copy(p.recent[1:], p.recent[:])
	p.recent[0] = &s
	return p.recent[0]
}

// service returns the whole service.
func (s *packedService) service() Service {
	whole := *s.settings
	whole.ServiceID = s.ServiceID
	return whole
}

// list returns the destinations, which are not to be changed.
func (s *packedService) list() []Destination {
	if s.members == nil {
		return nil
	}
	return s.members.list
}

// find returns the place of a destination, or -1.
func (s *packedService) find(ap netip.AddrPort) int {
	m := s.members
	switch {
	case m == nil:
		return -1
	case len(m.list) <= shortList:
		return slices.IndexFunc(m.list, func(d Destination) bool { return d.Port == ap.Port() && d.Addr == ap.Addr() })
	case m.places.full() || m.removals > maxRemovals:
		m.places.reset(len(m.list))
		m.removals = 0
		for i := range m.list {
			m.places.add(m.list[i].AddrPort(), i)
		}
	}
	return m.places.find(ap, func(place int) int {
		first := max(0, place-m.removals)
		for i := min(place, len(m.list)-1); i >= first; i-- {
			if d := &m.list[i]; d.Port == ap.Port() && d.Addr == ap.Addr() {
				return i
			}
		}
		return -1
	})
}

// maxRemovals is how many removals the places of a list survive, since a
// search takes longer with each.
const maxRemovals = 256

// append adds a destination that is not there.
func (p *packed) append(s *packedService, d Destination) {
	if s.members == nil {
		s.members = &members{}
	}
	m := s.members
	if len(m.list) > shortList {
		m.places.add(d.AddrPort(), len(m.list)) // find has made room
	} else {
		m.places = places[netip.AddrPort]{}
	}
	m.list = p.arena.append(m.list, d)
	if m.counts != nil {
		m.counts.destinations = append(m.counts.destinations, destinationCounts{})
	}
}

// delete removes a destination.
func (m *members) delete(place int) {
	m.removals++
	m.list = slices.Delete(m.list, place, place+1)
	if m.counts != nil {
		m.counts.destinations = slices.Delete(m.counts.destinations, place, place+1)
	}
}

// zero resets the counters, but for the connections that there are.
func (s *packedService) zero() {
	if s.members == nil || s.members.counts == nil {
		return
	}
	c := s.members.counts
	c.service = Stats{}
	for i := range c.destinations {
		c.destinations[i].stats = Stats{}
	}
}

// pack adds a service of a table.
func (p *packed) pack(e *ServiceEntry) {
	s := p.add(e.Service)
	if len(e.Destinations) == 0 && e.Stats == (Stats{}) {
		return
	}
	m := &members{list: make([]Destination, len(e.Destinations))}
	counted := e.Stats != Stats{}
	for i := range e.Destinations {
		d := &e.Destinations[i]
		m.list[i] = d.Destination
		counted = counted || d.Conns != ConnCounts{} || d.Stats != Stats{}
	}
	if counted {
		m.counts = &counts{e.Stats, make([]destinationCounts, len(e.Destinations))}
		for i := range e.Destinations {
			m.counts.destinations[i] = destinationCounts{e.Destinations[i].Conns, e.Destinations[i].Stats}
		}
	}
	s.members = m
}

// unpack returns a service as a table has it.
func (s *packedService) unpack() ServiceEntry {
	list := s.list()
	e := ServiceEntry{Service: s.service(), Destinations: make([]DestinationEntry, len(list))}
	for i := range list {
		e.Destinations[i].Destination = list[i]
	}
	if s.members != nil && s.members.counts != nil {
		c := s.members.counts
		e.Stats = c.service
		for i := range list {
			e.Destinations[i].Conns, e.Destinations[i].Stats = c.destinations[i].conns, c.destinations[i].stats
		}
	}
	return e
}
