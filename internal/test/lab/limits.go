// SPDX-License-Identifier: Apache-2.0

package main

// limits is the NAT cluster with servers that get no new connections.
var limits = example{
	name:  "limits",
	hosts: natHosts,
	typed: natTyped,
	scenarios: []scenario{
		// This one runs first, because servers keep the connections
		// of earlier scenarios. At the upper threshold, 2
		// connections, a server gets no new ones; below the lower, 1,
		// it does again.
		{name: "thresholds", typed: `
director# ipvsadm -C
director# ipvsadm -A -t 12.0.0.1:80 -s rr
director# ipvsadm -a -t 12.0.0.1:80 -r 192.168.168.10:80 -m -x 2 -y 1
director# ipvsadm -a -t 12.0.0.1:80 -r 192.168.168.20:80 -m
` + hold(6, "2 4 0") + `
lab# reset nginx1
lab# until director ipvsadm -Ln | grep ' 192.168.168.10:.* 0  *0 *$'
` + hold(2, "1 5 0")},
		{name: "weight-0", typed: natServers("-s rr", 1, 1) + hold(4, "2 2 0") + `
director# ipvsadm -e -t 12.0.0.1:80 -r 192.168.168.10:80 -m -w 0
` + share(10, "0 10 0") + `
lab# answering
4
`},
	},
}
