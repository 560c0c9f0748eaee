// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"context"
	"encoding/binary"
	"syscall"
	"time"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs/internal/nl"
)

// transport carries datagrams of netlink messages; a test puts a kernel of
// its own in its place.
type transport interface {
	// Write sends messages.
	Write(b []byte) error
	// Read waits for datagrams and returns one or several, each with one
	// message or several. They are valid until the next Read.
	Read() ([][]byte, error)
	// Another opens a transport to the same kernel in the same network
	// namespace. The first datagram of a list on it holds cut bytes, so that
	// lists are cut at other places than on this one. What either has read is
	// valid until the next Read of any.
	Another(cut int) (transport, error)
	// Discard drops what is there to be read now, without waiting, and
	// reports whether there may be more.
	Discard() (more bool, err error)
	// SetDeadline ends a Read or Write that waits at t; the zero time never.
	SetDeadline(t time.Time) error
	Close() error
}

// bound makes the transport give up when the context ends, until release is
// called.
func bound(ctx context.Context, t transport) (release func(), err error) {
	if ctx.Done() == nil {
		return func() {}, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	fired := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_ = t.SetDeadline(time.Unix(1, 0))
		close(fired)
	})
	return func() {
		if !stop() {
			<-fired
			_ = t.SetDeadline(time.Time{})
		}
	}, nil
}

// contextError returns the context's reason rather than the missed deadline
// that bound turned it into.
func contextError(ctx context.Context, err error) error {
	if e := ctx.Err(); e != nil {
		return e
	}
	return err
}

// message is one netlink message without its header.
type message struct {
	typ      uint16
	seq      uint32
	data     []byte
	datagram int // which one of those read brought it
}

// nextMessage splits the first message off a datagram.
func nextMessage(b []byte) (m message, rest []byte, err error) {
	if len(b) < nl.MsgHeaderLen {
		return m, nil, malformed("%d bytes where a header was due", len(b))
	}
	n := binary.NativeEndian.Uint32(b)
	if n < nl.MsgHeaderLen || uint64(n) > uint64(len(b)) {
		return m, nil, malformed("a message of %d bytes in %d", n, len(b))
	}
	m.typ = binary.NativeEndian.Uint16(b[4:])
	m.seq = binary.NativeEndian.Uint32(b[8:])
	m.data = b[nl.MsgHeaderLen:n]
	return m, b[min(aligned(int(n)), len(b)):], nil
}

// size returns how many bytes of a datagram the message takes.
func (m message) size() int { return aligned(nl.MsgHeaderLen + len(m.data)) }

// status returns the errno of an NLMSG_ERROR or NLMSG_DONE; nil is success.
func (m message) status() error {
	if len(m.data) < 4 {
		if m.typ == nl.MsgDone {
			return nil // older kernels may end a dump without a status
		}
		return malformed("a status of %d bytes", len(m.data))
	}
	if e := int32(binary.NativeEndian.Uint32(m.data)); e < 0 {
		return syscall.Errno(-e)
	}
	return nil
}

// body returns the part after the Generic Netlink header.
func (m message) body() ([]byte, error) {
	if len(m.data) < nl.GenHeaderLen {
		return nil, malformed("an answer of %d bytes", len(m.data))
	}
	return m.data[nl.GenHeaderLen:], nil
}

// aligned returns where the message behind n bytes begins.
func aligned(n int) int { return (n + nl.MsgAlign - 1) &^ (nl.MsgAlign - 1) }
