// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"
)

// nat is the demo's cluster with a third server. All packets pass through the
// director, which is the servers' gateway. The client has many addresses, to
// simulate many clients.
var nat = example{
	name:  "nat",
	hosts: natHosts,
	typed: natTyped, prepared: clientAddresses,
	scenarios: []scenario{
		{name: "rr", short: true, typed: share(30, "10 10 10")},
		{name: "wrr", short: true, typed: natServers("-s wrr", 2, 1, 0) + share(30, "20 10 0")},
		{name: "sh", typed: natServers("-s sh", 1, 1, 1) + sixtyClients},
		{name: "path", typed: natServers("-s rr", 1, 1, 1) + path(natService, `<2\d\d>`)},
		{name: "ipv6", typed: nat6 + "lab# share 30 [fd00:12::1]:80\n10 10 10\n"},
		{name: "sctp", needs: "sctp", page: natSCTP, typed: natSCTP + shareSCTP},
		{name: "snat", needs: "iptable_nat", page: snat, typed: snat + whoAsks + "12.0.0.1\n" + strings.Replace(snat, "-A", "-D", 1) + whoAsks + "[28]\n"},
	},
}

const natHosts = `
director ens33 inside  192.168.168.50/24 fd00:168::50/64
director ens36 outside 12.0.0.1/24 fd00:12::1/64
nginx1   ens33 inside  192.168.168.10/24 fd00:168::10/64 via 192.168.168.50 fd00:168::50
nginx2   ens33 inside  192.168.168.20/24 fd00:168::20/64 via 192.168.168.50 fd00:168::50
nginx3   ens33 inside  192.168.168.30/24 fd00:168::30/64 via 192.168.168.50 fd00:168::50
client   ens33 outside 12.0.0.10/24 fd00:12::10/64
web      ens33 outside 12.0.0.20/24
`

var natTyped = `
director# sysctl -qw net.ipv4.ip_forward=1
` + threeServers("-t 12.0.0.1:80", "-s rr", "192.168.168.10:80")

// threeServers adds a service, with these options, and a server on each of
// the three hosts; first is the address of the first server.
func threeServers(service, options, first string) string {
	lines := fmt.Sprintf("director# ipvsadm -A %s %s\n", service, options)
	for _, host := range []string{"10", "20", "30"} {
		at := strings.LastIndex(first, "10")
		lines += fmt.Sprintf("director# ipvsadm -a %s -r %s -m\n", service, first[:at]+host+first[at+2:])
	}
	return lines
}

// clientAddresses gives the client many addresses, in many networks.
const clientAddresses = `
client# ip route add local 12.0.0.128/25 dev ens33
client# ip route add local 12.0.16.0/20 dev ens33
director# ip route add 12.0.16.0/20 via 12.0.0.10
`

const natService = "12.0.0.1:80"

var nat6 = `
director# sysctl -qw net.ipv6.conf.all.forwarding=1
` + threeServers("-t [fd00:12::1]:80", "-s rr", "[fd00:168::10]:80")

// snat gives the servers' own connections the director's address. whoAsks
// shows the source address that the server outside sees.
const (
	snat = `
director# iptables -t nat -A POSTROUTING -s 192.168.168.0/24 -o ens36 -j SNAT --to 12.0.0.1
`
	whoAsks = `
lab# ask nginx1 curl -s -m 3 12.0.0.20/peer
`
)

var natSCTP = `
director# modprobe sctp
` + threeServers("--sctp-service 12.0.0.1:9999", "-s rr", "192.168.168.10:9999")

// shareSCTP binds each socket to one address. Otherwise an association
// announces all addresses of its host, and its packets bypass the director.
const shareSCTP = `
nginx1# socat -U SCTP4-LISTEN:9999,bind=192.168.168.10,fork SYSTEM:'echo nginx1' >/dev/null 2>&1 &
nginx2# socat -U SCTP4-LISTEN:9999,bind=192.168.168.20,fork SYSTEM:'echo nginx2' >/dev/null 2>&1 &
nginx3# socat -U SCTP4-LISTEN:9999,bind=192.168.168.30,fork SYSTEM:'echo nginx3' >/dev/null 2>&1 &
lab# until nginx1 grep 9999 /proc/net/sctp/eps
lab# until nginx2 grep 9999 /proc/net/sctp/eps
lab# until nginx3 grep 9999 /proc/net/sctp/eps
lab# ask client for i in $(seq 30); do socat -u SCTP4:12.0.0.1:9999,bind=12.0.0.10 -; done | sort | uniq -c | tr -s ' \n' ' '
10 nginx1 10 nginx2 10 nginx3
`

const sixtyClients = `
lab# sticky 32 12.0.0.130-189 12.0.0.1:80
60 of 60 on one server, 3 servers
`

// marking are the modules that a firewall mark service needs.
const marking = "sch_ingress cls_flower act_skbedit"

// natServers replaces the service, with these options and servers with these
// weights.
func natServers(service string, weights ...int) string {
	return fmt.Sprintf("director# ipvsadm -C\ndirector# ipvsadm -A -t %s %s\n", natService, service) +
		strings.ReplaceAll(natWeights(weights...), "-e", "-a")
}

// natWeights edits the servers' weights.
func natWeights(weights ...int) string {
	var b strings.Builder
	for i, weight := range weights {
		fmt.Fprintf(&b, "director# ipvsadm -e -t %s -r 192.168.168.%d0:80 -m -w %d\n", natService, i+1, weight)
	}
	return b.String()
}

// Steps that count the service's traffic, with the expected answers.

func share(n int, want string) string {
	return fmt.Sprintf("lab# share %d %s\n%s\n", n, natService, want)
}

func hold(n int, want string) string {
	return fmt.Sprintf("lab# hold %d %s\n%s\n", n, natService, want)
}

func path(service, percent string) string {
	return fmt.Sprintf("lab# path 10 %s\n10 MB, the director carried %s %%\n", service, percent)
}
