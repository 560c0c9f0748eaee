// SPDX-License-Identifier: Apache-2.0

package main

import "strings"

// upkeep is routine maintenance of the NAT cluster.
var upkeep = example{
	name:   "upkeep",
	warned: true, // about a threshold, and persistent clients at weight 0
	hosts:  natHosts,
	typed:  natTyped,
	scenarios: []scenario{
		// Only a server in use is drained.
		{name: "edit", page: edits, typed: `
lab# requests
lab# until director ipvsadm -Lnc | grep -q 192.168.168.30
` + strings.Repeat(edits, 4) + `
lab# lost
0 of <\d{3,}> requests lost<.*>
`},
		// The rules are saved by hand, because Debian's unit does not
		// save them by default.
		{name: "restart", typed: installed + natServers("-s wlc -p 300", 3, 2, 0) + nat6 + `
director# systemctl start ipvsadm
director# ipvsadm-save -n -o /etc/ipvsadm.rules
` + restarted},
		{name: "save-on-stop", after: "restart", typed: `
director# ipvsadm -e -t 12.0.0.1:80 -r 192.168.168.10:80 -m -w 9 -x 5 -y 2
director# echo IPVS_SAVE_ON_STOP=yes > /etc/default/ipvsadm
` + restarted},
	},
}

// edits changes the rules: save, edit, dry run, restore. A server that is
// removed while it has connections is drained first.
const edits = `
director# ipvsadm-save -n > /etc/ipvsadm.rules
director# sed -i '/192.168.168.30/d; /168.10:80/s/-w 1$/-w 3/' /etc/ipvsadm.rules
director# ipvsadm-restore --dry-run /etc/ipvsadm.rules
-e -t 12.0.0.1:80 -r 192.168.168.10:80 -m -w 3
-e -t 12.0.0.1:80 -r 192.168.168.30:80 -m -w 0
-d -t 12.0.0.1:80 -r 192.168.168.30:80
director# ipvsadm-restore /etc/ipvsadm.rules
director# ipvsadm-restore --dry-run /etc/ipvsadm.rules
director# sed -i '/168.10:80/s/-w 3$/-w 1/; $a -a -t 12.0.0.1:80 -r 192.168.168.30:80 -m' /etc/ipvsadm.rules
director# ipvsadm-restore --dry-run /etc/ipvsadm.rules
-e -t 12.0.0.1:80 -r 192.168.168.10:80 -m -w 1
-a -t 12.0.0.1:80 -r 192.168.168.30:80 -m -w 1
director# ipvsadm-restore /etc/ipvsadm.rules
`

// restarted restarts the service and checks that the eight rules are
// unchanged.
const restarted = `
director# ipvsadm-save -n > before
director# systemctl restart ipvsadm
lab# ask director ipvsadm-save -n | diff before - && wc -l < before
8
`

// installed puts the programs where the unit expects them, without rules and
// settings.
const installed = `
director# ln -sf "$(command -v ipvsadm)" /usr/sbin/ipvsadm
director# ln -sf "$(command -v ipvsadm)" /usr/sbin/ipvsadm-save
director# ln -sf "$(command -v ipvsadm)" /usr/sbin/ipvsadm-restore
director# rm -rf /etc/ipvsadm.rules /etc/default/ipvsadm /etc/sysconfig && mkdir /etc/sysconfig
`
