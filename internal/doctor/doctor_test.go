// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// director is a machine with a network of clients on eth0 and one of servers on
// eth1, that can do all that a cluster needs.
func director() *Host {
	return &Host{
		Kernel: "6.1.0",
		Settings: map[string]string{
			"net.ipv4.ip_forward":              "1",
			"net.ipv6.conf.all.forwarding":     "1",
			"net.ipv4.conf.all.rp_filter":      "0",
			"net.ipv4.conf.all.send_redirects": "1",

			"net.ipv4.conf.eth0.forwarding": "1", "net.ipv4.conf.eth0.rp_filter": "1", "net.ipv4.conf.eth0.send_redirects": "1",
			"net.ipv4.conf.eth1.forwarding": "1", "net.ipv4.conf.eth1.rp_filter": "1", "net.ipv4.conf.eth1.send_redirects": "1",

			"net.ipv4.vs.expire_quiescent_template": "1",
			"net.ipv4.vs.expire_nodest_conn":        "0",
			"net.ipv4.vs.run_estimation":            "1",
		},
		Links: []Link{
			{Index: 1, Name: "lo", Up: true, Loopback: true, ARP: true, MTU: 65536, Prefixes: prefixes("127.0.0.1/8")},
			{Index: 2, Name: "eth0", Up: true, ARP: true, MTU: 1500, Prefixes: prefixes("192.0.2.1/24", "2001:db8::1/64")},
			{Index: 3, Name: "eth1", Up: true, ARP: true, MTU: 1600, Prefixes: prefixes("10.0.0.1/24", "2001:db8:1::1/64")},
		},
		Routes: map[netip.Addr]Route{
			netip.MustParseAddr("192.0.2.1"):     {Way: Here, Link: 1},
			netip.MustParseAddr("2001:db8::1"):   {Way: Here, Link: 1},
			netip.MustParseAddr("10.0.0.10"):     {Way: Away, Link: 3},
			netip.MustParseAddr("2001:db8:1::2"): {Way: Away, Link: 3},
			netip.MustParseAddr("10.9.9.9"):      {Way: Away, Link: 3, Gateway: netip.MustParseAddr("10.0.0.254")},
			netip.MustParseAddr("10.8.8.8"):      {Way: Nowhere},
			netip.MustParseAddr("192.0.2.9"):     {Way: Away, Link: 2},
		},
		Modules: map[string]ModuleState{"ip_vs": Loaded, "ip_vs_rr": Loaded, "ip_vs_wlc": Available, "ip_vs_twos": Missing},
	}
}

func prefixes(texts ...string) (list []netip.Prefix) {
	for _, text := range texts {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}

// web is a service with servers, each an address and port.
func web(edit func(*ipvs.Service), method ipvs.ForwardingMethod, servers ...string) ipvs.ServiceEntry {
	s := ipvs.ServiceEntry{Service: ipvs.NewService(ipvs.AddrID(ipvs.TCP, netip.MustParseAddr("192.0.2.1"), 80), "rr")}
	if edit != nil {
		edit(&s.Service)
	}
	for _, text := range servers {
		ap := netip.MustParseAddrPort(text)
		s.Destinations = append(s.Destinations, ipvs.DestinationEntry{
			Destination: ipvs.Destination{Addr: ap.Addr(), Port: ap.Port(), Forward: method, Weight: 1},
		})
	}
	return s
}

func at(address string) func(*ipvs.Service) {
	return func(s *ipvs.Service) { s.Addr = netip.MustParseAddr(address) }
}

func of(services ...ipvs.ServiceEntry) *ipvs.Table { return &ipvs.Table{Services: services} }

// with edits the servers of a service.
func with(s ipvs.ServiceEntry, edit func(*ipvs.DestinationEntry)) ipvs.ServiceEntry {
	for i := range s.Destinations {
		edit(&s.Destinations[i])
	}
	return s
}

func set(h *Host, pairs ...string) {
	for i := 0; i < len(pairs); i += 2 {
		h.Settings[pairs[i]] = pairs[i+1]
	}
}

// TestChecks has for each check what it finds, and what is near to that and
// sound. No other check has anything to say.
func TestChecks(t *testing.T) {
	const anyone = "10.0.0.10:80"
	nat := web(nil, ipvs.Masquerade, anyone)
	unlucky := with(web(nil, ipvs.Masquerade, anyone), func(d *ipvs.DestinationEntry) { d.Weight = 0 })
	persistent := func(s *ipvs.Service) { s.Flags |= ipvs.FlagPersistent }
	udp := func(s *ipvs.Service) { s.Protocol = ipvs.UDP }
	mark := func(s *ipvs.Service) { s.ServiceID = ipvs.MarkID(7, ipvs.IPv4) }
	busy := func(conns, upper uint32) func(*ipvs.DestinationEntry) {
		return func(d *ipvs.DestinationEntry) { d.Conns.Active, d.UpperThreshold = conns, upper }
	}
	tunnel := func(kind ipvs.TunnelInfo) ipvs.ServiceEntry {
		return with(web(nil, ipvs.Tunnel, anyone), func(d *ipvs.DestinationEntry) { d.Tunnel = kind })
	}
	daemon := func(name string) *ipvs.Table {
		return &ipvs.Table{Daemons: []ipvs.Daemon{{State: ipvs.Master, Interface: name, SyncID: 7}}}
	}
	for _, c := range []struct {
		name  string
		host  func(*Host) // what is different from director
		table *ipvs.Table
		edit  func(*Case)
		want  string
	}{
		{name: "NAT", table: of(nat)},
		{name: "direct routing", table: of(web(nil, ipvs.Route, anyone))},
		{name: "a tunnel through a gateway", table: of(web(nil, ipvs.Tunnel, "10.9.9.9:80"))},
		{name: "a mark", table: of(web(mark, ipvs.Masquerade, anyone))},
		{name: "IPv6", table: of(web(at("2001:db8::1"), ipvs.Masquerade, "[2001:db8:1::2]:80"))},
		{name: "a server on the director itself", table: of(web(nil, ipvs.Masquerade, "192.0.2.1:8080")), host: func(h *Host) { set(h, "net.ipv4.conf.eth1.forwarding", "0") }},
		{name: "a machine of which nothing is known", table: of(web(at("192.0.2.77"), ipvs.Masquerade, "10.77.77.77:80")), host: func(h *Host) { *h = Host{} }},

		{name: "no servers", table: of(web(nil, 0)), want: `
warning: TCP 192.0.2.1:80: it has no real servers, so connections are refused [no-servers]
  fix: ipvsadm -a -t 192.0.2.1:80 -r SERVER
`},
		{name: "no servers in a file", table: of(web(nil, 0)), edit: func(c *Case) { c.File = "my rules" }, want: `
warning: TCP 192.0.2.1:80: it has no real servers, so connections are refused [no-servers]
  fix: edit 'my rules': -a -t 192.0.2.1:80 -r SERVER
`},
		{name: "weights of 0", table: of(unlucky), want: `
warning: TCP 192.0.2.1:80: all its servers have weight 0, so no new connection is accepted [all-weights-zero]
  fix: ipvsadm -e -t 192.0.2.1:80 -r 10.0.0.10:80 -m -w 1
`},
		{name: "weights of 0 in a file, of a namespace", table: of(unlucky), edit: func(c *Case) { c.File, c.NetNS = "rules", "blue" }, want: `
warning: TCP 192.0.2.1:80: all its servers have weight 0, so no new connection is accepted [all-weights-zero]
  fix: edit rules: -a -t 192.0.2.1:80 -r 10.0.0.10:80 -m -w 1
`},
		{name: "another's address", table: of(web(at("192.0.2.9"), ipvs.Masquerade, anyone)), want: `
error: TCP 192.0.2.9:80: 192.0.2.9 is on no interface, so packets to it do not reach IPVS [vip-local]
  fix: ip addr add 192.0.2.9/32 dev eth0
`},
		{name: "an address of no network", table: of(web(at("10.8.8.8"), ipvs.Masquerade, anyone)), want: `
error: TCP 10.8.8.8:80: 10.8.8.8 is on no interface, so packets to it do not reach IPVS [vip-local]
  fix: ip addr add 10.8.8.8/32 dev lo
`},
		{name: "a standby director with VRRP", table: of(web(at("192.0.2.9"), ipvs.Masquerade, anyone)), host: func(h *Host) { h.VRRP = true }, want: `
note: TCP 192.0.2.9:80: 192.0.2.9 is on no interface, as it should be while another director is active [vip-local]
`},
		{name: "a standby director with a sync daemon",
			table: &ipvs.Table{Services: []ipvs.ServiceEntry{web(at("192.0.2.9"), ipvs.Masquerade, anyone)}, Daemons: []ipvs.Daemon{{State: ipvs.Backup, Interface: "eth1"}}}, want: `
note: TCP 192.0.2.9:80: 192.0.2.9 is on no interface, as it should be while another director is active [vip-local]
`},
		{name: "no route", table: of(web(nil, ipvs.Masquerade, "10.8.8.8:80", "10.8.8.8:81")), want: `
error: TCP 192.0.2.1:80: there is no route to server 10.8.8.8 [route]
  fix: ip route add 10.8.8.8/32 via GATEWAY
`},
		{name: "no route since an interface is down", table: of(web(nil, ipvs.Masquerade, "10.8.8.8:80")),
			host: func(h *Host) {
				h.Links = append(h.Links, Link{Index: 4, Name: "eth2", Prefixes: prefixes("10.8.8.1/24")})
			}, want: `
error: TCP 192.0.2.1:80: there is no route to server 10.8.8.8: its network is on eth2, which is down [route]
  fix: ip link set eth2 up
`},
		{name: "direct routing through a gateway", table: of(web(nil, ipvs.Route, "10.9.9.9:80")), want: `
error: TCP 192.0.2.1:80: server 10.9.9.9:80 is behind gateway 10.0.0.254, which sends packets of direct routing (-g) back, since they keep the virtual address; a tunnel (-i) gets through, if the server is set up for it [on-link]
  fix: ipvsadm -e -t 192.0.2.1:80 -r 10.9.9.9:80 -i -w 1 --tun-type ipip
`},
		{name: "direct routing through a gateway for nothing", table: of(web(nil, ipvs.Route, anyone)),
			host: func(h *Host) {
				h.Routes[netip.MustParseAddr("10.0.0.10")] = Route{Way: Away, Link: 3, Gateway: netip.MustParseAddr("10.0.0.254")}
			}, want: `
error: TCP 192.0.2.1:80: server 10.0.0.10:80 is behind gateway 10.0.0.254, which sends packets of direct routing (-g) back, since they keep the virtual address; eth1 is on the server's network [on-link]
  fix: ip route replace 10.0.0.10/32 dev eth1
`},
		{name: "a server that is its own gateway", table: of(web(nil, ipvs.Route, anyone)), host: func(h *Host) {
			a := netip.MustParseAddr("10.0.0.10")
			h.Routes[a] = Route{Way: Away, Link: 3, Gateway: a}
		}},
		{name: "no forwarding", table: of(nat, web(onPort(443), ipvs.Masquerade, anyone)),
			host: func(h *Host) { set(h, "net.ipv4.ip_forward", "0", "net.ipv4.conf.eth1.forwarding", "0") }, want: `
error: TCP 192.0.2.1:80, TCP 192.0.2.1:443: IPv4 forwarding is off, so replies from NAT servers (-m) do not reach clients [ip-forward]
  fix: sysctl -w net.ipv4.ip_forward=1
`},
		{name: "no forwarding of IPv6, in a namespace", table: of(web(at("2001:db8::1"), ipvs.Masquerade, "[2001:db8:1::2]:80")), edit: func(c *Case) { c.NetNS = "blue" },
			host: func(h *Host) { set(h, "net.ipv6.conf.all.forwarding", "0") }, want: `
error: TCP [2001:db8::1]:80: IPv6 forwarding is off, so replies from NAT servers (-m) do not reach clients [ip-forward]
  fix: ip netns exec blue sysctl -w net.ipv6.conf.all.forwarding=1
`},
		{name: "forced forwarding of IPv6", table: of(web(at("2001:db8::1"), ipvs.Masquerade, "[2001:db8:1::2]:80")),
			host: func(h *Host) {
				set(h, "net.ipv6.conf.all.forwarding", "0", "net.ipv6.conf.eth1.force_forwarding", "1")
			}},
		{name: "no forwarding on an interface, in a process's namespace", table: of(nat), edit: func(c *Case) { c.NetNS = "42" },
			host: func(h *Host) { set(h, "net.ipv4.conf.eth1.forwarding", "0") }, want: `
error: TCP 192.0.2.1:80: forwarding is off on eth1, so replies from NAT servers (-m) do not reach clients [ip-forward]
  fix: nsenter --net --target 42 sysctl -w net.ipv4.conf.eth1.forwarding=1
`},
		{name: "no forwarding without NAT", table: of(web(nil, ipvs.Route, anyone)),
			host: func(h *Host) { set(h, "net.ipv4.ip_forward", "0", "net.ipv4.conf.eth1.forwarding", "0") }},
		{name: "a second interface on the servers' network", table: of(nat),
			host: func(h *Host) {
				h.Links = append(h.Links, Link{Index: 4, Name: "eth1.7", Up: true, ARP: true, Prefixes: prefixes("10.0.0.2/24")})
				set(h, "net.ipv4.conf.eth1/7.rp_filter", "1")
			}, want: `
warning: TCP 192.0.2.1:80: eth1.7 is on the network of server 10.0.0.10 too, but drops replies that arrive on it: its reverse path filter is strict, and the route to the server uses eth1 [rp-filter]
  fix: sysctl -w net.ipv4.conf.eth1/7.rp_filter=2
`},
		{name: "a second interface that is not strict", table: of(nat),
			host: func(h *Host) {
				h.Links = append(h.Links, Link{Index: 4, Name: "eth2", Up: true, ARP: true, Prefixes: prefixes("10.0.0.2/24")})
				set(h, "net.ipv4.conf.eth2.rp_filter", "2", "net.ipv4.conf.all.rp_filter", "1")
			}},
		{name: "second interfaces that no reply comes in by", table: of(nat),
			host: func(h *Host) {
				h.Links = append(h.Links, Link{Index: 4, Name: "dummy0", Up: true, Prefixes: prefixes("10.0.0.2/24")}, Link{Index: 5, Name: "eth2", ARP: true, Prefixes: prefixes("10.0.0.3/24")})
				set(h, "net.ipv4.conf.dummy0.rp_filter", "1", "net.ipv4.conf.eth2.rp_filter", "1")
			}},
		{name: "one interface", table: of(web(at("192.0.2.1"), ipvs.Masquerade, "192.0.2.9:80")), want: `
warning: TCP 192.0.2.1:80: clients and servers are both behind eth0, and ICMP redirects make replies bypass this director [send-redirects]
  fix: sysctl -w net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.eth0.send_redirects=0
`},
		{name: "one interface without redirects", table: of(web(at("192.0.2.1"), ipvs.Masquerade, "192.0.2.9:80")),
			host: func(h *Host) {
				set(h, "net.ipv4.conf.all.send_redirects", "0", "net.ipv4.conf.eth0.send_redirects", "0")
			}},
		{name: "a narrow tunnel", table: of(tunnel(ipvs.TunnelInfo{})), host: func(h *Host) { h.Links[2].MTU = 1400 }, want: `
warning: TCP 192.0.2.1:80: packets larger than 1380 bytes do not fit in the tunnel to 10.0.0.10: clients that do not receive this director's ICMP messages hang when they send such packets [mtu]
  fix: ip link set eth1 mtu 1520
`},
		{name: "a narrow tunnel whose route says otherwise", table: of(tunnel(ipvs.TunnelInfo{})), host: func(h *Host) {
			h.Links[2].MTU = 1400
			h.Routes[netip.MustParseAddr("10.0.0.10")] = Route{Way: Away, Link: 3, MTU: 9000}
		}, want: `
warning: TCP 192.0.2.1:80: packets larger than 1380 bytes do not fit in the tunnel to 10.0.0.10: clients that do not receive this director's ICMP messages hang when they send such packets [mtu]
  fix: ip link set eth1 mtu 1520
`},
		{name: "a tunnel whose header is too much", table: of(tunnel(ipvs.TunnelInfo{Type: ipvs.TunnelGUE, Port: 6080, Flags: ipvs.TunnelRemoteChecksum})),
			host: func(h *Host) { h.Links[2].MTU = 1500 }, want: `
note: TCP 192.0.2.1:80: packets larger than 1460 bytes do not fit in the tunnel to 10.0.0.10: clients that do not receive this director's ICMP messages hang when they send such packets [mtu]
  fix: ip link set eth1 mtu 1540
`},
		{name: "a tunnel with a header of IPv6, and a route with an MTU", table: of(with(web(nil, ipvs.Tunnel, "[2001:db8:1::2]:80"), func(d *ipvs.DestinationEntry) {
			d.Tunnel = ipvs.TunnelInfo{Type: ipvs.TunnelGRE, Flags: ipvs.TunnelChecksum}
		})),
			host: func(h *Host) {
				h.Routes[netip.MustParseAddr("2001:db8:1::2")] = Route{Way: Away, Link: 3, MTU: 1400}
			}, want: `
warning: TCP 192.0.2.1:80: packets larger than 1352 bytes do not fit in the tunnel to 2001:db8:1::2: clients that do not receive this director's ICMP messages hang when they send such packets [mtu]
`},
		{name: "a server at its threshold", table: of(with(web(nil, ipvs.Masquerade, anyone), busy(5, 5)), web(onPort(443), ipvs.Masquerade)), want: `
warning: TCP 192.0.2.1:443: it has no real servers, so connections are refused [no-servers]
  fix: ipvsadm -a -t 192.0.2.1:443 -r SERVER
warning: TCP 192.0.2.1:80: server 10.0.0.10:80 has 5 connections and an upper threshold of 5, so it gets no new ones [overloaded]
  fix: ipvsadm -e -t 192.0.2.1:80 -r 10.0.0.10:80 -m -w 1 -x 10
`},
		{name: "a server near its threshold", table: of(with(web(nil, ipvs.Masquerade, anyone), busy(4, 5)))},
		{name: "persistent clients of a server of weight 0", table: of(quiet(web(persistent, ipvs.Masquerade, anyone, "10.9.9.9:80"))),
			host: func(h *Host) { set(h, "net.ipv4.vs.expire_quiescent_template", "0") }, want: `
warning: TCP 192.0.2.1:80: server 10.9.9.9:80 has weight 0, but persistent clients still return to it [quiescent-template]
  fix: sysctl -w net.ipv4.vs.expire_quiescent_template=1
`},
		{name: "clients of a server of weight 0", table: of(quiet(web(nil, ipvs.Masquerade, anyone, "10.9.9.9:80"))),
			host: func(h *Host) { set(h, "net.ipv4.vs.expire_quiescent_template", "0") }},
		{name: "UDP", table: of(web(udp, ipvs.Masquerade, anyone)), want: `
note: UDP 192.0.2.1:80: once a server is deleted, packets of its UDP clients are dropped for as long as they keep coming [nodest-conn]
  fix: sysctl -w net.ipv4.vs.expire_nodest_conn=1
`},
		{name: "UDP without connections", table: of(web(func(s *ipvs.Service) { udp(s); s.Flags = ipvs.FlagOnePacket }, ipvs.Masquerade, anyone))},
		{name: "a scheduler that the kernel lacks", edit: func(c *Case) { c.File = "rules" },
			table: of(web(func(s *ipvs.Service) { s.Scheduler = "twos" }, ipvs.Masquerade, anyone)), want: `
error: TCP 192.0.2.1:80: Linux 6.1.0 has no module ip_vs_twos, so the service cannot be added [scheduler-module]
`},
		{name: "schedulers that can be loaded, or are not known", edit: func(c *Case) { c.File = "rules" },
			table: of(web(func(s *ipvs.Service) { s.Scheduler, s.PersistenceEngine = "wlc", "sip" }, ipvs.Masquerade, anyone))},
		{name: "no IPVS", host: func(h *Host) { h.Modules["ip_vs"] = Missing }, want: `
error: Linux 6.1.0 has no module ip_vs: install its modules, or a kernel with CONFIG_IP_VS; in a container, load the module on the host [module]
`},
		{name: "IPVS that is not loaded", host: func(h *Host) { h.Modules["ip_vs"] = Available }, want: `
note: ip_vs is not loaded; the first command that needs it loads it [module]
  fix: modprobe ip_vs
`},
		{name: "many connections", table: of(with(web(nil, ipvs.Masquerade, anyone), busy(32768, 0))), edit: func(c *Case) { c.ConnTableSize = 4096 }, want: `
warning: 32768 connections share 4096 buckets of the connection table, which slows down every packet; a new size takes effect when ip_vs is loaded again [conn-table]
  fix: echo options ip_vs conn_tab_bits=16 >/etc/modprobe.d/ip_vs.conf
`},
		{name: "connections that the table has room for", table: of(with(web(nil, ipvs.Masquerade, anyone), busy(32767, 0))), edit: func(c *Case) { c.ConnTableSize = 4096 }},
		{name: "connections in a table that grows", table: of(with(web(nil, ipvs.Masquerade, anyone), busy(1<<20, 0))), edit: func(c *Case) { c.ConnTableSize = 4096 },
			host: func(h *Host) { set(h, "net.ipv4.vs.conn_lfactor", "-4") }},
		{name: "the limit of connections", table: of(with(web(nil, ipvs.Masquerade, anyone), busy(90, 0))), host: func(h *Host) { set(h, "net.ipv4.vs.conn_max", "100") }, want: `
warning: there are 90 of at most 100 connections; beyond that, new ones are refused [conn-table]
  fix: sysctl -w net.ipv4.vs.conn_max=200
note: net.ipv4.vs.conn_max is 100 (default 1073741824): maximum number of connections in this network namespace [vs-sysctl]
`},
		{name: "a sync daemon without its interface", table: daemon("eth7"), want: `
error: eth7, which the master sync daemon uses, is gone, so connections are not synchronized [sync-interface]
  fix: ipvsadm --stop-daemon master && ipvsadm --start-daemon master --mcast-interface INTERFACE --syncid 7
`},
		{name: "a sync daemon whose interface is down", table: daemon("eth1"), edit: func(c *Case) { c.NetNS = "/proc/42/ns/net" }, host: func(h *Host) { h.Links[2].Up = false }, want: `
error: eth1, which the master sync daemon uses, is down, so connections are not synchronized [sync-interface]
  fix: nsenter --net=/proc/42/ns/net ip link set eth1 up
`},
		{name: "a sync daemon", table: daemon("eth1")},
		{name: "full connection tracking", host: func(h *Host) {
			set(h, "net.netfilter.nf_conntrack_count", "900", "net.netfilter.nf_conntrack_max", "1000")
		}, want: `
warning: connection tracking has 900 of at most 1000 entries; beyond that, packets are dropped before IPVS sees them [conntrack]
  fix: sysctl -w net.netfilter.nf_conntrack_max=2000
`},
		{name: "connection tracking", host: func(h *Host) {
			set(h, "net.netfilter.nf_conntrack_count", "899", "net.netfilter.nf_conntrack_max", "1000")
		}},
		{name: "defenses at work", host: func(h *Host) { set(h, "net.ipv4.vs.drop_entry", "3", "net.ipv4.vs.drop_packet", "2") }, want: `
warning: net.ipv4.vs.drop_entry is 3: connections that are not established are dropped at random, always [drop-entry]
  fix: sysctl -w net.ipv4.vs.drop_entry=0
warning: net.ipv4.vs.drop_packet is 2: packets of new connections are dropped at random, while memory is short [drop-entry]
  fix: sysctl -w net.ipv4.vs.drop_packet=0
`},
		{name: "a defense that waits", host: func(h *Host) { set(h, "net.ipv4.vs.drop_packet", "1") }, want: `
note: net.ipv4.vs.drop_packet is 1 (default 0): random dropping of packets of new connections, with values as for drop_entry [vs-sysctl]
`},
		{name: "no estimation", host: func(h *Host) { set(h, "net.ipv4.vs.run_estimation", "0") }, want: `
note: net.ipv4.vs.run_estimation is 0, so all rates are 0 [estimator]
  fix: sysctl -w net.ipv4.vs.run_estimation=1
`},
		{name: "other settings", host: func(h *Host) {
			set(h, "net.ipv4.vs.sync_threshold", "3 50", "net.ipv4.vs.sync_qlen_max", "77", "net.ipv4.vs.svc_lfactor", "-2", "net.ipv4.vs.conntrack", "1", "net.ipv4.vs.unheard_of", "1")
		}, want: `
note: net.ipv4.vs.conntrack is 1 (default 0): 1 keeps connection tracking for balanced connections, which stateful firewall rules and SNAT need, at a cost for every packet [vs-sysctl]
`},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := director()
			if c.host != nil {
				c.host(h)
			}
			k := Case{Host: h, Table: c.table}
			if k.Table == nil {
				k.Table = &ipvs.Table{}
			}
			if c.edit != nil {
				c.edit(&k)
			}
			findings := slices.DeleteFunc(Examine(k), func(f Finding) bool {
				return f.Level == OK || f.Check == "vs-sysctl" && strings.Contains(f.Text, "expire_quiescent_template is 1")
			})
			var b strings.Builder
			if err := WriteText(&b, findings); err != nil {
				t.Fatal(err)
			}
			if got := b.String(); got != strings.TrimPrefix(c.want, "\n") {
				t.Errorf("%s\nwant%s", got, c.want)
			}
		})
	}
}

func onPort(port uint16) func(*ipvs.Service) { return func(s *ipvs.Service) { s.Port = port } }

// quiet gives the last server weight 0.
func quiet(s ipvs.ServiceEntry) ipvs.ServiceEntry {
	s.Destinations[len(s.Destinations)-1].Weight = 0
	return s
}

func TestFindingsThatAreAlikeAreOneLine(t *testing.T) {
	var findings []Finding
	for i := range 6 {
		findings = append(findings, Finding{Level: Error, Check: "route", Service: fmt.Sprintf("FWM %d", i+1), Text: "no route"})
		if i == 1 {
			findings = append(findings, Finding{Level: OK, Check: "module", Text: "fine"})
		}
	}
	var b strings.Builder
	if err := WriteText(&b, findings); err != nil {
		t.Fatal(err)
	}
	if want := "error: FWM 1, FWM 2, FWM 3 and 3 more: no route [route]\nok: fine [module]\n"; b.String() != want {
		t.Errorf("%s\nwant\n%s", b.String(), want)
	}
}

func TestJSON(t *testing.T) {
	var b strings.Builder
	err := WriteJSON(&b, []Finding{
		{Level: Error, Check: "ip-forward", Service: "TCP 12.0.0.1:80", Text: "it's <off>", Fix: "sysctl -w a=1"},
		{Level: OK, Check: "module", Text: "fine"},
	})
	const want = `{"json_schema_version":1,"findings":[{"level":"error","check":"ip-forward","service":"TCP 12.0.0.1:80","text":"it's <off>","fix":"sysctl -w a=1"},{"level":"ok","check":"module","text":"fine"}]}` + "\n"
	if err != nil || b.String() != want {
		t.Errorf("%v\n%s\nwant\n%s", err, b.String(), want)
	}
}

// Without its table a director is examined as a host.
func TestHostAlone(t *testing.T) {
	for _, f := range Examine(Case{Host: director()}) {
		if i := slices.IndexFunc(Checks[:], func(c Check) bool { return c.Name == f.Check }); Checks[i].service != nil {
			t.Errorf("%s speaks: %s", f.Check, f.Text)
		}
	}
}

// What was not looked at is not called sound.
func TestUnaskedIsNotSound(t *testing.T) {
	h := director()
	h.Unasked = 1
	for _, f := range Examine(Case{Host: h, Table: of(web(nil, ipvs.Masquerade, "10.0.0.10:80"))}) {
		if i := slices.IndexFunc(Checks[:], func(c Check) bool { return c.Name == f.Check }); Checks[i].service != nil {
			t.Errorf("%s says %v: %s", f.Check, f.Level, f.Text)
		}
	}
}

func TestEveryCheckIsWhole(t *testing.T) {
	names := map[string]bool{}
	for _, c := range Checks {
		if names[c.Name] || c.Level == OK || c.Question == "" || c.Fine == "" || (c.service == nil) == (c.host == nil) {
			t.Errorf("%+v", c)
		}
		names[c.Name] = true
	}
}

// What cannot be looked at is not called sound.
func TestNothingIsSoundThatIsNotKnown(t *testing.T) {
	for name, c := range map[string]Case{
		"nothing is known":  {Host: &Host{}},
		"but for the table": {Host: &Host{}, Table: &ipvs.Table{}},
	} {
		for _, f := range Examine(c) {
			i := slices.IndexFunc(Checks[:], func(k Check) bool { return k.Name == f.Check })
			if needs := Checks[i].needs; f.Level == OK && (needs > virtualServices || needs == virtualServices && c.Table == nil) {
				t.Errorf("%s: %s", name, f.Text)
			}
		}
		if found := Examine(c); c.Table == nil && len(found) > 0 {
			t.Errorf("%s: %v", name, found)
		}
	}
}
