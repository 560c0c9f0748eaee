// SPDX-License-Identifier: Apache-2.0

package main

// mark is the NAT cluster with persistent services: by firewall mark, across
// ports, and by client network.
var mark = example{
	name:  "mark",
	hosts: natHosts,
	typed: natTyped, prepared: clientAddresses + clientAddresses6,
	scenarios: []scenario{
		{name: "tc", short: true, needs: marking, typed: markTC + markServers("3") + bothPorts},
		{name: "nft", needs: "nft_fib_inet", page: markNFT + markServers("5"), typed: markNFT + markServers("5") + bothPorts + "director# nft delete table inet lvs\n"},
		{name: "ports", short: true, needs: "iptable_mangle xt_mark xt_multiport", typed: markIptables + markServers("1") + bothPorts},
		{name: "ports-6", needs: "ip6table_mangle xt_mark xt_multiport", typed: mark6Iptables + mark6Servers("2") + bothPorts6},
		{name: "network", typed: natServers("-s rr -p 300 -M 255.255.255.0", 1, 1, 1) + `
lab# sticky 24 12.0.16-24.20-24 12.0.0.1:80
9 of 9 on one server, 3 servers
lab# ask director ipvsadm -Lnc | grep -c '^TCP .* 12\.0\.[0-9]*\.0:0 '
9
`},
	},
}

// Each client calls both ports.
const (
	bothPorts = `
lab# sticky 32 12.0.0.130-149 12.0.0.1:80 12.0.0.1:443
20 of 20 on one server, 3 servers
`
	bothPorts6 = `
lab# sticky 128 fd00:12::1:130-149 [fd00:12::1]:80 [fd00:12::1]:443
20 of 20 on one server, 3 servers
`
)

// clientAddresses6 is clientAddresses for IPv6.
const clientAddresses6 = `
director# sysctl -qw net.ipv6.conf.all.forwarding=1
director# ip route add fd00:12::1:0/112 via fd00:12::10
client# ip route add local fd00:12::1:0/112 dev ens33
client# sysctl -qw net.ipv6.ip_nonlocal_bind=1
`

const (
	markIptables = `
director# iptables -t mangle -A PREROUTING -d 12.0.0.1 -p tcp -m multiport --dports 80,443 -j MARK --set-mark 1
`
	mark6Iptables = `
director# ip6tables -t mangle -A PREROUTING -d fd00:12::1 -p tcp -m multiport --dports 80,443 -j MARK --set-mark 2
`
)

// User Mode Linux has nf_tables without any family; kernels with the family
// inet have the module nft_fib_inet.
const markNFT = `
director# nft add table inet lvs
director# nft 'add chain inet lvs prerouting { type filter hook prerouting priority mangle; }'
director# nft 'add rule inet lvs prerouting ip daddr 12.0.0.1 tcp dport { 80, 443 } meta mark set 5'
`

// tc sets the marks on ingress. An iptables rule runs later and overrides
// them.
const markTC = `
director# tc qdisc replace dev ens36 clsact
director# tc filter replace dev ens36 ingress protocol ip pref 1 handle 1 flower dst_ip 12.0.0.1 ip_proto tcp dst_port 80 action skbedit mark 3
director# tc filter replace dev ens36 ingress protocol ip pref 2 handle 1 flower dst_ip 12.0.0.1 ip_proto tcp dst_port 443 action skbedit mark 3
`

// markServers and mark6Servers create a firewall mark service.
func markServers(mark string) string {
	return threeServers("-f "+mark, "-s rr -p 300", "192.168.168.10")
}

func mark6Servers(mark string) string {
	return threeServers("-f "+mark+" -6", "-s rr -p 300", "fd00:168::10")
}
