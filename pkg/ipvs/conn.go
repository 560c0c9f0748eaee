// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"context"
	"slices"
	"syscall"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs/internal/nl"
)

// conn is the dialogue with the kernel over one socket: it sends messages and
// reads the answers to them. It serves one call at a time.
type conn struct {
	t        transport
	family   uint16 // number of the kernel's family "IPVS"
	seq      uint32
	maxBytes int // that the socket accepts in one write
	maxCount int // messages in one write, whose refusals the socket can keep
	out      []byte
	dec      decoder
	unread   bool // replies to a cancelled call may still arrive
}

// A refusal takes this much of the socket's buffer while it waits to be read.
// If too many wait, the kernel drops the rest, so no more messages are sent at
// once than can all be refused.
const refusalSize = 1024

// A write with this many messages or bytes is large enough. Only the changes to
// one service stay together beyond it, as long as the socket accepts them.
const (
	batchCount = 1024
	batchBytes = 256 << 10
)

// roomForOne is more bytes than any change takes, usualSize what most take.
const (
	roomForOne = 512
	usualSize  = 160
)

func newConn(t transport, family uint16, send, receive int) *conn {
	return &conn{t: t, family: family, maxBytes: send / 2, maxCount: max(1, receive/refusalSize)}
}

// another returns the dialogue over another socket, whose dumps have a first
// datagram of cut bytes. The caller closes its transport.
func (c *conn) another(cut int) (*conn, error) {
	t, err := c.t.Another(cut)
	if err != nil {
		return nil, err
	}
	return &conn{t: t, family: c.family}, nil
}

// batch sends as many changes from start on as fit one write, apart from those
// that are not valid, and collects the refused ones. It returns how many those are, and whether they were sent. The
// kernel works through a datagram in order and reports every error, but
// success only where asked for, so a no-op that asks follows as a fence. The
// last change cannot serve as one: the kernel has no answer at all to a change
// that it was interrupted in, as when a sync daemon is stopped before its
// thread first ran.
func (c *conn) batch(ctx context.Context, changes []Change, start int, valid func(Change) error, refused *ChangeErrors) (n int, sent bool, err error) {
	rest, first := changes[start:], c.seq+1
	b := slices.Grow(c.out[:0], min(len(rest), batchCount)*usualSize)
	group, groupAt := 0, 0 // where the last piece begins
	var invalid ChangeErrors
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
		if err := valid(rest[n]); err != nil {
			invalid = append(invalid, &ChangeError{Index: start + n, Change: rest[n], Err: err})
			continue
		}
		b = appendChange(b, header{family: c.family, seq: first + uint32(n)}, &rest[n])
	}
	known := len(*refused)
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
	slices.SortFunc((*refused)[known:], func(a, b *ChangeError) int { return a.Index - b.Index })
	return n, sent, err
}

// exchange sends b, which contains messages with the sequence numbers from
// first to last, and passes each message of the kernel that answers one of them
// to answered, until that reports the end. Replies to earlier messages are
// skipped. It reports whether b was sent.
func (c *conn) exchange(ctx context.Context, b []byte, first, last uint32, answered func(message) (end bool, err error)) (sent bool, err error) {
	release, err := bound(ctx, c.t)
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

// drain discards replies to a cancelled call: as long as the kernel has more of
// a dump to hand over, it refuses to begin another.
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

// dumped is the size of an answer.
type dumped struct{ datagrams, bytes int }

// query asks and passes each answer to decode. A dump ends with a message of its
// own, a plain answer with the acknowledgment that is requested.
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
