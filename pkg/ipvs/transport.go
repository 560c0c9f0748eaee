// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"context"
	"encoding/binary"
	"syscall"
	"time"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs/internal/nl"
)

// transport carries datagrams of netlink messages. Tests replace it by a
// simulated kernel.
type transport interface {
	// Write sends messages.
	Write(b []byte) error
	// Read waits for datagrams and returns one or several, each with one
	// message or several. They are valid until the next Read.
	Read() ([][]byte, error)
	// OpenSecond opens a second transport in the same network namespace. The
	// first datagram of a dump on it has cut bytes, so that dumps are cut at
	// other places than on this one. Datagrams of both are valid until the
	// next Read of either.
	OpenSecond(cut int) (transport, error)
	// Discard drops the datagrams that can be read without waiting, and
	// reports whether there may be more.
	Discard() (more bool, err error)
	// SetDeadline ends a Read or Write that waits at time t; the zero time
	// means never.
	SetDeadline(t time.Time) error
	Close() error
}

// cancelOn cancels Read and Write of the transport when the context ends, until
// release is called.
func cancelOn(ctx context.Context, t transport) (release func(), err error) {
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

// contextError returns the context's error instead of the missed deadline by
// which cancelOn cancels.
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
	datagram int // index of its datagram among those of a Read
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

// size returns the number of bytes of the message in a datagram.
func (m message) size() int { return aligned(nl.MsgHeaderLen + len(m.data)) }

// status returns the errno of an NLMSG_ERROR or NLMSG_DONE, or nil for
// success.
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

// aligned rounds n up to the start of the next message.
func aligned(n int) int { return (n + nl.MsgAlign - 1) &^ (nl.MsgAlign - 1) }
