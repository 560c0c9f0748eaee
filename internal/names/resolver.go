// SPDX-License-Identifier: Apache-2.0

// Package names resolves host and service names to addresses and ports, and
// back, with the results that ipvsadm 1.31 gets from glibc: from the hosts
// and services files first, then from DNS.
//
// The files come before DNS even if nsswitch.conf has another order, and DNS
// is not used if nsswitch.conf does not list it. glibc's other modules (db,
// myhostname, mdns and so on) are not supported, since a static binary cannot
// load them.
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
	// reverseTimeout limits one reverse lookup, so that a slow name
	// server does not block a listing.
	reverseTimeout = 5 * time.Second
	// maxLookups is the maximum number of concurrent lookups in calls
	// that look up many names.
	maxLookups = 64
)

// DNS resolves the names that are not in the hosts file. *net.Resolver
// implements it.
type DNS interface {
	// LookupNetIP returns the addresses of host; network is "ip4" or
	// "ip6".
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	// LookupAddr returns the names of addr, with or without a trailing
	// dot.
	LookupAddr(ctx context.Context, addr string) ([]string, error)
}

// Resolver looks up host and service names. It reads each file once, on first
// use, and caches all results for hosts, so that repeated lookups in one
// process agree. It is safe for concurrent use.
type Resolver struct {
	hosts     func() []host
	services  func() []service
	dns       DNS
	addresses cache[question, netip.Addr]
	hostNames cache[netip.Addr, string]
}

// question is a lookup of a host name: the network is "ip4" or "ip6", as for
// DNS.LookupNetIP.
type question struct{ network, name string }

// New returns a Resolver that uses /etc/hosts, /etc/services and the DNS
// servers in /etc/resolv.conf. It opens no file yet.
func New() *Resolver {
	return NewFrom("/etc/hosts", "/etc/services", &net.Resolver{PreferGo: true})
}

// NewFrom returns a Resolver that uses the given files and name server. As in
// glibc, a file that cannot be read has the same effect as an empty one.
func NewFrom(hostsPath, servicesPath string, dns DNS) *Resolver {
	return &Resolver{
		hosts:    sync.OnceValue(func() []host { return parseHosts(readFile(hostsPath)) }),
		services: sync.OnceValue(func() []service { return parseServices(readFile(servicesPath)) }),
		dns:      dns,
	}
}

// readFile returns the text of a file, or "" if it cannot be read.
func readFile(path string) string {
	text, _ := os.ReadFile(path)
	return string(text)
}

// Host4 returns an IPv4 address: s is either an address in a form that
// ParseIPv4 accepts, or a host name, and the result its first address (1.31:
// inet_aton, then gethostbyname). The DNS timeouts are those in resolv.conf.
// The error is a *net.DNSError, or the error of ctx.
//
// If DNS returns several addresses, net.Resolver sorts them by RFC 6724. That
// moves only addresses that are loopback, link-local or without a route.
func (r *Resolver) Host4(ctx context.Context, s string) (netip.Addr, error) {
	if addr, ok := ParseIPv4(s); ok {
		return addr, nil
	}
	return r.lookup(ctx, question{"ip4", s})
}

// Host6 returns the first IPv6 address of a host name. Unlike Host4 it does
// not parse addresses.
func (r *Resolver) Host6(ctx context.Context, s string) (netip.Addr, error) {
	return r.lookup(ctx, question{"ip6", s})
}

func (r *Resolver) lookup(ctx context.Context, q question) (netip.Addr, error) {
	if !isHostName(q.name) {
		return netip.Addr{}, noSuchHost(q.name)
	}
	return r.addresses.get(ctx, q, r.resolveAddr)
}

// HostName returns the name of an IPv4 or IPv6 address (1.31: gethostbyaddr):
// the first name on the first line of the hosts file with that address, or
// else the first name from DNS, without the trailing dot. It reports false if
// there is no name, or if the lookup fails or takes more than 5 seconds; 1.31
// then prints the address.
func (r *Resolver) HostName(ctx context.Context, addr netip.Addr) (string, bool) {
	name, _ := r.hostNames.get(ctx, addr, r.resolveName)
	return name, name != ""
}

// Prefetch looks up the names of addrs, many at once. It returns when all are
// cached, so that HostName does not block, or when ctx is canceled.
func (r *Resolver) Prefetch(ctx context.Context, addrs []netip.Addr) {
	r.forEach(addrs, func(addr netip.Addr) { r.HostName(ctx, addr) })
}

// Port returns the port of a service, by its name or an alias, for the
// protocol "tcp", "udp" or "sctp" (1.31: getservbyname). Case matters.
func (r *Resolver) Port(name, proto string) (uint16, bool) {
	for _, s := range r.services() {
		if s.proto == proto && (s.name == name || slices.Contains(s.aliases, name)) {
			return s.port, true
		}
	}
	return 0, false
}

// ServiceName returns the name on the first line of the services file with
// this port and protocol: "tcp", "udp" or "sctp" (1.31: getservbyport).
func (r *Resolver) ServiceName(port uint16, proto string) (string, bool) {
	for _, s := range r.services() {
		if s.port == port && s.proto == proto {
			return s.name, true
		}
	}
	return "", false
}

// lookupHosts looks up a name in the hosts file, and returns the first match
// as gethostbyname does. net.Resolver would sort the addresses by RFC 6724.
func (r *Resolver) lookupHosts(q question) (netip.Addr, bool) {
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

func (r *Resolver) resolveAddr(ctx context.Context, q question) (netip.Addr, error) {
	if addr, found := r.lookupHosts(q); found {
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

func (r *Resolver) resolveName(ctx context.Context, addr netip.Addr) (string, error) {
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
	// If only some names are malformed, net.Resolver returns the others
	// and an error.
	return strings.TrimSuffix(names[0], "."), nil
}

// isHostName reports whether glibc would look up s as a host name. It does
// not look up text with a colon, or text of only digits and dots that does not
// end with a dot.
func isHostName(s string) bool {
	if strings.Contains(s, ":") {
		return false
	}
	return strings.Trim(s, "0123456789.") != "" || strings.HasSuffix(s, ".")
}

func noSuchHost(name string) error {
	return &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}
