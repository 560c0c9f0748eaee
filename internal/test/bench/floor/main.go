// SPDX-License-Identifier: Apache-2.0

// Floor does the least that the kernel's interface requires: it sends
// pre-encoded messages and reads the answers without decoding them.
//
//	floor restore|list < messages
package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// batch is the number of messages per write.
const batch = 500

var ne = binary.NativeEndian

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "floor:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_GENERIC)
	if err != nil {
		return err
	}
	messages, err := readAll(os.Stdin)
	if err != nil {
		return err
	}
	if args[0] == "list" {
		return dumps(fd, messages)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 4<<20); err != nil {
		return err
	}
	return writes(fd, messages)
}

func readAll(f *os.File) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	b := make([]byte, info.Size())
	_, err = io.ReadFull(f, b)
	return b, err
}

// next returns the first message and the rest.
func next(b []byte) (message, rest []byte) {
	n := ne.Uint32(b)
	return b[:n], b[n:]
}

// writes sends batches. Only the last message of a batch requests an answer.
func writes(fd int, messages []byte) error {
	answer := make([]byte, 4096)
	for rest := messages; len(rest) > 0; {
		start, last := rest, []byte(nil)
		for i := 0; i < batch && len(rest) > 0; i++ {
			last, rest = next(rest)
		}
		ne.PutUint16(last[6:], unix.NLM_F_REQUEST|unix.NLM_F_ACK)
		if _, err := unix.Write(fd, start[:len(start)-len(rest)]); err != nil {
			return err
		}
		n, err := unix.Read(fd, answer)
		if err != nil {
			return err
		}
		if errno := int32(ne.Uint32(answer[unix.NLMSG_HDRLEN:n])); errno != 0 {
			return unix.Errno(-errno)
		}
	}
	return nil
}

// dumps sends one message at a time and reads its dump to the end.
func dumps(fd int, messages []byte) error {
	answer := make([]byte, 64<<10)
	for rest := messages; len(rest) > 0; {
		var m []byte
		m, rest = next(rest)
		if _, err := unix.Write(fd, m); err != nil {
			return err
		}
		for ended := false; !ended; {
			n, err := unix.Read(fd, answer)
			if err != nil {
				return err
			}
			// The end of a dump is in a datagram of its own or follows
			// the last message.
			switch ne.Uint16(answer[4:]) {
			case unix.NLMSG_ERROR:
				return unix.Errno(-int32(ne.Uint32(answer[unix.NLMSG_HDRLEN:])))
			case unix.NLMSG_DONE:
				ended = true
			default:
				ended = n >= 20 && ne.Uint32(answer[n-20:]) == 20 && ne.Uint16(answer[n-16:]) == unix.NLMSG_DONE
			}
		}
	}
	return nil
}
