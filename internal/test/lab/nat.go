// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"
)

// nat is the demo's cluster with a third server. All packets pass the director,
// which is the servers' gateway. The client has many addresses, so that it can
// be many clients.
var nat = cluster{
	name:  "nat",
	hosts: natHosts,
	typed: natTyped, prepared: clientAddresses,
	scenarios: []scenario{
		{
			name: "rr", short: true, expected: "10 10 10",
			count: cluster.thirty,
		},
		{
			name: "wrr", short: true, expected: "20 10 0",
			typed: natServers("-s wrr", 2, 1, 0),
			count: cluster.thirty,
		},
		{
			name: "lc", expected: "4 4 4, then 8 4 4, then 8 8 8",
			typed: natServers("-s lc", 1, 1, 1),
			count: cluster.leastConnections,
		},
		{
			name: "wlc", expected: "8 4 0, after nginx1's ended 6 0 of 6",
			typed: natServers("-s wlc", 2, 1, 0),
			count: cluster.weightedConnections,
		},
		{
			// The shortest expected delay: the fast one, though another is idle.
			name: "sed", expected: "2 0 0, then 6 2 0",
			typed: natServers("-s sed", 3, 1, 0),
			count: cluster.twoThenEight,
		},
		{
			// Never a queue: an idle one first.
			name: "nq", expected: "1 1 0, then 6 2 0",
			typed: natServers("-s nq", 3, 1, 0),
			count: cluster.twoThenEight,
		},
		{
			name: "fo", expected: "0 30 0, without nginx2 0 0 30",
			typed: natServers("-s fo", 1, 3, 2),
			count: cluster.failOver,
		},
		{
			// A server is full when it has one connection more than its weight.
			name: "ovf", expected: "3 0 0, then 4 3 2",
			typed: natServers("-s ovf", 3, 2, 1),
			count: cluster.overflow,
		},
		{
			name: "sh", expected: "60 of 60 on one server, 3 servers",
			typed: natServers("-s sh", 1, 1, 1),
			count: func(c cluster) (string, error) { return c.sticky(manyClients(), 2) },
		},
		{
			name: "mh", expected: "60 of 60 on one server, 3 servers",
			typed: natServers("-s mh", 1, 1, 1),
			count: func(c cluster) (string, error) { return c.sticky(manyClients(), 2) },
		},
		{
			name: "dh", needs: marking, expected: "16 of 16 on one server, <[23]> servers",
			typed: manyServices(1, "-s dh"),
			count: func(c cluster) (string, error) { return c.sticky(manyAddresses(), 3) },
		},
		{
			// An address moves away from a server that is overloaded.
			name: "lblc", needs: marking, expected: "16 of 16 on one server, 3 servers; 5 1, stays there",
			typed: manyServices(2, "-s lblc"),
			count: cluster.locality,
		},
		{
			// With replication it gets one more server, and goes to the less busy one.
			name: "lblcr", needs: marking, expected: "16 of 16 on one server, 3 servers; 5 1, goes back",
			typed: manyServices(3, "-s lblcr"),
			count: cluster.locality,
		},
		{
			name: "path", expected: "10 MB, the director carried <2\\d\\d> %",
			typed: natServers("-s rr", 1, 1, 1),
			count: func(c cluster) (string, error) { return c.throughDirector(10, call{address: natService}) },
		},
		{
			name: "ipv6", expected: "10 10 10",
			typed: nat6,
			count: countShare(30, "[fd00:12::1]:80"),
		},
		{
			name: "sctp", needs: "sctp", expected: "10 10 10",
			typed: natSCTP,
			count: cluster.thirtySCTP,
		},
		{
			name: "snat", needs: "iptable_nat", expected: "with the rule 12.0.0.1, without it none",
			typed: snat,
			count: cluster.insideOut,
		},
	},
}

var natHosts = []host{
	{name: "director", cards: []card{
		{"ens33", "inside", "192.168.168.50/24 fd00:168::50/64"},
		{"ens36", "outside", "12.0.0.1/24 fd00:12::1/64"},
	}},
	{name: "nginx1", cards: []card{{"ens33", "inside", "192.168.168.10/24 fd00:168::10/64"}}, gateway: "192.168.168.50 fd00:168::50", page: "this is nginx1"},
	{name: "nginx2", cards: []card{{"ens33", "inside", "192.168.168.20/24 fd00:168::20/64"}}, gateway: "192.168.168.50 fd00:168::50", page: "this is nginx2"},
	{name: "nginx3", cards: []card{{"ens33", "inside", "192.168.168.30/24 fd00:168::30/64"}}, gateway: "192.168.168.50 fd00:168::50", page: "this is nginx3"},
	{name: "client", cards: []card{{"ens33", "outside", "12.0.0.10/24 fd00:12::10/64"}}, page: "a web server outside"},
}

const natTyped = `
director# sysctl -w net.ipv4.ip_forward=1
director# ipvsadm -A -t 12.0.0.1:80 -s rr
director# ipvsadm -a -t 12.0.0.1:80 -r 192.168.168.10:80 -m
director# ipvsadm -a -t 12.0.0.1:80 -r 192.168.168.20:80 -m
director# ipvsadm -a -t 12.0.0.1:80 -r 192.168.168.30:80 -m
`

// clientAddresses makes the client many clients, in many networks.
const clientAddresses = `
client# ip route add local 12.0.0.128/25 dev ens33
client# ip route add local 12.0.16.0/20 dev ens33
director# ip route add 12.0.16.0/20 via 12.0.0.10
`

const natService = "12.0.0.1:80"

const nat6 = `
director# sysctl -w net.ipv6.conf.all.forwarding=1
director# ipvsadm -A -t [fd00:12::1]:80 -s rr
director# ipvsadm -a -t [fd00:12::1]:80 -r [fd00:168::10]:80 -m
director# ipvsadm -a -t [fd00:12::1]:80 -r [fd00:168::20]:80 -m
director# ipvsadm -a -t [fd00:12::1]:80 -r [fd00:168::30]:80 -m
`

// snat lets the servers out under the director's address.
const snat = `
director# iptables -t nat -A POSTROUTING -s 192.168.168.0/24 -o ens36 -j SNAT --to 12.0.0.1
`

const natSCTP = `
director# modprobe sctp
director# ipvsadm -A --sctp-service 12.0.0.1:9999 -s rr
director# ipvsadm -a --sctp-service 12.0.0.1:9999 -r 192.168.168.10:9999 -m
director# ipvsadm -a --sctp-service 12.0.0.1:9999 -r 192.168.168.20:9999 -m
director# ipvsadm -a --sctp-service 12.0.0.1:9999 -r 192.168.168.30:9999 -m
`

// natServers makes the service anew, with these options of the service and
// weights of the servers.
func natServers(service string, weights ...int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "director# ipvsadm -C\ndirector# ipvsadm -A -t %s %s\n", natService, service)
	for i, weight := range weights {
		fmt.Fprintf(&b, "director# ipvsadm -a -t %s -r 192.168.168.%d0:80 -m -w %d\n", natService, i+1, weight)
	}
	return b.String()
}

// natWeights edits the servers.
func natWeights(weights ...int) string {
	var b strings.Builder
	for i, weight := range weights {
		fmt.Fprintf(&b, "director# ipvsadm -e -t %s -r 192.168.168.%d0:80 -m -w %d\n", natService, i+1, weight)
	}
	return b.String()
}

// insideOut lets a real server ask the client's web server whom it sees, with and
// without the rule that lets the servers out.
func (c cluster) insideOut() (string, error) {
	seen := func() string {
		output, err := host{name: "nginx1"}.shell("curl -s -m 3 12.0.0.10/peer")
		if err != nil {
			return "none"
		}
		return strings.TrimSpace(output)
	}
	with := seen()
	err := enter(strings.Replace(snat, "-A", "-D", 1))
	return fmt.Sprintf("with the rule %s, without it %s", with, seen()), err
}
