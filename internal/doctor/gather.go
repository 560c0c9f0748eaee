// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"io/fs"
	"iter"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// System is the source of the facts.
type System struct {
	Files fs.FS // the root of the file tree
	Net   Net
	// Connections iterates over the connection table; nil if it is unknown.
	Connections iter.Seq2[ipvs.Connection, error]
}

// Net queries the network configuration. rtnetlink implements it.
type Net interface {
	Links() ([]Link, error)
	Neighbors() (map[Neighbor]uint16, error)
	// Route looks up a route. A missing route is a result, not an error.
	Route(Query) (Route, error)
	// Local returns the networks that are local in any routing table.
	Local() ([]netip.Prefix, error)
	// Chains returns the base chains of nftables that drop packets at input
	// or forward by default.
	Chains() ([]string, error)
}

// Gather reads the facts that the checks of a table need; for a nil table,
// those about the host alone. When ctx ends, checks look up no more routes.
// It fails only if the interfaces cannot be read, which all else depends on.
func Gather(ctx context.Context, sys System, t *ipvs.Table) (*Host, error) {
	links, err := sys.Net.Links()
	if err != nil {
		return nil, err
	}
	h := &Host{
		Links:      links,
		Settings:   map[string]string{},
		Modules:    map[string]ModuleState{},
		Clients:    map[netip.Addr]*Clients{},
		Handshakes: map[netip.AddrPort]Handshakes{},
		routes:     map[Query]Route{},
		ask: func(q Query) (Route, bool) {
			if ctx.Err() != nil {
				return Route{}, false
			}
			r, err := sys.Net.Route(q)
			if err != nil {
				return Route{}, true
			}
			return r, true
		},
		local: sync.OnceValue(func() []netip.Prefix {
			local, _ := sys.Net.Local()
			return local
		}),
	}
	if t == nil {
		t = &ipvs.Table{}
	} else {
		h.Neighbors = sys.neighbors()
	}
	h.Kernel = sys.word("proc/sys/kernel/osrelease")
	// The port of a raw socket is its protocol number: 112 for VRRP.
	h.VRRP = strings.Contains(sys.word("proc/thread-self/net/raw")+sys.word("proc/thread-self/net/raw6"), ":0070 ")
	h.LegacyFirewall = slices.Contains(strings.Fields(sys.word("proc/thread-self/net/ip_tables_names")), "filter")
	sys.settings(h)
	if sys.modules(h, t); h.Modules["nf_tables"] == Loaded { // else the query would load it
		h.Firewall, _ = sys.Net.Chains()
	} else if h.Modules["nf_tables"] != 0 {
		h.Firewall = []string{}
	}
	for _, name := range [...]string{"etc/ipvsadm.rules", "etc/sysconfig/ipvsadm"} {
		if b, _ := fs.ReadFile(sys.Files, name); ruleLine.Match(b) {
			h.RuleFile = "/" + name
		}
	}
	sys.connections(h)
	return h, nil
}

var ruleLine = regexp.MustCompile(`(?m)^\s*[^#\s]`)

// neighbors reads the neighbor tables, and once more after a moment if an
// address is still being resolved.
func (sys System) neighbors() map[Neighbor]uint16 {
	states, _ := sys.Net.Neighbors()
	for _, state := range states {
		if state&unix.NUD_INCOMPLETE != 0 {
			time.Sleep(500 * time.Millisecond)
			states, _ = sys.Net.Neighbors()
			break
		}
	}
	return states
}

// The states of a neighbor that has answered, and of one that has not.
const (
	resolved   = unix.NUD_REACHABLE | unix.NUD_STALE | unix.NUD_DELAY | unix.NUD_PROBE | unix.NUD_PERMANENT | unix.NUD_NOARP
	unanswered = unix.NUD_FAILED | unix.NUD_INCOMPLETE
)

// word returns the words of a one-line file, separated by single blanks;
// empty if it cannot be read.
func (sys System) word(file string) string {
	b, err := fs.ReadFile(sys.Files, file)
	if err != nil {
		return ""
	}
	return strings.Join(strings.Fields(string(b)), " ")
}

// settings reads all IPVS settings and the network settings that checks use.
func (sys System) settings(h *Host) {
	names := []string{"net.ipv4.ip_forward", "net.netfilter.nf_conntrack_count", "net.netfilter.nf_conntrack_max",
		linkSetting(ipvs.IPv6, "all", "forwarding")}
	link := func(name string) {
		for _, s := range [...]string{"forwarding", "send_redirects", "arp_ignore"} {
			names = append(names, linkSetting(ipvs.IPv4, name, s))
		}
		names = append(names, linkSetting(ipvs.IPv6, name, "force_forwarding"))
	}
	link("all")
	for i := range h.Links {
		link(h.Links[i].Name)
	}
	own, _ := fs.ReadDir(sys.Files, settingFile(strings.TrimSuffix(vsPrefix, ".")))
	for _, e := range own {
		names = append(names, vsSetting(e.Name()))
	}
	for _, name := range names {
		if value := sys.word(settingFile(name)); value != "" {
			h.Settings[name] = value
		}
	}
}

// settingFile returns the file of a setting: dots and slashes are swapped.
func settingFile(name string) string {
	return "proc/sys/" + strings.NewReplacer(".", "/", "/", ".").Replace(name)
}

// modules records the state of ip_vs, nf_tables and the table's modules.
func (sys System) modules(h *Host, t *ipvs.Table) {
	list := func(name string) string {
		b, _ := fs.ReadFile(sys.Files, "lib/modules/"+h.Kernel+"/modules."+name)
		return string(b)
	}
	loadable, builtin := list("dep"), list("builtin")
	record := func(name string) {
		if h.Modules[name] != 0 {
			return
		}
		_, err := fs.Stat(sys.Files, "sys/module/"+name)
		switch file := "/" + name + ".ko"; {
		case err == nil, strings.Contains(builtin, file):
			h.Modules[name] = Loaded
		case loadable == "" && builtin == "": // a container without the host's modules
		case strings.Contains(loadable, file):
			h.Modules[name] = Available
		default:
			h.Modules[name] = Missing
		}
	}
	record("ip_vs")
	record("nf_tables")
	if _, err := fs.Stat(sys.Files, "proc/thread-self/net/ip_vs"); err == nil {
		h.Modules["ip_vs"] = Loaded
	}
	for i := range t.Services {
		for _, name := range modulesOf(&t.Services[i]) {
			record(name)
		}
	}
}

// connections counts connections by client and by state, up to a limit.
func (sys System) connections(h *Host) {
	const most, few = 200_000, 8
	if sys.Connections == nil {
		return
	}
	n := 0
	for c, err := range sys.Connections {
		if n++; n > most {
			return
		}
		if err != nil || c.State == "NONE" { // a template
			continue
		}
		clients := h.Clients[c.Virtual.Addr()]
		if clients == nil {
			clients = &Clients{}
			h.Clients[c.Virtual.Addr()] = clients
		}
		if a := c.Client.Addr(); a.IsLoopback() || h.owner(a) != nil {
			clients.Local++
		} else if clients.Remote++; len(clients.Some) < few && !slices.Contains(clients.Some, a) {
			clients.Some = append(clients.Some, a)
		}
		if c.Protocol != ipvs.TCP {
			continue
		}
		for _, server := range [...]netip.AddrPort{c.Destination, netip.AddrPortFrom(c.Destination.Addr(), 0)} {
			count := h.Handshakes[server]
			switch c.State {
			case "SYN_RECV":
				count.Half++
			case "CLOSE":
				count.Reset++
			default:
				count.Other++
			}
			h.Handshakes[server] = count
		}
	}
}
