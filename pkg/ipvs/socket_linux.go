// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs/internal/nl"
)

// bufferSize is asked of the kernel for both directions. With less than
// CAP_NET_ADMIN it may grant less.
const bufferSize = 4 << 20

// socket is the transport to the kernel. It reads and writes the socket's
// file descriptor itself: what goes through is many messages at once, which
// are encoded already.
type socket struct {
	conn interface {
		SetDeadline(time.Time) error
		Close() error
	}
	raw   syscall.RawConn
	inbox *inbox
}

// dial opens a Generic Netlink socket and asks for the family's number.
func dial(cfg Config) (c *Client, err error) {
	var conn *genetlink.Conn
	err = InNetNS(cfg.NetNS, func() (err error) { conn, err = genetlink.Dial(nil); return err })
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			conn.Close()
		}
	}()
	f, err := conn.GetFamily(nl.FamilyName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &noFamilyError{err}
	}
	if err != nil {
		return nil, err
	}
	// Refusals then come without a copy of the refused message. Kernels
	// before 4.3 do not know the option.
	_ = conn.SetOption(netlink.CapAcknowledge, true)
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	var send, receive int
	var optErr error
	if err := raw.Control(func(fd uintptr) { send, receive, optErr = growBuffers(int(fd)) }); err != nil {
		return nil, err
	}
	if optErr != nil {
		return nil, optErr
	}
	sock := &socket{conn: conn, raw: raw, inbox: newInbox()}
	if err := sock.prime(slotSize); err != nil {
		return nil, err
	}
	c = newClient(newConn(sock, f.ID, send, receive))
	if cfg.Patience > 0 {
		c.patience = cfg.Patience
	}
	c.mapped = cfg.IPv4Mapped
	c.family = func() (uint16, error) {
		// A list, since the kernel loads a module that is asked for by name.
		families, err := conn.ListFamilies()
		for _, f := range families {
			if f.Name == nl.FamilyName {
				return f.ID, nil
			}
		}
		return 0, cmp.Or(err, error(&noFamilyError{fs.ErrNotExist}))
	}
	c.netNS = func() (*os.File, error) { return netNSOf(raw) }
	return c, nil
}

// growBuffers enlarges a socket's buffers and returns how many bytes it
// accepts to send and keeps to be read.
func growBuffers(fd int) (send, receive int, err error) {
	for _, o := range [...]struct {
		size         *int
		force, plain int
	}{
		{&send, unix.SO_SNDBUFFORCE, unix.SO_SNDBUF},
		{&receive, unix.SO_RCVBUFFORCE, unix.SO_RCVBUF},
	} {
		if unix.SetsockoptInt(fd, unix.SOL_SOCKET, o.force, bufferSize) != nil {
			if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, o.plain, bufferSize); err != nil {
				return 0, 0, err
			}
		}
		if *o.size, err = unix.GetsockoptInt(fd, unix.SOL_SOCKET, o.plain); err != nil {
			return 0, 0, err
		}
	}
	return send, receive, nil
}

// Write sends to the kernel, the peer of a netlink socket without any other.
// It does what it is told before the system call returns.
func (s *socket) Write(b []byte) error {
	var n int
	var err error
	if e := s.raw.Write(func(fd uintptr) bool {
		n, err = unix.Write(int(fd), b)
		return err != unix.EAGAIN && err != unix.EINTR
	}); e != nil {
		return e
	}
	if err == nil && n != len(b) {
		return unix.EMSGSIZE
	}
	return err
}

func (s *socket) Read() (datagrams [][]byte, err error) {
	if e := s.raw.Read(func(fd uintptr) bool {
		datagrams, err = s.inbox.receive(fd)
		return err != unix.EAGAIN && err != unix.EINTR
	}); e != nil {
		return nil, e
	}
	return datagrams, err
}

// Discard relies on the kernel having a datagram ready for as long as it is
// not through with a list: it makes the next one when one is read. So nothing
// to read means that nothing will follow.
func (s *socket) Discard() (more bool, err error) {
	var received error
	if e := s.raw.Read(func(fd uintptr) bool {
		_, received = s.inbox.receive(fd)
		return true
	}); e != nil {
		return true, e
	}
	switch received {
	case unix.EAGAIN:
		return false, nil
	case nil, unix.EINTR, unix.EMSGSIZE, unix.ENOBUFS:
		return true, nil
	}
	return true, received
}

// prime makes the kernel fill datagrams of n bytes for the next list: they are
// as long as the longest buffer that was there for any message so far. There
// has to be none yet that is longer.
func (s *socket) prime(n int) error {
	if err := s.Write(appendFence(nil, 0)); err != nil {
		return err
	}
	s.inbox.setFirst(n)
	defer s.inbox.setFirst(slotSize)
	_, err := s.Read()
	return err
}

// Another opens a socket in the same network namespace, whose first buffer is
// shorter than those of this one. The two share an inbox.
func (s *socket) Another(cut int) (transport, error) {
	ns, err := netNSOf(s.raw)
	if err != nil {
		return nil, err
	}
	defer ns.Close()
	var f *os.File
	err = within(ns, func() error {
		fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_GENERIC)
		if err == nil {
			f = os.NewFile(uintptr(fd), "netlink")
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	raw, err := f.SyscallConn()
	if err == nil {
		other := &socket{conn: f, raw: raw, inbox: s.inbox}
		if err = other.prime(cut); err == nil {
			return other, nil
		}
	}
	f.Close()
	return nil, err
}

func (s *socket) SetDeadline(t time.Time) error { return s.conn.SetDeadline(t) }

func (s *socket) Close() error { return s.conn.Close() }

// noFamilyError is an ErrNoIPVS that keeps the kernel's errno.
type noFamilyError struct{ err error }

func (e *noFamilyError) Error() string        { return ErrNoIPVS.Error() }
func (e *noFamilyError) Unwrap() error        { return e.err }
func (e *noFamilyError) Is(target error) bool { return target == ErrNoIPVS }
