// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"strings"
)

// tun has the servers on another wire than the director, behind a router. The
// director packs each packet into another one to a server, which unpacks it and
// answers the client itself.
var tun = cluster{
	name: "tun",
	hosts: []host{
		{name: "router", cards: []card{
			{"ens33", "outside", "12.0.0.1/24 fd00:12::1/64"},
			{"ens36", "near", "10.0.1.1/24 fd00:1::1/64"},
			{"ens37", "far", "10.0.2.1/24 fd00:2::1/64"},
		}},
		{name: "director", cards: []card{{"ens33", "near", "10.0.1.50/24 fd00:1::50/64"}}, gateway: "10.0.1.1 fd00:1::1"},
		{name: "nginx1", cards: []card{{"ens33", "far", "10.0.2.10/24 fd00:2::10/64"}}, gateway: "10.0.2.1 fd00:2::1", page: "this is nginx1"},
		{name: "nginx2", cards: []card{{"ens33", "far", "10.0.2.20/24 fd00:2::20/64"}}, gateway: "10.0.2.1 fd00:2::1", page: "this is nginx2"},
		{name: "client", cards: []card{{"ens33", "outside", "12.0.0.10/24 fd00:12::10/64"}}, gateway: "12.0.0.1 fd00:12::1"},
	},
	typed: `
router# sysctl -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
director# ip addr add 10.0.1.100/32 dev ens33
` + eachServer(`
nginx1# sysctl -w net.ipv4.conf.all.rp_filter=0
nginx1# ip addr add 10.0.1.100/32 dev lo
`),
	scenarios: []scenario{
		{
			name: "ipip", short: true, needs: "ipip", expected: "15 15 in ipip",
			typed: tunIPIP + tunServers(""),
			count: cluster.shareAndKind,
		},
		{
			name: "path", after: "ipip", needs: "ipip", expected: "10 MB, the director carried <\\d> %",
			count: countPath(10, tunService),
		},
		{
			name: "gue", needs: "fou ipip", expected: "15 15 in gue",
			typed: tunGUE + tunServers(" --tun-type gue --tun-port 6080"),
			count: cluster.shareAndKind,
		},
		{
			name: "gue-csum", after: "gue", needs: "fou ipip", expected: "15 15 in gue, checksum",
			typed: tunServers(" --tun-type gue --tun-port 6080 --tun-csum"),
			count: cluster.shareAndKind,
		},
		{
			name: "gue-remcsum", after: "gue", needs: "fou ipip", expected: "15 15 in gue, remote checksum",
			typed: tunServers(" --tun-type gue --tun-port 6080 --tun-remcsum"),
			count: cluster.shareAndKind,
		},
		{
			name: "gre", needs: "ip_gre", expected: "15 15 in gre",
			typed: tunGRE + tunServers(" --tun-type gre"),
			count: cluster.shareAndKind,
		},
		{
			name: "gre-csum", after: "gre", needs: "ip_gre", expected: "15 15 in gre, checksum",
			typed: tunGREChecked + tunServers(" --tun-type gre --tun-csum"),
			count: cluster.shareAndKind,
		},
		{
			name: "4-in-6", needs: "ip6_tunnel", expected: "15 15 in ipip over IPv6",
			typed: tunIPv6,
			count: cluster.shareAndKind,
		},
	},
}

const (
	tunService = "10.0.1.100:80"
	guePort    = 6080
)

// tunServers makes the service anew, with these options of the servers.
func tunServers(options string) string {
	return strings.ReplaceAll(`
director# ipvsadm -C
director# ipvsadm -A -t 10.0.1.100:80 -s rr
director# ipvsadm -a -t 10.0.1.100:80 -r 10.0.2.10 -i OPTIONS
director# ipvsadm -a -t 10.0.1.100:80 -r 10.0.2.20 -i OPTIONS
`, " OPTIONS", options)
}

// What the servers unpack with. Each kind can be there besides the others.
var (
	tunIPIP = eachServer(`
nginx1# modprobe ipip
nginx1# ip link set tunl0 up
nginx1# sysctl -w net.ipv4.conf.tunl0.rp_filter=0
`)
	tunGUE = eachServer(`
nginx1# modprobe fou
nginx1# ip fou add port 6080 gue
nginx1# modprobe ipip
nginx1# ip link set tunl0 up
nginx1# sysctl -w net.ipv4.conf.tunl0.rp_filter=0
`)
	tunGRE = eachServer(`
nginx1# ip link add lvs type gre local 10.0.2.10
nginx1# ip link set lvs up
nginx1# sysctl -w net.ipv4.conf.lvs.rp_filter=0
`)
	// A device takes packets with a checksum or those without.
	tunGREChecked = eachServer(`
nginx1# ip link change lvs type gre local 10.0.2.10 icsum
`)
	tunIPv6 = eachServer(`
nginx1# ip link add lvs6 type ip6tnl mode any local fd00:2::10 remote ::
nginx1# ip link set lvs6 up
nginx1# sysctl -w net.ipv4.conf.lvs6.rp_filter=0
`) + `
director# ipvsadm -C
director# ipvsadm -A -t 10.0.1.100:80 -s rr
director# ipvsadm -a -t 10.0.1.100:80 -r [fd00:2::10]:80 -i
director# ipvsadm -a -t 10.0.1.100:80 -r [fd00:2::20]:80 -i
`
)

// eachServer repeats what is typed on nginx1 for nginx2.
func eachServer(lines string) string {
	return lines + strings.NewReplacer("nginx1#", "nginx2#", "10.0.2.10", "10.0.2.20", "fd00:2::10", "fd00:2::20").Replace(lines)
}

// shareAndKind counts calls and looks in what the first server gets them.
func (c cluster) shareAndKind() (string, error) {
	w, err := watch(host{name: "nginx1"})
	if err != nil {
		return "", err
	}
	t, err := c.share(repeat(30, call{address: tunService}))
	kinds, werr := w.end()
	return fmt.Sprintf("%v in %s", t, strings.Join(kinds, " and ")), errors.Join(err, werr)
}
