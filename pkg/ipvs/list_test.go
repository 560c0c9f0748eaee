// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs/internal/nl"
)

// buckets is a simulated table of services. Like Linux it fills a datagram at
// each read and resumes after the number of entries listed so far.
type buckets struct {
	heads   [][]int // ports of each bucket, the latest first
	between func()  // called before each datagram of a dump except the first
	room    func(cut int) int
	dumps   int
}

func (b *buckets) add(port int) {
	h := port % len(b.heads)
	b.heads[h] = slices.Insert(b.heads[h], 0, port)
}

func (b *buckets) delete(port int) {
	h := port % len(b.heads)
	b.heads[h] = slices.DeleteFunc(b.heads[h], func(p int) bool { return p == port })
}

// resize puts the entries in another order.
func (b *buckets) resize(n int) {
	all := slices.Concat(b.heads...)
	b.heads = make([][]int, n)
	for _, p := range all {
		b.add(p)
	}
}

// cursor is a transport to a kernel with such a table.
type cursor struct {
	*buckets
	cut  int
	seq  uint32
	next int // position in the current dump; -1 for none
	done bool
}

func (c *cursor) Write(b []byte) error {
	m, _, err := nextMessage(b)
	c.seq, c.next, c.done = m.seq, 0, false
	c.dumps++
	return err
}

func (c *cursor) Read() ([][]byte, error) {
	if c.done {
		return nil, errors.New("nothing is asked")
	}
	room := c.room(longestDatagram)
	if c.next == 0 {
		room = c.room(c.cut)
	} else {
		c.between()
	}
	var b []byte
	n := 0
	for _, port := range slices.Concat(c.heads...) {
		if n++; n <= c.next {
			continue
		}
		entry := answer(c.seq, serviceEntry(web(uint16(port))))
		if len(b)+len(entry) > room {
			n--
			break
		}
		b = append(b, entry...)
	}
	if c.next = n; len(b) == 0 {
		c.done = true
		return [][]byte{status(nl.MsgDone, c.seq, 0)}, nil
	}
	return [][]byte{b}, nil
}

func (c *cursor) OpenSecond(cut int) (transport, error) {
	return &cursor{buckets: c.buckets, cut: cut}, nil
}
func (*cursor) Discard() (bool, error)      { return false, nil }
func (*cursor) SetDeadline(time.Time) error { return nil }
func (*cursor) Close() error                { return nil }

const (
	resting = 1000
	coming  = 200
)

// crowded returns a table with permanent services, and others that are added
// and deleted between datagrams.
func crowded(r *rand.Rand, heads int) *buckets {
	b := &buckets{heads: make([][]int, heads), room: func(cut int) int { return cut - 320 }}
	for _, p := range r.Perm(resting) {
		b.add(p + 1)
	}
	next := 0
	b.between = func() {
		for range r.IntN(2 * coming) {
			p := resting + 1 + next%coming
			if next/coming%2 == 0 {
				b.add(p)
			} else {
				b.delete(p)
			}
			next++
		}
	}
	return b
}

// missing returns the number of permanent services that a list lacks.
func missing(t *testing.T, list []ServiceEntry) int {
	t.Helper()
	seen := map[ServiceID]bool{}
	n := 0
	for _, s := range list {
		if seen[s.ServiceID] {
			t.Fatalf("%v is listed twice", s.ServiceID)
		}
		if seen[s.ServiceID] = true; s.Port <= resting {
			n++
		}
	}
	return resting - n
}

func TestAListMissesNothingThatStands(t *testing.T) {
	for _, c := range []struct {
		name    string
		heads   int
		prepare func(r *rand.Rand, b *buckets)
		dumps   float64 // maximum of the average
	}{
		{"nobody writes", 64, func(_ *rand.Rand, b *buckets) { b.between = func() {} }, 2},
		{"a table of many buckets", 64, func(*rand.Rand, *buckets) {}, 15},
		{"a table of few buckets", 4, func(*rand.Rand, *buckets) {}, 15},
		{"one chain", 1, func(*rand.Rand, *buckets) {}, 15},
		{"a table that is resized", 64, func(r *rand.Rand, b *buckets) {
			write := b.between
			b.between = func() {
				if write(); r.IntN(60) == 0 {
					b.resize(16 << r.IntN(5))
				}
			}
		}, 15},
		{"nobody writes and memory is short", 64, func(_ *rand.Rand, b *buckets) {
			b.between = func() {}
			b.room = func(int) int { return 4096 - 320 }
		}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			rounds := must.Count(5, 40)
			dumps, changing := 0, 0
			for i := range rounds {
				r := rand.New(rand.NewPCG(15, uint64(i)))
				b := crowded(r, c.heads)
				c.prepare(r, b)
				cl := newClient(newConn(&cursor{buckets: b, cut: longestDatagram}, testFamily, 1<<20, 1<<20))
				list, err := cl.Services(t.Context())
				dumps += b.dumps
				if errors.Is(err, ErrChanging) {
					changing++
				} else if n := missing(t, list); err != nil || n > 0 {
					t.Errorf("case %d: %d of %d services are missing, %v", i, n, resting, err)
				}
			}
			mean := float64(dumps) / float64(rounds)
			t.Logf("%.1f dumps a list, %d of %d came to no end", mean, changing, rounds)
			if mean > c.dumps || changing > rounds/5+1 {
				t.Errorf("too many: want at most %.0f dumps a list", c.dumps)
			}
		})
	}
}

// TestAListOfOneDatagramIsTakenOnce lists each number of services, from none
// to more than fit into one datagram.
func TestAListOfOneDatagramIsTakenOnce(t *testing.T) {
	entry := len(answer(0, serviceEntry(web(1))))
	most := (longestDatagram - 320) / entry
	for n := range most + 2 {
		b := &buckets{heads: make([][]int, 8), between: func() {}, room: func(cut int) int { return cut - 320 }}
		for i := range n {
			b.add(i + 1)
		}
		c := newClient(newConn(&cursor{buckets: b, cut: longestDatagram}, testFamily, 1<<20, 1<<20))
		list, err := c.Services(t.Context())
		if err != nil || len(list) != n {
			t.Fatalf("%d services: %d are listed, %v", n, len(list), err)
		}
		near := func(length int) bool { return n*entry <= length && n*entry > length-unusable }
		if want := 1; b.dumps != want && !near(longestDatagram) && n <= most {
			t.Errorf("%d services took %d dumps", n, b.dumps)
		}
	}
}

// TestTheEndOfATableThatFillsADatagramIsSure fills a datagram, and shrinks
// the table before the next.
func TestTheEndOfATableThatFillsADatagramIsSure(t *testing.T) {
	entry := len(answer(0, serviceEntry(web(1))))
	fits := (longestDatagram - 320) / entry
	b := &buckets{heads: make([][]int, 1), room: func(cut int) int { return cut - 320 }}
	for i := range fits + 5 {
		b.add(i + 1)
	}
	first := true
	b.between = func() {
		if first {
			for i := range 5 {
				b.delete(fits + 5 - i) // services at the front
			}
			first = false
		}
	}
	c := newClient(newConn(&cursor{buckets: b, cut: longestDatagram}, testFamily, 1<<20, 1<<20))
	list, err := c.Services(t.Context())
	if err != nil || len(list) != fits+5 || b.dumps < 2 {
		t.Errorf("%d services by %d dumps, %v; want the %d that stand and 5 that did", len(list), b.dumps, err, fits)
	}
}

// TestAListThatComesToNoEndTakesBoundedTime adds services before each
// reading.
func TestAListThatComesToNoEndTakesBoundedTime(t *testing.T) {
	b := crowded(rand.New(rand.NewPCG(1, 1)), 64)
	next := 1
	b.between = func() {
		b.resize(64 - next%2)
		b.delete(resting + next)
		next++
		b.add(resting + next)
	}
	synctest.Test(t, func(t *testing.T) {
		c := newClient(newConn(&cursor{buckets: b, cut: longestDatagram}, testFamily, 1<<20, 1<<20))
		for _, c.patience = range []time.Duration{maxPatience, maxPatience / 10} {
			limit, start := c.patience, time.Now()
			list, err := c.Services(t.Context())
			if took := time.Since(start); !errors.Is(err, ErrChanging) || took < limit || took > limit+maxPause || len(list) < resting/2 {
				t.Errorf("%d services after %v of %v, %v", len(list), took, limit, err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		start := time.Now()
		list, err := c.Services(ctx)
		if took := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || took != 50*time.Millisecond || list != nil {
			t.Errorf("with a deadline: %d services after %v, %v", len(list), took, err)
		}
	})
}
