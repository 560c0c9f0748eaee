// SPDX-License-Identifier: Apache-2.0

package doctor

// The checks of the packets' path: to the director, on to the servers, and
// back.

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// hop is a server that gets new connections, and the route to it.
type hop struct {
	*ipvs.Destination
	Route
	out *Link // outgoing interface, nil unless the server is another machine
}

// servers returns the servers of a service that get new connections. With
// methods, it returns only other machines that use one of them.
func (c *Case) servers(s *ipvs.ServiceEntry, methods ...ipvs.ForwardingMethod) (all []hop) {
	for i := range s.Destinations {
		d := &s.Destinations[i].Destination
		if d.Weight == 0 || methods != nil && !slices.Contains(methods, d.Forward) {
			continue
		}
		h := hop{Destination: d, Route: c.Host.route(Query{To: d.Addr})}
		if h.Way == Away {
			h.out = c.Host.link(h.Link)
		}
		if methods == nil || h.out != nil {
			all = append(all, h)
		}
	}
	return all
}

// anyMethod selects all servers that are other machines.
var anyMethod = []ipvs.ForwardingMethod{ipvs.Masquerade, ipvs.Route, ipvs.Tunnel}

// vipLocal proposes to add an address only if it is on no network of the
// director, so that no other director can have it.
func vipLocal(c *Case, s *ipvs.ServiceEntry) []Finding {
	h, a := c.Host, s.Addr
	if s.FWMark != 0 {
		return nil
	}
	r := h.route(Query{To: a})
	switch {
	case r.Way == Group:
		return []Finding{{Text: "its address is a broadcast or multicast address, and IPVS balances only packets to a single host"}}
	case r.Way == 0, r.Way == Here, h.isLocal(a), h.isDuplicate(a), h.onlyLocal(a):
		return nil
	case c.standsBy():
		return []Finding{{Level: Note, Text: "its address is not local, as it should be while another director is active"}}
	}
	for n, state := range h.Neighbors {
		if n.Addr == a && state&resolved != 0 {
			return []Finding{{Level: Note, Text: "its address belongs to another machine on the network, which may be the active director"}}
		}
	}
	f := Finding{Text: "its address is not local, so packets from other machines do not reach IPVS"}
	switch l := h.nearestLink(a, isUp); {
	case l != nil:
		f.Text += fmt.Sprintf("; unless another director has it, add it to %s", l.Name)
	case h.owner(a) == nil:
		f.Fix = c.ip(a, "addr", "add", hostPrefix(a), "dev", "lo")
		// Processes of this machine may be the only clients.
		if seen := h.Clients[a]; r.Way == Away && (seen == nil || seen.Remote == 0) {
			f.Level = Warning
		}
	}
	return []Finding{f}
}

// isDuplicate reports whether another machine has one of this machine's
// addresses.
func (h *Host) isDuplicate(a netip.Addr) bool {
	l := h.owner(a)
	return l != nil && slices.Contains(l.Failed, a)
}

// standsBy reports whether the machine may be a standby director, whose
// virtual addresses are on the active one.
func (c *Case) standsBy() bool { return c.Host.VRRP || c.backup() }

// vipLink checks that clients on the virtual address's network can reach it.
// They cannot if arp_ignore is on, as real servers need it. An address on no
// network, or also on another interface's, is reached by other interfaces.
func vipLink(c *Case, s *ipvs.ServiceEntry) []Finding {
	l := c.Host.owner(s.Addr)
	if l != nil && s.Addr.Is4() && !c.standsBy() {
		if n := c.Host.nearestLink(s.Addr, works); n != nil && n != l && n.ARP && c.ignoresARP(n) {
			return []Finding{{Level: Note, Text: fmt.Sprintf("its address is on %s, so ARP requests for it on %s get no answer: arp_ignore is on", l.Name, n.Name)}}
		}
	}
	if l == nil || l.Loopback || !l.ARP || works(l) || c.Host.isEmpty(l) {
		return nil
	}
	if _, ok := l.network(s.Addr); !ok || c.Host.nearestLink(s.Addr, works) != nil {
		return nil
	}
	return []Finding{{Text: fmt.Sprintf("%s, which has its address, %s: clients and routers on that network do not reach it", l.Name, l.state())}}
}

// ignoresARP reports whether an interface answers ARP requests only for its
// own addresses.
func (c *Case) ignoresARP(l *Link) bool {
	all, _ := c.Host.number(linkSetting(ipvs.IPv4, "all", "arp_ignore"))
	own, _ := c.Host.number(linkSetting(ipvs.IPv4, l.Name, "arp_ignore"))
	return max(all, own) > 0
}

func vipDAD(c *Case, s *ipvs.ServiceEntry) []Finding {
	if s.FWMark != 0 || !c.Host.isDuplicate(s.Addr) {
		return nil
	}
	return []Finding{{Text: fmt.Sprintf("duplicate address detection found its address on another machine, so %s does not use it", c.Host.owner(s.Addr).Name)}}
}

// refusing maps the ways of routes that discard packets to their types.
var refusing = map[Way]string{Blackhole: "blackhole", Unreachable: "unreachable", Prohibited: "prohibit"}

func route(c *Case, s *ipvs.ServiceEntry) (all []Finding) {
	for _, h := range c.servers(s) {
		f := Finding{Server: h.Addr.String()}
		switch kind, refuses := refusing[h.Way]; {
		case refuses:
			f.Text = "the route to server %s is of type " + kind
		case h.Way != Nowhere:
			continue
		default:
			f.Text = "there is no route to server %s"
			f.Fix = c.ip(h.Addr, "route", "add", hostPrefix(h.Addr), "via", "GATEWAY")
			if l := c.Host.nearestLink(h.Addr, isDown); l != nil {
				f.Text += fmt.Sprintf(": its network is on %s, which is down", l.Name)
				f.Fix = c.linkUp(l.Name)
			}
		}
		all = append(all, f)
	}
	return all
}

// serverLink finds servers on a network of this machine that are not reached
// by its interface. If the interface does not work, a route other than a
// default route may be intended; so may one by an interface without
// addresses.
func serverLink(c *Case, s *ipvs.ServiceEntry) (all []Finding) {
	for _, h := range c.servers(s, anyMethod...) {
		l := c.Host.nearestLink(h.Addr, func(*Link) bool { return true })
		f := Finding{Server: h.Addr.String()}
		_, onNetwork := h.out.network(h.Addr)
		switch {
		case !works(h.out):
			f.Text = fmt.Sprintf("server %%s is behind %s, which %s", h.out.Name, h.out.state())
		case l == nil, onNetwork, c.Host.vrf(l) != c.Host.vrf(h.out):
			continue
		case !works(l):
			if c.Host.route(Query{To: h.Addr, Entry: true}).Bits != 0 {
				continue
			}
			f.Text = fmt.Sprintf("server %%s is on the network of %s, which %s, and packets to it leave by %s", l.Name, l.state(), h.out.Name)
		case h.Gateway.IsValid():
			f.Text = fmt.Sprintf("server %%s is on the network of %s, but the route to it leads to gateway %v on %s", l.Name, h.Gateway, h.out.Name)
		case !h.out.ARP, !h.out.hasAddress(ipvs.FamilyOf(h.Addr)), c.Host.Neighbors[Neighbor{h.out.Index, h.Addr}]&resolved != 0:
			continue
		default:
			f.Text = fmt.Sprintf("server %%s is on the network of %s, but the route to it leads to %s", l.Name, h.out.Name)
		}
		all = append(all, f)
	}
	return all
}

func serverNeighbor(c *Case, s *ipvs.ServiceEntry) (all []Finding) {
	for _, h := range c.servers(s, anyMethod...) {
		next, whose := h.Addr, "server %s"
		if h.Gateway.IsValid() {
			next, whose = h.Gateway, fmt.Sprintf("gateway %v of server %%s", h.Gateway)
		}
		if c.Host.Neighbors[Neighbor{h.out.Index, next}]&unanswered == 0 {
			continue
		}
		asked := "ARP"
		if next.Is6() {
			asked = "neighbor solicitations"
		}
		all = append(all, Finding{Server: h.Addr.String(), Text: fmt.Sprintf("%s does not answer %s on %s", whose, asked, h.out.Name)})
	}
	return all
}

// noReply checks TCP servers that can be reached. Resets are a note, since
// clients may reset connections too. With direct routing, a server's port is
// that of its service.
func noReply(c *Case, s *ipvs.ServiceEntry) (all []Finding) {
	const few = 3
	for _, h := range c.servers(s) {
		n := c.Host.Handshakes[h.AddrPort()]
		if s.Protocol == ipvs.UDP || s.Protocol == ipvs.SCTP || n.Half+n.Reset < few || n.Other > 0 || h.Way != Away && h.Way != Here {
			continue
		}
		f := Finding{Server: h.AddrPort().String(), Text: "all connections to server %s are in SYN_RECV: it does not accept them, or its replies do not reach the clients"}
		if n.Reset > 0 {
			f.Level, f.Text = Note, "all connections to server %s were reset: check that a program listens on its port"
		}
		all = append(all, f)
	}
	return all
}

// localNAT checks for loopback addresses, to which the kernel does not
// forward packets from other machines.
func localNAT(c *Case, s *ipvs.ServiceEntry) (all []Finding) {
	for _, h := range c.servers(s) {
		if h.Forward != ipvs.Masquerade || !h.Addr.IsLoopback() || s.FWMark == 0 && c.Host.onlyLocal(s.Addr) {
			continue
		}
		f := Finding{Server: h.AddrPort().String(), Text: "packets of other machines to NAT server %s are dropped, since it has a loopback address: use another address of this machine"}
		if l := c.Host.owner(s.Addr); l == nil || l.Loopback || !l.ARP {
			f.Level = Warning // clients may be processes of this machine
		}
		all = append(all, f)
	}
	return all
}

// onLink checks servers with direct routing behind a router. Packets keep the
// virtual address, so a router sends them back to the director. The gateway
// may be another address of the server itself.
func onLink(c *Case, s *ipvs.ServiceEntry) (all []Finding) {
	for _, h := range c.servers(s, ipvs.Route) {
		if !h.Gateway.IsValid() || h.Gateway == h.Addr || h.Gateway.IsLinkLocalUnicast() || h.Gateway.BitLen() != h.Addr.BitLen() {
			continue
		}
		l := c.Host.nearestLink(h.Addr, works)
		if l == nil && c.Host.route(Query{To: h.Addr, Entry: true}).Bits == h.Addr.BitLen() {
			continue
		}
		f := Finding{Server: h.Addr.String(), Text: fmt.Sprintf("server %%s is behind gateway %v, which sends packets of direct routing (-g) back unless it is the server itself, since they keep the virtual address", h.Gateway)}
		if l != nil {
			f.Text += fmt.Sprintf("; %s is on the server's network", l.Name)
		}
		all = append(all, f)
	}
	return all
}

// ipForward checks the interface to the server, where replies arrive and the
// setting applies. For IPv6 the setting of all applies, unless the interface
// has force_forwarding.
func ipForward(c *Case, s *ipvs.ServiceEntry) []Finding {
	if s.FWMark == 0 && c.Host.onlyLocal(s.Addr) {
		return nil // replies are not forwarded
	}
	for _, h := range c.servers(s, ipvs.Masquerade) {
		all, own := "net.ipv4.ip_forward", linkSetting(ipvs.IPv4, h.out.Name, "forwarding")
		decides := own
		if h.Addr.Is6() {
			all, own = linkSetting(ipvs.IPv6, "all", "forwarding"), linkSetting(ipvs.IPv6, h.out.Name, "force_forwarding")
			decides = all
			if n, _ := c.Host.number(own); n != 0 {
				continue
			}
		}
		f := Finding{
			Text: fmt.Sprintf("forwarding is off on %s, so replies from NAT servers (-m) do not reach clients", h.out.Name),
			Fix:  c.sysctl(own + "=1"),
		}
		switch {
		case !c.Host.isZero(decides):
			continue
		case c.Host.isZero(all):
			f.Text = fmt.Sprintf("%v forwarding is off, so replies from NAT servers (-m) do not reach clients", ipvs.FamilyOf(h.Addr))
			f.Fix = c.sysctl(all + "=1")
		}
		if c.repliesElsewhere(h, s) {
			n := c.Host.Handshakes[h.AddrPort()]
			if n.Half == 0 && n.Other > 0 {
				continue
			}
			f.Level = Warning
		}
		return []Finding{f}
	}
	return nil
}

// repliesElsewhere reports whether replies of a server may arrive on another
// interface that forwards and is not the clients'.
func (c *Case) repliesElsewhere(h hop, s *ipvs.ServiceEntry) bool {
	return h.Addr.Is4() && slices.ContainsFunc(c.Host.Links, func(l Link) bool {
		_, clients := l.network(s.Addr)
		return l.Index != h.Link && !l.Loopback && l.ARP && works(&l) && l.hasAddress(ipvs.IPv4) && !clients &&
			c.Host.setting(linkSetting(ipvs.IPv4, l.Name, "forwarding")) == "1"
	})
}

// twin returns another interface on the network of a server, or nil.
func (h *Host) twin(to hop) *Link {
	own, ok := to.out.network(to.Addr)
	if !ok {
		return nil
	}
	return h.nearestLink(to.Addr, func(l *Link) bool {
		p, _ := l.network(to.Addr)
		return l != to.out && works(l) && l.ARP && h.vrf(l) == h.vrf(to.out) && p.Masked() == own.Masked()
	})
}

// rpFilter looks for a second interface on a server's network, where the
// server's replies may arrive. A route lookup shows whether the kernel drops
// them.
func rpFilter(c *Case, s *ipvs.ServiceEntry) []Finding {
	for _, h := range c.servers(s, ipvs.Masquerade) {
		other := c.Host.twin(h)
		if h.Addr.Is6() || other == nil {
			continue
		}
		// A packet to this machine fails only because of the filter.
		own, _ := other.network(h.Addr)
		if way := c.Host.route(Query{To: own.Addr(), From: h.Addr, In: other.Index}).Way; way == Here || way == 0 {
			continue
		}
		f := Finding{
			Server: h.Addr.String(),
			Text:   fmt.Sprintf("replies of server %%s that arrive on %s, which is on its network too, are dropped: the reverse path filter is strict, and the route to the server uses %s", other.Name, h.out.Name),
			Fix:    c.sysctl(linkSetting(ipvs.IPv4, other.Name, "rp_filter") + "=2"),
		}
		if n := c.Host.Handshakes[h.AddrPort()]; n.Half == 0 || n.Other+n.Reset > 0 {
			f.Level = Note // replies may arrive on the first interface
		}
		return []Finding{f}
	}
	return nil
}

// sendRedirects finds replies that leave by the interface that they arrive
// on: Linux redirects the server to a shorter path. IPv4 sends redirects if
// the setting of all or of the interface is on, IPv6 always does.
func sendRedirects(c *Case, s *ipvs.ServiceEntry) []Finding {
	for _, h := range c.servers(s, ipvs.Masquerade) {
		if _, ok := h.out.network(h.Addr); !ok || !h.out.ARP || !c.clientsBehind(h.out, s) {
			continue
		}
		f := Finding{Text: fmt.Sprintf("clients and NAT servers are both behind %s, and ICMP redirects make replies bypass this director", h.out.Name)}
		all, own := linkSetting(ipvs.IPv4, "all", "send_redirects"), linkSetting(ipvs.IPv4, h.out.Name, "send_redirects")
		switch {
		case h.Addr.Is6():
			f.Level = Note // the servers may not accept them
			f.Text += " unless the servers do not accept them (sysctl net.ipv6.conf.all.accept_redirects)"
		case c.Host.isZero(all) && c.Host.isZero(own), c.Host.setting(own) == "":
			continue
		default:
			f.Fix = c.sysctl(all+"=0", own+"=0")
		}
		return []Finding{f}
	}
	return nil
}

// clientsBehind reports whether clients of a service are behind an interface:
// known clients, else those on the virtual address's network, else all if
// there is no other interface.
func (c *Case) clientsBehind(l *Link, s *ipvs.ServiceEntry) bool {
	if seen := c.Host.Clients[s.Addr]; seen != nil && len(seen.Some) > 0 {
		return slices.ContainsFunc(seen.Some, func(a netip.Addr) bool { return c.Host.route(Query{To: a}).Link == l.Index })
	}
	if _, ok := l.network(s.Addr); ok && s.FWMark == 0 {
		return true
	}
	return !slices.ContainsFunc(c.Host.Links, func(o Link) bool {
		return o.Index != l.Index && !o.Loopback && o.Master != l.Index && o.Index != l.Master && (len(o.Prefixes) > 0 && o.ARP || !o.ARP && o.Kind != "dummy")
	})
}

// mtu compares the MTU to a server with that of the clients' interface. The
// kernel rejects larger packets by an ICMP message, so that clients send
// smaller ones, or with pmtu_disc 0 fragments them. If only the header does
// not fit, which is usual, it is a note.
func mtu(c *Case, s *ipvs.ServiceEntry) []Finding {
	in, fragments := c.Host.owner(s.Addr), vsSetting("pmtu_disc")
	if in == nil || in.Loopback || s.Addr.Is4() && c.Host.isZero(fragments) {
		return nil
	}
	for _, h := range c.servers(s, ipvs.Tunnel) {
		need, way := in.MTU+tunnelHeader(h.Destination), h.out.MTU
		if m := h.Route.MTU; m != 0 && m < way { // configured or learned
			way = m
		}
		if way >= need {
			continue
		}
		f := Finding{
			Server: h.Addr.String(),
			Text:   fmt.Sprintf("packets larger than %d bytes do not fit in the tunnel to %%s: clients that do not get this director's ICMP \"fragmentation needed\" hang", in.MTU-need+way),
		}
		switch {
		case way >= in.MTU:
			f.Level = Note
		case s.Addr.Is4():
			f.Fix = c.sysctl(fragments + "=0")
		}
		return []Finding{f}
	}
	return nil
}

// tunnelHeader returns the number of bytes that a tunnel adds to a packet.
func tunnelHeader(d *ipvs.Destination) int {
	const ipv4, ipv6, udp, gue, gueOption, gre, checksum = 20, 40, 8, 4, 8, 4, 4
	n := ipv4
	if d.Addr.Is6() {
		n = ipv6
	}
	switch t := d.Tunnel; {
	case t.Type == ipvs.TunnelGUE && t.Flags&ipvs.TunnelRemoteChecksum != 0:
		n += udp + gue + gueOption
	case t.Type == ipvs.TunnelGUE:
		n += udp + gue
	case t.Type == ipvs.TunnelGRE && t.Flags&ipvs.TunnelChecksum != 0:
		n += gre + checksum
	case t.Type == ipvs.TunnelGRE:
		n += gre
	}
	return n
}
