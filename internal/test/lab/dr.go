// SPDX-License-Identifier: Apache-2.0

package main

// dr is direct routing: all hosts are on one layer 2 segment. The director
// forwards a packet unchanged to a real server, which also has the VIP, but
// does not answer ARP for it, and replies to the client directly.
var dr = example{
	name: "dr",
	hosts: `
director ens33 lan 192.168.168.50/24 fd00:168::50/64
nginx1   ens33 lan 192.168.168.10/24 fd00:168::10/64
nginx2   ens33 lan 192.168.168.20/24 fd00:168::20/64
client   ens33 lan 192.168.168.200/24 fd00:168::200/64
`,
	typed: `
nginx1# sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2
nginx1# ip addr add 192.168.168.100/32 dev lo
nginx2# sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2
nginx2# ip addr add 192.168.168.100/32 dev lo
director# ip addr add 192.168.168.100/32 dev ens33
director# ipvsadm -A -t 192.168.168.100:80 -s rr
director# ipvsadm -a -t 192.168.168.100:80 -r 192.168.168.10 -g
director# ipvsadm -a -t 192.168.168.100:80 -r 192.168.168.20 -g
`,
	scenarios: []scenario{
		{name: "rr", short: true, typed: "lab# share 30 192.168.168.100:80\n15 15\n"},
		{name: "path", short: true, typed: path("192.168.168.100:80", `<\d>`)},
		{name: "udp-ops", page: drUDP, typed: drUDP + `
lab# serve-udp 192.168.168.100:53
lab# share-udp 30 192.168.168.100:53
15 15
director# ipvsadm -E -u 192.168.168.100:53 -s rr
lab# share-udp 30 192.168.168.100:53
<30 0|0 30>
`},
		// An IPv6 address on lo is not announced, so no setting is
		// needed.
		{name: "ipv6", typed: `
nginx1# ip addr add fd00:168::100/128 dev lo
nginx2# ip addr add fd00:168::100/128 dev lo
director# ip addr add fd00:168::100/128 dev ens33 nodad
director# ipvsadm -A -t [fd00:168::100]:80 -s rr
director# ipvsadm -a -t [fd00:168::100]:80 -r [fd00:168::10]:80 -g
director# ipvsadm -a -t [fd00:168::100]:80 -r [fd00:168::20]:80 -g
lab# share 30 [fd00:168::100]:80
15 15
`},
		{name: "ipv6-path", after: "ipv6", typed: path("[fd00:168::100]:80", `<\d>`)},
	},
}

// drUDP schedules each datagram separately.
const drUDP = `
director# ipvsadm -A -u 192.168.168.100:53 -s rr -o
director# ipvsadm -a -u 192.168.168.100:53 -r 192.168.168.10 -g
director# ipvsadm -a -u 192.168.168.100:53 -r 192.168.168.20 -g
`
