// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strconv"
	"strings"
)

// drain removes real servers from the NAT cluster while they are in use.
var drain = example{
	name:   "drain",
	warned: true, // about a table without services, at the end
	hosts:  natHosts,
	typed:  natTyped,
	scenarios: []scenario{
		{name: "download", page: drainServer, typed: natServers("-s rr", 1, 0, 0) + `
lab# download
lab# until director ipvsadm -Lnc | grep -q 'ESTABLISHED .* 192.168.168.10:80 *$'
` + natWeights(1, 1, 1) + meanwhile(drainServer) + share(20, "0 10 10") + `
lab# downloads
1 whole
lab# ended
[0]
` + share(20, "0 10 10") + servers(2)},
		// Twenty edits. In 1.31 each would also reset the forwarding
		// method.
		{name: "keep", page: keepWeight, typed: natServers("-s wrr", 1, 1, 1) + `
director# ipvsadm -e -t 12.0.0.1:80 -r 192.168.168.10:80 -m -w 1 -x 1000000 -y 9
lab# requests
` + strings.Repeat(keepWeight, 10) + `
lab# lost
0 of <\d{3,}> requests lost<.*>
lab# ask director ipvsadm -Sn | grep 168.10
-a -t 12.0.0.1:80 -r 192.168.168.10:80 -m -w 3 -x 1000000 -y 9
`},
		{name: "restore", page: drainRestore, typed: natServers("-s rr", 1, 1, 1) + hold(3, "1 1 1") + meanwhile(drainRestore) + share(20, "0 10 10") + `
lab# answering
3
lab# close nginx1
lab# ended
[0]
` + servers(2)},
		// A drain also waits for the connections of a server whose
		// weight is 0 already, because an operator or a killed run
		// set it.
		{name: "restore-at-zero", typed: natServers("-s rr", 1, 1, 1) + hold(3, "1 1 1") + natWeights(0) + meanwhile(drainRestore) + share(20, "0 10 10") + `
lab# answering
3
lab# close nginx1
lab# ended
[0]
` + servers(2)},
		{name: "restore-killed", typed: natServers("-s rr", 1, 1, 1) + hold(3, "1 1 1") + meanwhile(drainRestore) + `
director# pkill -KILL -x ipvsadm-restore
lab# ended
Killed [137]
` + meanwhile(drainRestore) + share(20, "0 10 10") + `
lab# answering
3
lab# close nginx1
lab# ended
[0]
` + servers(2)},
		{name: "restore-without-service", typed: leaves("-C", "", 0)},
		{name: "restore-mark", typed: leaves("$(ipvsadm-save -n | sed 's/-t 12.0.0.1:80/-f 1/')", "", 3)},
		{name: "restore-merge", typed: leaves("-D -t 12.0.0.1:80 --exist", "--merge", 0)},
		{name: "service", page: drainService, typed: natServers("-s rr", 1, 1, 1) + hold(102, "34 34 34") + meanwhile(drainService) + `
lab# answering
102
lab# close nginx1
lab# close nginx2
lab# close nginx3
lab# ended
[0]
lab# ask director ipvsadm -Sn | wc -l
0
`},
	},
}

const (
	drainServer = `
director# ipvsadm -d -t 12.0.0.1:80 -r 192.168.168.10:80 --drain 30
`
	drainService = `
director# ipvsadm -D -t 12.0.0.1:80 --drain 30
`
	drainRestore = `
director# ipvsadm-save -n > /etc/ipvsadm.rules
director# sed -i '/192.168.168.10/d' /etc/ipvsadm.rules
director# ipvsadm-restore --drain 10 /etc/ipvsadm.rules
`
	keepWeight = `
director# ipvsadm -e -t 12.0.0.1:80 -r 192.168.168.10:80 --keep -w 0
director# ipvsadm -e -t 12.0.0.1:80 -r 192.168.168.10:80 --keep -w 3
`
)

// meanwhile starts the commands that drain the first server, does not wait
// for the last one, and returns when the server has weight 0.
func meanwhile(typed string) string {
	last := strings.LastIndex(typed, "director# ")
	return typed[:last] + "lab# start director " + strings.TrimPrefix(typed[last:], "director# ") +
		"lab# until director ipvsadm -Sn | grep -e '-r 192.168.168.10:80 -m -w 0$'\n"
}

// leaves restores a file without the service while each server has a
// connection to it. left is the number of servers of other services at the
// end.
func leaves(rules, options string, left int) string {
	return natServers("-s rr", 1, 1, 1) + hold(3, "1 1 1") + meanwhile(`
director# echo "`+rules+`" > /etc/ipvsadm.rules
director# ipvsadm-restore --drain 30 `+options+` /etc/ipvsadm.rules
`) + `
lab# answering
3
lab# close nginx1
lab# close nginx2
lab# close nginx3
lab# ended
[0]
lab# ask director ipvsadm -Sn | awk '/^-a -t/ {t++} /^-a/ {n++} END {print n+0, t+0}'
` + strconv.Itoa(left) + " 0\n"
}

// servers returns a step that counts the servers of the table.
func servers(n int) string {
	return "lab# ask director ipvsadm -Sn | grep -c ^-a\n" + strconv.Itoa(n) + "\n"
}
