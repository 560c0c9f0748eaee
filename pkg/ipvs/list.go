// SPDX-License-Identifier: Apache-2.0

package ipvs

// This file makes lists complete. The kernel fills each datagram of a dump in
// one walk over the table, and starts the next one after the number of
// entries that it has listed: if other programs delete entries meanwhile, it
// skips some.
//
// A dump of one datagram is therefore exact. A longer one is repeated, cut
// into datagrams at other places, until a dump contains every entry found so
// far, or several dumps in a row find nothing new. The list is the union of
// all dumps.

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs/internal/nl"
)

const (
	// maxQuiet is how many dumps in a row end a list if none of them finds a
	// new entry.
	maxQuiet = 3
	// maxPatience is the default of Config.Patience: the time limit of all
	// repetitions of a call, from the second of each list on, with up to
	// maxPause between dumps.
	maxPatience = 3 * time.Second
	maxPause    = 10 * time.Millisecond
)

// cuts are the lengths of the first datagram of repeated dumps.
var cuts = [...]int{16 << 10, 8 << 10, 24 << 10, 12 << 10, 20 << 10, 28 << 10}

const (
	// longestDatagram is the kernel's maximum size of a datagram.
	longestDatagram = 32 << 10
	// unusable bounds the free rest of a datagram that the next entry did not
	// fit into.
	unusable = 2 << 10
)

// isExact reports whether a dump lists the table of one instant: it has one
// datagram, which did not end for lack of room.
func (d dumped) isExact() bool { return d.datagrams <= 1 && d.bytes <= longestDatagram-unusable }

// kind describes how to list entries of type E, identified by K.
type kind[K comparable, E any] struct {
	cmd   uint8
	key   func(*E) K
	entry func(*decoder, []byte, *E) error
}

var serviceKind = kind[ServiceID, ServiceEntry]{
	cmd:   nl.CmdGetService,
	key:   func(s *ServiceEntry) ServiceID { return s.ServiceID },
	entry: (*decoder).service,
}

var destinationKind = kind[netip.AddrPort, DestinationEntry]{
	cmd:   nl.CmdGetDest,
	key:   func(d *DestinationEntry) netip.AddrPort { return d.AddrPort() },
	entry: (*decoder).destination,
}

// dump appends the entries of one dump to list; of is the service of
// destinations. The first datagram has cut bytes, unless cut is 0.
func (k *kind[K, E]) dump(ctx context.Context, c *Client, of *ServiceID, cut int, list []E) ([]E, dumped, error) {
	if err := c.lock(ctx); err != nil {
		return list, dumped{}, err
	}
	defer c.unlock()
	conn := c.conn
	if cut > 0 {
		// Without a second socket it is cut at the same places.
		if second, err := conn.second(cut); err == nil {
			defer second.t.Close()
			conn = second
		}
	}
	var d dumped
	err := c.withFamily(func() (err error) {
		conn.family = c.conn.family
		d, err = conn.query(ctx, k.cmd, of, true, func(b []byte) error {
			var e E
			list = append(list, e)
			return k.entry(&c.conn.dec, b, &list[len(list)-1])
		})
		return err
	})
	return list, d, err
}

// hasDuplicate reports whether a list of one datagram has an entry twice: the kernel
// moves entries while it resizes a table.
func (k *kind[K, E]) hasDuplicate(list []E) bool {
	for i := range list {
		for j := range i {
			if k.key(&list[i]) == k.key(&list[j]) {
				return true
			}
		}
	}
	return false
}

// list returns all entries, with ErrChanging if some may be missing. It
// reuses the memory of *scratch.
func (k *kind[K, E]) list(ctx context.Context, c *Client, of *ServiceID, scratch *[]E, left *time.Duration) ([]E, error) {
	dump, d, err := k.dump(ctx, c, of, 0, (*scratch)[:0])
	*scratch = dump
	if err != nil {
		return nil, err
	}
	found := make([]E, 0, len(dump))
	if d.isExact() && !k.hasDuplicate(dump) {
		return append(found, dump...), nil
	}
	seen := make(map[K]int, len(dump)) // round in which the entry was found first
	for round, quiet := 0, 0; ; round++ {
		previous, distinct := len(found), 0
		for i := range dump {
			last, before := seen[k.key(&dump[i])]
			if !before {
				found = append(found, dump[i])
			}
			if !before || last < round {
				distinct++
			}
			seen[k.key(&dump[i])] = round
		}
		if quiet++; len(found) > previous {
			quiet = 0
		}
		whole := distinct == len(dump) && (d.isExact() || distinct == len(found))
		if round > 0 && (whole || quiet == maxQuiet) {
			return found, nil
		}
		start := time.Now()
		if round > 1 {
			select {
			case <-time.After(min(time.Duration(round)*time.Millisecond, maxPause)):
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		if dump, d, err = k.dump(ctx, c, of, cuts[round%len(cuts)], dump[:0]); err != nil {
			return nil, err
		}
		if round > 0 {
			if *left -= time.Since(start); *left <= 0 {
				return found, ErrChanging
			}
		}
	}
}

// Services returns all services in the order of the kernel's hash table, an
// empty list if there are none. Their Destinations are nil.
//
// If the error matches [ErrChanging], the list is returned with it, but services
// may be missing: see the package's documentation.
func (c *Client) Services(ctx context.Context) ([]ServiceEntry, error) {
	left := c.patience
	return c.services(ctx, &left)
}

func (c *Client) services(ctx context.Context, left *time.Duration) ([]ServiceEntry, error) {
	list, err := serviceKind.list(ctx, c, nil, new([]ServiceEntry), left)
	if err != nil {
		return list, &QueryError{Query: "list services", Err: err}
	}
	return list, nil
}

// Destinations returns the destinations of a service in the kernel's order,
// an empty list if it has none. The kernel gives the same reply for a service
// that does not exist.
//
// If the error matches [ErrChanging], the list is returned with it, but
// destinations may be missing: see the package's documentation.
func (c *Client) Destinations(ctx context.Context, of ServiceID) ([]DestinationEntry, error) {
	if err := of.validate(); err != nil {
		return nil, &QueryError{Query: "list destinations", Err: err}
	}
	left := c.patience
	return c.destinations(ctx, of, new([]DestinationEntry), &left)
}

func (c *Client) destinations(ctx context.Context, of ServiceID, scratch *[]DestinationEntry, left *time.Duration) ([]DestinationEntry, error) {
	list, err := destinationKind.list(ctx, c, &of, scratch, left)
	if err != nil {
		return list, &QueryError{Query: "list destinations of " + of.String(), Err: err}
	}
	return list, nil
}

// ServicesWithDestinations returns all services with the destinations of each.
// A service that is deleted while its destinations are listed is left out.
//
// If the error matches [ErrChanging], the list is returned with it, but entries
// may be missing: see the package's documentation.
func (c *Client) ServicesWithDestinations(ctx context.Context) ([]ServiceEntry, error) {
	left := c.patience
	services, changing := c.services(ctx, &left)
	if changing != nil && !errors.Is(changing, ErrChanging) {
		return nil, changing
	}
	var scratch []DestinationEntry
	kept := services[:0]
	for _, s := range services {
		var err error
		s.Destinations, err = c.destinations(ctx, s.ServiceID, &scratch, &left)
		if errors.Is(err, ErrChanging) {
			changing = cmp.Or(changing, err)
		} else if err != nil {
			return nil, err
		}
		if len(s.Destinations) == 0 {
			// The kernel gives the same reply for an empty service and for
			// one that does not exist.
			_, err := c.Service(ctx, s.ServiceID)
			if errors.Is(err, ErrNoService) {
				continue
			}
			if err != nil {
				return nil, err
			}
		}
		kept = append(kept, s)
	}
	return kept, changing
}

// Table returns services with their destinations, timeouts and sync daemons.
//
// If the error matches [ErrChanging], the table is returned with it, but entries
// may be missing: see the package's documentation.
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
