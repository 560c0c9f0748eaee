// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// Host has the facts about a machine, or about one network namespace of it. It
// is plain data. What could not be read is absent, and no check speaks of it.
type Host struct {
	// Kernel is the release, as in "6.1.0-30-amd64".
	Kernel string
	// Settings are values by name, as sysctl(8) has both: a dot in the name of
	// an interface is a slash. Several numbers are separated by one blank.
	Settings map[string]string
	Links    []Link
	// Routes are the ways to addresses of the table.
	Routes map[netip.Addr]Route
	// Modules are the kernel's modules that the table needs, and ip_vs.
	Modules map[string]ModuleState
	// VRRP reports whether a program here speaks VRRP, as keepalived does.
	VRRP bool
	// Unasked is how many ways were not looked up because time was over.
	Unasked int
}

// Link is a network interface.
type Link struct {
	Index    int
	Name     string
	Up       bool
	Loopback bool
	ARP      bool // neighbors can find it: it is no tunnel, and no dummy
	MTU      int
	Prefixes []netip.Prefix // its addresses with the length of the network
}

// Route is the way to an address.
type Route struct {
	Way     Way
	Link    int        // index of the interface that packets leave by
	Gateway netip.Addr // the zero Addr on a network of the machine
	MTU     int        // of the route, where it has its own; else 0
}

// Way says where a route leads.
type Way uint8

// The ways. The zero value is a way that is not known.
const (
	Away    Way = iota + 1 // out of the machine
	Here                   // to the machine itself
	Nowhere                // there is no route, or one that refuses
)

// ModuleState says what is known of a kernel module.
type ModuleState uint8

// The states. The zero value is a module of which nothing is known.
const (
	Loaded    ModuleState = iota + 1 // or built in
	Available                        // can be loaded
	Missing
)

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

// owner returns the interface that has an address, nil if none has.
func (h *Host) owner(a netip.Addr) *Link {
	for i := range h.Links {
		for _, p := range h.Links[i].Prefixes {
			if p.Addr() == a {
				return &h.Links[i]
			}
		}
	}
	return nil
}

// covers reports whether an address is on a network of the interface.
func (l *Link) covers(a netip.Addr) bool {
	for _, p := range l.Prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// neighbor returns an interface on whose network an address is and for which
// fits holds, nil if there is none.
func (h *Host) neighbor(a netip.Addr, fits func(*Link) bool) *Link {
	for i := range h.Links {
		if l := &h.Links[i]; l.covers(a) && fits(l) {
			return l
		}
	}
	return nil
}

func isUp(l *Link) bool   { return l.Up }
func isDown(l *Link) bool { return !l.Up }
