// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
)

// serviceVariable is the environment variable with the script of
// ipvsadm.service.
const serviceVariable = "LAB_SERVICE"

// systemctl stands in for the real one, since no systemd runs on a host. It
// stops a service only while it is active.
const systemctl = `#!/bin/sh
set -e
service=$` + serviceVariable + ` active=/run/lab/active
case "$*" in
"start ipvsadm" | "stop ipvsadm" | "restart ipvsadm") ;;
*) echo "unknown here: systemctl $*" >&2; exit 1 ;;
esac
if [ "$1" != start ] && [ -e $active ]; then
	rm $active
	"$service" stop
fi
if [ "$1" != stop ]; then
	"$service" start
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
