// SPDX-License-Identifier: Apache-2.0

// The files hosts(5) and services(5), read as by glibc's source "files": a
// line that it would not understand is skipped, never an error.

package names

import (
	"iter"
	"math"
	"net/netip"
	"slices"
	"strings"
)

// host is a line of the hosts file; names has at least one.
type host struct {
	addr  netip.Addr
	names []string
}

// parseHosts keeps the order of the lines. A line without a name is skipped;
// glibc would return the empty name, which 1.31 saves and cannot restore.
func parseHosts(text string) []host {
	var hosts []host
	for words := range entries(text) {
		addr, err := netip.ParseAddr(words[0])
		if err != nil || addr.Zone() != "" {
			continue
		}
		hosts = append(hosts, host{addr: addr, names: words[1:]})
	}
	return hosts
}

// ipv4 returns the address of the line as the answer to an IPv4 question:
// glibc takes ::1 for 127.0.0.1 and unwraps an IPv4-mapped address. Any other
// IPv6 address is returned as it is.
func (h host) ipv4() netip.Addr {
	if h.addr == netip.IPv6Loopback() {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return h.addr.Unmap()
}

func (h host) hasName(name string) bool {
	return slices.ContainsFunc(h.names, func(n string) bool { return strings.EqualFold(n, name) })
}

// service is a line of the services file.
type service struct {
	name    string
	port    uint16
	proto   string
	aliases []string
}

// parseServices keeps the order of the lines. A port out of range is skipped;
// glibc would take it modulo 65536.
func parseServices(text string) []service {
	var services []service
	for words := range entries(text) {
		port, rest, ok := number(words[1])
		proto := strings.TrimLeft(rest, "/")
		if !ok || port > math.MaxUint16 || proto == rest || proto == "" {
			continue
		}
		services = append(services, service{
			name: words[0], port: uint16(port), proto: proto, aliases: words[2:],
		})
	}
	return services
}

// entries yields the words of each line that has at least two before its
// comment.
func entries(text string) iter.Seq[[]string] {
	return func(yield func([]string) bool) {
		for line := range strings.Lines(text) {
			line, _, _ = strings.Cut(line, "#")
			words := strings.FieldsFunc(line, isSpace)
			if len(words) >= 2 && !yield(words) {
				return
			}
		}
	}
}
