// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs/internal/nl"
)

// Client talks to the IPVS of one network namespace over one socket. It is
// safe for concurrent use: calls take turns. All of them need CAP_NET_ADMIN in
// the initial user namespace; the error of those that lack it matches
// fs.ErrPermission.
//
// A context ends the wait for the turn and for the kernel's answers, and the
// client is as good as new afterwards. It does not interrupt the kernel while
// that works through what was sent: see [Client.Apply].
type Client struct {
	netNS func() (*os.File, error) // opens the client's network namespace

	turn chan struct{} // has one element while a call uses what follows

	t        transport
	family   uint16
	seq      uint32
	unread   bool // answers to a call that gave up may still arrive
	maxBytes int  // that the socket accepts in one write
	maxCount int  // of messages in one write, whose refusals the socket can keep
	out      []byte
	dec      decoder
	found    []DestinationEntry // of the last service, before they are copied
}

// Config says how to reach the kernel. The zero value is for the network
// namespace of the calling thread.
type Config struct {
	// NetNS is the network namespace to work in, for as long as the client
	// lives: a name that "ip netns" knows, a path such as /proc/42/ns/net,
	// or the number of a process. A name counts before a number. It takes
	// CAP_SYS_ADMIN to enter another namespace.
	NetNS string
	// NoHandoff keeps Go's scheduler out of questions to the kernel. Such a
	// call is shorter, by the cost of handing the processor over and back;
	// but should the kernel make it sleep, other goroutines may have to wait
	// with it. It is meant for programs that do one thing at a time.
	NoHandoff bool
}

// Dial opens a client. The error matches [ErrNoIPVS] where the kernel has no
// IPVS: loading the module ip_vs is the caller's business. It is a *[NetNSError]
// where NetNS cannot be entered, which matches fs.ErrNotExist if there is no
// such namespace.
func Dial(ctx context.Context, cfg Config) (*Client, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c, err := dial(cfg)
	if err != nil {
		return nil, fmt.Errorf("open IPVS: %w", err)
	}
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
		turn:     make(chan struct{}, 1),
		t:        t,
		family:   family,
		maxBytes: send / 2,
		maxCount: max(1, receive/refusalSize),
	}
}

// NetNS returns the inode number of the client's network namespace, by which
// namespaces are told apart: it is that of /proc/PID/ns/net for the processes
// in it. Kernels before 4.9 do not say it.
func (c *Client) NetNS() (uint64, error) {
	ns, err := c.netNS()
	if err != nil {
		return 0, &QueryError{Query: "get network namespace", Err: err}
	}
	defer ns.Close()
	return inode(ns)
}

// lock waits for the client's turn; unlock ends it.
func (c *Client) lock(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case c.turn <- struct{}{}:
		return nil
	default:
	}
	select {
	case c.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *Client) unlock() { <-c.turn }

// Close closes the socket. It waits for the end of a call that is under way.
func (c *Client) Close() error {
	c.turn <- struct{}{}
	defer c.unlock()
	return c.t.Close()
}

// Apply makes the changes in the order given, many to a system call. A change
// that the kernel refuses does not keep it from trying those after it.
//
// The error is nil if the kernel accepted all, and [ChangeErrors] if it refused
// some. It is a *[ChangeError] that matches [ErrInvalid], and nothing was sent, if a
// change cannot be put into a message. Otherwise it is an *[ApplyError], which
// says how far Apply got before the context ended or the kernel could not be
// reached.
//
// Changes to one service that stand together are sent in one piece, unless
// there are thousands of them: the kernel then works through them whatever
// becomes of the caller. An ended context is noticed between such pieces, and
// the kernel takes milliseconds for one, or much longer right after a large
// table was flushed.
func (c *Client) Apply(ctx context.Context, changes ...Change) error {
	for i := range changes {
		if err := changes[i].validate(); err != nil {
			return &ChangeError{Index: i, Change: changes[i], Err: err}
		}
	}
	if err := c.lock(ctx); err != nil {
		return &ApplyError{Err: err}
	}
	defer c.unlock()
	var refused ChangeErrors
	for done := 0; done < len(changes); {
		n, sent, err := c.batch(ctx, changes, done, &refused)
		if err != nil {
			e := &ApplyError{Tried: done, Sent: done, Refused: refused, Err: err}
			if sent {
				e.Sent += n
			}
			return e
		}
		done += n
	}
	if len(refused) > 0 {
		return refused
	}
	return nil
}

// batch sends as many changes from start on as fit one write and gathers the
// refused ones. It returns how many those are, and whether they were sent. The
// kernel works through a datagram in order and reports every error, but
// success only where asked for, so a no-op that asks follows as a fence. The
// last change cannot serve as one: the kernel has no answer at all to a change
// that it was interrupted in, as when a sync daemon is stopped before its
// thread first ran.
func (c *Client) batch(ctx context.Context, changes []Change, start int, refused *ChangeErrors) (n int, sent bool, err error) {
	rest, first := changes[start:], c.seq+1
	b := slices.Grow(c.out[:0], min(len(rest), batchCount)*usualSize)
	group, groupAt := 0, 0 // where the last piece begins
	for ; n < len(rest); n++ {
		if n == 0 || !together(&rest[n-1], &rest[n]) {
			group, groupAt = n, len(b)
			if n >= batchCount || len(b) >= batchBytes {
				break
			}
		}
		if n > 0 && (n == c.maxCount || len(b) > c.maxBytes-roomForOne) {
			if group > 0 {
				n, b = group, b[:groupAt] // the piece goes into the next write
			}
			break
		}
		b = appendChange(b, header{family: c.family, seq: first + uint32(n)}, &rest[n])
	}
	fence := first + uint32(n)
	b = appendFence(b, fence)
	c.out, c.seq = b, fence
	sent, err = c.exchange(ctx, b, first, fence, func(m message) (bool, error) {
		if m.typ != nl.MsgError {
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
	return n, sent, err
}

// exchange sends b, which holds messages with the sequence numbers from first
// to last, and passes each message of the kernel that answers one of them to
// answered, until that reports the end. Answers to earlier messages are passed
// over. It reports whether b was sent.
func (c *Client) exchange(ctx context.Context, b []byte, first, last uint32, answered func(message) (end bool, err error)) (sent bool, err error) {
	release, err := bound(ctx, c.t)
	if err != nil {
		return false, err
	}
	defer release()
	if err := c.settle(ctx); err != nil {
		return false, err
	}
	c.unread = true
	if err := c.t.Write(b, first == last); err != nil { // behind changes there is a fence
		return false, contextError(ctx, err)
	}
	for {
		rest, err := c.t.Read()
		if err != nil {
			return true, contextError(ctx, err)
		}
		for len(rest) > 0 {
			var m message
			if m, rest, err = nextMessage(rest); err != nil {
				return true, err
			}
			if m.seq-first > last-first {
				continue
			}
			switch end, err := answered(m); {
			case end:
				c.unread = false
				return true, err
			case err != nil:
				return true, err
			}
		}
	}
}

// settle drops what was not read of the answers to a call that gave up: as
// long as the kernel has more of a list to hand over, it refuses to begin
// another.
func (c *Client) settle(ctx context.Context) error {
	for c.unread {
		more, err := c.t.Discard()
		if err != nil {
			return contextError(ctx, err)
		}
		c.unread = more
	}
	return nil
}

// query asks and passes each answer to decode. A list ends with a message of
// its own; a plain answer with the acknowledgment that is asked for.
func (c *Client) query(ctx context.Context, cmd uint8, id *ServiceID, list bool, decode func([]byte) error) error {
	c.seq++
	h := header{family: c.family, seq: c.seq, flags: nl.FlagAck}
	if list {
		h.flags = nl.FlagDump
	}
	c.out = appendQuery(c.out[:0], h, cmd, id)
	_, err := c.exchange(ctx, c.out, c.seq, c.seq, func(m message) (bool, error) {
		switch m.typ {
		case nl.MsgError, nl.MsgDone:
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
	return err
}

// ask is query for one answer, which has to come.
func (c *Client) ask(ctx context.Context, what string, cmd uint8, id *ServiceID, decode func([]byte) error) error {
	if err := c.lock(ctx); err != nil {
		return &QueryError{Query: what, Err: err}
	}
	defer c.unlock()
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

// list is query for a list.
func (c *Client) list(ctx context.Context, what string, cmd uint8, id *ServiceID, decode func([]byte) error) error {
	err := c.lock(ctx)
	if err == nil {
		defer c.unlock()
		err = c.query(ctx, cmd, id, true, decode)
	}
	if err != nil {
		return &QueryError{Query: what, Err: err}
	}
	return nil
}

// Info returns the version of IPVS and the size of its connection table.
func (c *Client) Info(ctx context.Context) (Info, error) {
	var i Info
	err := c.ask(ctx, "get information", nl.CmdGetInfo, nil, func(b []byte) error { return decodeInfo(b, &i) })
	return i, err
}

// Timeouts returns the timeouts of connections.
func (c *Client) Timeouts(ctx context.Context) (Timeouts, error) {
	var t Timeouts
	err := c.ask(ctx, "get timeouts", nl.CmdGetConfig, nil, func(b []byte) error { return decodeTimeouts(b, &t) })
	return t, err
}

// Daemons returns the running sync daemons, master before backup; an empty
// list if there are none.
func (c *Client) Daemons(ctx context.Context) ([]Daemon, error) {
	daemons := []Daemon{}
	err := c.list(ctx, "list daemons", nl.CmdGetDaemon, nil, func(b []byte) error {
		var d Daemon
		err := decodeDaemon(b, &d)
		daemons = append(daemons, d)
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(daemons, func(a, b Daemon) int { return int(a.State) - int(b.State) })
	return daemons, nil
}

// Service returns one service; its Destinations are nil, since they are not
// asked for. The error matches [ErrNoService] if there is none such.
func (c *Client) Service(ctx context.Context, id ServiceID) (ServiceEntry, error) {
	var s ServiceEntry
	if err := id.validate(); err != nil {
		return s, &QueryError{Query: "get service", Err: err}
	}
	err := c.ask(ctx, "get service "+id.String(), nl.CmdGetService, &id, func(b []byte) error { return c.dec.service(b, &s) })
	return s, err
}

// maxLists is how often the services are listed while the kernel moves them
// about, with listPause in between.
const (
	maxLists  = 100
	listPause = 10 * time.Millisecond
)

// Services returns all services in the order of the kernel's hash table, an
// empty list if there are none. Their Destinations are nil, since they are not
// asked for.
//
// If the error matches [ErrChanging], the list is returned beside it, but
// services may be missing: see the package's documentation.
func (c *Client) Services(ctx context.Context) ([]ServiceEntry, error) {
	const what = "list services"
	for n := 1; ; n++ {
		services := []ServiceEntry{}
		err := c.list(ctx, what, nl.CmdGetService, nil, func(b []byte) error {
			services = append(services, ServiceEntry{})
			return c.dec.service(b, &services[len(services)-1])
		})
		switch {
		case err != nil:
			return nil, err
		case !repeats(services):
			return services, nil
		case n == maxLists:
			return services, &QueryError{Query: what, Err: ErrChanging}
		}
		// Kernels from 7.0 on rebuild their hash table when it has grown.
		// What is listed meanwhile has some services twice and others not at
		// all.
		select {
		case <-time.After(listPause):
		case <-ctx.Done():
			return nil, &QueryError{Query: what, Err: ctx.Err()}
		}
	}
}

// repeats reports whether an identity stands in a list more than once.
func repeats(services []ServiceEntry) bool {
	seen := make(map[ServiceID]struct{}, len(services))
	for i := range services {
		seen[services[i].ServiceID] = struct{}{}
	}
	return len(seen) < len(services)
}

// Destinations returns the destinations of a service in the kernel's order, an
// empty list if it has none. The kernel has the same answer where there is no
// such service.
func (c *Client) Destinations(ctx context.Context, id ServiceID) ([]DestinationEntry, error) {
	if err := id.validate(); err != nil {
		return nil, &QueryError{Query: "list destinations", Err: err}
	}
	what := "list destinations of "
	if err := c.lock(ctx); err != nil {
		return nil, &QueryError{Query: what + id.String(), Err: err}
	}
	defer c.unlock()
	c.found = c.found[:0]
	err := c.query(ctx, nl.CmdGetDest, &id, true, func(b []byte) error {
		c.found = append(c.found, DestinationEntry{})
		return c.dec.destination(b, id.Family(), &c.found[len(c.found)-1])
	})
	if err != nil {
		return nil, &QueryError{Query: what + id.String(), Err: err}
	}
	return append(make([]DestinationEntry, 0, len(c.found)), c.found...), nil
}

// ServicesWithDestinations returns all services with the destinations of each.
// A service that is deleted while its destinations are listed is left out.
//
// If the error matches [ErrChanging], the list is returned beside it, but
// entries may be missing: see the package's documentation.
func (c *Client) ServicesWithDestinations(ctx context.Context) ([]ServiceEntry, error) {
	services, changing := c.Services(ctx)
	if changing != nil && !errors.Is(changing, ErrChanging) {
		return nil, changing
	}
	kept := services[:0]
	for _, s := range services {
		var err error
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
	return kept, changing
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
