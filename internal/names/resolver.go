// SPDX-License-Identifier: Apache-2.0

// Package names turns host and service names into addresses and ports, and
// back, with the answers that ipvsadm 1.31 gets from glibc: the hosts and
// services files first, then DNS.
//
// Only these sources are asked. The files come before DNS whatever order
// nsswitch.conf gives, and DNS is left out where nsswitch.conf does not name
// it; glibc's other modules (db, myhostname, mdns and the like) are not
// loaded, since the program is one static binary.
package names

import (
	"context"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// reverseTimeout is the longest that one reverse look-up keeps a
	// listing waiting.
	reverseTimeout = 5 * time.Second
	// lookUpLimit is how many look-ups are under way at once where many are
	// wanted.
	lookUpLimit = 64
)

// DNS is what a Resolver asks for names that its files do not hold.
// *net.Resolver is one.
type DNS interface {
	// LookupNetIP returns the addresses of host; network is "ip4" or
	// "ip6".
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	// LookupAddr returns the names of the address addr, each with or
	// without a trailing dot.
	LookupAddr(ctx context.Context, addr string) ([]string, error)
}

// Resolver looks names up. It reads each file once, when it first needs it,
// and keeps every answer about a host, so that one process never sees two
// answers to one question. It is safe for concurrent use.
type Resolver struct {
	hosts     func() []host
	services  func() []service
	dns       DNS
	addresses cache[question, netip.Addr]
	hostNames cache[netip.Addr, string]
}

// question is what is asked of a host name: its address in one of the
// families "ip4" and "ip6".
type question struct{ network, name string }

// New returns a Resolver for this machine: /etc/hosts, /etc/services and the
// DNS servers that /etc/resolv.conf names. It opens nothing yet.
func New() *Resolver {
	return With("/etc/hosts", "/etc/services", &net.Resolver{PreferGo: true})
}

// With returns a Resolver that reads the given files in place of the
// machine's and asks dns. A file that cannot be read holds no names, as in
// glibc.
func With(hostsPath, servicesPath string, dns DNS) *Resolver {
	return &Resolver{
		hosts:    sync.OnceValue(func() []host { return parseHosts(read(hostsPath)) }),
		services: sync.OnceValue(func() []service { return parseServices(read(servicesPath)) }),
		dns:      dns,
	}
}

func read(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return string(text)
}

// Host4 returns the IPv4 address that s stands for: an address in any form
// that ParseIPv4 reads, or a host name, whose first address it is (1.31:
// inet_aton, then gethostbyname). Of several that DNS returns, net.Resolver's
// sorting by RFC 6724 can move one that is loopback, link-local or without a
// route; the others keep DNS's order. The timeouts of DNS are those of
// resolv.conf. The error is a *net.DNSError, or that of ctx.
func (r *Resolver) Host4(ctx context.Context, s string) (netip.Addr, error) {
	if addr, ok := ParseIPv4(s); ok {
		return addr, nil
	}
	return r.ask(ctx, question{"ip4", s})
}

// Host6 returns the first IPv6 address of a host name, as Host4 does for
// IPv4; s is not the text of an address.
func (r *Resolver) Host6(ctx context.Context, s string) (netip.Addr, error) {
	return r.ask(ctx, question{"ip6", s})
}

func (r *Resolver) ask(ctx context.Context, q question) (netip.Addr, error) {
	if !askable(q.name) {
		return netip.Addr{}, noSuchHost(q.name)
	}
	return r.addresses.get(ctx, q, r.forward)
}

// HostName returns the name of an IPv4 or IPv6 address (1.31: gethostbyaddr):
// the first name on the first line of the hosts file that has the address,
// else the first one that DNS knows, without the trailing dot. It reports
// false if there is none, or if the look-up fails or takes more than 5
// seconds; 1.31 then prints the number.
func (r *Resolver) HostName(ctx context.Context, addr netip.Addr) (string, bool) {
	name, _ := r.hostNames.get(ctx, addr, r.reverse)
	return name, name != ""
}

// Prefetch looks up the names of all addrs, many at once, and returns when
// HostName can answer for each without a wait, or when ctx ends.
func (r *Resolver) Prefetch(ctx context.Context, addrs []netip.Addr) {
	r.forAll(addrs, func(addr netip.Addr) { r.HostName(ctx, addr) })
}

// Port returns the port of the service with this name or alias for the
// protocol "tcp", "udp" or "sctp"; case counts in both (1.31: getservbyname).
func (r *Resolver) Port(name, proto string) (uint16, bool) {
	for _, s := range r.services() {
		if s.proto == proto && (s.name == name || slices.Contains(s.aliases, name)) {
			return s.port, true
		}
	}
	return 0, false
}

// ServiceName returns the name on the first line of the services file that
// has this port for the protocol "tcp", "udp" or "sctp" (1.31:
// getservbyport).
func (r *Resolver) ServiceName(port uint16, proto string) (string, bool) {
	for _, s := range r.services() {
		if s.port == port && s.proto == proto {
			return s.name, true
		}
	}
	return "", false
}

// inHosts reads the hosts file itself, since net.Resolver would sort its
// addresses by RFC 6724, and gethostbyname keeps the order of the lines.
func (r *Resolver) inHosts(q question) (netip.Addr, bool) {
	for _, h := range r.hosts() {
		addr := h.addr
		if q.network == "ip4" {
			addr = h.ipv4()
		}
		if addr.Is4() == (q.network == "ip4") && h.hasName(q.name) {
			return addr, true
		}
	}
	return netip.Addr{}, false
}

func (r *Resolver) forward(ctx context.Context, q question) (netip.Addr, error) {
	if addr, found := r.inHosts(q); found {
		return addr, nil
	}
	addrs, err := r.dns.LookupNetIP(ctx, q.network, q.name)
	if err != nil {
		return netip.Addr{}, err
	}
	if len(addrs) == 0 {
		return netip.Addr{}, noSuchHost(q.name)
	}
	if q.network == "ip4" {
		return addrs[0].Unmap(), nil
	}
	return addrs[0], nil
}

func (r *Resolver) reverse(ctx context.Context, addr netip.Addr) (string, error) {
	for _, h := range r.hosts() {
		if h.addr == addr || addr.Is4() && h.ipv4() == addr {
			return h.names[0], nil
		}
	}
	ctx, cancel := context.WithTimeout(ctx, reverseTimeout)
	defer cancel()
	names, err := r.dns.LookupAddr(ctx, addr.String())
	if len(names) == 0 {
		return "", err
	}
	// net.Resolver returns the well-formed names along with an error
	// about the others.
	return strings.TrimSuffix(names[0], "."), nil
}

// askable reports whether s can be a host name. glibc looks up neither digits
// and dots (unless a final dot makes them a domain name) nor text with a
// colon.
func askable(s string) bool {
	if strings.Contains(s, ":") {
		return false
	}
	return strings.Trim(s, "0123456789.") != "" || strings.HasSuffix(s, ".")
}

func noSuchHost(name string) error {
	return &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}
