// SPDX-License-Identifier: Apache-2.0

// This file formats addresses for listings, saves and sync daemons.

package names

import (
	"context"
	"net/netip"
	"strconv"
)

// AppendAddr appends an address in the format of glibc's inet_ntop. It
// differs from that of netip only in IPv4-compatible addresses, as in
// ::1.2.3.4, which netip writes in hexadecimal.
func AppendAddr(b []byte, addr netip.Addr) []byte {
	if addr.Is6() {
		raw := addr.As16()
		if [12]byte(raw[:12]) == [12]byte{} && (raw[12] != 0 || raw[13] != 0) {
			b = append(b, "::"...)
			addr = netip.AddrFrom4([4]byte(raw[12:]))
		}
	}
	return addr.AppendTo(b)
}

// AppendAddrPort appends an address and port as 1.31 prints them, without
// truncation: 12.0.0.1:http, [2001:db8::1]:80. It appends names if there are
// any, unless numeric is set; r may then be nil. The name of the port is
// looked up for the protocol "tcp", "udp" or "sctp", and for no other.
func (r *Resolver) AppendAddrPort(ctx context.Context, b []byte, ap netip.AddrPort, proto string, numeric bool) []byte {
	var host, port string
	if !numeric {
		host, _ = r.HostName(ctx, ap.Addr())
		port, _ = r.ServiceName(ap.Port(), proto)
	}
	return appendAddrPort(b, ap, host, port)
}

// appendAddrPort appends host and port, or the numbers if these are empty.
func appendAddrPort(b []byte, ap netip.AddrPort, host, port string) []byte {
	brackets := ap.Addr().Is6()
	if brackets {
		b = append(b, '[')
	}
	if host != "" {
		b = append(b, host...)
	} else {
		b = AppendAddr(b, ap.Addr())
	}
	if brackets {
		b = append(b, ']')
	}
	b = append(b, ':')
	if port != "" {
		return append(b, port...)
	}
	return strconv.AppendUint(b, uint64(ap.Port()), 10)
}
