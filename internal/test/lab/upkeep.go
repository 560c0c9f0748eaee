// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// upkeep is routine maintenance of the NAT cluster.
var upkeep = cluster{
	name:  "upkeep",
	hosts: natHosts,
	typed: natTyped,
	scenarios: []scenario{
		// Only a server in use is drained.
		{name: "edit", page: edits, typed: `
lab# requests
lab# until director ipvsadm -Lnc | grep -q 192.168.168.30
` + strings.Repeat(edits, 4) + `
lab# lost
0 of <\d{3,}> requests lost<.*>
`},
		// The rules are saved by hand, since the unit does not save
		// them by default.
		{name: "restart", typed: installed + natServers("-s wlc -p 300", 3, 2, 0) + nat6 + `
director# ipvsadm-save -n -o /etc/ipvsadm.rules
` + restarted("")},
		{name: "save-on-stop", after: "restart", typed: `
director# ipvsadm -e -t 12.0.0.1:80 -r 192.168.168.10:80 -m -w 9 -x 5 -y 2
` + restarted(" IPVS_SAVE_ON_STOP=yes")},
	},
}

// edits is a change of the rules: save, edit, preview, restore. A server that
// is removed while it has connections is drained first.
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

// restarted does what systemctl restart does, with these settings, and checks
// that the eight rules are the same as before.
func restarted(settings string) string {
	return strings.ReplaceAll(`
director# ipvsadm-save -n > before
lab# unit ExecStop=SETTINGS
lab# unit ExecStart=SETTINGS
lab# ask director ipvsadm-save -n | diff before - && wc -l < before
8
`, "SETTINGS", settings)
}

// installed puts the programs where the unit expects them.
const installed = `
director# ln -sf "$(command -v ipvsadm)" /usr/sbin/ipvsadm
director# ln -sf "$(command -v ipvsadm)" /usr/sbin/ipvsadm-save
director# ln -sf "$(command -v ipvsadm)" /usr/sbin/ipvsadm-restore
director# rm -f /etc/ipvsadm.rules
`

// unitLines returns the commands of the service's unit that start with a word
// such as ExecStop=, in the form that a shell takes.
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

// unitsVariable is the environment variable with the folder of the units.
const unitsVariable = "LAB_UNITS"

// runUnit runs the commands of unitLines with these settings.
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
