// SPDX-License-Identifier: Apache-2.0

package ipvs

// This file has all uses of package unsafe: the system calls that package
// unix lacks.

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// inbox receives several datagrams of a netlink socket in one system call:
// the end of a dump and each error reply are separate datagrams.
type inbox struct {
	buf       []byte
	vectors   [slots]unix.Iovec
	headers   [slots]unix.Mmsghdr
	datagrams [slots][]byte
}

const (
	slots = 8
	// slotSize is the maximum size of the kernel's datagrams.
	slotSize = 32 << 10
)

func newInbox() *inbox {
	in := &inbox{buf: make([]byte, slots*slotSize)}
	for i := range slots {
		in.vectors[i].Base = &in.buf[i*slotSize]
		in.vectors[i].SetLen(slotSize)
		in.headers[i].Hdr.Iov = &in.vectors[i]
		in.headers[i].Hdr.SetIovlen(1)
	}
	return in
}

// setFirst sets the length of the buffer for the next datagram.
func (in *inbox) setFirst(n int) { in.vectors[0].SetLen(n) }

// receive returns the queued datagrams without waiting. They are valid until
// the next call.
func (in *inbox) receive(fd uintptr) ([][]byte, error) {
	n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&in.headers)), slots, unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return nil, errno
	}
	for i := range int(n) {
		h := &in.headers[i]
		if h.Hdr.Flags&unix.MSG_TRUNC != 0 {
			return nil, unix.EMSGSIZE
		}
		in.datagrams[i] = in.buf[i*slotSize:][:h.Len]
	}
	return in.datagrams[:n], nil
}
