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

// director returns a host without faults, with servers on eth1.
func director() *Host {
	server := netip.MustParseAddr("10.0.0.10")
	return &Host{
		Kernel: "6.1.0",
		Settings: map[string]string{
			"net.ipv4.ip_forward":        "1",
			"net.ipv4.vs.drop_entry":     "0",
			"net.ipv4.vs.run_estimation": "1",
		},
		Links: []Link{
			{Index: 2, Name: "eth0", Up: true, Carrier: true, ARP: true, MTU: 1500, Prefixes: prefixes("192.0.2.1/24")},
			{Index: 3, Name: "eth1", Up: true, Carrier: true, ARP: true, MTU: 1500, Prefixes: prefixes("10.0.0.1/24")},
		},
		Modules: map[string]ModuleState{"ip_vs": Loaded, "ip_vs_rr": Loaded, "ip_vs_wlc": Available, "ip_vs_twos": Missing},
		routes:  map[Query]Route{},
		ask: func(q Query) (Route, bool) {
			switch {
			case q.To == server:
				return Route{Way: Away, Link: 3}, true
			case q.To.Is4() && q.To.As4()[0] == 198:
				return Route{Way: Nowhere}, true
			}
			return Route{Way: Here}, true
		},
	}
}

func prefixes(texts ...string) (list []netip.Prefix) {
	for _, text := range texts {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}

// web returns a service with servers, given by address and port.
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

func of(services ...ipvs.ServiceEntry) *ipvs.Table { return &ipvs.Table{Services: services} }

// with edits the servers of a service and returns it.
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

// TestChecks tests findings that a small network cannot produce, and similar
// cases without a fault.
func TestChecks(t *testing.T) {
	const anyone = "10.0.0.10:80"
	nat := web(nil, ipvs.Masquerade, anyone)
	unlucky := with(web(nil, ipvs.Masquerade, anyone), func(d *ipvs.DestinationEntry) { d.Weight = 0 })
	busy := func(conns uint32) ipvs.ServiceEntry {
		return with(web(nil, ipvs.Masquerade, anyone), func(d *ipvs.DestinationEntry) { d.Conns.Active = conns })
	}
	tunnel := func(kind ipvs.TunnelInfo) ipvs.ServiceEntry {
		return with(web(nil, ipvs.Tunnel, anyone), func(d *ipvs.DestinationEntry) { d.Tunnel = kind })
	}
	for _, c := range []struct {
		name  string
		host  func(*Host) // edits the result of director
		table *ipvs.Table
		edit  func(*Case)
		want  string
	}{
		{name: "NAT", table: of(nat)},
		{name: "a machine without known facts", table: of(nat), host: func(h *Host) { *h = Host{} }},
		{name: "no services, and a rule file", table: of(), host: func(h *Host) { h.RuleFile = "/etc/ipvsadm.rules" }, want: `
warning: there are no virtual services, so nothing is balanced [no-services]
  fix: ipvsadm-restore /etc/ipvsadm.rules
`},
		{name: "weights of 0 in a file, of a namespace", table: of(unlucky), edit: func(c *Case) { c.File, c.NetNS = "my rules", "blue" }, want: `
warning: TCP 192.0.2.1:80: all its servers have weight 0, so no new connection is accepted [all-weights-zero]
  fix: edit 'my rules': -a -t 192.0.2.1:80 -r 10.0.0.10:80 -m -w 1
`},
		{name: "no forwarding, in a process's namespace", table: of(nat), edit: func(c *Case) { c.NetNS = "42" },
			host: func(h *Host) { set(h, "net.ipv4.conf.eth1.forwarding", "0") }, want: `
error: TCP 192.0.2.1:80: forwarding is off on eth1, so replies from NAT servers (-m) do not reach clients [ip-forward]
  fix: nsenter --net --target 42 sysctl -w net.ipv4.conf.eth1.forwarding=1
`},
		{name: "no forwarding, in a file's namespace", table: of(nat), edit: func(c *Case) { c.NetNS = "/run/x;y" },
			host: func(h *Host) { set(h, "net.ipv4.conf.eth1.forwarding", "0") }, want: `
error: TCP 192.0.2.1:80: forwarding is off on eth1, so replies from NAT servers (-m) do not reach clients [ip-forward]
  fix: nsenter '--net=/run/x;y' sysctl -w net.ipv4.conf.eth1.forwarding=1
`},
		{name: "forced forwarding of IPv6", table: of(web(func(s *ipvs.Service) { s.Addr = netip.MustParseAddr("2001:db8::1") }, ipvs.Masquerade, "[2001:db8:1::2]:80")),
			host: func(h *Host) {
				set(h, "net.ipv6.conf.all.forwarding", "0", "net.ipv6.conf.eth1.force_forwarding", "1")
				h.ask = func(Query) (Route, bool) { return Route{Way: Away, Link: 3}, true }
				h.local = func() []netip.Prefix { return prefixes("2001:db8::1/128") }
			}},
		{name: "a tunnel with a large header", table: of(tunnel(ipvs.TunnelInfo{Type: ipvs.TunnelGUE, Port: 6080, Flags: ipvs.TunnelRemoteChecksum})), want: `
note: TCP 192.0.2.1:80: packets larger than 1460 bytes do not fit in the tunnel to 10.0.0.10: clients that do not get this director's ICMP "fragmentation needed" hang [mtu]
`},
		{name: "a tunnel with another header", table: of(tunnel(ipvs.TunnelInfo{Type: ipvs.TunnelGRE, Flags: ipvs.TunnelChecksum})), want: `
note: TCP 192.0.2.1:80: packets larger than 1472 bytes do not fit in the tunnel to 10.0.0.10: clients that do not get this director's ICMP "fragmentation needed" hang [mtu]
`},
		{name: "a scheduler that the kernel lacks", edit: func(c *Case) { c.File = "rules" },
			table: of(web(func(s *ipvs.Service) { s.Scheduler = "twos" }, ipvs.Masquerade, anyone)), want: `
error: TCP 192.0.2.1:80: Linux 6.1.0 has no module ip_vs_twos, so the service cannot be added [scheduler-module]
`},
		{name: "schedulers that can be loaded, or are not known", edit: func(c *Case) { c.File = "rules" },
			table: of(web(func(s *ipvs.Service) { s.Scheduler, s.PersistenceEngine = "wlc", "sip" }, ipvs.Masquerade, anyone))},
		{name: "no IPVS", table: of(nat), host: func(h *Host) { h.Modules["ip_vs"] = Missing }, want: `
error: Linux 6.1.0 has no module ip_vs: install its modules, or a kernel with CONFIG_IP_VS; in a container, load the module on the host [module]
`},
		{name: "many connections", table: of(busy(32768)), edit: func(c *Case) { c.ConnTableSize = 4096 }, want: `
warning: 32768 connections share 4096 buckets of the connection table, which slows down every packet; a new size takes effect when ip_vs is loaded again [conn-table]
  fix: echo options ip_vs conn_tab_bits=16 >>/etc/modprobe.d/ip_vs.conf
`},
		{name: "too many connections for the largest table", table: of(busy(8 << 20)), edit: func(c *Case) { c.ConnTableSize = 1 << 20 }, want: `
warning: 8388608 connections share 1048576 buckets of the connection table, which slows down every packet; a new size takes effect when ip_vs is loaded again [conn-table]
`},
		{name: "arp_ignore, which does not concern IPv6", table: of(web(func(s *ipvs.Service) { s.Addr = netip.MustParseAddr("2001:db8::1") }, ipvs.Tunnel, anyone)),
			host: func(h *Host) {
				set(h, "net.ipv4.conf.all.arp_ignore", "1")
				h.Links[0].Prefixes = append(h.Links[0].Prefixes, prefixes("2001:db8::9/64")...)
				h.Links = append(h.Links, Link{Index: 1, Name: "lo", Up: true, Carrier: true, Loopback: true, MTU: 65536, Prefixes: prefixes("2001:db8::1/128")})
			}},
		{name: "connections that the table has room for", table: of(busy(32767)), edit: func(c *Case) { c.ConnTableSize = 4096 }},
		{name: "connections in a table that grows", table: of(busy(1 << 20)), edit: func(c *Case) { c.ConnTableSize = 4096 },
			host: func(h *Host) { set(h, "net.ipv4.vs.conn_lfactor", "-4") }},
		{name: "full connection tracking", table: of(nat), host: func(h *Host) {
			set(h, "net.netfilter.nf_conntrack_count", "900", "net.netfilter.nf_conntrack_max", "1000")
		}, want: `
warning: connection tracking has 900 of at most 1000 entries; beyond that, packets are dropped before IPVS sees them [conntrack]
  fix: sysctl -w net.netfilter.nf_conntrack_max=2000
`},
		{name: "connection tracking", table: of(nat), host: func(h *Host) {
			set(h, "net.netfilter.nf_conntrack_count", "899", "net.netfilter.nf_conntrack_max", "1000")
		}},
		{name: "iptables-legacy", table: of(nat), host: func(h *Host) { h.LegacyFirewall = true }, want: `
note: the rules of iptables-legacy were not examined [firewall]
`},
		{name: "an active and an inactive defense", table: of(nat), host: func(h *Host) { set(h, "net.ipv4.vs.drop_entry", "1", "net.ipv4.vs.drop_packet", "2") }, want: `
warning: net.ipv4.vs.drop_packet is 2: random dropping of packets of new connections, with values as for drop_entry [drop-entry]
  fix: sysctl -w net.ipv4.vs.drop_packet=0
note: net.ipv4.vs.drop_entry is 1 (default 0): random dropping of connections that are not established, against floods: 0 never, 1 while memory is short (it then reads 2), 3 always [vs-sysctl]
`},
		{name: "allowed settings", table: of(nat), host: func(h *Host) {
			set(h, "net.ipv4.vs.sync_threshold", "3 50", "net.ipv4.vs.sync_qlen_max", "77", "net.ipv4.vs.svc_lfactor", "-2", "net.ipv4.vs.unheard_of", "1")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := director()
			if c.host != nil {
				c.host(h)
			}
			k := Case{Host: h, Table: c.table}
			if c.edit != nil {
				c.edit(&k)
			}
			var b strings.Builder
			if err := WriteText(&b, Examine(k)); err != nil {
				t.Fatal(err)
			}
			all := b.String()
			if got := all[:strings.LastIndex(all[:len(all)-1], "\n")+1]; got != strings.TrimPrefix(c.want, "\n") {
				t.Errorf("%s\nwant%s", got, c.want)
			}
		})
	}
}

func TestSimilarFindingsShareALine(t *testing.T) {
	findings := []Finding{{Level: OK, Check: "module", Text: "fine"}}
	for i := range 10_000 {
		a := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
		findings = append(findings,
			Finding{Level: Error, Check: "route", Service: fmt.Sprintf("FWM %d", i%6+1), Server: a.String(), Text: "no route to %s", Fix: "ip route add " + a.String()},
			Finding{Level: Error, Check: "vip-local", Service: "TCP " + a.String(), Text: "it is missing"})
	}
	findings = append(findings, Finding{Level: Warning, Check: "drop-entry", Text: "dropped"})
	var b strings.Builder
	if err := WriteText(&b, findings); err != nil {
		t.Fatal(err)
	}
	const want = `error: FWM 1, FWM 2, FWM 3 and 3 more: no route to 10.0.0.0, 10.0.0.1, 10.0.0.2 and 9997 more [route]
  fix: ip route add 10.0.0.0 # and 9999 more like this, see --json
error: TCP 10.0.0.0, TCP 10.0.0.1, TCP 10.0.0.2 and 9997 more: it is missing [vip-local]
warning: dropped [drop-entry]
4 checks: 2 errors, 1 warning
`
	if b.String() != want {
		t.Errorf("%s\nwant\n%s", b.String(), want)
	}
	b.Reset()
	if err := WriteText(&b, findings[:1]); err != nil || b.String() != "1 check, nothing found\n" {
		t.Errorf("%v %s", err, b.String())
	}
}

func TestJSON(t *testing.T) {
	var b strings.Builder
	err := WriteJSON(&b, []Finding{
		{Level: Error, Check: "ip-forward", Service: "TCP 12.0.0.1:80", Server: "10.0.0.1", Text: "%s is <off>", Fix: "sysctl -w a=1"},
		{Level: OK, Check: "module", Text: "fine"},
	})
	const want = `{"json_schema_version":1,"findings":[{"level":"error","check":"ip-forward","service":"TCP 12.0.0.1:80","text":"10.0.0.1 is <off>","fix":"sysctl -w a=1"},{"level":"ok","check":"module","text":"fine"}]}` + "\n"
	if err != nil || b.String() != want {
		t.Errorf("%v\n%s\nwant\n%s", err, b.String(), want)
	}
}

// Without a table only the host is examined.
func TestHostAlone(t *testing.T) {
	for _, f := range Examine(Case{Host: director()}) {
		if i := slices.IndexFunc(Checks[:], func(c Check) bool { return c.Name == f.Check }); Checks[i].service != nil {
			t.Errorf("%s ran: %s", f.Check, f.Text)
		}
	}
}

// A check that ran out of time does not report OK.
func TestTimeoutIsNotOK(t *testing.T) {
	h := director()
	h.ask = func(Query) (Route, bool) { return Route{}, false }
	for _, f := range Examine(Case{Host: h, Table: of(web(nil, ipvs.Masquerade, "10.0.0.10:80"))}) {
		if i := slices.IndexFunc(Checks[:], func(c Check) bool { return c.Name == f.Check }); Checks[i].service != nil {
			t.Errorf("%s says %v: %s", f.Check, f.Level, f.Text)
		}
	}
}

func TestChecksAreComplete(t *testing.T) {
	names := map[string]bool{}
	for _, c := range Checks {
		if names[c.Name] || c.Level == OK || c.Question == "" || (c.service == nil) == (c.host == nil) {
			t.Errorf("%+v", c)
		}
		names[c.Name] = true
	}
}

// A check whose facts are unknown does not report OK.
func TestUnknownIsNotOK(t *testing.T) {
	for name, c := range map[string]Case{
		"no facts":       {Host: &Host{}},
		"only the table": {Host: &Host{}, Table: &ipvs.Table{}},
	} {
		for _, f := range Examine(c) {
			i := slices.IndexFunc(Checks[:], func(k Check) bool { return k.Name == f.Check })
			if needs := Checks[i].needs; f.Level == OK && (needs != nil && !needs(&c)) {
				t.Errorf("%s: %s", name, f.Text)
			}
		}
		if found := Examine(c); c.Table == nil && len(found) > 0 {
			t.Errorf("%s: %v", name, found)
		}
	}
}
