// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"regexp"
	"strings"
)

// mark is the network of the cluster nat, with services that keep a client at
// its server: by firewall mark, over several ports, and by network.
var mark = cluster{
	name:  "mark",
	hosts: natHosts,
	typed: natTyped, prepared: clientAddresses + clientAddresses6,
	scenarios: []scenario{
		{
			name: "tc", short: true, needs: marking, expected: "20 of 20 on one server, 3 servers",
			typed: markTC + underMark(markServers, "1", "3"),
			count: func(c cluster) (string, error) { return c.sticky(bothPorts("12.0.0.%d", "12.0.0.1"), 2) },
		},
		{
			name: "tc-6", needs: marking, expected: "20 of 20 on one server, 3 servers",
			typed: mark6TC + underMark(mark6Servers, "2", "4"),
			count: func(c cluster) (string, error) { return c.sticky(bothPorts("fd00:12::1:%d", "[fd00:12::1]"), 2) },
		},
		{
			name: "ports", short: true, needs: "iptable_mangle xt_mark xt_multiport", expected: "20 of 20 on one server, 3 servers",
			typed: markIptables + markServers,
			count: func(c cluster) (string, error) { return c.sticky(bothPorts("12.0.0.%d", "12.0.0.1"), 2) },
		},
		{
			name: "ports-6", needs: "ip6table_mangle xt_mark xt_multiport", expected: "20 of 20 on one server, 3 servers",
			typed: mark6Iptables + mark6Servers,
			count: func(c cluster) (string, error) { return c.sticky(bothPorts("fd00:12::1:%d", "[fd00:12::1]"), 2) },
		},
		{
			name: "persistence", expected: "20 of 20 on one server, 3 servers",
			typed: natServers("-s rr -p 300", 1, 1, 1),
			count: func(c cluster) (string, error) { return c.sticky(manyClients()[:20], 3) },
		},
		{
			name: "network", expected: "9 of 9 on one server, 3 servers, 9 templates",
			typed: natServers("-s rr -p 300 -M 255.255.255.0", 1, 1, 1),
			count: cluster.networks,
		},
		{
			name: "timeout", expected: "one server, after the timeout another",
			typed: markUDP,
			count: cluster.timeOut,
		},
	},
}

// clientAddresses6 does the same with IPv6.
const clientAddresses6 = `
director# sysctl -w net.ipv6.conf.all.forwarding=1
director# ip route add fd00:12::1:0/112 via fd00:12::10
client# ip route add local fd00:12::1:0/112 dev ens33
client# sysctl -w net.ipv6.ip_nonlocal_bind=1
`

const (
	markIptables = `
director# iptables -t mangle -A PREROUTING -d 12.0.0.1 -p tcp -m multiport --dports 80,443 -j MARK --set-mark 1
`
	markServers = `
director# ipvsadm -A -f 1 -s rr -p 300
director# ipvsadm -a -f 1 -r 192.168.168.10 -m
director# ipvsadm -a -f 1 -r 192.168.168.20 -m
director# ipvsadm -a -f 1 -r 192.168.168.30 -m
`
	mark6Iptables = `
director# ip6tables -t mangle -A PREROUTING -d fd00:12::1 -p tcp -m multiport --dports 80,443 -j MARK --set-mark 2
`
	mark6Servers = `
director# ipvsadm -A -f 2 -6 -s rr -p 300
director# ipvsadm -a -f 2 -6 -r fd00:168::10 -m
director# ipvsadm -a -f 2 -6 -r fd00:168::20 -m
director# ipvsadm -a -f 2 -6 -r fd00:168::30 -m
`
)

// The marks that tc sets, where a packet comes in. A rule of iptables comes later,
// and has the last word.
const (
	markTC = `
director# tc qdisc replace dev ens36 clsact
director# tc filter replace dev ens36 ingress protocol ip pref 1 handle 1 flower dst_ip 12.0.0.1 ip_proto tcp dst_port 80 action skbedit mark 3
director# tc filter replace dev ens36 ingress protocol ip pref 2 handle 1 flower dst_ip 12.0.0.1 ip_proto tcp dst_port 443 action skbedit mark 3
`
	mark6TC = `
director# tc qdisc replace dev ens36 clsact
director# tc filter replace dev ens36 ingress protocol ipv6 pref 3 handle 1 flower dst_ip fd00:12::1 ip_proto tcp dst_port 80 action skbedit mark 4
director# tc filter replace dev ens36 ingress protocol ipv6 pref 4 handle 1 flower dst_ip fd00:12::1 ip_proto tcp dst_port 443 action skbedit mark 4
`
)

// underMark makes a service under another mark.
func underMark(servers, old, mark string) string {
	return strings.ReplaceAll(servers, "-f "+old, "-f "+mark)
}

// bothPorts are clients each of which asks at both ports.
func bothPorts(source, address string) [][]call {
	var groups [][]call
	for i := range 20 {
		from := fmt.Sprintf(source, 130+i)
		groups = append(groups, []call{{from, address + ":80"}, {from, address + ":443"}})
	}
	return groups
}

var templateOfNetwork = regexp.MustCompile(`(?m)^TCP .* 12\.0\.\d+\.0:0 `)

// networks asks from several clients of each of some networks.
func (c cluster) networks() (string, error) {
	var groups [][]call
	for network := range 9 {
		var group []call
		for i := range 5 {
			group = append(group, call{fmt.Sprintf("12.0.%d.%d", 16+network, 20+30*i), natService})
		}
		groups = append(groups, group)
	}
	sticky, err := c.sticky(groups, 2)
	if err != nil {
		return "", err
	}
	list, err := director.shell("ipvsadm -Lnc")
	return fmt.Sprintf("%s, %d templates", sticky, len(templateOfNetwork.FindAllString(list, -1))), err
}

// markUDP has short timeouts: a datagram's connection is forgotten after one
// second, the client's server after two.
const markUDP = `
director# ipvsadm --set 0 0 1
director# ipvsadm -A -u 12.0.0.1:53 -s rr -p 2 -M 255.255.255.0
director# ipvsadm -a -u 12.0.0.1:53 -r 192.168.168.10:53 -m
director# ipvsadm -a -u 12.0.0.1:53 -r 192.168.168.20:53 -m
director# ipvsadm -a -u 12.0.0.1:53 -r 192.168.168.30:53 -m
`

func (c cluster) timeOut() (string, error) {
	stop, err := c.serveUDP(func(h host) string { return h.address() + ":53" })
	if err != nil {
		return "", err
	}
	defer stop()
	first := tally{}
	for i := range 6 {
		t, err := c.shareUDP(2, call{fmt.Sprintf("12.0.31.%d", 10+i), "12.0.0.1:53"})
		if err != nil {
			return "", err
		}
		first.add(t)
	}
	err = soon("no template", func() (bool, error) {
		list, err := director.shell("ipvsadm -Lnc")
		return !strings.Contains(list, "12.0.31.0:0 "), err
	})
	if err != nil {
		return "", err
	}
	then, err := c.shareUDP(2, call{"12.0.31.10", "12.0.0.1:53"})
	switch {
	case err != nil:
		return "", err
	case len(first) != 1:
		return fmt.Sprintf("%d servers", len(first)), nil
	}
	first.add(then)
	if len(first) == 1 {
		return "one server, after the timeout the same", nil
	}
	return "one server, after the timeout another", nil
}
