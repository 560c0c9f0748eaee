// SPDX-License-Identifier: Apache-2.0

// This file parses hosts(5) and services(5) like glibc's nss_files module:
// malformed lines are skipped.

package names

import (
	"iter"
	"math"
	"net/netip"
	"slices"
	"strings"
)

// host is a line of the hosts file. It has at least one name.
type host struct {
	addr  netip.Addr
	names []string
}

// parseHosts returns the entries of a hosts file in the order of its lines.
// It skips lines without a name: glibc returns an empty name for them, which
// 1.31 saves and cannot restore.
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

// ipv4 returns the address that an IPv4 lookup finds in this line. Like glibc
// it maps ::1 to 127.0.0.1 and unmaps IPv4-mapped addresses; other IPv6
// addresses are returned unchanged.
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

// parseServices returns the entries of a services file in the order of its
// lines. It skips ports above 65535, which glibc takes modulo 65536.
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

// entries yields the words of each line, without comments. It skips lines
// with fewer than two words.
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
