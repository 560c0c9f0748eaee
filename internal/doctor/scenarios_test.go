// SPDX-License-Identifier: Apache-2.0

package doctor_test

// The scenarios: clusters that are sound, and such with one fault each.

import "strings"

// natHosts is a director between clients and servers.
const natHosts = `
director ens33 inside  192.168.168.50/24 fd00:168::50/64
director ens36 outside 12.0.0.1/24 fd00:12::1/64
nginx1   ens33 inside  192.168.168.10/24 fd00:168::10/64 via 192.168.168.50 fd00:168::50
client   ens33 outside 12.0.0.10/24 fd00:12::10/64
`

const nat = `
director# sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
director# ipvsadm -A -t 12.0.0.1:80 -s rr
director# ipvsadm -a -t 12.0.0.1:80 -r 192.168.168.10:8080 -m
director# ipvsadm -A -t [fd00:12::1]:80 -s rr
director# ipvsadm -a -t [fd00:12::1]:80 -r [fd00:168::10]:8080 -m
`

// lanHosts are all on one network.
const lanHosts = `
director ens33 lan 192.168.168.50/24
nginx1   ens33 lan 192.168.168.10/24
client   ens33 lan 192.168.168.200/24 192.168.168.201/24
`

// drServer makes nginx1 a server of direct routing.
const drServer = `
nginx1# sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2
nginx1# ip addr add 192.168.168.100/32 dev lo
`

const dr = drServer + `
director# ip addr add 192.168.168.100/32 dev ens33
director# ipvsadm -A -t 192.168.168.100:80 -s rr
director# ipvsadm -a -t 192.168.168.100:80 -r 192.168.168.10 -g
`

// tunHosts have the server behind a router.
const tunHosts = `
router   ens33 outside 12.0.0.1/24
router   ens36 near    10.0.1.1/24
router   ens37 far     10.0.2.1/24
director ens33 near    10.0.1.50/24 via 10.0.1.1
nginx1   ens33 far     10.0.2.10/24 via 10.0.2.1
client   ens33 outside 12.0.0.10/24 via 12.0.0.1
`

// tunServer makes nginx1 a server of IP in IP.
const tunServer = `
router# sysctl -qw net.ipv4.ip_forward=1
director# ip addr add 10.0.1.100/32 dev ens33
nginx1# sysctl -qw net.ipv4.conf.all.rp_filter=0
nginx1# ip addr add 10.0.1.100/32 dev lo
nginx1# modprobe ipip
nginx1# ip link set tunl0 up
nginx1# sysctl -qw net.ipv4.conf.tunl0.rp_filter=0
`

// scenario is a cluster in which traffic passes, or has one fault.
type scenario struct {
	name  string
	hosts string // for cluster.Parse
	setup string // a session
	// found are the lines that do not begin with ok.
	found string
	// traffic is the service that the client asks, "" for none. With a fault
	// it does not answer before the remedy, and does after it.
	traffic string
	// setting is one of IPVS that the scenario needs, "" for none.
	setting string
	// settle is a session that is run with the remedy, for what machines
	// remember of before.
	settle string
}

var scenarios = []scenario{
	{name: "NAT is sound", hosts: natHosts, setup: nat, traffic: "12.0.0.1:80"},
	{name: "direct routing is sound", hosts: lanHosts, setup: dr, traffic: "192.168.168.100:80"},
	{name: "a tunnel is sound", hosts: tunHosts, traffic: "10.0.1.100:80", setup: tunServer + `
director# ipvsadm -A -t 10.0.1.100:80 -s rr
director# ipvsadm -a -t 10.0.1.100:80 -r 10.0.2.10 -i
`, found: `
note: TCP 10.0.1.100:80: packets larger than 1480 bytes do not fit in the tunnel to 10.0.2.10: clients that do not receive this director's ICMP messages hang when they send such packets [mtu]
  fix: ip link set ens33 mtu 1520
`},
	{name: "a firewall mark is sound", hosts: natHosts, traffic: "12.0.0.1:80", setup: `
director# sysctl -qw net.ipv4.ip_forward=1
director# tc qdisc replace dev ens36 clsact
director# tc filter replace dev ens36 ingress protocol ip pref 1 handle 1 flower dst_ip 12.0.0.1 ip_proto tcp dst_port 80 action skbedit mark 3
director# ipvsadm -A -f 3 -s rr
director# ipvsadm -a -f 3 -r 192.168.168.10:8080 -m
`},
	{name: "forwarding is off", hosts: natHosts, setup: nat + "director# sysctl -qw net.ipv4.ip_forward=0\n", traffic: "12.0.0.1:80", found: `
error: TCP 12.0.0.1:80: IPv4 forwarding is off, so replies from NAT servers (-m) do not reach clients [ip-forward]
  fix: sysctl -w net.ipv4.ip_forward=1
`},
	{name: "forwarding is off for IPv6", hosts: natHosts, setup: nat + "director# sysctl -qw net.ipv6.conf.all.forwarding=0\n", traffic: "[fd00:12::1]:80", found: `
error: TCP [fd00:12::1]:80: IPv6 forwarding is off, so replies from NAT servers (-m) do not reach clients [ip-forward]
  fix: sysctl -w net.ipv6.conf.all.forwarding=1
`},
	{name: "forwarding is off on one interface", hosts: natHosts, setup: nat + "director# sysctl -qw net.ipv4.conf.ens33.forwarding=0\n", traffic: "12.0.0.1:80", found: `
error: TCP 12.0.0.1:80: forwarding is off on ens33, so replies from NAT servers (-m) do not reach clients [ip-forward]
  fix: sysctl -w net.ipv4.conf.ens33.forwarding=1
`},
	{name: "the virtual address is missing", hosts: strings.Replace(natHosts, "12.0.0.1/24", "12.0.0.2/24", 1), setup: nat, traffic: "12.0.0.1:80", found: `
error: TCP 12.0.0.1:80: 12.0.0.1 is on no interface, so packets to it do not reach IPVS [vip-local]
  fix: ip addr add 12.0.0.1/32 dev ens36
`},
	{name: "the way to the server is down", hosts: natHosts, setup: nat + "director# ip link set ens33 down\n", traffic: "12.0.0.1:80", found: `
error: TCP 12.0.0.1:80: there is no route to server 192.168.168.10: its network is on ens33, which is down [route]
  fix: ip link set ens33 up
error: TCP [fd00:12::1]:80: there is no route to server fd00:168::10 [route]
  fix: ip -6 route add fd00:168::10/128 via GATEWAY
`},
	{name: "a server of direct routing has a gateway", hosts: lanHosts, setup: dr + "director# ip route add 192.168.168.10/32 via 192.168.168.200\n", traffic: "192.168.168.100:80", found: `
error: TCP 192.168.168.100:80: server 192.168.168.10:80 is behind gateway 192.168.168.200, which sends packets of direct routing (-g) back, since they keep the virtual address; ens33 is on the server's network [on-link]
  fix: ip route replace 192.168.168.10/32 dev ens33
`},
	{name: "a server of direct routing is far away", hosts: tunHosts, traffic: "10.0.1.100:80", setup: tunServer + `
director# ipvsadm -A -t 10.0.1.100:80 -s rr
director# ipvsadm -a -t 10.0.1.100:80 -r 10.0.2.10 -g
`, found: `
error: TCP 10.0.1.100:80: server 10.0.2.10:80 is behind gateway 10.0.1.1, which sends packets of direct routing (-g) back, since they keep the virtual address; a tunnel (-i) gets through, if the server is set up for it [on-link]
  fix: ipvsadm -e -t 10.0.1.100:80 -r 10.0.2.10:80 -i -w 1 --tun-type ipip
`},
	{name: "all weights are zero", hosts: natHosts, setup: nat + "director# ipvsadm -e -t 12.0.0.1:80 -r 192.168.168.10:8080 -m -w 0\n", traffic: "12.0.0.1:80", found: `
warning: TCP 12.0.0.1:80: all its servers have weight 0, so no new connection is accepted [all-weights-zero]
  fix: ipvsadm -e -t 12.0.0.1:80 -r 192.168.168.10:8080 -m -w 1
`},
	{name: "replies come in by a second interface", traffic: "12.0.0.1:80", hosts: `
director ens33 inside  192.168.168.50/24
director ens34 inside  192.168.168.51/24
director ens36 outside 12.0.0.1/24
nginx1   ens33 inside  192.168.168.10/24 via 192.168.168.51
client   ens33 outside 12.0.0.10/24
`, setup: `
director# sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.ens34.rp_filter=1
director# ipvsadm -A -t 12.0.0.1:80 -s rr
director# ipvsadm -a -t 12.0.0.1:80 -r 192.168.168.10:8080 -m
`, found: `
warning: TCP 12.0.0.1:80: ens34 is on the network of server 192.168.168.10 too, but drops replies that arrive on it: its reverse path filter is strict, and the route to the server uses ens33 [rp-filter]
  fix: sysctl -w net.ipv4.conf.ens34.rp_filter=2
`},
	{name: "redirects lead past the director", hosts: lanHosts, traffic: "192.168.168.100:80", setup: `
director# sysctl -qw net.ipv4.ip_forward=1
director# ip addr add 192.168.168.100/32 dev ens33
director# ipvsadm -A -t 192.168.168.100:80 -s rr
director# ipvsadm -a -t 192.168.168.100:80 -r 192.168.168.10:8080 -m
nginx1# ip route add 192.168.168.200/32 via 192.168.168.50
lab# talk 192.168.168.100:80
`, found: `
warning: TCP 192.168.168.100:80: clients and servers are both behind ens33, and ICMP redirects make replies bypass this director [send-redirects]
  fix: sysctl -w net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.ens33.send_redirects=0
`, settle: "nginx1# ip route flush cache\n"},
	{name: "a bridge as Docker's is sound", hosts: `
director eth0 outside 12.0.0.1/24
client   ens33 outside 12.0.0.10/24
nginx1   eth0 docker0 172.17.0.2/16 via 172.17.0.1
`, setup: `
director# sysctl -qw net.ipv4.ip_forward=1
director# ip link add docker0 type bridge
director# ip link add to0 type veth peer name to1
director# ip link set to0 master docker0 up
director# ip addr add 172.17.0.1/16 dev docker0
director# ip link set docker0 up
director# ip link set to1 netns switch
switch# ip link set to1 master docker0 up
director# ipvsadm -A -t 12.0.0.1:80 -s rr
director# ipvsadm -a -t 12.0.0.1:80 -r 172.17.0.2:8080 -m
`, traffic: "12.0.0.1:80"},
	{name: "a standby director with VRRP is sound", hosts: strings.Replace(natHosts, "12.0.0.1/24", "12.0.0.2/24", 1), setup: nat + "lab# vrrp\n", found: `
note: TCP 12.0.0.1:80: 12.0.0.1 is on no interface, as it should be while another director is active [vip-local]
`},
	{name: "a standby director with a sync daemon is sound", hosts: strings.Replace(natHosts, "12.0.0.1/24", "12.0.0.2/24", 1),
		setup: nat + "director# ipvsadm --start-daemon backup --mcast-interface ens33\n", found: `
note: TCP 12.0.0.1:80: 12.0.0.1 is on no interface, as it should be while another director is active [vip-local]
`},
	{name: "the interface of a sync daemon is down", hosts: natHosts, setup: `
director# ipvsadm --start-daemon master --mcast-interface ens33
director# ip link set ens33 down
`, found: `
error: ens33, which the master sync daemon uses, is down, so connections are not synchronized [sync-interface]
  fix: ip link set ens33 up
`},
	{name: "the interface of a sync daemon is gone", hosts: natHosts, setup: `
director# ip link add sync0 type dummy
director# ip link set sync0 up
director# ipvsadm --start-daemon master --mcast-interface sync0
director# ip link del sync0
`, found: `
error: sync0, which the master sync daemon uses, is gone, so connections are not synchronized [sync-interface]
  fix: ipvsadm --stop-daemon master && ipvsadm --start-daemon master --mcast-interface INTERFACE --syncid 0 --sync-maxlen 1472 --mcast-group 224.0.0.81 --mcast-port 8848 --mcast-ttl 1
`},
	{name: "a tunnel is narrow", hosts: tunHosts, traffic: "", setup: tunServer + `
director# ipvsadm -A -t 10.0.1.100:80 -s rr
director# ipvsadm -a -t 10.0.1.100:80 -r 10.0.2.10 -i
director# ip route add 10.0.2.0/24 via 10.0.1.1 mtu lock 1400
`, found: `
warning: TCP 10.0.1.100:80: packets larger than 1380 bytes do not fit in the tunnel to 10.0.2.10: clients that do not receive this director's ICMP messages hang when they send such packets [mtu]
`},
	{name: "notes and warnings that need no traffic", hosts: natHosts, setup: `
director# sysctl -qw net.ipv4.ip_forward=1
director# sysctl -qw net.ipv4.vs.drop_entry=3 net.ipv4.vs.run_estimation=0 net.ipv4.vs.conntrack=1
director# ipvsadm -A -u 12.0.0.1:53 -s rr -p 300
director# ipvsadm -a -u 12.0.0.1:53 -r 192.168.168.10 -m
director# ipvsadm -a -u 12.0.0.1:53 -r 192.168.168.11 -m -w 0
director# ipvsadm -A -f 7
`, found: `
warning: FWM 7: it has no real servers, so connections are refused [no-servers]
  fix: ipvsadm -a -f 7 -r SERVER
warning: UDP 12.0.0.1:53: server 192.168.168.11:53 has weight 0, but persistent clients still return to it [quiescent-template]
  fix: sysctl -w net.ipv4.vs.expire_quiescent_template=1
warning: net.ipv4.vs.drop_entry is 3: connections that are not established are dropped at random, always [drop-entry]
  fix: sysctl -w net.ipv4.vs.drop_entry=0
note: UDP 12.0.0.1:53: once a server is deleted, packets of its UDP clients are dropped for as long as they keep coming [nodest-conn]
  fix: sysctl -w net.ipv4.vs.expire_nodest_conn=1
note: net.ipv4.vs.run_estimation is 0, so all rates are 0 [estimator]
  fix: sysctl -w net.ipv4.vs.run_estimation=1
note: net.ipv4.vs.conntrack is 1 (default 0): 1 keeps connection tracking for balanced connections, which stateful firewall rules and SNAT need, at a cost for every packet [vs-sysctl]
`},
	{name: "there are as many connections as may be", setting: "conn_max", hosts: natHosts, setup: nat + `
director# sysctl -qw net.ipv4.vs.conn_max=1
lab# ask 12.0.0.1:80
`, traffic: "12.0.0.1:80", found: `
warning: there are 1 of at most 1 connections; beyond that, new ones are refused [conn-table]
  fix: sysctl -w net.ipv4.vs.conn_max=2
note: net.ipv4.vs.conn_max is 1 (default 1073741824): maximum number of connections in this network namespace [vs-sysctl]
`},
	{name: "a server is at its threshold", hosts: natHosts, setup: nat + `
director# ipvsadm -e -t 12.0.0.1:80 -r 192.168.168.10:8080 -m -x 1
lab# ask 12.0.0.1:80
`, traffic: "12.0.0.1:80", found: `
warning: TCP 12.0.0.1:80: server 192.168.168.10:8080 has 1 connection and an upper threshold of 1, so it gets no new ones [overloaded]
  fix: ipvsadm -e -t 12.0.0.1:80 -r 192.168.168.10:8080 -m -w 1 -x 2
`},
}
