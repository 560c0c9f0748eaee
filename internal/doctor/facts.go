// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// Host contains the facts about a machine, or about one of its network
// namespaces. Facts that could not be read are absent, and checks ignore
// them.
type Host struct {
	// Kernel is the release, as in "6.1.0-30-amd64".
	Kernel string
	// Settings maps names to values, both as sysctl(8) writes them; dots in
	// interface names are slashes. Single blanks separate several numbers.
	Settings map[string]string
	Links    []Link
	// Neighbors contains the states in the neighbor tables (NUD_*).
	Neighbors map[Neighbor]uint16
	// Modules contains the states of ip_vs, nf_tables and the modules that
	// the table needs.
	Modules map[string]ModuleState
	// VRRP reports whether a program such as keepalived uses VRRP here.
	VRRP bool
	// Firewall lists the base chains that drop packets by default, such as
	// "inet filter input"; nil if they could not be read.
	Firewall []string
	// LegacyFirewall reports whether iptables-legacy has a filter table, whose
	// chains are not examined.
	LegacyFirewall bool
	// RuleFile is the file that is restored at boot, empty if there is none.
	RuleFile string
	// Clients summarizes the connection table by virtual address.
	Clients map[netip.Addr]*Clients
	// Handshakes counts the TCP connections of each server by its port, and
	// of all its ports as port 0.
	Handshakes map[netip.AddrPort]Handshakes
	// Unasked is the number of routes that were not looked up in time.
	Unasked int

	// ask looks up a route; ok is false after the time limit.
	ask    func(Query) (r Route, ok bool)
	routes map[Query]Route
	owners map[netip.Addr]*Link // cache of owner
	// local returns the networks that are local in any routing table.
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
	ARP      bool // answers ARP, unlike tunnels and dummies
	MTU      int
	Prefixes []netip.Prefix // its addresses with their prefix lengths
	// Failed lists its addresses that duplicate address detection found on
	// another machine.
	Failed []netip.Addr
}

// Neighbor is an address on the network of an interface.
type Neighbor struct {
	Link int // its index
	Addr netip.Addr
}

// Clients counts the connections to a virtual address by their origin.
type Clients struct {
	Local, Remote int
	Some          []netip.Addr // a few remote client addresses
}

// Handshakes counts connections in SYN_RECV, in CLOSE and in other states.
type Handshakes struct{ Half, Reset, Other int }

// Query is a route lookup.
type Query struct {
	To netip.Addr
	// From and In are the source of a packet and the index of the interface
	// that it arrives on; zero for a packet sent by this machine.
	From netip.Addr
	In   int
	// Entry requests the routing table entry, with its prefix length, instead
	// of the route that a packet takes.
	Entry bool
}

// Route is the result of a route lookup.
type Route struct {
	Way     Way
	Link    int        // index of the interface that packets leave by
	Gateway netip.Addr // the zero Addr if the destination is on-link
	MTU     int        // of the route itself, 0 if it has none
	Bits    int        // prefix length, for a query with Entry
}

// Way is where a route leads.
type Way uint8

// The ways. The zero value is unknown.
const (
	Away        Way = iota + 1 // to another machine
	Here                       // to the machine itself
	Group                      // broadcast or multicast
	Nowhere                    // no route
	Blackhole                  // drops packets silently
	Unreachable                // answers "host unreachable"
	Prohibited                 // answers "administratively prohibited"
	Spoofed                    // the reverse path filter drops the packet
)

// ModuleState is the state of a kernel module.
type ModuleState uint8

// The states. The zero value is unknown.
const (
	Loaded    ModuleState = iota + 1 // or built in
	Available                        // can be loaded
	Missing
)

// route looks up a route and caches it.
func (h *Host) route(q Query) Route {
	r, cached := h.routes[q]
	if cached || h.ask == nil {
		return r
	}
	r, ok := h.ask(q)
	if !ok {
		h.Unasked++
	}
	h.routes[q] = r
	return r
}

// isLocal reports whether an address is local in any routing table, such as
// that of a VRF or of a routing rule.
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
// processes of this machine. IPVS gets their packets wherever the address is.
func (h *Host) onlyLocal(vip netip.Addr) bool {
	c := h.Clients[vip]
	return vip.IsLoopback() || c != nil && c.Local > 0 && c.Remote == 0
}

// setting returns the value of a setting, empty if unknown.
func (h *Host) setting(name string) string { return h.Settings[name] }

// number returns the value of a numeric setting; ok is false if unknown.
func (h *Host) number(name string) (n int, ok bool) {
	n, err := strconv.Atoi(h.Settings[name])
	return n, err == nil
}

// isZero reports whether a setting is known and 0.
func (h *Host) isZero(name string) bool {
	n, ok := h.number(name)
	return ok && n == 0
}

// vsSetting returns the full name of an IPVS setting.
func vsSetting(name string) string { return vsPrefix + name }

const vsPrefix = "net.ipv4.vs."

// linkSetting returns the full name of an interface's setting; "all" and
// "default" count as interfaces.
func linkSetting(f ipvs.Family, link, name string) string {
	family := "ipv4"
	if f == ipvs.IPv6 {
		family = "ipv6"
	}
	return "net." + family + ".conf." + strings.ReplaceAll(link, ".", "/") + "." + name
}

// link returns the interface with an index, nil if unknown.
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

// owner returns the interface that an address is assigned to, nil if none.
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
// address, ignoring host prefixes; ok is false if there is none.
func (l *Link) network(a netip.Addr) (smallest netip.Prefix, ok bool) {
	for _, p := range l.Prefixes {
		if !p.IsSingleIP() && p.Contains(a) && (!ok || p.Bits() > smallest.Bits()) {
			smallest, ok = p, true
		}
	}
	return smallest, ok
}

// hasAddress reports whether an interface has addresses of a family that are not
// link-local.
func (l *Link) hasAddress(f ipvs.Family) bool {
	return slices.ContainsFunc(l.Prefixes, func(p netip.Prefix) bool {
		return ipvs.FamilyOf(p.Addr()) == f && !p.Addr().IsLinkLocalUnicast()
	})
}

// nearestLink returns the matching interface whose network contains an address: the
// one with the smallest network, nil if there is none.
func (h *Host) nearestLink(a netip.Addr, match func(*Link) bool) (nearest *Link) {
	bits := 0
	for i := range h.Links {
		l := &h.Links[i]
		if p, ok := l.network(a); ok && p.Bits() > bits && match(l) {
			nearest, bits = l, p.Bits()
		}
	}
	return nearest
}

func works(l *Link) bool  { return l.Up && l.Carrier }
func isUp(l *Link) bool   { return l.Up }
func isDown(l *Link) bool { return !l.Up }

// isEmpty reports whether an interface is a bridge without ports, which is
// sometimes used like a dummy.
func (h *Host) isEmpty(l *Link) bool {
	return l.Kind == "bridge" && !slices.ContainsFunc(h.Links, func(port Link) bool { return port.Master == l.Index })
}

// state describes why an interface does not work.
func (l *Link) state() string {
	if !l.Up {
		return "is down"
	}
	return "has no carrier"
}
