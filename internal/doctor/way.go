// SPDX-License-Identifier: Apache-2.0

package doctor

// The checks of the way that packets take: to the director, on to the servers,
// and back.

import (
	"fmt"
	"iter"
	"slices"
	"strconv"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// remote returns the servers of a service with a forwarding method that are on
// other machines, each with the way to it and the interface that this leaves
// by.
func (c *Case) remote(s *ipvs.ServiceEntry, method ipvs.ForwardingMethod) iter.Seq[hop] {
	return func(yield func(hop) bool) {
		for i := range s.Destinations {
			d := &s.Destinations[i].Destination
			r := c.Host.Routes[d.Addr]
			link := c.Host.link(r.Link)
			if d.Forward == method && r.Way == Away && link != nil && !yield(hop{d, r, link}) {
				return
			}
		}
	}
}

// hop is a server and the way to it.
type hop struct {
	*ipvs.Destination
	Route
	out *Link
}

// vipLocal is not for marks, which have no address that a way leads to.
func vipLocal(c *Case, s *ipvs.ServiceEntry) []Finding {
	r := c.Host.Routes[s.Addr]
	if r.Way == 0 || r.Way == Here {
		return nil
	}
	if c.standsBy() {
		return []Finding{{Level: Note, Text: fmt.Sprintf("%v is on no interface, as it should be while another director is active", s.Addr)}}
	}
	device := "lo"
	if l := c.Host.neighbor(s.Addr, isUp); l != nil {
		device = l.Name
	}
	return []Finding{{
		Text: fmt.Sprintf("%v is on no interface, so packets to it do not reach IPVS", s.Addr),
		Fix:  c.ip(s.Addr, "addr", "add", single(s.Addr), "dev", device),
	}}
}

// standsBy reports whether the machine may be a standby director, whose virtual
// addresses are another's for now.
func (c *Case) standsBy() bool {
	return c.Host.VRRP || slices.ContainsFunc(c.Table.Daemons, func(d ipvs.Daemon) bool { return d.State == ipvs.Backup })
}

func route(c *Case, s *ipvs.ServiceEntry) (all []Finding) {
	for i := range s.Destinations {
		a := s.Destinations[i].Addr
		if c.Host.Routes[a].Way != Nowhere {
			continue
		}
		f := Finding{
			Text: fmt.Sprintf("there is no route to server %v", a),
			Fix:  c.ip(a, "route", "add", single(a), "via", "GATEWAY"),
		}
		if l := c.Host.neighbor(a, isDown); l != nil {
			f.Text += fmt.Sprintf(": its network is on %s, which is down", l.Name)
			f.Fix = c.linkUp(l.Name)
		}
		all = append(all, f)
	}
	return all
}

// onLink is about direct routing: the packet keeps the virtual address, which
// leads a router back to the director.
func onLink(c *Case, s *ipvs.ServiceEntry) (all []Finding) {
	for h := range c.remote(s, ipvs.Route) {
		if !h.Gateway.IsValid() || h.Gateway == h.Addr {
			continue
		}
		f := Finding{Text: fmt.Sprintf("server %v is behind gateway %v, which sends packets of direct routing (-g) back, since they keep the virtual address", h.AddrPort(), h.Gateway)}
		if l := c.Host.neighbor(h.Addr, isUp); l != nil {
			f.Text += fmt.Sprintf("; %s is on the server's network", l.Name)
			f.Fix = c.ip(h.Addr, "route", "replace", single(h.Addr), "dev", l.Name)
		} else {
			d := *h.Destination
			d.Forward = ipvs.Tunnel
			f.Text += "; a tunnel (-i) gets through, if the server is set up for it"
			f.Fix = c.edit(s, d)
		}
		all = append(all, f)
	}
	return all
}

// ipForward looks at the interface that the server is behind, since replies come
// in by it, and there the setting counts. With IPv6 it is that of all, unless
// the interface is forced to.
func ipForward(c *Case, s *ipvs.ServiceEntry) []Finding {
	for h := range c.remote(s, ipvs.Masquerade) {
		all, own := "net.ipv4.ip_forward", linkSetting(ipvs.IPv4, h.out.Name, "forwarding")
		decides := own
		if h.Addr.Is6() {
			all, own = linkSetting(ipvs.IPv6, "all", "forwarding"), linkSetting(ipvs.IPv6, h.out.Name, "force_forwarding")
			decides = all
			if n, _ := c.Host.number(own); n != 0 {
				continue
			}
		}
		switch {
		case !c.Host.isZero(decides):
		case c.Host.isZero(all):
			return []Finding{{
				Text: fmt.Sprintf("%v forwarding is off, so replies from NAT servers (-m) do not reach clients", ipvs.FamilyOf(h.Addr)),
				Fix:  c.sysctl(all + "=1"),
			}}
		default:
			return []Finding{{
				Text: fmt.Sprintf("forwarding is off on %s, so replies from NAT servers (-m) do not reach clients", h.out.Name),
				Fix:  c.sysctl(own + "=1"),
			}}
		}
	}
	return nil
}

// rpFilter looks for a second interface on a server's network: the server may
// answer by that one, and the filter wants it to be the one that the route
// leads out by. The greater of an interface's own value and that of all counts.
func rpFilter(c *Case, s *ipvs.ServiceEntry) []Finding {
	const strict, loose = 1, "2"
	for h := range c.remote(s, ipvs.Masquerade) {
		if h.Addr.Is6() {
			continue
		}
		other := c.Host.neighbor(h.Addr, func(l *Link) bool {
			all, _ := c.Host.number(linkSetting(ipvs.IPv4, "all", "rp_filter"))
			own, _ := c.Host.number(linkSetting(ipvs.IPv4, l.Name, "rp_filter"))
			return l.Up && l.ARP && l != h.out && max(all, own) == strict
		})
		if other != nil {
			return []Finding{{
				Text: fmt.Sprintf("%s is on the network of server %v too, but drops replies that arrive on it: its reverse path filter is strict, and the route to the server uses %s", other.Name, h.Addr, h.out.Name),
				Fix:  c.sysctl(linkSetting(ipvs.IPv4, other.Name, "rp_filter") + "=" + loose),
			}}
		}
	}
	return nil
}

// sendRedirects is about a director with one interface: a packet that leaves by
// the interface that it came in by makes Linux tell its sender of a shorter way.
// With IPv4 redirects are sent if all or the interface says so.
func sendRedirects(c *Case, s *ipvs.ServiceEntry) []Finding {
	in := c.Host.owner(s.Addr)
	if in == nil || in.Loopback {
		return nil
	}
	all, own := linkSetting(ipvs.IPv4, "all", "send_redirects"), linkSetting(ipvs.IPv4, in.Name, "send_redirects")
	if c.Host.isZero(all) && c.Host.isZero(own) || c.Host.setting(own) == "" {
		return nil
	}
	for h := range c.remote(s, ipvs.Masquerade) {
		if h.Addr.Is4() && h.out == in {
			return []Finding{{
				Text: fmt.Sprintf("clients and servers are both behind %s, and ICMP redirects make replies bypass this director", in.Name),
				Fix:  c.sysctl(all+"=0", own+"=0"),
			}}
		}
	}
	return nil
}

// mtu compares the way to a server with the interface that clients come in by.
// The kernel refuses what does not fit with an ICMP message, after which clients
// send less. Where only the header is too much, which is usual, this is a note.
func mtu(c *Case, s *ipvs.ServiceEntry) []Finding {
	in := c.Host.owner(s.Addr)
	if in == nil || in.Loopback {
		return nil
	}
	for h := range c.remote(s, ipvs.Tunnel) {
		need := in.MTU + tunnelHeader(h.Destination)
		way, fix := h.out.MTU, c.within("ip link set "+h.out.Name+" mtu "+strconv.Itoa(need))
		if m := h.Route.MTU; m != 0 && m < way { // the route's own, or one that was learned
			way, fix = m, ""
		}
		if way >= need {
			continue
		}
		f := Finding{
			Text: fmt.Sprintf("packets larger than %d bytes do not fit in the tunnel to %v: clients that do not receive this director's ICMP messages hang when they send such packets", in.MTU-need+way, h.Addr),
			Fix:  fix,
		}
		if way >= in.MTU {
			f.Level = Note
		}
		return []Finding{f}
	}
	return nil
}

// tunnelHeader is how many bytes a tunnel adds to a packet.
func tunnelHeader(d *ipvs.Destination) int {
	const ipv4, ipv6, udp, gue, gueOption, gre, checksum = 20, 40, 8, 4, 8, 4, 4
	n := ipv4
	if d.Addr.Is6() {
		n = ipv6
	}
	switch d.Tunnel.Type {
	case ipvs.TunnelGUE:
		n += udp + gue
		if d.Tunnel.Flags&ipvs.TunnelRemoteChecksum != 0 {
			n += gueOption
		}
	case ipvs.TunnelGRE:
		n += gre
		if d.Tunnel.Flags&ipvs.TunnelChecksum != 0 {
			n += checksum
		}
	}
	return n
}
