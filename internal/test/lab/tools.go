// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
)

// unitsVariable is the environment variable with the folder of the units.
const unitsVariable = "LAB_UNITS"

// systemctl stands in for the real one, since no systemd runs on a host. It
// runs the commands of the unit's lines as that does: those that stop a service
// only while it is active.
const systemctl = `#!/bin/sh
set -e
unit=$` + unitsVariable + `/ipvsadm.service active=/run/lab/active
settings=$(sed -n 's/^EnvironmentFile=-//p' "$unit")
run() { sed -n "s/^$1=//p" "$unit" | sed 's/[$][$]/$/g' | sh -e; }
set -a
[ ! -e "$settings" ] || . "$settings"
case "$*" in
"start ipvsadm" | "stop ipvsadm" | "restart ipvsadm") ;;
*) echo "unknown here: systemctl $*" >&2; exit 1 ;;
esac
if [ "$1" != start ] && [ -e $active ]; then
	rm $active
	run ExecStop
fi
if [ "$1" != stop ]; then
	run ExecStart
	touch $active
fi
`

// provideTools puts programs into the PATH: systemctl, and the legacy iptables
// and ip6tables. The unpacked package has the latter under no name of their own,
// and some of the kernels have modules for their tables only.
func provideTools() error {
	const folder = "/run/lab/bin"
	iptables, err := exec.LookPath("xtables-legacy-multi")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for _, name := range []string{"iptables", "ip6tables"} {
		err = errors.Join(err, os.Symlink(iptables, filepath.Join(folder, name)))
	}
	err = errors.Join(err, os.WriteFile(filepath.Join(folder, "systemctl"), []byte(systemctl), 0o755))
	return errors.Join(err, os.Setenv("PATH", folder+":"+os.Getenv("PATH")))
}
