// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"maps"
	"slices"
)

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
			name: "udp-ops", expected: "15 15, without -o all on one",
			typed: drUDP,
			count: cluster.onePacket,
		},
		{
			name: "ipv6", expected: "15 15",
			typed: dr6,
			count: countShare(30, "[fd00:168::100]:80"),
		},
		{
			name: "ipv6-path", after: "ipv6", expected: "10 MB, the director carried <\\d> %",
			count: countPath(10, "[fd00:168::100]:80"),
		},
	},
}

// drUDP schedules each datagram for itself.
const drUDP = `
director# ipvsadm -A -u 192.168.168.100:53 -s rr -o
director# ipvsadm -a -u 192.168.168.100:53 -r 192.168.168.10 -g
director# ipvsadm -a -u 192.168.168.100:53 -r 192.168.168.20 -g
`

// onePacket sends datagrams from one port, with and without one-packet scheduling.
func (c cluster) onePacket() (string, error) {
	const service = "192.168.168.100:53"
	stop, err := c.serveUDP(func(host) string { return service })
	if err != nil {
		return "", err
	}
	defer stop()
	with, err := c.shareUDP(30, call{address: service})
	if err != nil {
		return "", err
	}
	if err := enter("director# ipvsadm -E -u " + service + " -s rr"); err != nil {
		return "", err
	}
	without, err := c.shareUDP(30, call{address: service})
	if slices.Contains(slices.Collect(maps.Values(without)), 30) {
		return with.String() + ", without -o all on one", err
	}
	return fmt.Sprintf("%v, without -o %v", with, without), err
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
