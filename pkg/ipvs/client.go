// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs/internal/nl"
)

// Client talks to the IPVS of one network namespace over one socket; while it
// lists the destinations of hundreds of services it may use a second one. It is
// safe for concurrent use: calls take turns. All of them need CAP_NET_ADMIN in
// the initial user namespace; the error of those that lack it matches
// fs.ErrPermission.
//
// [Dial] makes one. The calls of any other, and those after Close, fail with
// an error that matches fs.ErrClosed.
//
// A context ends the wait for the turn and for the kernel's answers, and the
// client is as good as new afterwards. It does not interrupt the kernel while
// that works through what was sent: see [Client.Apply].
type Client struct {
	actions
	netNS func() (*os.File, error) // opens the client's network namespace

	turn chan struct{} // has one element while a call uses what follows

	main     session
	closed   bool
	family   uint16
	seq      uint32
	maxBytes int // that the socket accepts in one write
	maxCount int // of messages in one write, whose refusals the socket can keep
	out      []byte
	dec      decoder
	found    []DestinationEntry // of the last service, before they are copied
	parts    []part             // of the last list
	patience time.Duration      // of a list
	cramped  bool               // the kernel has been short of memory for datagrams
}

// Config says how to reach the kernel. The zero value is for the network
// namespace of the calling thread.
type Config struct {
	// NetNS is the network namespace to work in, for as long as the client
	// lives: a name that "ip netns" knows, a path such as /proc/42/ns/net,
	// or the number of a process. A name counts before a number. It takes
	// CAP_SYS_ADMIN to enter another namespace.
	NetNS string
	// NoHandoff keeps Go's scheduler out of the calls to the kernel. They are
	// shorter, by the cost of handing the processor over and back, which
	// goroutines beside them pay as well. But while the kernel works or
	// sleeps, the others have one processor less, with a GOMAXPROCS of 1
	// none, and a garbage collection waits. It is meant for programs that do
	// one or two things at a time.
	NoHandoff bool
	// NoStats leaves the Stats of services and destinations zero: to read
	// them is half of what a list takes here. The kernel sends them all the
	// same. The connections of destinations are counted as ever.
	NoStats bool
	// Patience is the time limit of a list that is repeated because the table
	// changes while it is read, after which the error is [ErrChanging]; zero
	// means a second. A program that polls may prefer less.
	Patience time.Duration
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
	c := &Client{
		turn:     make(chan struct{}, 1),
		main:     session{t: t},
		family:   family,
		maxBytes: send / 2,
		maxCount: max(1, receive/refusalSize),
		patience: maxPatience,
	}
	c.kernel = c
	return c
}

// NetNS returns the inode number of the client's network namespace, by which
// namespaces are told apart: it is that of /proc/PID/ns/net for the processes
// in it. Kernels before 4.9 do not say it.
func (c *Client) NetNS() (uint64, error) {
	ns, err := c.openNetNS(context.Background())
	if err != nil {
		return 0, &QueryError{Query: "get network namespace", Err: err}
	}
	defer ns.Close()
	return inode(ns)
}

// openNetNS opens the client's network namespace.
func (c *Client) openNetNS(ctx context.Context) (*os.File, error) {
	if err := c.lock(ctx); err != nil {
		return nil, err
	}
	defer c.unlock()
	return c.netNS()
}

// lock waits for the client's turn; unlock ends it.
func (c *Client) lock(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if c.turn == nil {
		return fs.ErrClosed // it was never open
	}
	select {
	case c.turn <- struct{}{}:
	default:
		select {
		case c.turn <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if c.closed {
		c.unlock()
		return fs.ErrClosed
	}
	return nil
}

func (c *Client) unlock() { <-c.turn }

// Close closes the socket. It waits for the end of a question or a batch of
// changes that is under way. To close a closed client does nothing.
func (c *Client) Close() error {
	if c.turn == nil {
		return nil
	}
	c.turn <- struct{}{}
	defer c.unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	return c.main.t.Close()
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
		if err := changes[i].Validate(); err != nil {
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
	sent, err = c.main.exchange(ctx, b, first, fence, func(m message) (bool, error) {
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

// session is a transport and what is known of it.
type session struct {
	t      transport
	unread bool // answers to a call that gave up may still arrive
}

// exchange sends b, which holds messages with the sequence numbers from first
// to last, and passes each message of the kernel that answers one of them to
// answered, until that reports the end. Answers to earlier messages are passed
// over. It reports whether b was sent.
func (s *session) exchange(ctx context.Context, b []byte, first, last uint32, answered func(message) (end bool, err error)) (sent bool, err error) {
	release, err := bound(ctx, s.t)
	if err != nil {
		return false, err
	}
	defer release()
	if err := s.settle(ctx); err != nil {
		return false, err
	}
	s.unread = true
	if err := s.t.Write(b); err != nil {
		return false, contextError(ctx, err)
	}
	for read := 0; ; {
		datagrams, err := s.t.Read()
		if err != nil {
			return true, contextError(ctx, err)
		}
		for _, rest := range datagrams {
			read++
			for len(rest) > 0 {
				var m message
				if m, rest, err = nextMessage(rest); err != nil {
					return true, err
				}
				if m.seq-first > last-first {
					continue
				}
				m.datagram = read
				switch end, err := answered(m); {
				case end:
					s.unread = false
					return true, err
				case err != nil:
					return true, err
				}
			}
		}
	}
}

// settle drops what was not read of the answers to a call that gave up: as
// long as the kernel has more of a list to hand over, it refuses to begin
// another.
func (s *session) settle(ctx context.Context) error {
	for s.unread {
		more, err := s.t.Discard()
		if err != nil {
			return contextError(ctx, err)
		}
		s.unread = more
	}
	return nil
}

// query asks and passes each answer to decode. A list ends with a message of
// its own; a plain answer with the acknowledgment that is asked for. What is
// to be known of the datagrams of a list is in c.parts then.
func (c *Client) query(ctx context.Context, s *session, cmd uint8, id *ServiceID, list bool, decode func([]byte) error) error {
	c.seq++
	h := header{family: c.family, seq: c.seq, flags: nl.FlagAck}
	if list {
		h.flags = nl.FlagDump
	}
	c.out = appendQuery(c.out[:0], h, cmd, id)
	c.parts = c.parts[:0]
	last := 0
	_, err := s.exchange(ctx, c.out, c.seq, c.seq, func(m message) (bool, error) {
		switch m.typ {
		case nl.MsgError, nl.MsgDone:
			return true, m.status()
		case c.family:
			if m.datagram != last {
				last = m.datagram
				c.parts = append(c.parts, part{})
			}
			c.parts[len(c.parts)-1].add(m.size())
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
	err := c.query(ctx, &c.main, cmd, id, false, func(b []byte) error {
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
	err := c.lock(ctx)
	if err == nil {
		err = c.query(ctx, &c.main, nl.CmdGetDaemon, nil, true, func(b []byte) error {
			var d Daemon
			err := decodeDaemon(b, &d)
			daemons = append(daemons, d)
			return err
		})
		c.unlock()
	}
	if err != nil {
		return nil, &QueryError{Query: "list daemons", Err: err}
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
