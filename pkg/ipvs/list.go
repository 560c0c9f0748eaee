// SPDX-License-Identifier: Apache-2.0

package ipvs

// This file makes lists whole. The kernel fills each datagram of a list in one
// walk over the table, so between two entries of a datagram nothing is left out
// that stood meanwhile. The next datagram begins at the number of entries that
// have been listed so far: if entries in front of it have been deleted since,
// it begins too far on; if some have been added, it repeats others.
//
// So a list of one datagram is exact. A longer one has gaps, between each
// datagram and the next. It is taken again, cut at other places, so that a
// datagram of the second dump spans each gap of the first: it has entries from
// in front of the gap and from behind it, and therefore all that stand between
// them, as long as the kernel keeps the order of what stands. It does, except
// that Linux 7.1 and later resize the table of services; entries that are added
// again move. Hence a gap counts as closed only by several entries on either
// side. If one stays open, the next dump decides. The list has all that any
// dump had.
//
// This is a proof but for two things. A few dumps in a row that find nothing
// new are taken for the end as well (maxQuiet), and a table that is resized
// between two dumps of one list may still look as if it had kept its order.

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs/internal/nl"
)

const (
	// bothSides is how many entries on either side of a gap close it.
	bothSides = 8
	// maxCovers is how many dumps may close the gaps of one. Then the last
	// takes its place.
	maxCovers = 8
	// maxBack is by how many datagrams of one dump the next of another may lie
	// further in front, as it does if entries have been added, until the
	// order counts as another.
	maxBack = 1
	// maxMoved is the part of a dump, one in so many, that may have moved.
	maxMoved = 8
	// maxQuiet is how many dumps in a row end a list if none finds a new entry,
	// although gaps are open: they are where so many entries come and go that
	// nothing stands on one side, or the kernel lacks the memory to cut a dump
	// elsewhere.
	maxQuiet = 5
	// maxPatience is how long a call goes on after the first repetition of
	// each list, unless Config.Patience says otherwise, with up to maxPause
	// between dumps.
	maxPatience = time.Second
	maxPause    = 10 * time.Millisecond
)

// cuts are the lengths of the first datagram of repeated dumps.
var cuts = [...]int{16 << 10, 8 << 10, 24 << 10, 12 << 10, 20 << 10, 28 << 10}

// part is what is known of a datagram of a list.
type part struct{ entries, bytes, largest int }

func (p *part) add(bytes int) {
	p.entries++
	p.bytes += bytes
	p.largest = max(p.largest, bytes)
}

// The kernel makes datagrams of one of these lengths, less up to skbOverhead.
const (
	longestDatagram    = 32 << 10
	longestDatagramOld = 16 << 10 // before Linux 4.10
	skbOverhead        = 768
)

// shortestDatagram is the length that a kernel short of memory falls back to.
var shortestDatagram = min(os.Getpagesize(), 8<<10)

// full reports whether the table may go on where the datagram ends. The kernel
// is known to be short of memory if cramped is set.
func (p part) full(cramped bool) bool {
	near := func(length int) bool { return p.bytes <= length && p.bytes+p.largest > length-skbOverhead }
	return near(longestDatagram) || near(longestDatagramOld) || cramped && near(shortestDatagram)
}

// listed returns the datagrams of the list that was just read, and whether the
// table ended with them. They are valid until the next query.
func (c *Client) listed() (parts []part, ended bool) {
	for _, p := range c.parts[:max(len(c.parts), 1)-1] {
		c.cramped = c.cramped || p.bytes <= shortestDatagram
	}
	return c.parts, len(c.parts) == 0 || !c.parts[len(c.parts)-1].full(c.cramped)
}

// patience is what is left of Config.Patience.
type patience time.Duration

// kind is how to list one kind of entry, E, which K identifies.
type kind[K comparable, E any] struct {
	cmd   uint8
	key   func(*E) K
	id    func(*decoder, []byte, Family) (K, error) // reads the identity only
	entry func(*decoder, []byte, Family, *E) error
}

var serviceKind = kind[ServiceID, ServiceEntry]{
	cmd:   nl.CmdGetService,
	key:   func(s *ServiceEntry) ServiceID { return s.ServiceID },
	id:    func(d *decoder, b []byte, _ Family) (ServiceID, error) { return d.serviceID(b) },
	entry: func(d *decoder, b []byte, _ Family, s *ServiceEntry) error { return d.service(b, s) },
}

var destinationKind = kind[netip.AddrPort, DestinationEntry]{
	cmd:   nl.CmdGetDest,
	key:   func(d *DestinationEntry) netip.AddrPort { return d.AddrPort() },
	id:    (*decoder).destinationID,
	entry: (*decoder).destination,
}

// list returns all entries, of a service if they are destinations. It uses buf
// while it reads, if given.
func (k *kind[K, E]) list(ctx context.Context, c *Client, of *ServiceID, buf *[]E, left *patience) ([]E, error) {
	list, parts, ended, err := k.first(ctx, c, of, buf)
	if err != nil {
		return nil, err
	}
	if len(parts) <= 1 && ended {
		if !k.repeats(list) {
			return list, nil
		}
		parts = []part{{entries: len(list)}}
	}
	l := lister[K, E]{kind: k, c: c, of: of}
	return l.complete(ctx, list, parts, ended, left)
}

// familyOf returns the family of the destinations of a service where a kernel
// does not say; zero for none.
func familyOf(of *ServiceID) Family {
	if of == nil {
		return 0
	}
	return of.Family()
}

// first dumps the table for the first time.
func (k *kind[K, E]) first(ctx context.Context, c *Client, of *ServiceID, buf *[]E) (list []E, parts []part, ended bool, err error) {
	if err := c.lock(ctx); err != nil {
		return nil, nil, false, err
	}
	defer c.unlock()
	family := familyOf(of)
	if buf != nil {
		list = (*buf)[:0]
	}
	err = c.query(ctx, &c.main, k.cmd, of, true, func(b []byte) error {
		var e E
		list = append(list, e)
		return k.entry(&c.dec, b, family, &list[len(list)-1])
	})
	if err != nil {
		return nil, nil, false, err
	}
	if buf != nil {
		*buf = list
		list = append(make([]E, 0, len(list)), list...)
	}
	if list == nil {
		list = []E{}
	}
	if parts, ended = c.listed(); len(parts) > 1 || !ended {
		parts = slices.Clone(parts) // another call may come in between
	}
	return list, parts, ended, nil
}

// repeats reports whether a list has an entry twice. A short one takes no map.
func (k *kind[K, E]) repeats(list []E) bool {
	if len(list) <= shortList {
		for i := range list {
			for j := range i {
				if k.key(&list[i]) == k.key(&list[j]) {
					return true
				}
			}
		}
		return false
	}
	seen := make(map[K]struct{}, len(list))
	for i := range list {
		seen[k.key(&list[i])] = struct{}{}
	}
	return len(seen) < len(list)
}

// lister makes one list.
type lister[K comparable, E any] struct {
	*kind[K, E]
	c  *Client
	of *ServiceID

	found []E
	place map[K]int // in found
}

// dump is one answer of the kernel, by the places of its entries in found.
type dump struct {
	datagrams [][]int
	ended     bool // the table ended with it
	moved     bool // one datagram has an entry twice
}

// exact reports whether the dump has no gaps.
func (d *dump) exact() bool { return !d.moved && d.ended && len(d.datagrams) <= 1 }

// split makes the datagrams of a dump out of its entries.
func (d *dump) split(places []int, parts []part, found int) {
	seen := make([]int, found) // number of the datagram that last had an entry
	for i, p := range parts {
		datagram := places[:p.entries:p.entries]
		places = places[p.entries:]
		for _, n := range datagram {
			d.moved = d.moved || seen[n] == i+1
			seen[n] = i + 1
		}
		d.datagrams = append(d.datagrams, datagram)
	}
}

// complete makes a list whole that begins with the first dump. It returns what
// it found beside ErrChanging if it is not sure that this is all.
func (l *lister[K, E]) complete(ctx context.Context, list []E, parts []part, ended bool, left *patience) ([]E, error) {
	l.place = make(map[K]int, len(list))
	l.found = list[:0]
	first := dump{ended: ended}
	places := make([]int, 0, len(list))
	for i := range list {
		n, known := l.place[l.key(&list[i])]
		if !known {
			n = len(l.found)
			l.place[l.key(&list[i])] = n
			l.found = append(l.found, list[i])
		}
		places = append(places, n)
	}
	first.split(places, parts, len(l.found))
	open := gapsOf(&first, len(l.found))
	for round, quiet, covers := 0, 0, 0; open.left > 0; round++ {
		begin, known := time.Now(), len(l.found)
		d, err := l.again(ctx, cuts[round%len(cuts)])
		if err != nil {
			return nil, err
		}
		if quiet++; d.moved || len(l.found) > known {
			quiet = 0
		}
		covers++
		same := open.close(&d, len(l.found))
		if open.left == 0 || d.exact() || quiet == maxQuiet {
			break
		}
		if !same || covers == maxCovers {
			open, covers = gapsOf(&d, len(l.found)), 0
		}
		if round == 0 {
			continue
		}
		select {
		case <-time.After(min(time.Duration(round)*time.Millisecond, maxPause)):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if *left -= patience(time.Since(begin)); *left <= 0 {
			return l.found, ErrChanging
		}
	}
	return l.found, nil
}

// again dumps the table once more and adds to found what is new.
func (l *lister[K, E]) again(ctx context.Context, cut int) (d dump, err error) {
	if err := l.c.lock(ctx); err != nil {
		return d, err
	}
	defer l.c.unlock()
	s := &l.c.main
	// Without another socket the dump is cut where those before it were.
	if t, err := s.t.Another(cut); err == nil {
		defer t.Close()
		s = &session{t: t}
	}
	family := familyOf(l.of)
	var places []int
	err = l.c.query(ctx, s, l.cmd, l.of, true, func(b []byte) error {
		id, err := l.id(&l.c.dec, b, family)
		if err != nil {
			return err
		}
		n, known := l.place[id]
		if !known {
			var e E
			if err := l.entry(&l.c.dec, b, family, &e); err != nil {
				return err
			}
			n = len(l.found)
			l.place[id] = n
			l.found = append(l.found, e)
		}
		places = append(places, n)
		return nil
	})
	if err != nil {
		return d, err
	}
	var parts []part
	parts, d.ended = l.c.listed()
	d.split(places, parts, len(l.found))
	return d, nil
}

// gaps are those of one dump that no later one has closed. What lies between
// two gaps has a number, at first that of a datagram. It grows by the entries
// that later dumps have next to it.
type gaps struct {
	stretch []int // that an entry is of, by its place in found; or none
	end     int   // number of stretches
	open    []bool
	left    int // number of those open
}

const none = -1

// gapsOf returns the gaps of a dump: one behind each datagram, unless the table
// ended there.
func gapsOf(d *dump, found int) gaps {
	g := gaps{end: len(d.datagrams), left: len(d.datagrams)}
	if d.moved {
		g.left = 1 // that nothing closes
		return g
	}
	if d.ended {
		g.left = max(g.left, 1) - 1
	}
	g.open = slices.Repeat([]bool{true}, g.left)
	g.stretch = slices.Repeat([]int{none}, found)
	for i, datagram := range slices.Backward(d.datagrams) {
		for _, n := range datagram {
			g.stretch[n] = i
		}
	}
	return g
}

// close closes the gaps that a later dump spans, and reports whether it has the
// table in the same order. Of entries that it has twice, the first counts.
func (g *gaps) close(d *dump, found int) (same bool) {
	if d.moved || g.open == nil {
		return false
	}
	g.stretch = append(g.stretch, slices.Repeat([]int{none}, found-len(g.stretch))...)
	var views []view
	known, moved, furthest := 0, 0, 0
	seen := make([]bool, found)
	for i, datagram := range d.datagrams {
		v := g.view(datagram, seen)
		known, moved = known+len(v.stretch), moved+v.settle()
		if i == len(d.datagrams)-1 && d.ended {
			v.end(g.end)
		}
		if !v.span(g.end) || len(v.spans) > 0 && v.spans[0].front < furthest-maxBack {
			return false
		}
		for _, s := range v.spans {
			furthest = max(furthest, s.front)
		}
		views = append(views, v)
	}
	if moved > known/maxMoved {
		return false
	}
	for _, v := range views {
		g.take(v)
	}
	return true
}

// take notes what a datagram has shown.
func (g *gaps) take(v view) {
	for i, at := range v.at {
		if at < len(v.datagram) {
			g.stretch[v.datagram[at]] = v.stretch[i]
		}
	}
	for _, s := range v.spans {
		for n := s.front; n < min(s.back, len(g.open)); n++ {
			if g.open[n] {
				g.open[n] = false
				g.left--
			}
		}
		for _, n := range s.between {
			if g.stretch[n] == none {
				g.stretch[n] = s.front
			}
		}
	}
}

// view is a datagram as it looks from another dump.
type view struct {
	datagram []int
	stretch  []int // those of its entries that are of any
	at       []int // where these are in datagram
	spans    []span
}

// span is a part of a datagram that joins two stretches, or adds to one.
type span struct {
	front, back int
	between     []int // entries that become part of front unless they are of any
}

// view passes over entries that earlier datagrams had.
func (g *gaps) view(datagram []int, seen []bool) view {
	v := view{datagram: datagram}
	for i, n := range datagram {
		if g.stretch[n] != none && !seen[n] {
			v.stretch, v.at = append(v.stretch, g.stretch[n]), append(v.at, i)
		}
		seen[n] = true
	}
	return v
}

// settle puts entries that are among those of another stretch, because they
// were added again, into that one: the one in the middle of the nine around. It
// returns how many. In a table of the same order they are few.
func (v *view) settle() (moved int) {
	const side = bothSides / 2
	was := slices.Clone(v.stretch)
	for i := side; i < len(was)-side; i++ {
		if was[i-1] == was[i] && was[i] == was[i+1] {
			continue
		}
		around := slices.Clone(was[i-side : i+side+1])
		slices.Sort(around)
		if v.stretch[i] = around[side]; v.stretch[i] != was[i] {
			moved++
		}
	}
	return moved
}

// end adds the end of the table, which counts as many entries behind all.
func (v *view) end(stretch int) {
	for range bothSides {
		v.stretch, v.at = append(v.stretch, stretch), append(v.at, len(v.datagram))
	}
}

// span finds entries of one stretch that are followed by those of a later one,
// or by unknown entries. On either side there have to be several from the same
// direction. It reports false if there are several the other way round: the
// order is another.
func (v *view) span(end int) bool {
	last := len(v.stretch)
	if last < bothSides {
		return true
	}
	if first := v.stretch[0]; first != end && slices.Min(v.stretch[:bothSides]) == first {
		v.spans = append(v.spans, span{first, first, v.datagram[:v.at[0]]})
	}
	for i := bothSides; i+bothSides <= last; i++ {
		before, behind := v.stretch[i-bothSides:i], v.stretch[i:i+bothSides]
		front, back := v.stretch[i-1], v.stretch[i]
		most, least := slices.Max(before), slices.Min(behind)
		switch {
		case slices.Min(before) > slices.Max(behind):
			return false
		case front == end || most > front || least < back:
		case back == end && front < end-1:
			// Nothing is left of the stretches in between.
		default:
			v.spans = append(v.spans, span{front, back, v.datagram[v.at[i-1]+1 : v.at[i]]})
		}
	}
	if front := v.stretch[last-1]; front != end && slices.Max(v.stretch[last-bothSides:]) == front {
		v.spans = append(v.spans, span{front, front, v.datagram[v.at[last-1]+1:]})
	}
	return true
}

// Services returns all services in the order of the kernel's hash table, an
// empty list if there are none. Their Destinations are nil, since they are not
// asked for.
//
// If the error matches [ErrChanging], the list is returned beside it, but
// services may be missing: see the package's documentation.
func (c *Client) Services(ctx context.Context) ([]ServiceEntry, error) {
	left := patience(c.patience)
	return c.services(ctx, &left)
}

func (c *Client) services(ctx context.Context, left *patience) ([]ServiceEntry, error) {
	list, err := serviceKind.list(ctx, c, nil, nil, left)
	if err != nil {
		return list, &QueryError{Query: "list services", Err: err}
	}
	return list, nil
}

// Destinations returns the destinations of a service in the kernel's order, an
// empty list if it has none. The kernel has the same answer where there is no
// such service.
//
// If the error matches [ErrChanging], the list is returned beside it, but
// destinations may be missing: see the package's documentation.
func (c *Client) Destinations(ctx context.Context, id ServiceID) ([]DestinationEntry, error) {
	if err := id.validate(); err != nil {
		return nil, &QueryError{Query: "list destinations", Err: err}
	}
	left := patience(c.patience)
	return c.destinations(ctx, id, &left)
}

func (c *Client) destinations(ctx context.Context, id ServiceID, left *patience) ([]DestinationEntry, error) {
	list, err := destinationKind.list(ctx, c, &id, &c.found, left)
	if err != nil {
		return list, &QueryError{Query: "list destinations of " + id.String(), Err: err}
	}
	return list, nil
}

// ServicesWithDestinations returns all services with the destinations of each.
// A service that is deleted while its destinations are listed is left out.
//
// If the error matches [ErrChanging], the list is returned beside it, but
// entries may be missing: see the package's documentation.
func (c *Client) ServicesWithDestinations(ctx context.Context) ([]ServiceEntry, error) {
	left := patience(c.patience)
	services, changing := c.services(ctx, &left)
	if changing != nil && !errors.Is(changing, ErrChanging) {
		return nil, changing
	}
	f := filling{services: services, gone: make([]bool, len(services))}
	var beside sync.WaitGroup
	if len(services) >= parallelServices && runtime.GOMAXPROCS(0) > 1 {
		if other, err := c.beside(ctx); err == nil {
			defer other.Close()
			beside.Go(func() { f.by(ctx, other, left) })
		}
	}
	f.by(ctx, c, left)
	beside.Wait()
	if f.failed != nil {
		return nil, f.failed
	}
	kept := services[:0]
	for i := range services {
		if !f.gone[i] {
			kept = append(kept, services[i])
		}
	}
	return kept, cmp.Or(changing, f.changing)
}

// parallelServices is how many services are asked about on two sockets where there
// are two processors: the kernel answers on one of them while the answers of
// the other are read.
const parallelServices = 256

// beside returns a client that works side by side with this one.
func (c *Client) beside(ctx context.Context) (*Client, error) {
	if err := c.lock(ctx); err != nil {
		return nil, err
	}
	defer c.unlock()
	t, err := c.main.t.Beside()
	if err != nil {
		return nil, err
	}
	other := newClient(t, c.family, 0, 0) // it only asks
	other.cramped, other.dec.noStats, other.patience = c.cramped, c.dec.noStats, c.patience
	return other, nil
}

// filling is services whose destinations are being listed, perhaps by several
// clients.
type filling struct {
	services []ServiceEntry
	gone     []bool // services that were deleted meanwhile
	next     atomic.Int64

	mu               sync.Mutex
	changing, failed error // the first of each kind
}

// by lists destinations by one of the clients, of some services at a time.
func (f *filling) by(ctx context.Context, c *Client, left patience) {
	const some = 32
	for {
		n := len(f.services)
		end := int(f.next.Add(some))
		for i := end - some; i < min(end, n); i++ {
			if err := f.one(ctx, c, i, &left); err != nil {
				f.mu.Lock()
				defer f.mu.Unlock()
				f.failed = cmp.Or(f.failed, err)
				f.next.Store(int64(n))
				return
			}
		}
		if end >= n {
			return
		}
	}
}

// one lists the destinations of one service.
func (f *filling) one(ctx context.Context, c *Client, i int, left *patience) (err error) {
	s := &f.services[i]
	if s.Destinations, err = c.destinations(ctx, s.ServiceID, left); errors.Is(err, ErrChanging) {
		f.mu.Lock()
		f.changing = cmp.Or(f.changing, err)
		f.mu.Unlock()
	} else if err != nil {
		return err
	}
	if len(s.Destinations) == 0 {
		// The kernel has the same answer for a service without any and for no
		// service.
		_, err := c.Service(ctx, s.ServiceID)
		if f.gone[i] = errors.Is(err, ErrNoService); !f.gone[i] {
			return err
		}
	}
	return nil
}

// Table returns everything: services with their destinations, timeouts and
// sync daemons.
//
// If the error matches [ErrChanging], the table is returned beside it, but
// entries may be missing: see the package's documentation.
func (c *Client) Table(ctx context.Context) (*Table, error) {
	var t Table
	var err, changing error
	if t.Services, changing = c.ServicesWithDestinations(ctx); changing != nil && !errors.Is(changing, ErrChanging) {
		return nil, changing
	}
	if t.Timeouts, err = c.Timeouts(ctx); err != nil {
		return nil, err
	}
	if t.Daemons, err = c.Daemons(ctx); err != nil {
		return nil, err
	}
	return &t, changing
}
