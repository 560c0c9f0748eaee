// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
)

// serviceVariable is the environment variable with the path of
// ipvsadm.service's script.
const serviceVariable = "LAB_SERVICE"

// systemctl replaces the real one, because no systemd runs on a host. It
// stops a service only if it is active.
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

// provideTools adds programs to the PATH: systemctl, and the legacy iptables
// and ip6tables. The unpacked package has no separate programs for these, and
// some kernels have modules only for their tables.
func provideTools() error {
	const dir = "/run/lab/bin"
	iptables, err := exec.LookPath("xtables-legacy-multi")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, name := range []string{"iptables", "ip6tables"} {
		err = errors.Join(err, os.Symlink(iptables, filepath.Join(dir, name)))
	}
	err = errors.Join(err, os.WriteFile(filepath.Join(dir, "systemctl"), []byte(systemctl), 0o755))
	return errors.Join(err, os.Setenv("PATH", dir+":"+os.Getenv("PATH")))
}
