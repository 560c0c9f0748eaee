// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// upkeep is the cluster nat on an operator's Monday.
var upkeep = cluster{
	name:  "upkeep",
	hosts: natHosts,
	typed: natTyped,
	scenarios: []scenario{
		{
			name: "edit", steps: edits, expected: "0 of <\\d{3,}> requests lost in <[1-9]\\d*> rounds",
			count: cluster.editUnderTraffic,
		},
		{
			name: "restart", expected: "8 lines before, the same after",
			typed: installed + natServers("-s wlc -p 300", 3, 2, 0) + nat6,
			count: cluster.restart,
		},
		{
			name: "save-on-stop", after: "restart", expected: "8 lines before, the same after",
			typed: "director# ipvsadm -e -t 12.0.0.1:80 -r 192.168.168.10:80 -m -w 9 -x 5 -y 2\n",
			count: cluster.saveOnStop,
		},
	},
}

const rules = "/etc/ipvsadm.rules"

// edits are what somebody types to change the table: save, edit, look, restore.
// A server that goes while it has connections first gets no new ones.
var edits = []step{
	{host: "director", command: "ipvsadm-save -n > " + rules},
	{host: "director", command: "sed -i '/192.168.168.30/d; /168.10:80/s/-w 1$/-w 3/' " + rules},
	{host: "director", command: "ipvsadm-restore --dry-run " + rules, answer: "" +
		"-e -t 12.0.0.1:80 -r 192.168.168.10:80 -m -w 3\n" +
		"-e -t 12.0.0.1:80 -r 192.168.168.30:80 -m -w 0\n" +
		"-d -t 12.0.0.1:80 -r 192.168.168.30:80\n"},
	{host: "director", command: "ipvsadm-restore " + rules},
	{host: "director", command: "ipvsadm-restore --dry-run " + rules},
	{host: "director", command: "sed -i '/168.10:80/s/-w 3$/-w 1/; $a -a -t 12.0.0.1:80 -r 192.168.168.30:80 -m' " + rules},
	{host: "director", command: "ipvsadm-restore --dry-run " + rules, answer: "" +
		"-a -t 12.0.0.1:80 -r 192.168.168.30:80 -m -w 1\n" +
		"-e -t 12.0.0.1:80 -r 192.168.168.10:80 -m -w 1\n"},
	{host: "director", command: "ipvsadm-restore " + rules},
}

// editUnderTraffic goes through the edits while requests come without pause.
func (c cluster) editUnderTraffic() (string, error) {
	const length = 8 * time.Second
	end := time.Now().Add(length)
	var requests requests
	requests.start(end)
	// Only a server in use goes gently.
	err := soon("requests at nginx3", func() (bool, error) {
		active, inactive, err := c.connections("nginx3")
		return active+inactive > 0, err
	})
	rounds := 0
	for err == nil && time.Now().Before(end) {
		err = typeAll(edits)
		rounds++
	}
	err = errors.Join(requests.wait(), err)
	failed, kinds := requests.failed()
	return strings.TrimSpace(fmt.Sprintf("%d of %d requests lost in %d rounds %s", failed, requests.count, rounds, kinds)), err
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

// restartUnit does what systemctl restart does, with these settings.
func restartUnit(environment string) error {
	for _, word := range []string{"ExecStop=", "ExecStart="} {
		commands, err := unitLines(word)
		if err != nil {
			return err
		}
		for _, command := range commands {
			if _, err := director.shell(environment + " " + command); err != nil {
				return err
			}
		}
	}
	return nil
}

// restart saves by hand, as the unit does not by itself.
func (c cluster) restart() (string, error) {
	if err := enter("director# ipvsadm-save -n -o " + rules); err != nil {
		return "", err
	}
	return sameAfterRestart("")
}

func (c cluster) saveOnStop() (string, error) { return sameAfterRestart("IPVS_SAVE_ON_STOP=yes") }

func sameAfterRestart(environment string) (string, error) {
	before, err := director.shell("ipvsadm-save -n")
	if err != nil {
		return "", err
	}
	if err := restartUnit(environment); err != nil {
		return "", err
	}
	after, err := director.shell("ipvsadm-save -n")
	same := "the same after"
	if after != before {
		same = fmt.Sprintf("after it %q", after)
	}
	return fmt.Sprintf("%d lines before, %s", strings.Count(before, "\n"), same), err
}
