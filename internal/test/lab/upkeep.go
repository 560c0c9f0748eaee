// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// upkeep is the cluster nat on an operator's Monday.
var upkeep = cluster{
	name:  "upkeep",
	hosts: natHosts,
	typed: natTyped,
	scenarios: []scenario{
		// Only a server in use goes gently.
		{name: "edit", page: edits, typed: `
lab# requests
lab# until director ipvsadm -Lnc | grep -q 192.168.168.30
` + strings.Repeat(edits, 4) + `
lab# lost
0 of <\d{3,}> requests lost<.*>
`},
		// Saved by hand, as the unit does not by itself.
		{name: "restart", typed: installed + natServers("-s wlc -p 300", 3, 2, 0) + nat6 + `
director# ipvsadm-save -n -o /etc/ipvsadm.rules
` + restarted("")},
		{name: "save-on-stop", after: "restart", typed: `
director# ipvsadm -e -t 12.0.0.1:80 -r 192.168.168.10:80 -m -w 9 -x 5 -y 2
` + restarted(" IPVS_SAVE_ON_STOP=yes")},
	},
}

// edits are what somebody types to change the table: save, edit, look, restore.
// A server that goes while it has connections first gets no new ones.
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
-a -t 12.0.0.1:80 -r 192.168.168.30:80 -m -w 1
-e -t 12.0.0.1:80 -r 192.168.168.10:80 -m -w 1
director# ipvsadm-restore /etc/ipvsadm.rules
`

// restarted does what systemctl restart does, with these settings, and looks
// whether the eight lines of rules are the same after it.
func restarted(settings string) string {
	return strings.ReplaceAll(`
director# ipvsadm-save -n > before
lab# unit ExecStop=SETTINGS
lab# unit ExecStart=SETTINGS
lab# ask director ipvsadm-save -n | diff before - && wc -l < before
8
`, "SETTINGS", settings)
}

// installed puts the programs where the unit looks for them.
const installed = `
director# ln -sf "$(command -v ipvsadm)" /usr/sbin/ipvsadm
director# ln -sf "$(command -v ipvsadm)" /usr/sbin/ipvsadm-save
director# ln -sf "$(command -v ipvsadm)" /usr/sbin/ipvsadm-restore
director# rm -f /etc/ipvsadm.rules
`

// unitLines are the commands of the service's unit that begin with a word, such
// as ExecStop=, as a shell takes them.
func unitLines(word string) (commands []string, err error) {
	text, err := os.ReadFile(filepath.Join(os.Getenv(unitsVariable), "ipvsadm.service"))
	for line := range strings.Lines(string(text)) {
		if command, found := strings.CutPrefix(strings.TrimSpace(line), word); found {
			commands = append(commands, strings.ReplaceAll(command, "$$", "$"))
		}
	}
	if err == nil && len(commands) == 0 {
		err = fmt.Errorf("no %s in the unit", word)
	}
	return commands, err
}

// unitsVariable is the environment's variable with the folder of the units.
const unitsVariable = "LAB_UNITS"

// runUnit runs those commands with these settings.
func runUnit(word, settings string) error {
	commands, err := unitLines(word)
	for _, command := range commands {
		answer, err := shell("director", settings+" "+command)
		if err != nil || answer != "" {
			return errors.Join(err, fmt.Errorf("%s answers %q", command, answer))
		}
	}
	return err
}
