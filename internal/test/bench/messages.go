// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"

	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// The numbers of the IPVS family, from linux/ip_vs.h.
const (
	newService, getService = 1, 4
	newServer, getServer   = 5, 8
	serviceNest, destNest  = 1, 2
)

// nest is a nested attribute of a message.
type nest struct {
	typ        uint16
	attributes func(e *netlink.AttributeEncoder)
}

// messages returns the encoded messages that create or list a table, for the
// floor.
func messages(list bool, t shape) (b []byte, err error) {
	conn, err := genetlink.Dial(nil)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	family, err := conn.GetFamily("IPVS")
	if err != nil {
		return nil, err
	}
	add := func(flags netlink.HeaderFlags, command uint8, nests ...nest) {
		e := netlink.NewAttributeEncoder()
		for _, n := range nests {
			e.Nested(n.typ, func(e *netlink.AttributeEncoder) error { n.attributes(e); return nil })
		}
		attributes, encoding := e.Encode()
		m := netlink.Message{
			Header: netlink.Header{Type: netlink.HeaderType(family.ID), Flags: netlink.Request | flags},
			Data:   append([]byte{command, 1, 0, 0}, attributes...),
		}
		m.Header.Length = uint32(unix.NLMSG_HDRLEN + len(m.Data))
		message, length := m.MarshalBinary()
		b, err = append(b, message...), errors.Join(err, encoding, length)
	}
	if list {
		add(netlink.Dump, getService)
	}
	for i := range t.services {
		service := nest{serviceNest, func(e *netlink.AttributeEncoder) {
			e.Uint16(1, unix.AF_INET)
			e.Uint16(2, unix.IPPROTO_TCP)
			e.Bytes(3, append([]byte{10, 0, byte(i >> 8), byte(i)}, make([]byte, 12)...))
			e.Bytes(4, []byte{0, 80})
		}}
		if list {
			add(netlink.Dump, getServer, service)
			continue
		}
		add(0, newService, nest{serviceNest, func(e *netlink.AttributeEncoder) {
			service.attributes(e)
			e.String(6, "rr")
			e.Bytes(7, []byte{0, 0, 0, 0, 255, 255, 255, 255})
			e.Uint32(8, 0)
			e.Bytes(9, []byte{255, 255, 255, 255})
		}})
		for j := range t.servers {
			a := server(i, j).As4()
			add(0, newServer, service, nest{destNest, func(e *netlink.AttributeEncoder) {
				e.Bytes(1, append(a[:], make([]byte, 12)...))
				e.Bytes(2, []byte{0, 80})
				e.Uint32(3, 0)
				e.Uint32(4, 1)
				e.Uint32(5, 0)
				e.Uint32(6, 0)
			}})
		}
	}
	return b, err
}
