// SPDX-License-Identifier: Apache-2.0

// Floor does the least that the kernel's interface requires: it sends
// messages that were encoded beforehand and reads the answers without
// decoding them.
//
//	floor encode restore|list SERVICES SERVERS > messages
//	floor restore|list < messages
package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

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
	if args[0] == "encode" {
		return encode(fd, args[1:])
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

// next splits off the first message.
func next(b []byte) (message, rest []byte) {
	n := ne.Uint32(b)
	return b[:n], b[n:]
}

// writes sends batches. Only the last message of a batch asks for an answer.
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

// The numbers of the IPVS family, from linux/ip_vs.h.
const (
	newService, getService = 1, 4
	newServer, getServer   = 5, 8
	serviceNest, destNest  = 1 | unix.NLA_F_NESTED, 2 | unix.NLA_F_NESTED
)

// encode writes the messages that create a table, or those that list it.
func encode(fd int, args []string) error {
	services, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	servers, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	family, err := familyNumber(fd)
	if err != nil {
		return err
	}
	var b []byte
	if args[0] == "list" {
		b = message(b, family, unix.NLM_F_DUMP, getService)
	}
	for i := range services {
		service := attr(nil, 1, ne.AppendUint16(nil, unix.AF_INET))
		service = attr(service, 2, ne.AppendUint16(nil, unix.IPPROTO_TCP))
		service = attr(service, 3, append([]byte{10, 0, byte(i >> 8), byte(i)}, make([]byte, 12)...))
		service = attr(service, 4, []byte{0, 80})
		if args[0] == "list" {
			b = message(b, family, unix.NLM_F_DUMP, getServer, attr(nil, serviceNest, service))
			continue
		}
		config := attr(bytes.Clone(service), 6, []byte("rr\x00"))
		config = attr(config, 7, []byte{0, 0, 0, 0, 255, 255, 255, 255})
		config = attr(config, 8, make([]byte, 4))
		config = attr(config, 9, []byte{255, 255, 255, 255})
		b = message(b, family, 0, newService, attr(nil, serviceNest, config))
		for j := range servers {
			server := attr(nil, 1, append([]byte{172, 16, byte(i), byte(j + 1)}, make([]byte, 12)...))
			server = attr(server, 2, []byte{0, 80})
			server = attr(server, 3, make([]byte, 4))
			server = attr(server, 4, ne.AppendUint32(nil, 1))
			server = attr(server, 5, make([]byte, 4))
			server = attr(server, 6, make([]byte, 4))
			b = message(b, family, 0, newServer, attr(attr(nil, serviceNest, service), destNest, server))
		}
	}
	_, err = os.Stdout.Write(b)
	return err
}

func message(b []byte, family, flags uint16, command uint8, parts ...[]byte) []byte {
	body := bytes.Join(parts, nil)
	b = ne.AppendUint32(b, uint32(unix.NLMSG_HDRLEN+unix.GENL_HDRLEN+len(body)))
	b = ne.AppendUint16(b, family)
	b = ne.AppendUint16(b, unix.NLM_F_REQUEST|flags)
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0, command, 1, 0, 0)
	return append(b, body...)
}

func attr(b []byte, typ uint16, value []byte) []byte {
	b = ne.AppendUint16(b, uint16(unix.SizeofNlAttr+len(value)))
	b = append(ne.AppendUint16(b, typ), value...)
	for len(b)%unix.NLA_ALIGNTO != 0 {
		b = append(b, 0)
	}
	return b
}

// familyNumber asks the kernel for the number of the family.
func familyNumber(fd int) (uint16, error) {
	ask := message(nil, unix.GENL_ID_CTRL, 0, unix.CTRL_CMD_GETFAMILY, attr(nil, unix.CTRL_ATTR_FAMILY_NAME, []byte("IPVS\x00")))
	if _, err := unix.Write(fd, ask); err != nil {
		return 0, err
	}
	answer := make([]byte, 4096)
	n, err := unix.Read(fd, answer)
	if err != nil {
		return 0, err
	}
	if ne.Uint16(answer[4:]) == unix.NLMSG_ERROR {
		return 0, unix.Errno(-int32(ne.Uint32(answer[unix.NLMSG_HDRLEN:])))
	}
	for b := answer[unix.NLMSG_HDRLEN+unix.GENL_HDRLEN : n]; len(b) > unix.SizeofNlAttr; {
		size := int(ne.Uint16(b))
		if ne.Uint16(b[2:]) == unix.CTRL_ATTR_FAMILY_ID {
			return ne.Uint16(b[unix.SizeofNlAttr:]), nil
		}
		b = b[(size+unix.NLA_ALIGNTO-1)&^(unix.NLA_ALIGNTO-1):]
	}
	return 0, errors.New("the kernel has no IPVS")
}
