// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"io/fs"
	"net/netip"
	"strings"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// System is where facts come from.
type System struct {
	Files fs.FS // the root of the file tree
	Net   Net
}

// Net answers questions about the network as the kernel does.
type Net interface {
	Links() ([]Link, error)
	// Route returns the way to an address. It is an error if the kernel has
	// no answer, not if there is no way.
	Route(netip.Addr) (Route, error)
}

// Gather reads what the checks of a table ask for; a nil table has only the
// host's questions. When ctx ends, it asks for no more routes. Its error is
// that of the interfaces, without which nothing else makes sense.
func Gather(ctx context.Context, sys System, t *ipvs.Table) (*Host, error) {
	links, err := sys.Net.Links()
	if err != nil {
		return nil, err
	}
	h := &Host{
		Links:    links,
		Settings: map[string]string{},
		Routes:   map[netip.Addr]Route{},
		Modules:  map[string]ModuleState{},
	}
	if t == nil {
		t = &ipvs.Table{}
	}
	sys.routes(ctx, h, t) // first, since it is the part that may not be done in time
	h.Kernel = sys.word("proc/sys/kernel/osrelease")
	h.VRRP = sys.speaks(vrrp)
	sys.settings(h)
	sys.modules(h, t)
	return h, nil
}

// word reads a file that has one line; empty if it cannot be read. Blanks
// between its words become one each.
func (sys System) word(file string) string {
	b, err := fs.ReadFile(sys.Files, file)
	if err != nil {
		return ""
	}
	return strings.Join(strings.Fields(string(b)), " ")
}

// settings reads all settings of IPVS and those of the network that checks look
// at.
func (sys System) settings(h *Host) {
	names := []string{"net.ipv4.ip_forward", "net.netfilter.nf_conntrack_count", "net.netfilter.nf_conntrack_max",
		linkSetting(ipvs.IPv6, "all", "forwarding")}
	link := func(name string) {
		for _, s := range [...]string{"forwarding", "rp_filter", "send_redirects"} {
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

// settingFile is the file of a setting, in which dot and slash have changed
// places.
func settingFile(name string) string {
	return "proc/sys/" + strings.NewReplacer(".", "/", "/", ".").Replace(name)
}

// vrrp is the number of the protocol by which directors agree on who is active.
const vrrp = "0070"

// speaks reports whether a socket is open for a protocol, by its number as the
// tables of raw sockets have it, in place of a port.
func (sys System) speaks(protocol string) bool {
	for _, name := range [...]string{"raw", "raw6"} {
		b, err := fs.ReadFile(sys.Files, "proc/thread-self/net/"+name)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(b)) {
			if f := strings.Fields(line); len(f) > 1 && strings.HasSuffix(f[1], ":"+protocol) {
				return true
			}
		}
	}
	return false
}

// modules finds out about ip_vs and what else the table needs.
func (sys System) modules(h *Host, t *ipvs.Table) {
	var known strings.Builder // the lists of modules that can be loaded, and of those built in
	for _, list := range [...]string{"modules.dep", "modules.builtin"} {
		b, _ := fs.ReadFile(sys.Files, "lib/modules/"+h.Kernel+"/"+list)
		known.Write(b)
	}
	look := func(name string) {
		if h.Modules[name] != 0 {
			return
		}
		_, err := fs.Stat(sys.Files, "sys/module/"+name)
		switch {
		case err == nil:
			h.Modules[name] = Loaded
		case known.Len() == 0: // a container without the machine's modules
		case strings.Contains(known.String(), "/"+name+".ko"):
			h.Modules[name] = Available
		default:
			h.Modules[name] = Missing
		}
	}
	look("ip_vs")
	if _, err := fs.Stat(sys.Files, "proc/thread-self/net/ip_vs"); err == nil {
		h.Modules["ip_vs"] = Loaded
	}
	for i := range t.Services {
		for _, name := range modulesOf(&t.Services[i]) {
			look(name)
		}
	}
}

// routes looks up the ways to all servers and virtual addresses, each once.
func (sys System) routes(ctx context.Context, h *Host, t *ipvs.Table) {
	look := func(a netip.Addr) {
		if _, done := h.Routes[a]; done {
			return
		}
		h.Routes[a] = Route{}
		if ctx.Err() != nil {
			h.Unasked++
			return
		}
		if r, err := sys.Net.Route(a); err == nil {
			h.Routes[a] = r
		}
	}
	for i := range t.Services {
		s := &t.Services[i]
		if s.FWMark == 0 {
			look(s.Addr)
		}
		for j := range s.Destinations {
			look(s.Destinations[j].Addr)
		}
	}
}
