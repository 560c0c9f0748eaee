// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs/internal/nl"
)

// Client talks to the kernel's IPVS of one network namespace over one
// socket. It is safe for concurrent use; calls take turns. Changes need
// CAP_NET_ADMIN, and so do the questions.
type Client struct {
	netns  int
	family uint16

	mu       sync.Mutex // of all that follows
	t        transport
	seq      uint32
	maxBytes int // that the socket takes in one write
	maxCount int // of messages in one write, whose refusals the socket can keep
	out      []byte
	dec      decoder
	found    []DestinationEntry // of the last service, before they are copied
}

// Config says how to reach the kernel.
type Config struct {
	// NetNS is an open file descriptor of the network namespace to work in,
	// such as of /run/netns/NAME; zero is that of the calling thread. It has
	// to stay open while Connections is in use.
	NetNS int
}

// Dial opens a client. The error matches ErrNoIPVS where the kernel has no
// IPVS; loading the module ip_vs is the caller's affair.
func Dial(ctx context.Context, cfg Config) (*Client, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s, family, err := dial(cfg.NetNS)
	if err != nil {
		return nil, fmt.Errorf("open IPVS: %w", err)
	}
	send, receive, err := s.buffers()
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("open IPVS: %w", err)
	}
	c := newClient(s, family, send, receive)
	c.netns = cfg.NetNS
	return c, nil
}

// A refusal takes this much of the socket's buffer while it waits to be
// read; if too many wait, the kernel drops the rest, so no more messages are
// sent at once than all can be refused.
const refusalSize = 1024

// A write that has this many messages or bytes is large enough: beyond it
// nothing is gained, but for the changes to one service, which stay together
// as long as the socket takes them.
const (
	batchCount = 1024
	batchBytes = 256 << 10
)

// roomForOne is more bytes than any change takes, usualSize what most take.
const (
	roomForOne = 512
	usualSize  = 160
)

func newClient(t transport, family uint16, send, receive int) *Client {
	return &Client{
		family:   family,
		t:        t,
		maxBytes: send / 2,
		maxCount: max(1, receive/refusalSize),
	}
}

// Close closes the socket. A call that waits for the kernel ends first.
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t.Close()
}

// Apply makes the changes in the order given, many to a system call. Changes
// to one service that stand together are sent in one piece, unless there are
// thousands of them: the kernel then works through them whatever becomes of
// the caller. A change that the kernel refuses does not keep it from trying
// the ones after it. The
// error is nil if it took all; ChangeErrors if it refused some; one that
// matches ErrInvalid, without anything sent, if a change cannot be put in a
// message; else it says how many changes were certainly tried before the
// kernel could not be reached or the context ended.
func (c *Client) Apply(ctx context.Context, changes ...Change) error {
	for i := range changes {
		if err := changes[i].validate(); err != nil {
			return &ChangeError{Index: i, Change: changes[i], Err: err}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var refused ChangeErrors
	for done := 0; done < len(changes); {
		n, err := c.batch(ctx, changes, done, &refused)
		if err != nil {
			err = fmt.Errorf("after %d of %d changes: %w", done, len(changes), err)
			if len(refused) > 0 {
				err = fmt.Errorf("%w\n%w", refused, err)
			}
			return err
		}
		done += n
	}
	if len(refused) > 0 {
		return refused
	}
	return nil
}

// batch sends as many changes from start on as fit one write and gathers the
// refused ones. The kernel works through a datagram in order and reports an
// error of any message, but for success only what asks for it: a message
// behind the changes that does nothing else. The last change could not do
// that, since the kernel has no answer at all to one that it was interrupted
// in, as when a sync daemon is stopped before its thread first ran.
func (c *Client) batch(ctx context.Context, changes []Change, start int, refused *ChangeErrors) (int, error) {
	rest, first, n := changes[start:], c.seq+1, 0
	b := slices.Grow(c.out[:0], min(len(rest), batchCount)*usualSize)
	group, groupAt := 0, 0 // where the changes to the last service begin
	for ; n < len(rest); n++ {
		if n == 0 || !sameService(&rest[n-1], &rest[n]) {
			group, groupAt = n, len(b)
			if n >= batchCount || len(b) >= batchBytes {
				break
			}
		}
		if n > 0 && (n == c.maxCount || len(b) > c.maxBytes-roomForOne) {
			if group > 0 {
				n, b = group, b[:groupAt] // the service goes into the next write
			}
			break
		}
		b = appendChange(b, header{family: c.family, seq: first + uint32(n)}, &rest[n])
	}
	fence := first + uint32(n)
	b = appendFence(b, fence)
	c.out, c.seq = b, fence
	return n, exchange(ctx, c.t, b, first, fence, func(m message) (bool, error) {
		if m.typ != unix.NLMSG_ERROR {
			return false, nil
		}
		err := m.status()
		if _, ok := err.(syscall.Errno); m.seq == fence || err != nil && !ok {
			return true, err
		}
		if err != nil {
			i := start + int(m.seq-first)
			*refused = append(*refused, &ChangeError{Index: i, Change: changes[i], Err: err})
		}
		return false, nil
	})
}

// sameService tells whether two changes are about the same service.
func sameService(a, b *Change) bool {
	return a.Op.onService() && b.Op.onService() && a.Service.ServiceID == b.Service.ServiceID
}

// query asks and hands each answer to decode. A dump ends with a message of
// its own; a plain answer with the acknowledgement that is asked for.
func (c *Client) query(ctx context.Context, cmd uint8, id *ServiceID, dump bool, decode func([]byte) error) error {
	c.seq++
	h := header{family: c.family, seq: c.seq, flags: unix.NLM_F_ACK}
	if dump {
		h.flags = unix.NLM_F_DUMP
	}
	c.out = appendQuery(c.out[:0], h, cmd, id)
	return exchange(ctx, c.t, c.out, c.seq, c.seq, func(m message) (bool, error) {
		switch m.typ {
		case unix.NLMSG_ERROR, unix.NLMSG_DONE:
			return true, m.status()
		case c.family:
			b, err := m.body()
			if err == nil {
				err = decode(b)
			}
			return false, err
		}
		return false, nil
	})
}

// ask is query for one answer, which has to come.
func (c *Client) ask(ctx context.Context, what string, cmd uint8, id *ServiceID, decode func([]byte) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	answers := 0
	err := c.query(ctx, cmd, id, false, func(b []byte) error {
		answers++
		return decode(b)
	})
	if err == nil && answers == 0 {
		err = malformed("no answer")
	}
	if err != nil {
		return &QueryError{Query: what, Err: err}
	}
	return nil
}

// Info asks for the version of IPVS and the size of its connection table.
func (c *Client) Info(ctx context.Context) (Info, error) {
	var i Info
	err := c.ask(ctx, "get information", nl.CmdGetInfo, nil, func(b []byte) error { return decodeInfo(b, &i) })
	return i, err
}

// Timeouts asks for the timeouts of connections.
func (c *Client) Timeouts(ctx context.Context) (Timeouts, error) {
	var t Timeouts
	err := c.ask(ctx, "get timeouts", nl.CmdGetConfig, nil, func(b []byte) error { return decodeTimeouts(b, &t) })
	return t, err
}

// Daemons asks for the running sync daemons, master before backup.
func (c *Client) Daemons(ctx context.Context) ([]Daemon, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []Daemon
	err := c.query(ctx, nl.CmdGetDaemon, nil, true, func(b []byte) error {
		var d Daemon
		err := decodeDaemon(b, &d)
		list = append(list, d)
		return err
	})
	if err != nil {
		return nil, &QueryError{Query: "get daemons", Err: err}
	}
	slices.SortStableFunc(list, func(a, b Daemon) int { return int(a.State) - int(b.State) })
	return list, nil
}

// Service asks for one service without its destinations. The error matches
// ErrNoService if there is none such.
func (c *Client) Service(ctx context.Context, id ServiceID) (ServiceEntry, error) {
	var s ServiceEntry
	if err := id.validate(); err != nil {
		return s, &QueryError{Query: "get service", Err: err}
	}
	err := c.ask(ctx, "get service "+id.String(), nl.CmdGetService, &id, func(b []byte) error { return c.dec.service(b, &s) })
	return s, err
}

// maxDumps is how often the services are asked for while the kernel moves them
// about, with dumpPause in between.
const (
	maxDumps  = 100
	dumpPause = 10 * time.Millisecond
)

var errMoving = errors.New("the kernel kept moving the services about")

// Services asks for all services, without their destinations, in the order
// of the kernel's hash table. Kernels from 7.0 on make that table anew when it
// has grown; what is asked meanwhile shows some services twice and others not
// at all, and so is asked again, for about a second.
func (c *Client) Services(ctx context.Context) ([]ServiceEntry, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for n := 1; ; n++ {
		list, err := c.dumpServices(ctx)
		if err == nil && !repeats(list) {
			return list, nil
		}
		if err == nil && n == maxDumps {
			err = errMoving
		}
		if err != nil {
			return nil, &QueryError{Query: "list services", Err: err}
		}
		time.Sleep(dumpPause)
	}
}

func (c *Client) dumpServices(ctx context.Context) ([]ServiceEntry, error) {
	var list []ServiceEntry
	err := c.query(ctx, nl.CmdGetService, nil, true, func(b []byte) error {
		list = append(list, ServiceEntry{})
		return c.dec.service(b, &list[len(list)-1])
	})
	return list, err
}

// repeats tells whether an identity stands in list more than once.
func repeats(list []ServiceEntry) bool {
	seen := make(map[ServiceID]struct{}, len(list))
	for i := range list {
		seen[list[i].ServiceID] = struct{}{}
	}
	return len(seen) < len(list)
}

// Destinations asks for the destinations of a service, in the kernel's order.
// Of a service that is not there the kernel says that it has none.
func (c *Client) Destinations(ctx context.Context, id ServiceID) ([]DestinationEntry, error) {
	if err := id.validate(); err != nil {
		return nil, &QueryError{Query: "list destinations", Err: err}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.found = c.found[:0]
	err := c.query(ctx, nl.CmdGetDest, &id, true, func(b []byte) error {
		c.found = append(c.found, DestinationEntry{})
		return c.dec.destination(b, id.Family(), &c.found[len(c.found)-1])
	})
	if err != nil {
		return nil, &QueryError{Query: "list destinations of " + id.String(), Err: err}
	}
	return append([]DestinationEntry(nil), c.found...), nil
}

// ServicesWithDestinations asks for all services and the destinations of
// each. The kernel cannot give it all at one instant: what another program
// changes meanwhile may be seen in part, but a service that goes while its
// destinations are asked for is left out.
func (c *Client) ServicesWithDestinations(ctx context.Context) ([]ServiceEntry, error) {
	services, err := c.Services(ctx)
	if err != nil {
		return nil, err
	}
	kept := services[:0]
	for _, s := range services {
		if s.Destinations, err = c.Destinations(ctx, s.ServiceID); err != nil {
			return nil, err
		}
		if len(s.Destinations) == 0 {
			// The kernel has the same answer for a service without any and
			// for no service.
			switch _, err := c.Service(ctx, s.ServiceID); {
			case errors.Is(err, ErrNoService):
				continue
			case err != nil:
				return nil, err
			}
		}
		kept = append(kept, s)
	}
	return kept, nil
}

// Table asks for everything: services with their destinations, as
// ServicesWithDestinations gives them, timeouts and sync daemons.
func (c *Client) Table(ctx context.Context) (*Table, error) {
	var t Table
	var err error
	if t.Services, err = c.ServicesWithDestinations(ctx); err != nil {
		return nil, err
	}
	if t.Timeouts, err = c.Timeouts(ctx); err != nil {
		return nil, err
	}
	if t.Daemons, err = c.Daemons(ctx); err != nil {
		return nil, err
	}
	return &t, nil
}
