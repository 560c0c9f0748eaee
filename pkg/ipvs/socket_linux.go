// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"syscall"

	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/internal/netns"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs/internal/nl"
)

// bufferSize is the requested size of both socket buffers. Without
// CAP_NET_ADMIN the kernel may grant less.
const bufferSize = 4 << 20

// socket is the transport to the kernel. It reads and writes the socket's
// file descriptor itself, since it transfers many encoded messages at once.
type socket struct {
	*netlink.Conn
	raw   syscall.RawConn
	inbox *inbox
}

// newSocket opens a Generic Netlink socket in the network namespace of the
// calling thread. The first datagram of a list that it reads has cut bytes.
func newSocket(in *inbox, cut int) (*socket, error) {
	conn, err := netlink.Dial(unix.NETLINK_GENERIC, nil)
	if err != nil {
		return nil, err
	}
	s := &socket{Conn: conn, inbox: in}
	if s.raw, err = conn.SyscallConn(); err == nil {
		err = s.prime(cut)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return s, nil
}

func dial(cfg Config) (c *Client, err error) {
	var s *socket
	if err := netns.Do(cfg.NetNS, func() { s, err = newSocket(newInbox(), slotSize) }); err != nil {
		return nil, &NetNSError{cfg.NetNS, err}
	}
	if err != nil {
		return nil, err
	}
	if c, err = s.client(cfg); err != nil {
		s.Close()
	}
	return c, err
}

// client queries the number of the family and returns a client on the socket.
func (s *socket) client(cfg Config) (*Client, error) {
	conn := genetlink.NewConn(s.Conn)
	f, err := conn.GetFamily(nl.FamilyName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNoIPVS
	}
	if err != nil {
		return nil, err
	}
	// Error replies do not contain a copy of the refused message.
	err = cmp.Or(s.SetOption(netlink.CapAcknowledge, true), s.SetReadBuffer(bufferSize), s.SetWriteBuffer(bufferSize))
	receive, noReceive := s.ReadBuffer()
	send, noSend := s.WriteBuffer()
	if err := cmp.Or(err, noReceive, noSend); err != nil {
		return nil, err
	}
	c := newClient(newConn(s, f.ID, send, receive))
	c.patience = cmp.Or(cfg.Patience, maxPatience)
	c.mapped = cfg.IPv4Mapped
	c.netNS = func() (*os.File, error) { return netns.OfSocket(s.raw) }
	c.family = func() (uint16, error) {
		// List all families: a query by name would load the module.
		families, err := conn.ListFamilies()
		for _, f := range families {
			if f.Name == nl.FamilyName {
				return f.ID, nil
			}
		}
		return 0, cmp.Or(err, ErrNoIPVS)
	}
	return c, nil
}

// Write sends b to the kernel, which processes it before the system call
// returns.
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

// Discard relies on the kernel to queue the next datagram of a dump whenever
// one is read: an empty queue means that the dump has ended.
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

// prime makes the datagrams of the next dump n bytes long: the kernel sizes
// them by the longest receive buffer so far, which must not be longer.
func (s *socket) prime(n int) error {
	if err := s.Write(appendFence(nil, 0)); err != nil {
		return err
	}
	s.inbox.setFirst(n)
	defer s.inbox.setFirst(slotSize)
	_, err := s.Read()
	return err
}

// OpenSecond opens a socket in the same network namespace, whose first buffer
// is shorter. The two share an inbox.
func (s *socket) OpenSecond(cut int) (transport, error) {
	ns, err := netns.OfSocket(s.raw)
	if err != nil {
		return nil, err
	}
	defer ns.Close()
	var other *socket
	if e := netns.Within(ns, func() { other, err = newSocket(s.inbox, cut) }); e != nil {
		return nil, e
	}
	return other, err
}
