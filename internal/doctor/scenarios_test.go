// SPDX-License-Identifier: Apache-2.0

package doctor_test

// The scenarios: for each check a director with its fault, and a similar one
// without a fault.

import "strings"

// base is a cluster and the service that its client uses.
type base struct{ hosts, setup, service string }

// nat is a director between clients and servers.
var nat = base{`
director ens33 inside  192.168.168.50/24 fd00:168::50/64
director ens36 outside 12.0.0.1/24 fd00:12::1/64
nginx1   ens33 inside  192.168.168.10/24 fd00:168::10/64 via 192.168.168.50 fd00:168::50
nginx2   ens33 inside  192.168.168.20/24 fd00:168::20/64 via 192.168.168.50 fd00:168::50
client   ens33 outside 12.0.0.10/24 fd00:12::10/64
`, `
director# sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
director# ipvsadm -A -t 12.0.0.1:80 -s rr
director# ipvsadm -a -t 12.0.0.1:80 -r 192.168.168.10:8080 -m
`, "12.0.0.1:80"}

// nat6 is nat with an IPv6 service.
var nat6 = base{nat.hosts, `
director# sysctl -qw net.ipv6.conf.all.forwarding=1
lab# settled
director# ipvsadm -A -t [fd00:12::1]:80 -s rr
director# ipvsadm -a -t [fd00:12::1]:80 -r [fd00:168::10]:8080 -m
`, "[fd00:12::1]:80"}

// dr has all machines on one network.
var dr = base{`
director ens33 lan 192.168.168.50/24 fd00:168::50/64
nginx1   ens33 lan 192.168.168.10/24 fd00:168::10/64
client   ens33 lan 192.168.168.200/24 192.168.168.201/24 fd00:168::200/64
`, `
nginx1# sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2
nginx1# ip addr add 192.168.168.100/32 dev lo
director# ip addr add 192.168.168.100/32 dev ens33
director# ipvsadm -A -t 192.168.168.100:80 -s rr
director# ipvsadm -a -t 192.168.168.100:80 -r 192.168.168.10 -g
`, "192.168.168.100:80"}

// tun has the server behind a router.
var tun = base{`
router   ens33 outside 12.0.0.1/24
router   ens36 near    10.0.1.1/24
router   ens37 far     10.0.2.1/24
director ens33 near    10.0.1.50/24 via 10.0.1.1
nginx1   ens33 far     10.0.2.10/24 via 10.0.2.1
client   ens33 outside 12.0.0.10/24 via 12.0.0.1
`, `
router# sysctl -qw net.ipv4.ip_forward=1
director# ip addr add 10.0.1.100/32 dev ens33
nginx1# sysctl -qw net.ipv4.conf.all.rp_filter=0
nginx1# ip addr add 10.0.1.100/32 dev lo
nginx1# modprobe ipip
nginx1# ip link set tunl0 up
nginx1# sysctl -qw net.ipv4.conf.tunl0.rp_filter=0
director# ipvsadm -A -t 10.0.1.100:80 -s rr
director# ipvsadm -a -t 10.0.1.100:80 -r 10.0.2.10 -i
`, "10.0.1.100:80"}

// twin has two interfaces of the director on the servers' network.
var twin = base{`
director ens33 inside  192.168.168.50/24
director ens34 inside  192.168.168.51/24
director ens36 outside 12.0.0.1/24
nginx1   ens33 inside  192.168.168.10/24 via 192.168.168.51
client   ens33 outside 12.0.0.10/24
`, nat.setup + `
director# sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.ens34.rp_filter=1
`, "12.0.0.1:80"}

// arm is one-armed NAT: clients and servers are on one network.
var arm = base{dr.hosts, `
director# sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
director# ip addr add 192.168.168.100/32 dev lo
director# ipvsadm -A -t 192.168.168.100:80 -s rr
director# ipvsadm -a -t 192.168.168.100:80 -r 192.168.168.10:8080 -m
nginx1# ip route add 192.168.168.200/32 via 192.168.168.50
`, "192.168.168.100:80"}

// on returns the cluster with another service address.
func (b base) on(service string) base { b.service = service; return b }

// with returns the cluster with a part of its hosts replaced.
func (b base) with(old, new string) base {
	if !strings.Contains(b.hosts, old) {
		panic(old)
	}
	b.hosts = strings.Replace(b.hosts, old, new, 1)
	return b
}

// bare returns the cluster without its service.
func (b base) bare() base {
	b.setup = "director# sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1\n"
	return b
}

// tunnelNote is the finding of tunnels on the clients' interface.
const tunnelNote = `
note: TCP 10.0.1.100:80: packets larger than 1480 bytes do not fit in the tunnel to 10.0.2.10: clients that do not get this director's ICMP "fragmentation needed" hang [mtu]
`

// scenario is a cluster without a fault, or with one.
type scenario struct {
	name string
	base
	setup string // a session
	found string // the output without its last line
	// fails means that client traffic fails, until the fix if there is one.
	fails bool
	// size is the length of the client's message, 0 for a few bytes; from is
	// a host that replaces the client.
	size int
	from string
	// needs is a command that fails on kernels without required features.
	needs string
	// cleanup is a session that runs before the fix and clears what the
	// machines have cached.
	cleanup string
}

var scenarios = []scenario{
	{name: "NAT", base: nat, setup: "lab# ask 12.0.0.1:80\n"},
	{name: "NAT for IPv6", base: nat6, setup: "lab# ask [fd00:12::1]:80\n"},
	{name: "direct routing", base: dr, setup: "lab# ask 192.168.168.100:80\n"},
	{name: "a tunnel", base: tun, found: tunnelNote},
	{name: "a bridge like Docker's", base: base{hosts: `
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
`, service: "12.0.0.1:80"}},

	{name: "no services", base: nat, setup: "director# ipvsadm -C\n", fails: true, found: `
warning: there are no virtual services, so nothing is balanced [no-services]
`},
	{name: "no servers", base: nat, setup: "director# ipvsadm -d -t 12.0.0.1:80 -r 192.168.168.10:8080\n", fails: true, found: `
warning: TCP 12.0.0.1:80: it has no real servers, so connections are refused [no-servers]
  fix: ipvsadm -a -t 12.0.0.1:80 -r SERVER
`},
	{name: "all weights are zero", base: nat, setup: "director# ipvsadm -e -t 12.0.0.1:80 -r 192.168.168.10:8080 -m -w 0\n", fails: true, found: `
warning: TCP 12.0.0.1:80: all its servers have weight 0, so no new connection is accepted [all-weights-zero]
  fix: ipvsadm -e -t 12.0.0.1:80 -r 192.168.168.10:8080 -m -w 1
`},
	{name: "one weight is zero, of a dead server", base: nat, setup: `
director# ipvsadm -a -t 12.0.0.1:80 -r 192.168.168.99:8080 -m
lab# try 12.0.0.1:80
lab# try 12.0.0.1:80
director# ipvsadm -e -t 12.0.0.1:80 -r 192.168.168.99:8080 -m -w 0
`},
	{name: "sh with a weight of zero", base: nat, setup: `
director# ipvsadm -E -t 12.0.0.1:80 -s sh
director# ipvsadm -e -t 12.0.0.1:80 -r 192.168.168.10:8080 -m -w 0
director# ipvsadm -a -t 12.0.0.1:80 -r 192.168.168.20:8080 -m
`, fails: true, found: `
warning: TCP 12.0.0.1:80: clients that sh assigns to server 192.168.168.10:8080, which gets no new connections, are refused instead of going to another server [hash-weight]
  fix: ipvsadm -E -t 12.0.0.1:80 -s sh -b sh-fallback
`},
	{name: "mh with a weight of zero", base: nat, setup: `
director# ipvsadm -E -t 12.0.0.1:80 -s mh
director# ipvsadm -e -t 12.0.0.1:80 -r 192.168.168.10:8080 -m -w 0
director# ipvsadm -a -t 12.0.0.1:80 -r 192.168.168.20:8080 -m
`, fails: true, found: `
note: TCP 12.0.0.1:80: clients that mh assigns to server 192.168.168.10:8080, which gets no new connections, are refused instead of going to another server [hash-weight]
  fix: ipvsadm -E -t 12.0.0.1:80 -s mh -b mh-fallback
`},
	{name: "sh with a weight of zero and a fallback", base: nat, setup: `
director# ipvsadm -E -t 12.0.0.1:80 -s sh -b sh-fallback
director# ipvsadm -e -t 12.0.0.1:80 -r 192.168.168.10:8080 -m -w 0
director# ipvsadm -a -t 12.0.0.1:80 -r 192.168.168.20:8080 -m
`},
	{name: "the virtual address is missing", base: nat.with("12.0.0.1/24", "12.0.0.2/24"), fails: true, found: `
error: TCP 12.0.0.1:80: its address is not local, so packets from other machines do not reach IPVS; unless another director has it, add it to ens36 [vip-local]
`},
	{name: "a virtual address of no network is missing", base: nat.on("12.9.9.9:80").bare(), setup: `
director# ipvsadm -A -t 12.9.9.9:80
director# ipvsadm -a -t 12.9.9.9:80 -r 192.168.168.10:8080 -m
client# ip route add 12.9.9.9 via 12.0.0.1
`, fails: true, found: `
error: TCP 12.9.9.9:80: its address is not local, so packets from other machines do not reach IPVS [vip-local]
  fix: ip addr add 12.9.9.9/32 dev lo
`},
	{name: "a broadcast address", base: nat.on("12.0.0.255:80").bare(), setup: `
director# ipvsadm -A -t 12.0.0.255:80
director# ipvsadm -a -t 12.0.0.255:80 -r 192.168.168.10:8080 -m
`, fails: true, found: `
error: TCP 12.0.0.255:80: its address is a broadcast or multicast address, and IPVS balances only packets to a single host [vip-local]
`},
	{name: "addresses local by a route and by a rule", base: nat.on("12.9.9.9:80").bare(), setup: `
director# ip route add local 12.8.0.0/16 dev lo
director# ip rule add iif ens36 lookup 100
director# ip route add local 12.9.9.9 dev lo table 100
director# ipvsadm -A -t 12.8.9.9:80
director# ipvsadm -a -t 12.8.9.9:80 -r 192.168.168.10:8080 -m
director# ipvsadm -A -t 12.9.9.9:80
director# ipvsadm -a -t 12.9.9.9:80 -r 192.168.168.10:8080 -m
client# ip route add 12.9.9.9 via 12.0.0.1
`},
	{name: "an address in a VRF", base: nat, setup: `
director# ip link add red type vrf table 100
director# ip link set red up
director# ip link set ens36 master red
director# ip route add 12.0.0.0/24 dev ens36
`},
	{name: "local clients only", base: nat.on("12.9.9.9:80"), from: "director", setup: `
director# ip route add default via 12.0.0.10
director# ipvsadm -A -t 12.9.9.9:80
director# ipvsadm -a -t 12.9.9.9:80 -r 192.168.168.10:8080 -m
lab# ask 12.9.9.9:80 director
`},
	{name: "a standby director with VRRP", base: nat.with("12.0.0.1/24", "12.0.0.2/24"), setup: "lab# vrrp\n", fails: true, found: `
note: TCP 12.0.0.1:80: its address is not local, as it should be while another director is active [vip-local]
`},
	{name: "a standby director with a sync daemon", base: nat.with("12.0.0.1/24", "12.0.0.2/24"),
		setup: "director# ipvsadm --start-daemon backup --mcast-interface ens33\n", fails: true, found: `
note: TCP 12.0.0.1:80: its address is not local, as it should be while another director is active [vip-local]
`},
	{name: "a standby director that has seen the active one", base: nat.with("12.0.0.1/24", "12.0.0.2/24").with("12.0.0.10/24", "12.0.0.10/24 12.0.0.1/24"),
		setup: "lab# try 12.0.0.1:9 director\n", fails: true, found: `
note: TCP 12.0.0.1:80: its address belongs to another machine on the network, which may be the active director [vip-local]
`},
	{name: "the interface of the virtual address is down", base: nat, setup: "director# ip link set ens36 down\n", fails: true, found: `
warning: TCP 12.0.0.1:80: ens36, which has its address, is down: clients and routers on that network do not reach it [vip-link]
`},
	{name: "the interface of the virtual address has no carrier", base: nat, setup: "switch# ip link set director-ens36 down\nlab# carrier ens36 0\n", fails: true, found: `
warning: TCP 12.0.0.1:80: ens36, which has its address, has no carrier: clients and routers on that network do not reach it [vip-link]
`},
	{name: "settings of a real server", base: nat.with("12.0.0.1/24", "12.0.0.2/24"), setup: `
director# sysctl -qw net.ipv4.conf.all.arp_ignore=1
director# ip addr add 12.0.0.1/32 dev lo
`, fails: true, found: `
note: TCP 12.0.0.1:80: its address is on lo, so ARP requests for it on ens36 get no answer: arp_ignore is on [vip-link]
`},
	{name: "addresses on interfaces that need no carrier", base: nat.on("12.9.9.9:80").bare(), setup: `
director# ip link add br0 type bridge
director# ip link add down0 type dummy
director# ip link set br0 up
director# ip addr add 12.9.9.9/24 dev br0
director# ip addr add 12.8.8.8/32 dev down0
director# ipvsadm -A -t 12.9.9.9:80
director# ipvsadm -a -t 12.9.9.9:80 -r 192.168.168.10:8080 -m
director# ipvsadm -A -t 12.8.8.8:80
director# ipvsadm -a -t 12.8.8.8:80 -r 192.168.168.10:8080 -m
client# ip route add 12.9.9.9 via 12.0.0.1
`},
	{name: "duplicate address detection", base: nat6.on("[fd00:12::99]:80").bare().with("fd00:12::10/64", "fd00:12::10/64\nrival ens33 outside fd00:12::99/64"), setup: `
director# ip addr add fd00:12::99/64 dev ens36
lab# duplicate
director# ipvsadm -A -t [fd00:12::99]:80
director# ipvsadm -a -t [fd00:12::99]:80 -r [fd00:168::10]:8080 -m
`, fails: true, found: `
error: TCP [fd00:12::99]:80: duplicate address detection found its address on another machine, so ens36 does not use it [vip-dad]
`},
	{name: "no route", base: nat.bare(), setup: `
nginx1# ip addr add 10.9.9.9/32 dev lo
director# ipvsadm -A -t 12.0.0.1:80
director# ipvsadm -a -t 12.0.0.1:80 -r 10.9.9.9:8080 -m
`, fails: true, found: `
error: TCP 12.0.0.1:80: there is no route to server 10.9.9.9 [route]
  fix: ip route add 10.9.9.9/32 via GATEWAY
`},
	{name: "the interface of the servers is down", base: nat, setup: "director# ip link set ens33 down\n", fails: true, found: `
error: TCP 12.0.0.1:80: there is no route to server 192.168.168.10: its network is on ens33, which is down [route]
  fix: ip link set ens33 up
`},
	{name: "a blackhole", base: nat, setup: "director# ip route add blackhole 192.168.168.10/32\n", fails: true, found: `
error: TCP 12.0.0.1:80: the route to server 192.168.168.10 is of type blackhole [route]
`},
	{name: "a prohibit route for IPv6", base: nat6, setup: "director# ip route add prohibit fd00:168::10/128\n", fails: true, found: `
error: TCP [fd00:12::1]:80: the route to server fd00:168::10 is of type prohibit [route]
`},
	{name: "two gateways", base: nat.bare(), setup: `
nginx1# ip addr add 10.9.9.9/32 dev lo
nginx2# ip addr add 10.9.9.9/32 dev lo
director# ip route add 10.9.9.0/24 nexthop via 192.168.168.10 nexthop via 192.168.168.20
director# ipvsadm -A -t 12.0.0.1:80
director# ipvsadm -a -t 12.0.0.1:80 -r 10.9.9.9:8080 -m
`},
	{name: "the interface of the servers has no carrier", base: nat, setup: "switch# ip link set director-ens33 down\nlab# carrier ens33 0\n", fails: true, found: `
warning: TCP 12.0.0.1:80: server 192.168.168.10 is behind ens33, which has no carrier [server-link]
`},
	{name: "a default route hides servers", base: nat, setup: "director# ip link set ens33 down\ndirector# ip route add default via 12.0.0.10\n", fails: true, found: `
warning: TCP 12.0.0.1:80: server 192.168.168.10 is on the network of ens33, which is down, and packets to it leave by ens36 [server-link]
`},
	{name: "routes to a gateway and to an interface hide servers", base: nat, setup: `
director# ip route add 192.168.168.10/32 via 12.0.0.10
director# ip route add 192.168.168.20/32 dev ens36
director# ipvsadm -a -t 12.0.0.1:80 -r 192.168.168.20:8080 -m
`, fails: true, found: `
warning: TCP 12.0.0.1:80: server 192.168.168.10 is on the network of ens33, but the route to it leads to gateway 12.0.0.10 on ens36 [server-link]
warning: TCP 12.0.0.1:80: server 192.168.168.20 is on the network of ens33, but the route to it leads to ens36 [server-link]
`},
	{name: "routes around a network that is down, and to a container", base: nat.bare(), setup: `
director# ip link add old0 type dummy
director# ip addr add 10.9.9.1/24 dev old0
nginx1# ip addr add 10.9.9.9/32 dev lo
director# ip route add 10.9.9.0/24 via 192.168.168.10
director# ip addr add 172.17.0.1/16 dev old0
director# ip link add to0 type veth peer name to1
director# ip link set to0 up
director# ip link set to1 netns nginx1
nginx1# ip addr add 10.9.8.8/32 dev to1
nginx1# ip link set to1 up
nginx1# ip route add 192.168.168.50/32 dev ens33
director# ip addr add 10.9.8.1/24 dev ens33
director# ip route add 10.9.8.8/32 dev to0
director# ipvsadm -A -t 12.0.0.1:80
director# ipvsadm -a -t 12.0.0.1:80 -r 10.9.9.9:8080 -m
director# ipvsadm -a -t 12.0.0.1:80 -r 10.9.8.8:8080 -m
`},
	{name: "a dead server", base: nat, setup: "nginx1# ip link set ens33 down\nlab# try 12.0.0.1:80\n", fails: true, found: `
warning: TCP 12.0.0.1:80: server 192.168.168.10 does not answer ARP on ens33 [server-neighbor]
`},
	{name: "a server that does not reply", base: nat, setup: `
nginx1# ip route add blackhole 12.0.0.0/24
lab# try 12.0.0.1:80
lab# try 12.0.0.1:80
lab# try 12.0.0.1:80
`, fails: true, found: `
warning: TCP 12.0.0.1:80: all connections to server 192.168.168.10:8080 are in SYN_RECV: it does not accept them, or its replies do not reach the clients [no-reply]
`},
	{name: "nothing listens", base: nat, setup: `
director# ipvsadm -e -t 12.0.0.1:80 -r 192.168.168.10:8080 -m -w 0
director# ipvsadm -a -t 12.0.0.1:80 -r 192.168.168.10:81 -m
lab# try 12.0.0.1:80
lab# try 12.0.0.1:80
lab# try 12.0.0.1:80
`, fails: true, found: `
note: TCP 12.0.0.1:80: all connections to server 192.168.168.10:81 were reset: check that a program listens on its port [no-reply]
`},
	{name: "NAT to a loopback address", base: nat.bare(), setup: `
lab# serve director :8080
director# ipvsadm -A -t 12.0.0.1:80
director# ipvsadm -a -t 12.0.0.1:80 -r 127.0.0.1:8080 -m
`, fails: true, found: `
error: TCP 12.0.0.1:80: packets of other machines to NAT server 127.0.0.1:8080 are dropped, since it has a loopback address: use another address of this machine [local-nat]
`},
	{name: "a loopback address without NAT, and for local clients", base: nat.bare().on("12.0.0.1:8080"), setup: `
lab# serve director :8080
director# ipvsadm -A -t 12.0.0.1:8080
director# ipvsadm -a -t 12.0.0.1:8080 -r 127.0.0.1:8080
director# ipvsadm -A -t 127.0.0.1:80
director# ipvsadm -a -t 127.0.0.1:80 -r 127.0.0.1:8080 -m
lab# ask 127.0.0.1:80 director
`},
	{name: "direct routing through a gateway", base: tun, setup: "director# ipvsadm -e -t 10.0.1.100:80 -r 10.0.2.10 -g\n", fails: true, found: `
warning: TCP 10.0.1.100:80: server 10.0.2.10 is behind gateway 10.0.1.1, which sends packets of direct routing (-g) back unless it is the server itself, since they keep the virtual address [on-link]
`},
	{name: "direct routing by an unneeded gateway", base: dr, setup: "director# ip route add 192.168.168.10/32 via 192.168.168.200\n", fails: true, found: `
warning: TCP 192.168.168.100:80: server 192.168.168.10 is behind gateway 192.168.168.200, which sends packets of direct routing (-g) back unless it is the server itself, since they keep the virtual address; ens33 is on the server's network [on-link]
`},
	{name: "direct routing to a server by another of its addresses", base: dr, setup: `
nginx1# ip addr add 10.9.9.9/32 dev lo
director# ip route add 10.9.9.9/32 via 192.168.168.10
director# ipvsadm -a -t 192.168.168.100:80 -r 10.9.9.9 -g
nginx1# ip addr add 10.9.8.8/32 dev lo
director# ip route add 10.9.8.0/24 via inet6 fd00:168::10 dev ens33
director# ipvsadm -a -t 192.168.168.100:80 -r 10.9.8.8 -g
`},
	{name: "forwarding is off", base: nat, setup: "director# sysctl -qw net.ipv4.ip_forward=0\n", fails: true, found: `
error: TCP 12.0.0.1:80: IPv4 forwarding is off, so replies from NAT servers (-m) do not reach clients [ip-forward]
  fix: sysctl -w net.ipv4.ip_forward=1
`},
	{name: "forwarding is off for IPv6", base: nat6, setup: "director# sysctl -qw net.ipv6.conf.all.forwarding=0\n", fails: true, found: `
error: TCP [fd00:12::1]:80: IPv6 forwarding is off, so replies from NAT servers (-m) do not reach clients [ip-forward]
  fix: sysctl -w net.ipv6.conf.all.forwarding=1
`},
	{name: "forwarding is off on an interface with a strange name", base: nat, setup: `
director# sysctl -qw net.ipv4.conf.ens33.forwarding=0
director# ip link set ens33 down
director# ip link set ens33 name 'x;id>y'
director# ip link set 'x;id>y' up
`, fails: true, found: `
error: TCP 12.0.0.1:80: forwarding is off on x;id>y, so replies from NAT servers (-m) do not reach clients [ip-forward]
  fix: sysctl -w 'net.ipv4.conf.x;id>y.forwarding=1'
`},
	{name: "forwarding is on for the servers only", base: nat, setup: "director# sysctl -qw net.ipv4.ip_forward=0 net.ipv4.conf.ens33.forwarding=1\n"},
	{name: "replies come in by another network", base: nat.with("director ens36", "director ens34 back 10.6.0.1/24\ndirector ens36").with("nginx2   ens33", "nginx1   ens34 back 10.6.0.2/24\nnginx2   ens33"), setup: `
director# sysctl -qw net.ipv4.conf.ens33.forwarding=0 net.ipv4.conf.ens34.rp_filter=2
nginx1# ip route replace default via 10.6.0.1 src 192.168.168.10
lab# ask 12.0.0.1:80
`},
	{name: "replies come in by a second interface", base: twin, setup: "lab# try 12.0.0.1:80\n", fails: true, found: `
warning: TCP 12.0.0.1:80: replies of server 192.168.168.10 that arrive on ens34, which is on its network too, are dropped: the reverse path filter is strict, and the route to the server uses ens33 [rp-filter]
  fix: sysctl -w net.ipv4.conf.ens34.rp_filter=2
`},
	{name: "a second interface may get replies", base: twin.with("via 192.168.168.51", "via 192.168.168.50"), found: `
note: TCP 12.0.0.1:80: replies of server 192.168.168.10 that arrive on ens34, which is on its network too, are dropped: the reverse path filter is strict, and the route to the server uses ens33 [rp-filter]
  fix: sysctl -w net.ipv4.conf.ens34.rp_filter=2
`},
	{name: "a second interface with a larger network", base: twin.with("192.168.168.51/24", "192.168.0.1/16").with("via 192.168.168.51", "via 192.168.168.50")},
	{name: "redirects lead past the director", base: arm, setup: "lab# talk 192.168.168.100:80\n", fails: true, found: `
warning: TCP 192.168.168.100:80: clients and NAT servers are both behind ens33, and ICMP redirects make replies bypass this director [send-redirects]
  fix: sysctl -w net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.ens33.send_redirects=0
`, cleanup: "nginx1# ip route flush cache\n"},
	{name: "no redirects are sent", base: arm, setup: "director# sysctl -qw net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.ens33.send_redirects=0\nlab# talk 192.168.168.100:80\n"},
	{name: "redirects of IPv6", base: arm.on("[fd00:168::100]:80"), setup: `
lab# settled
director# ipvsadm -C
director# ip addr add fd00:168::100/128 dev lo
director# ipvsadm -A -t [fd00:168::100]:80
director# ipvsadm -a -t [fd00:168::100]:80 -r [fd00:168::10]:8080 -m
nginx1# ip route add fd00:168::200/128 via fd00:168::50
client# ip route add fd00:168::100/128 via fd00:168::50
lab# talk [fd00:168::100]:80
`, fails: true, found: `
note: TCP [fd00:168::100]:80: clients and NAT servers are both behind ens33, and ICMP redirects make replies bypass this director unless the servers do not accept them (sysctl net.ipv6.conf.all.accept_redirects) [send-redirects]
`},
	{name: "a narrow tunnel", base: tun, size: 4000, setup: `
director# ip route add 10.0.2.0/24 via 10.0.1.1 mtu lock 1400
client# tc qdisc replace dev ens33 clsact
client# tc filter replace dev ens33 ingress protocol ip pref 1 handle 1 flower ip_proto icmp type 3 code 4 action drop
`, fails: true, found: strings.Replace(strings.Replace(tunnelNote, "note", "warning", 1), "1480", "1380", 1) + "  fix: sysctl -w net.ipv4.vs.pmtu_disc=0\n"},
	{name: "a tunnel that fragments", base: tun, size: 4000, setup: `
director# ip route add 10.0.2.0/24 via 10.0.1.1 mtu lock 1400
director# sysctl -qw net.ipv4.vs.pmtu_disc=0
client# tc qdisc replace dev ens33 clsact
client# tc filter replace dev ens33 ingress protocol ip pref 1 handle 1 flower ip_proto icmp type 3 code 4 action drop
`, found: `
note: net.ipv4.vs.pmtu_disc is 0 (default 1): 1 rejects packets that do not fit in a tunnel with ICMP fragmentation needed; 0 fragments them [vs-sysctl]
`},
	{name: "a server at its threshold", base: nat, setup: `
director# ipvsadm -e -t 12.0.0.1:80 -r 192.168.168.10:8080 -m -x 1
lab# ask 12.0.0.1:80
`, fails: true, found: `
warning: TCP 12.0.0.1:80: server 192.168.168.10:8080 has 1 connection and an upper threshold of 1, so it gets no new ones [overloaded]
`},
	{name: "a server between its thresholds", base: nat, setup: `
director# ipvsadm -e -t 12.0.0.1:80 -r 192.168.168.10:8080 -m -x 9 -y 1
lab# ask 12.0.0.1:80
`, found: `
note: TCP 12.0.0.1:80: server 192.168.168.10:8080 has 1 connection, between its thresholds: if it has been at the upper one, 9, it gets no new ones yet [overloaded]
`},
	{name: "persistent clients of a server of weight 0", base: nat, setup: `
director# ipvsadm -E -t 12.0.0.1:80 -s rr -p 300
lab# ask 12.0.0.1:80
director# ipvsadm -a -t 12.0.0.1:80 -r 192.168.168.20:8080 -m
director# ipvsadm -e -t 12.0.0.1:80 -r 192.168.168.10:8080 -m -w 0
nginx1# ip link set ens33 down
`, fails: true, found: `
warning: TCP 12.0.0.1:80: server 192.168.168.10:8080 has weight 0, but persistent clients still return to it [quiescent-template]
  fix: sysctl -w net.ipv4.vs.expire_quiescent_template=1
`},
	{name: "no persistent client of a server of weight 0", base: nat, setup: `
director# ipvsadm -E -t 12.0.0.1:80 -s rr -p 300
director# ipvsadm -a -t 12.0.0.1:80 -r 192.168.168.20:8080 -m -w 0
`},
	{name: "a mark that is not set", base: nat.bare(), setup: `
director# ipvsadm -A -f 3 -s rr
director# ipvsadm -a -f 3 -r 192.168.168.10:8080 -m
lab# try 12.0.0.1:80
`, fails: true, found: `
note: FWM 3: no packet with this mark has reached IPVS: check the firewall rule that sets it, and that such packets are addressed to this director [mark-unset]
`},
	{name: "a mark", base: nat.bare(), setup: `
director# tc qdisc replace dev ens36 clsact
director# tc filter replace dev ens36 ingress protocol ip pref 1 handle 1 flower dst_ip 12.0.0.1 ip_proto tcp dst_port 80 action skbedit mark 3
director# ipvsadm -A -f 3 -s rr
director# ipvsadm -a -f 3 -r 192.168.168.10:8080 -m
lab# ask 12.0.0.1:80
`},
	{name: "a port that direct routing ignores", base: dr.on("192.168.168.100:81"), setup: `
director# ipvsadm -A -t 192.168.168.100:81
lab# add 192.168.168.100:81 192.168.168.10:80
`, fails: true, found: `
warning: TCP 192.168.168.100:81: the port of server 192.168.168.10:80 is not used: with -g and -i packets keep port 81 [port-unused]
`},
	{name: "the limit of connections is reached", base: nat, needs: "test -e /proc/sys/net/ipv4/vs/conn_max", setup: `
director# sysctl -qw net.ipv4.vs.conn_max=1
lab# ask 12.0.0.1:80
`, fails: true, found: `
warning: there are 1 of at most 1 connections; beyond that, new ones are refused [conn-table]
  fix: sysctl -w net.ipv4.vs.conn_max=2
note: net.ipv4.vs.conn_max is 1 (default 1073741824): maximum number of connections in this network namespace [vs-sysctl]
`},
	{name: "the interface of a sync daemon is down", base: nat, setup: `
director# ip link add sync0 type dummy
director# ip link set sync0 up
director# ipvsadm --start-daemon master --mcast-interface sync0
director# ip link set sync0 down
`, found: `
error: the interface of the master sync daemon, sync0, is down, so connections are not synchronized [sync-interface]
  fix: ip link set sync0 up
`},
	{name: "the interface of a sync daemon is renamed", base: nat, setup: `
director# ip link add sync0 type dummy
director# ip link set sync0 up
director# ipvsadm --start-daemon master --mcast-interface sync0
director# ip link set sync0 down
director# ip link set sync0 name sync1
director# ip link set sync1 up
`, found: `
warning: the interface of the master sync daemon, sync0, does not exist, so connections are not synchronized unless it was renamed [sync-interface]
  fix: ipvsadm --stop-daemon master && ipvsadm --start-daemon master --mcast-interface INTERFACE --syncid 0 --sync-maxlen 1472 --mcast-group 224.0.0.81 --mcast-port 8848 --mcast-ttl 1
`},
	{name: "the interface of a sync daemon has no carrier", base: nat, setup: `
director# ip link add sync0 type veth peer name sync1
director# ip link set sync0 up
director# ipvsadm --start-daemon master --mcast-interface sync0
`, found: `
warning: the interface of the master sync daemon, sync0, has no carrier, so connections are not synchronized [sync-interface]
`},
	{name: "a backup sync daemon stops the balancing", base: nat, setup: `
director# ipvsadm --start-daemon backup --mcast-interface ens33
director# sysctl -qw net.ipv4.vs.backup_only=1
`, fails: true, found: `
warning: net.ipv4.vs.backup_only is 1 and a backup sync daemon runs, so this director does not balance, although it has 12.0.0.1 [backup-only]
note: net.ipv4.vs.backup_only is 1 (default 0): 1 stops balancing on a director with a backup sync daemon, so that packets do not loop between two directors that are real servers of each other [vs-sysctl]
`},
	{name: "a backup director that is a real server", base: nat.bare().on("12.9.9.9:8080"), setup: `
lab# serve director :8080
director# ip addr add 12.9.9.9/32 dev lo
client# ip route add 12.9.9.9 via 12.0.0.1
director# ipvsadm -A -t 12.9.9.9:8080
director# ipvsadm -a -t 12.9.9.9:8080 -r 192.168.168.10 -g
director# ipvsadm --start-daemon backup --mcast-interface ens33
director# sysctl -qw net.ipv4.vs.backup_only=1
`, found: `
note: net.ipv4.vs.backup_only is 1 (default 0): 1 stops balancing on a director with a backup sync daemon, so that packets do not loop between two directors that are real servers of each other [vs-sysctl]
`},
	{name: "a firewall of iptables-legacy", base: nat, needs: "iptables-legacy -L FORWARD", setup: "director# iptables-legacy -P FORWARD DROP\n", fails: true, found: `
note: the rules of iptables-legacy were not examined [firewall]
`},
	{name: "a firewall that drops", base: nat, needs: "iptables -P FORWARD ACCEPT", setup: "director# iptables -P FORWARD DROP\n", fails: true, found: `
note: the chain ip filter FORWARD drops packets by default; whether its rules accept those of virtual services was not examined [firewall]
`},
	{name: "a firewall that accepts", base: nat, needs: "iptables -P FORWARD ACCEPT", setup: "director# iptables -P FORWARD ACCEPT\n"},
	{name: "notes and warnings that need no traffic", base: nat.bare().on(""), setup: `
director# sysctl -qw net.ipv4.vs.drop_entry=3 net.ipv4.vs.run_estimation=0 net.ipv4.vs.conntrack=1
director# ipvsadm -A -u 12.0.0.1:53 -s rr
director# ipvsadm -a -u 12.0.0.1:53 -r 192.168.168.10 -m
`, found: `
warning: net.ipv4.vs.drop_entry is 3: random dropping of connections that are not established, against floods: 0 never, 1 while memory is short (it then reads 2), 3 always [drop-entry]
  fix: sysctl -w net.ipv4.vs.drop_entry=0
note: UDP 12.0.0.1:53: once a server is deleted, packets of its UDP clients are dropped for as long as they keep coming [nodest-conn]
  fix: sysctl -w net.ipv4.vs.expire_nodest_conn=1
note: net.ipv4.vs.run_estimation is 0, so all rates are 0 [estimator]
  fix: sysctl -w net.ipv4.vs.run_estimation=1
note: net.ipv4.vs.conntrack is 1 (default 0): 1 keeps connection tracking for balanced connections, which stateful firewall rules and SNAT need, at a cost for every packet [vs-sysctl]
`},
}
