// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"
	"maps"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/internal/test/network"
)

// watcher notes in which kinds of tunnels packets come to a host.
type watcher struct{ socket int }

// watch begins to look at all packets that come to the host.
func watch(h network.Host) (w watcher, err error) {
	err = h.Do(func() error {
		const allKinds = unix.ETH_P_ALL<<8 | unix.ETH_P_ALL>>8 // big-endian
		w.socket, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, allKinds)
		return err
	})
	return w, err
}

// end returns the kinds of tunnels, sorted.
func (w watcher) end() (kinds []string, err error) {
	defer unix.Close(w.socket)
	seen := map[string]bool{}
	packet := make([]byte, 1<<16)
	for {
		n, from, err := unix.Recvfrom(w.socket, packet, 0)
		switch {
		case err == unix.EAGAIN:
			return slices.Sorted(maps.Keys(seen)), nil
		case err != nil:
			return nil, err
		}
		if link, ok := from.(*unix.SockaddrLinklayer); ok && link.Pkttype == unix.PACKET_HOST {
			if kind := tunnelOf(packet[:n]); kind != "" {
				seen[kind] = true
			}
		}
	}
}

// tunnelOf names the tunnel that an IP packet came through, "" for none.
func tunnelOf(packet []byte) string {
	const fixed, fixed6 = 20, 40
	var protocol byte
	var rest []byte
	over := ""
	switch {
	case len(packet) > fixed && packet[0]>>4 == 4 && len(packet) > int(packet[0]&15)*4:
		protocol, rest = packet[9], packet[int(packet[0]&15)*4:]
	case len(packet) > fixed6 && packet[0]>>4 == 6:
		protocol, rest, over = packet[6], packet[fixed6:], " over IPv6"
	}
	switch {
	case protocol == unix.IPPROTO_DSTOPTS: // in which ip6_tunnel has its limit of nesting
		if len(rest) > 8 && rest[0] == unix.IPPROTO_IPIP {
			return "ipip" + over
		}
	case protocol == unix.IPPROTO_IPIP:
		return "ipip" + over
	case protocol == unix.IPPROTO_GRE && len(rest) >= 4:
		if rest[0]&0x80 != 0 {
			return "gre" + over + ", checksum"
		}
		return "gre" + over
	case protocol == unix.IPPROTO_UDP && len(rest) >= 16 && binary.BigEndian.Uint16(rest[2:]) == guePort:
		const private, remote = 1, 1 << 31 // GUE's flags, and those that Linux adds to them
		header := rest[8:]
		switch {
		case binary.BigEndian.Uint16(header[2:])&private != 0 && binary.BigEndian.Uint32(header[4:])&remote != 0:
			return "gue" + over + ", remote checksum"
		case binary.BigEndian.Uint16(rest[6:]) != 0:
			return "gue" + over + ", checksum"
		}
		return "gue" + over
	}
	return ""
}
