// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// inbox takes what waits at a netlink socket, several datagrams to a system
// call: the end of a dump, or each refusal, is a datagram of its own.
type inbox struct {
	buf     []byte
	vectors [slots]unix.Iovec
	headers [slots]unix.Mmsghdr
}

const (
	slots = 8
	// slotSize holds any datagram of the kernel, which makes them of at most
	// 32 KiB.
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

// receive gives the messages of all datagrams one behind the other; they are
// valid until the next call. It does not wait.
func (in *inbox) receive(fd uintptr) ([]byte, error) {
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&in.headers)), slots, 0, 0, 0)
	if errno != 0 {
		return nil, errno
	}
	end := 0
	for i := range int(n) {
		h := &in.headers[i]
		if h.Hdr.Flags&unix.MSG_TRUNC != 0 {
			return nil, unix.EMSGSIZE
		}
		end = aligned(end)
		end += copy(in.buf[end:], in.buf[i*slotSize:][:h.Len])
	}
	return in.buf[:end], nil
}

// aligned is where the message behind n bytes begins.
func aligned(n int) int { return (n + unix.NLMSG_ALIGNTO - 1) &^ (unix.NLMSG_ALIGNTO - 1) }
