// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"maps"
	"slices"
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

// marking is what a service by firewall mark needs.
const marking = "sch_ingress cls_flower act_skbedit"

// manyServices makes one service of many addresses of the director's. Under a
// mark of its own it has no connections yet.
func manyServices(mark int, service string) string {
	return strings.NewReplacer("SERVICE", service, "-f 1", fmt.Sprint("-f ", mark), "mark 1", fmt.Sprint("mark ", mark)).Replace(`
director# ip route replace local 12.0.0.64/28 dev ens36
director# tc qdisc replace dev ens36 clsact
director# tc filter replace dev ens36 ingress protocol ip pref 1 handle 1 flower dst_ip 12.0.0.64/28 ip_proto tcp dst_port 80 action skbedit mark 1
director# ipvsadm -C
director# ipvsadm -A -f 1 SERVICE
director# ipvsadm -a -f 1 -r 192.168.168.10 -m -w 4
director# ipvsadm -a -f 1 -r 192.168.168.20 -m -w 4
director# ipvsadm -a -f 1 -r 192.168.168.30 -m -w 4
`)
}

func manyAddresses() [][]call {
	var groups [][]call
	for i := range 16 {
		groups = append(groups, []call{{address: fmt.Sprintf("12.0.0.%d:80", 64+i)}})
	}
	return groups
}

func manyClients() [][]call {
	var groups [][]call
	for i := range 60 {
		groups = append(groups, []call{{source: fmt.Sprintf("12.0.0.%d", 130+2*i), address: natService}})
	}
	return groups
}

func (c cluster) thirty() (string, error) {
	t, err := c.share(repeat(30, call{address: natService}))
	return t.String(), err
}

// stages opens connections that stay open, some after the other, and says how
// many each server has after each stage.
func (c cluster) stages(h held, numbers ...int) (string, error) {
	var stages []string
	for _, n := range numbers {
		if err := h.hold(repeat(n, call{address: natService})); err != nil {
			return "", err
		}
		stages = append(stages, h.count(c).String())
	}
	return strings.Join(stages, ", then "), nil
}

// leastConnections gives nginx1 more than its share and looks whether the others
// catch up.
func (c cluster) leastConnections() (string, error) {
	h := held{}
	defer h.close()
	even, err := c.stages(h, 12)
	if err != nil {
		return "", err
	}
	if err := enter(natWeights(1, 0, 0)); err != nil {
		return "", err
	}
	skew, err := c.stages(h, 4)
	if err != nil {
		return "", err
	}
	if err := enter(natWeights(1, 1, 1)); err != nil {
		return "", err
	}
	again, err := c.stages(h, 8)
	return even + ", then " + skew + ", then " + again, err
}

// natWeights edits the servers.
func natWeights(weights ...int) string {
	var b strings.Builder
	for i, weight := range weights {
		fmt.Fprintf(&b, "director# ipvsadm -e -t %s -r 192.168.168.%d0:80 -m -w %d\n", natService, i+1, weight)
	}
	return b.String()
}

func (c cluster) weightedConnections() (string, error) {
	h := held{}
	defer h.close()
	first, err := c.stages(h, 12)
	if err != nil {
		return "", err
	}
	h.close("nginx1")
	if err := idle(serverAddress["nginx1"]); err != nil {
		return "", err
	}
	h2 := held{}
	defer h2.close()
	_, err = c.stages(h2, 6)
	t := h2.count(c)
	return fmt.Sprintf("%s, after nginx1's ended %d %d of 6", first, t["nginx1"], t["nginx2"]), err
}

// idle waits until the director counts no active connection to the server.
func idle(server string) error {
	return soon(server+" without active connections", func() (bool, error) {
		active, _, err := connections(server)
		return active == 0, err
	})
}

// connections are those of a server that the director counts.
func connections(server string) (active, inactive int, err error) {
	list, err := director.shell("ipvsadm -Ln")
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(list) {
		fields := strings.Fields(line)
		if len(fields) == 6 && strings.HasPrefix(fields[1], server+":") {
			_, err = fmt.Sscan(fields[4]+" "+fields[5], &active, &inactive)
			return active, inactive, err
		}
	}
	return 0, 0, fmt.Errorf("no server %s in\n%s", server, list)
}

func (c cluster) twoThenEight() (string, error) {
	h := held{}
	defer h.close()
	return c.stages(h, 2, 6)
}

func (c cluster) failOver() (string, error) {
	first, err := c.thirty()
	if err != nil {
		return "", err
	}
	if err := enter(natWeights(1, 0)); err != nil {
		return "", err
	}
	second, err := c.thirty()
	return first + ", without nginx2 " + second, err
}

// locality asks at many addresses, then overloads the server of one of them.
// When the first server is idle again, the next connection says where the address
// belongs now.
func (c cluster) locality() (string, error) {
	sticky, err := c.sticky(manyAddresses(), 3)
	if err != nil {
		return "", err
	}
	h := held{}
	defer h.close()
	address := manyAddresses()[0]
	if err := h.hold(address); err != nil {
		return "", err
	}
	first := slices.Collect(maps.Keys(h))[0]
	if err := h.hold(slices.Repeat(address, 5)); err != nil {
		return "", err
	}
	busy := len(h[first])
	others := 6 - busy
	h.close(first)
	if err := idle(serverAddress[first]); err != nil {
		return "", err
	}
	if err := h.hold(address); err != nil {
		return "", err
	}
	where := "stays there"
	if len(h[first]) > 0 {
		where = "goes back"
	}
	return fmt.Sprintf("%s; %d %d, %s", sticky, busy, others, where), nil
}

// serverAddress is where the director has each server.
var serverAddress = map[string]string{"nginx1": "192.168.168.10", "nginx2": "192.168.168.20", "nginx3": "192.168.168.30"}

func (c cluster) overflow() (string, error) {
	h := held{}
	defer h.close()
	return c.stages(h, 3, 6)
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
