// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"syscall"
	"time"
	"unsafe"

	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs/internal/nl"
)

// transport carries datagrams of netlink messages; a test puts a kernel of
// its own in its place.
type transport interface {
	// Write sends messages; asks tells that they are one question, which does
	// not keep the kernel long.
	Write(b []byte, asks bool) error
	// Read waits for messages and gives those of one datagram or several; they
	// are valid until the next Read.
	Read() ([]byte, error)
	// SetDeadline ends a Read or Write that waits at t; the zero time never.
	SetDeadline(t time.Time) error
	Close() error
}

// bufferSize is asked of the kernel for both directions. With less than
// CAP_NET_ADMIN it may grant less.
const bufferSize = 4 << 20

// socket is the transport to the kernel. It reads and writes the socket's
// file descriptor itself: what goes through is many messages at once, which
// are encoded already.
type socket struct {
	conn  *genetlink.Conn
	raw   syscall.RawConn
	inbox *inbox
}

// dial opens a Generic Netlink socket and asks for the family's number.
func dial(netns int) (s *socket, family uint16, err error) {
	conn, err := genetlink.Dial(&netlink.Config{NetNS: netns})
	if err != nil {
		return nil, 0, err
	}
	defer func() {
		if err != nil {
			conn.Close()
		}
	}()
	f, err := conn.GetFamily(nl.FamilyName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, &noFamilyError{err}
	}
	if err != nil {
		return nil, 0, err
	}
	// Refusals then come without a copy of the refused message. Kernels
	// before 4.3 do not know the option.
	_ = conn.SetOption(netlink.CapAcknowledge, true)
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, 0, err
	}
	var optErr error
	if err := raw.Control(func(fd uintptr) { optErr = growBuffers(int(fd)) }); err != nil {
		return nil, 0, err
	}
	return &socket{conn, raw, newInbox()}, f.ID, optErr
}

func growBuffers(fd int) error {
	for _, o := range [...]struct{ force, plain int }{
		{unix.SO_SNDBUFFORCE, unix.SO_SNDBUF},
		{unix.SO_RCVBUFFORCE, unix.SO_RCVBUF},
	} {
		if unix.SetsockoptInt(fd, unix.SOL_SOCKET, o.force, bufferSize) == nil {
			continue
		}
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, o.plain, bufferSize); err != nil {
			return err
		}
	}
	return nil
}

// buffers tells how many bytes the socket takes to send and to keep.
func (s *socket) buffers() (send, receive int, err error) {
	var sErr, rErr error
	err = s.raw.Control(func(fd uintptr) {
		send, sErr = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF)
		receive, rErr = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF)
	})
	return send, receive, errors.Join(err, sErr, rErr)
}

// Write sends to the kernel, the peer of a netlink socket without any other,
// which does what it is told before the system call returns. Of a question, as
// of a Read, Go's scheduler is not told: it would take the processor away and
// give it back in more time than the kernel needs.
func (s *socket) Write(b []byte, asks bool) error {
	var n int
	var err error
	if e := s.raw.Write(func(fd uintptr) bool {
		if asks {
			n, err = rawWrite(fd, b)
		} else {
			n, err = unix.Write(int(fd), b)
		}
		return err != unix.EAGAIN && err != unix.EINTR
	}); e != nil {
		return e
	}
	if err == nil && n != len(b) {
		return unix.EMSGSIZE
	}
	return err
}

func rawWrite(fd uintptr, b []byte) (int, error) {
	n, _, errno := unix.RawSyscall(unix.SYS_WRITE, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

func (s *socket) Read() (b []byte, err error) {
	if e := s.raw.Read(func(fd uintptr) bool {
		b, err = s.inbox.receive(fd)
		return err != unix.EAGAIN && err != unix.EINTR
	}); e != nil {
		return nil, e
	}
	return b, err
}

func (s *socket) SetDeadline(t time.Time) error { return s.conn.SetDeadline(t) }

func (s *socket) Close() error { return s.conn.Close() }

// noFamilyError is an ErrNoIPVS that keeps the kernel's errno.
type noFamilyError struct{ err error }

func (e *noFamilyError) Error() string        { return ErrNoIPVS.Error() }
func (e *noFamilyError) Unwrap() error        { return e.err }
func (e *noFamilyError) Is(target error) bool { return target == ErrNoIPVS }

// exchange writes b, which holds messages with the sequence numbers from
// first to last, and hands on each message of the kernel that answers one of
// them until answered says that was all. Answers to earlier messages, whose
// reader gave up, are passed over.
func exchange(ctx context.Context, t transport, b []byte, first, last uint32, answered func(message) (bool, error)) error {
	release, err := bound(ctx, t)
	if err != nil {
		return err
	}
	defer release()
	if err := t.Write(b, first == last); err != nil { // behind changes there is a fence
		return contextError(ctx, err)
	}
	for {
		rest, err := t.Read()
		if err != nil {
			return contextError(ctx, err)
		}
		for len(rest) > 0 {
			var m message
			if m, rest, err = nextMessage(rest); err != nil {
				return err
			}
			if m.seq-first > last-first {
				continue
			}
			if done, err := answered(m); done || err != nil {
				return err
			}
		}
	}
}

// bound makes the transport give up when the context does.
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

// contextError prefers the context's reason to the missed deadline that
// bound makes of it.
func contextError(ctx context.Context, err error) error {
	if e := ctx.Err(); e != nil {
		return e
	}
	return err
}

// message is one netlink message without its header.
type message struct {
	typ  uint16
	seq  uint32
	data []byte
}

// nextMessage takes the first message off a datagram.
func nextMessage(b []byte) (m message, rest []byte, err error) {
	if len(b) < unix.NLMSG_HDRLEN {
		return m, nil, malformed("%d bytes where a header was due", len(b))
	}
	n := binary.NativeEndian.Uint32(b)
	if n < unix.NLMSG_HDRLEN || uint64(n) > uint64(len(b)) {
		return m, nil, malformed("a message of %d bytes in %d", n, len(b))
	}
	m.typ = binary.NativeEndian.Uint16(b[4:])
	m.seq = binary.NativeEndian.Uint32(b[8:])
	m.data = b[unix.NLMSG_HDRLEN:n]
	return m, b[min(aligned(int(n)), len(b)):], nil
}

// status reads the errno of an NLMSG_ERROR or NLMSG_DONE; nil is success.
func (m message) status() error {
	if len(m.data) < 4 {
		if m.typ == unix.NLMSG_DONE {
			return nil // older kernels may end a dump without a status
		}
		return malformed("a status of %d bytes", len(m.data))
	}
	if e := int32(binary.NativeEndian.Uint32(m.data)); e < 0 {
		return unix.Errno(-e)
	}
	return nil
}

// body is the part after the Generic Netlink header.
func (m message) body() ([]byte, error) {
	if len(m.data) < unix.GENL_HDRLEN {
		return nil, malformed("an answer of %d bytes", len(m.data))
	}
	return m.data[unix.GENL_HDRLEN:], nil
}
