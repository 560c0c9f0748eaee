// SPDX-License-Identifier: Apache-2.0

package main

// dr has all hosts on one wire. The director gives a packet to a server as it is,
// and the server, which has the virtual address as well but keeps silent about
// it, answers the client itself.
var dr = cluster{
	name: "dr",
	hosts: []host{
		{name: "director", cards: []card{{"ens33", "lan", "192.168.168.50/24 fd00:168::50/64"}}},
		{name: "nginx1", cards: []card{{"ens33", "lan", "192.168.168.10/24 fd00:168::10/64"}}, page: "this is nginx1"},
		{name: "nginx2", cards: []card{{"ens33", "lan", "192.168.168.20/24 fd00:168::20/64"}}, page: "this is nginx2"},
		{name: "client", cards: []card{{"ens33", "lan", "192.168.168.200/24 fd00:168::200/64"}}},
	},
	typed: `
nginx1# sysctl -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2
nginx1# ip addr add 192.168.168.100/32 dev lo
nginx2# sysctl -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2
nginx2# ip addr add 192.168.168.100/32 dev lo
director# ip addr add 192.168.168.100/32 dev ens33
director# ipvsadm -A -t 192.168.168.100:80 -s rr
director# ipvsadm -a -t 192.168.168.100:80 -r 192.168.168.10 -g
director# ipvsadm -a -t 192.168.168.100:80 -r 192.168.168.20 -g
`,
	scenarios: []scenario{
		{
			name: "rr", short: true, expected: "15 15",
			count: countShare(30, "192.168.168.100:80"),
		},
		{
			name: "path", short: true, expected: "10 MB, the director carried <\\d> %",
			count: countPath(10, "192.168.168.100:80"),
		},
		{
			name: "ipv6", expected: "15 15",
			typed: dr6,
			count: countShare(30, "[fd00:168::100]:80"),
		},
		{
			name: "ipv6-path", expected: "10 MB, the director carried <\\d> %",
			count: countPath(10, "[fd00:168::100]:80"),
		},
	},
}

// dr6 adds the same for IPv6, where an address of lo is silent anyway.
const dr6 = `
nginx1# ip addr add fd00:168::100/128 dev lo
nginx2# ip addr add fd00:168::100/128 dev lo
director# ip addr add fd00:168::100/128 dev ens33 nodad
director# ipvsadm -A -t [fd00:168::100]:80 -s rr
director# ipvsadm -a -t [fd00:168::100]:80 -r [fd00:168::10]:80 -g
director# ipvsadm -a -t [fd00:168::100]:80 -r [fd00:168::20]:80 -g
`

// countShare counts how many of the calls to an address each server answers.
func countShare(calls int, address string) func(cluster) (string, error) {
	return func(c cluster) (string, error) {
		t, err := c.share(repeat(calls, call{address: address}))
		return t.String(), err
	}
}

// countPath counts how much of so many fetched files the director carries.
func countPath(files int, address string) func(cluster) (string, error) {
	return func(c cluster) (string, error) { return c.throughDirector(files, call{address: address}) }
}
