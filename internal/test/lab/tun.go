// SPDX-License-Identifier: Apache-2.0

package main

import "strings"

// tun is IP tunneling: the servers are behind a router, in a different
// network than the director. The director encapsulates each packet for a real
// server, which decapsulates it and replies to the client directly.
var tun = example{
	name: "tun",
	hosts: `
router   ens33 outside 12.0.0.1/24 fd00:12::1/64
router   ens36 near    10.0.1.1/24 fd00:1::1/64
router   ens37 far     10.0.2.1/24 fd00:2::1/64
director ens33 near    10.0.1.50/24 fd00:1::50/64 via 10.0.1.1 fd00:1::1
nginx1   ens33 far     10.0.2.10/24 fd00:2::10/64 via 10.0.2.1 fd00:2::1
nginx2   ens33 far     10.0.2.20/24 fd00:2::20/64 via 10.0.2.1 fd00:2::1
client   ens33 outside 12.0.0.10/24 fd00:12::10/64 via 12.0.0.1 fd00:12::1
`,
	typed: `
router# sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
director# ip addr add 10.0.1.100/32 dev ens33
` + eachServer(`
nginx1# sysctl -qw net.ipv4.conf.all.rp_filter=0
nginx1# ip addr add 10.0.1.100/32 dev lo
`),
	scenarios: []scenario{
		{name: "ipip", short: true, needs: "ipip", typed: tunIPIP + tunServers("")},
		{name: "path", after: "ipip", needs: "ipip", typed: path("10.0.1.100:80", `<\d>`)},
		{name: "gue", needs: "fou ipip", typed: tunGUE + tunServers(" --tun-type gue --tun-port 6080")},
		{name: "gre", needs: "ip_gre", typed: tunGRE + tunServers(" --tun-type gre")},
		{name: "4-in-6", needs: "ip6_tunnel", typed: tunIPv6 +
			strings.NewReplacer("10.0.2.10", "[fd00:2::10]:80", "10.0.2.20", "[fd00:2::20]:80").Replace(tunServers(""))},
	},
}

// tunServers replaces the service, with these options for the servers. They
// receive only packets that they can decapsulate.
func tunServers(options string) string {
	return strings.ReplaceAll(`
director# ipvsadm -C
director# ipvsadm -A -t 10.0.1.100:80 -s rr
director# ipvsadm -a -t 10.0.1.100:80 -r 10.0.2.10 -i OPTIONS
director# ipvsadm -a -t 10.0.1.100:80 -r 10.0.2.20 -i OPTIONS
lab# share 30 10.0.1.100:80
15 15
`, " OPTIONS", options)
}

// The servers' tunnel devices. The types can be used at the same time.
var (
	tunIPIP = eachServer(`
nginx1# modprobe ipip
nginx1# ip link set tunl0 up
nginx1# sysctl -qw net.ipv4.conf.tunl0.rp_filter=0
`)
	tunGUE = eachServer(`
nginx1# modprobe fou
nginx1# ip fou add port 6080 gue
nginx1# modprobe ipip
nginx1# ip link set tunl0 up
nginx1# sysctl -qw net.ipv4.conf.tunl0.rp_filter=0
`)
	tunGRE = eachServer(`
nginx1# ip link add lvs type gre local 10.0.2.10
nginx1# ip link set lvs up
nginx1# sysctl -qw net.ipv4.conf.lvs.rp_filter=0
`)
	tunIPv6 = eachServer(`
nginx1# ip link add lvs6 type ip6tnl mode any local fd00:2::10 remote ::
nginx1# ip link set lvs6 up
nginx1# sysctl -qw net.ipv4.conf.lvs6.rp_filter=0
`)
)

// eachServer repeats nginx1's lines for nginx2.
func eachServer(lines string) string {
	return lines + strings.NewReplacer("nginx1#", "nginx2#", "10.0.2.10", "10.0.2.20", "fd00:2::10", "fd00:2::20").Replace(lines)
}
