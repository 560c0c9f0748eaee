// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"context"
	"slices"
	"syscall"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs/internal/nl"
)

// conn sends messages to the kernel over one socket and reads the replies. It
// serves one call at a time.
type conn struct {
	t        transport
	family   uint16 // number of the Generic Netlink family "IPVS"
	seq      uint32
	maxBytes int // that the socket accepts in one write
	maxCount int // messages per write; all their error replies must fit the receive buffer
	out      []byte
	dec      decoder
	unread   bool // replies to a cancelled call may still arrive
}

// refusalSize is the receive buffer space of one error reply. The kernel
// drops replies that do not fit, so a write has no more messages than could
// all be refused.
const refusalSize = 1024

// A write ends at these limits. Only changes to one service stay together
// beyond them, as long as the socket accepts them.
const (
	batchCount = 1024
	batchBytes = 256 << 10
)

// roomForOne bounds the size of an encoded change; usualSize, that of most,
// is a hint for allocation.
const (
	roomForOne = 512
	usualSize  = 160
)

func newConn(t transport, family uint16, send, receive int) *conn {
	return &conn{t: t, family: family, maxBytes: send / 2, maxCount: max(1, receive/refusalSize)}
}

// second opens another connection, whose dumps have a first datagram of cut
// bytes. The caller closes its transport.
func (c *conn) second(cut int) (*conn, error) {
	t, err := c.t.OpenSecond(cut)
	if err != nil {
		return nil, err
	}
	return &conn{t: t, family: c.family}, nil
}

// batch sends as many valid changes from start on as fit one write, and
// collects the refused ones. It returns the number of changes dealt with, and
// whether they were sent. The kernel processes a datagram in order and
// reports every error, but success only if asked for, so a no-op that asks
// follows as a fence. The last change cannot serve as the fence: the kernel
// sends no reply if it was interrupted, as when a sync daemon is stopped
// before its thread has run.
func (c *conn) batch(ctx context.Context, changes []Change, start int, valid func(Change) error, refused *ChangeErrors) (n int, sent bool, err error) {
	rest, first := changes[start:], c.seq+1
	b := slices.Grow(c.out[:0], min(len(rest), batchCount)*usualSize)
	group, groupAt := 0, 0 // start of the last group of changes to one service
	var invalid ChangeErrors
	for ; n < len(rest); n++ {
		if n == 0 || !sameGroup(&rest[n-1], &rest[n]) {
			group, groupAt = n, len(b)
			if n >= batchCount || len(b) >= batchBytes {
				break
			}
		}
		if n > 0 && (n == c.maxCount || len(b) > c.maxBytes-roomForOne) {
			if group > 0 {
				n, b = group, b[:groupAt] // the group goes into the next write
			}
			break
		}
		if err := valid(rest[n]); err != nil {
			invalid = append(invalid, &ChangeError{Index: start + n, Change: rest[n], Err: err})
			continue
		}
		b = appendChange(b, header{family: c.family, seq: first + uint32(n)}, &rest[n])
	}
	previous := len(*refused)
	for _, e := range invalid {
		if e.Index < start+n {
			*refused = append(*refused, e)
		}
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
	slices.SortFunc((*refused)[previous:], func(a, b *ChangeError) int { return a.Index - b.Index })
	return n, sent, err
}

// exchange sends b, messages with the sequence numbers first to last, and
// passes each reply to answered until that reports the end. It skips replies
// to earlier messages, and reports whether b was sent.
func (c *conn) exchange(ctx context.Context, b []byte, first, last uint32, answered func(message) (end bool, err error)) (sent bool, err error) {
	release, err := cancelOn(ctx, c.t)
	if err != nil {
		return false, err
	}
	defer release()
	if err := c.drain(ctx); err != nil {
		return false, err
	}
	c.unread = true
	if err := c.t.Write(b); err != nil {
		return false, contextError(ctx, err)
	}
	for read := 0; ; {
		datagrams, err := c.t.Read()
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
					c.unread = false
					return true, err
				case err != nil:
					return true, err
				}
			}
		}
	}
}

// drain discards replies to a cancelled call: until a dump is read to its
// end, the kernel refuses the next.
func (c *conn) drain(ctx context.Context) error {
	for c.unread {
		more, err := c.t.Discard()
		if err != nil {
			return contextError(ctx, err)
		}
		c.unread = more
	}
	return nil
}

// dumped is the size of a reply.
type dumped struct{ datagrams, bytes int }

// query sends a query and passes each reply to decode. A dump ends with its
// own message, a single reply with the requested acknowledgment.
func (c *conn) query(ctx context.Context, cmd uint8, id *ServiceID, dump bool, decode func([]byte) error) (d dumped, err error) {
	c.seq++
	h := header{family: c.family, seq: c.seq, flags: nl.FlagAck}
	if dump {
		h.flags = nl.FlagDump
	}
	c.out = appendQuery(c.out[:0], h, cmd, id)
	last := 0
	_, err = c.exchange(ctx, c.out, c.seq, c.seq, func(m message) (bool, error) {
		switch m.typ {
		case nl.MsgError, nl.MsgDone:
			return true, m.status()
		case c.family:
			if m.datagram != last {
				last = m.datagram
				d.datagrams++
			}
			d.bytes += m.size()
			b, err := m.body()
			if err == nil {
				err = decode(b)
			}
			return false, err
		}
		return false, nil
	})
	return d, err
}
