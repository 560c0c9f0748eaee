// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// Host has the facts about a machine, or about one network namespace of it.
// Facts that could not be read are absent, and no check reports on them.
type Host struct {
	// Kernel is the release, as in "6.1.0-30-amd64".
	Kernel string
	// Settings are values by name, as sysctl(8) has both: a dot in the name of
	// an interface is a slash. Several numbers are separated by one blank.
	Settings map[string]string
	Links    []Link
	// Neighbors are the states of the neighbor tables (NUD_*).
	Neighbors map[Neighbor]uint16
	// Modules are the kernel's modules that the table needs, and ip_vs.
	Modules map[string]ModuleState
	// VRRP reports whether a program here speaks VRRP, as keepalived does.
	VRRP bool
	// Firewall has the base chains that drop packets by default, as in
	// "inet filter input"; nil if they could not be read.
	Firewall []string
	// LegacyFirewall reports whether iptables-legacy has a filter table, whose
	// chains are not examined.
	LegacyFirewall bool
	// RuleFile is the file that is restored at boot, empty if there is none.
	RuleFile string
	// Clients are the clients of each virtual address, by the connection table.
	Clients map[netip.Addr]*Clients
	// Handshakes are the TCP connections of each server, once by its port and
	// once with port 0.
	Handshakes map[netip.AddrPort]Handshakes
	// Unasked is how many routes were not looked up because time was over.
	Unasked int

	// ask looks up a route; ok is false if time is over.
	ask    func(Query) (r Route, ok bool)
	routes map[Query]Route
	owners map[netip.Addr]*Link // of addresses
	// local are the networks that any routing table has as local.
	local func() []netip.Prefix
}

// Link is a network interface.
type Link struct {
	Index    int
	Master   int // index of the bridge, bond or VRF that it belongs to, or 0
	Name     string
	Kind     string // such as "bridge", "vrf" or "dummy"; empty for hardware
	Up       bool
	Carrier  bool
	Loopback bool
	ARP      bool // neighbors can find it: it is no tunnel, and no dummy
	MTU      int
	Prefixes []netip.Prefix // its addresses with the length of the network
	// Failed are those of its addresses that another machine has, according to
	// duplicate address detection.
	Failed []netip.Addr
}

// Neighbor is an address on the network of an interface.
type Neighbor struct {
	Link int // its index
	Addr netip.Addr
}

// Clients are the clients that have connections to a virtual address.
type Clients struct {
	Local, Remote int
	Some          []netip.Addr // a few of the remote ones
}

// Handshakes counts connections in SYN_RECV, in CLOSE and in other states.
type Handshakes struct{ Half, Reset, Other int }

// Query is a question about a route.
type Query struct {
	To netip.Addr
	// From and In are the source of a packet and the index of the interface
	// that it arrives on; zero for a packet of this machine.
	From netip.Addr
	In   int
	// Entry asks for the entry of the routing table, which has the length of
	// its network, instead of the way that a packet takes.
	Entry bool
}

// Route is the way to an address.
type Route struct {
	Way     Way
	Link    int        // index of the interface that packets leave by
	Gateway netip.Addr // the zero Addr on a network of the machine
	MTU     int        // of the route, where it has its own; else 0
	Bits    int        // length of the route's network, for a query of its entry
}

// Way says where a route leads.
type Way uint8

// The ways. The zero value is a way that is not known.
const (
	Away        Way = iota + 1 // out of the machine
	Here                       // to the machine itself
	Group                      // broadcast or multicast
	Nowhere                    // there is no route
	Blackhole                  // a route that drops
	Unreachable                // a route that answers that the host is unreachable
	Prohibited                 // a route that answers that access is prohibited
	Spoofed                    // the reverse path filter drops the packet
)

// ModuleState says what is known of a kernel module.
type ModuleState uint8

// The states. The zero value is a module of which nothing is known.
const (
	Loaded    ModuleState = iota + 1 // or built in
	Available                        // can be loaded
	Missing
)

// route looks up a route, each one once.
func (h *Host) route(q Query) Route {
	r, known := h.routes[q]
	if known || h.ask == nil {
		return r
	}
	r, ok := h.ask(q)
	if !ok {
		h.Unasked++
	}
	h.routes[q] = r
	return r
}

// isLocal reports whether any routing table has an address as local, such as
// that of a VRF, or one that a rule selects.
func (h *Host) isLocal(a netip.Addr) bool {
	if h.local == nil {
		return false
	}
	for _, p := range h.local() {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// onlyLocal reports whether all known clients of a virtual address are
// processes of this machine, whose packets IPVS gets wherever the address is.
func (h *Host) onlyLocal(vip netip.Addr) bool {
	c := h.Clients[vip]
	return vip.IsLoopback() || c != nil && c.Local > 0 && c.Remote == 0
}

// setting returns a setting, empty if it is not known.
func (h *Host) setting(name string) string { return h.Settings[name] }

// number returns a setting that is a number; ok is false if it is not known.
func (h *Host) number(name string) (n int, ok bool) {
	n, err := strconv.Atoi(h.Settings[name])
	return n, err == nil
}

// isZero reports whether a setting is known and 0.
func (h *Host) isZero(name string) bool {
	n, ok := h.number(name)
	return ok && n == 0
}

// vsSetting is the name of a setting of IPVS.
func vsSetting(name string) string { return vsPrefix + name }

const vsPrefix = "net.ipv4.vs."

// linkSetting is the name of an interface's setting; "all" and "default" count
// as interfaces.
func linkSetting(f ipvs.Family, link, name string) string {
	family := "ipv4"
	if f == ipvs.IPv6 {
		family = "ipv6"
	}
	return "net." + family + ".conf." + strings.ReplaceAll(link, ".", "/") + "." + name
}

// link returns the interface with an index, nil if it is not known.
func (h *Host) link(index int) *Link {
	for i := range h.Links {
		if h.Links[i].Index == index {
			return &h.Links[i]
		}
	}
	return nil
}

// vrf returns the VRF that an interface belongs to, nil if it is in none.
func (h *Host) vrf(l *Link) *Link {
	if m := h.link(l.Master); m != nil && m.Kind == "vrf" {
		return m
	}
	return nil
}

// owner returns the interface that has an address, nil if none has.
func (h *Host) owner(a netip.Addr) *Link {
	if h.owners == nil {
		h.owners = map[netip.Addr]*Link{}
		for i := range h.Links {
			for _, p := range h.Links[i].Prefixes {
				h.owners[p.Addr()] = &h.Links[i]
			}
		}
	}
	return h.owners[a]
}

// network returns the smallest network of an interface that contains an
// address and more; ok is false if there is none.
func (l *Link) network(a netip.Addr) (smallest netip.Prefix, ok bool) {
	for _, p := range l.Prefixes {
		if !p.IsSingleIP() && p.Contains(a) && (!ok || p.Bits() > smallest.Bits()) {
			smallest, ok = p, true
		}
	}
	return smallest, ok
}

// has reports whether an interface has addresses of a family, besides the
// link-local ones of IPv6.
func (l *Link) has(f ipvs.Family) bool {
	return slices.ContainsFunc(l.Prefixes, func(p netip.Prefix) bool {
		return ipvs.FamilyOf(p.Addr()) == f && !p.Addr().IsLinkLocalUnicast()
	})
}

// near returns the interface on whose network an address is and for which fits
// holds, the one with the smallest network if there are several; nil if there
// is none.
func (h *Host) near(a netip.Addr, fits func(*Link) bool) (nearest *Link) {
	bits := 0
	for i := range h.Links {
		l := &h.Links[i]
		if p, ok := l.network(a); ok && p.Bits() > bits && fits(l) {
			nearest, bits = l, p.Bits()
		}
	}
	return nearest
}

func works(l *Link) bool  { return l.Up && l.Carrier }
func isUp(l *Link) bool   { return l.Up }
func isDown(l *Link) bool { return !l.Up }

// isEmpty reports whether an interface is a bridge without ports, which some
// use like a dummy.
func (h *Host) isEmpty(l *Link) bool {
	return l.Kind == "bridge" && !slices.ContainsFunc(h.Links, func(port Link) bool { return port.Master == l.Index })
}

// state says why a link does not work.
func (l *Link) state() string {
	if !l.Up {
		return "is down"
	}
	return "has no carrier"
}
