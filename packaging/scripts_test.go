// SPDX-License-Identifier: Apache-2.0

package packaging

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/ipvsadm-go/ipvsadm/internal/test/guest/guesttest"
	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/internal/test/program"
)

// TestDebianPackageInterrupted kills the scripts of the Debian package at
// each line, and runs them again as dpkg does.
func TestDebianPackageInterrupted(t *testing.T) {
	packages(t) // it takes minutes
	guesttest.InGuest(t, func(t *testing.T) {
		program.Run(t, "rm", "-f", "/usr/sbin/policy-rc.d")
		install(t, "debian")
		program.Run(t, "install", "-D", "-m", "644", "systemd/ipvsadm.conf", "/usr/share/ipvsadm-go/ipvsadm.conf")
		m := boot(t)
		const settings = "/etc/default/ipvsadm"
		// The settings have words after values and a last line that
		// fails, and a unit cannot be enabled.
		const text = "AUTO=true # at boot\nDAEMON=both # master and backup\nIFACE=lo\nSYNCID=7\nfalse\n"
		program.Write(t, rulesFile, webRules)
		program.Write(t, settings, text)
		m.succeeds("systemctl", "mask", "ipvsadm-sync@master.service")
		dir, err := filepath.Abs("scripts/deb")
		must.OK(t, err)
		script := func(name string, words ...string) []string {
			return append([]string{dir + "/" + name}, words...)
		}
		sh := func(words []string) { t.Helper(); m.succeeds(append([]string{"sh"}, words...)...) }
		diversions := func(want int) {
			t.Helper()
			if out := program.Run(t, "dpkg-divert", "--list", "*ipvsadm*"); strings.Count(out, "ipvsadm-go\n") != want {
				t.Errorf("%d diversions expected:\n%s", want, out)
			}
		}
		installed := func() {
			t.Helper()
			m.enabled("ipvsadm-sync@backup.service ipvsadm.service")
			m.table(webRules)
			m.daemons("backup")
			m.file(settings, text)
			diversions(0)
			if left, err := os.ReadDir("/var/lib/ipvsadm-go"); err == nil {
				t.Errorf("postinst leaves %v", left)
			}
		}
		removed := func() {
			t.Helper()
			m.enabled("")
			m.table("")
			m.daemons()
		}

		install, configure := script("preinst", "install"), script("postinst", "configure", "")
		m.interrupted(install, func() {}, func() { sh(script("postrm", "abort-install")); diversions(0) }, func() { diversions(3) })
		off := func() {
			t.Helper()
			m.succeeds("systemctl", "--quiet", "disable", "--now", "ipvsadm", "ipvsadm-sync@backup")
		}
		m.interrupted(configure, func() { off(); sh(install) }, func() {}, installed)
		on := func() {
			t.Helper()
			m.succeeds("systemctl", "--quiet", "enable", "--now", "ipvsadm", "ipvsadm-sync@backup")
		}
		m.interrupted(script("prerm", "remove"), on, func() {}, removed)
		m.interrupted(script("postrm", "remove"), func() { sh(install) }, func() {}, func() {
			if left, err := os.ReadDir("/var/lib/ipvsadm-go"); err == nil {
				t.Errorf("postrm leaves %v", left)
			}
		})
		sh(script("postrm", "abort-install"))

		// An upgrade enables nothing.
		sh(script("preinst", "upgrade", "0.1.0"))
		sh(script("postinst", "configure", "0.1.0"))
		removed()

		// A purge keeps settings that another package owns.
		sh(script("postrm", "purge"))
		m.file(settings, text)
		purgeDebians(t)
		program.Write(t, settings, text)
		sh(script("postrm", "purge"))
		if _, err := os.Stat(settings); err == nil {
			t.Error("the purge leaves the settings")
		}
	})
}

// TestRedHatPackageInterrupted kills the scripts of the RPM package, and runs
// Red Hat's removal script in between.
func TestRedHatPackageInterrupted(t *testing.T) {
	packages(t)
	guesttest.InGuest(t, func(t *testing.T) {
		install(t, "redhat")
		m := boot(t)
		const rulesFile, state = "/etc/sysconfig/ipvsadm", "/var/lib/rpm-state/ipvsadm-go"
		program.Write(t, rulesFile, dnsRules)
		m.succeeds("systemctl", "enable", "--now", "ipvsadm")
		program.Run(t, "ipvsadm", "-C")
		program.Run(t, "ipvsadm-restore", "/dev/stdin")
		program.Write(t, "/root/live", webRules)
		program.Run(t, "ipvsadm-restore", "/root/live")
		program.Write(t, "/etc/sysconfig/ipvsadm-config", "IPVS_SAVE_ON_STOP=\"no\"\n")
		runs := func() {
			t.Helper()
			m.enabled("ipvsadm.service")
			m.succeeds("systemctl", "is-active", "ipvsadm")
			m.table(webRules)
			m.file(rulesFile, webRules)
			if left, err := os.ReadDir(state); err == nil {
				t.Errorf("posttrans leaves %v", left)
			}
		}

		dir, err := os.Getwd()
		must.OK(t, err)
		pre, posttrans, remove := dir+"/scripts/rpm/pre", dir+"/scripts/rpm/posttrans", dir+"/scripts/rpm/preun"
		m.interrupted([]string{pre, "1"}, func() {}, func() {}, func() {
			if got := program.Run(t, "ls", state); got != "active\nenabled\n" {
				t.Errorf("pre finds %q", got)
			}
		})
		m.interrupted([]string{posttrans}, func() {
			// The shell stands in for the package manager.
			m.succeeds("sh", "-c", "sh "+pre+" 1 && sh "+dir+"/testdata/redhat/preun 0")
			m.enabled("")
			m.fails("systemctl", "is-active", "ipvsadm")
			m.table(webRules)
		}, func() {}, runs)
		if out := m.succeeds("sh", "-c", "sh "+pre+" 1 && sh "+posttrans); !strings.Contains(out, "ipvsadm-config: IPVS_SAVE_ON_STOP is 'no'") {
			t.Errorf("posttrans does not say that nothing is saved: %s", out)
		}

		// A transaction aborted after pre does not affect the
		// service, and a later one ignores its state.
		m.succeeds("sh", "-c", "sh "+pre+" 1; exit 0")
		if out, err := program.Try("ls", "/run/systemd/system/ipvsadm.service.d"); err == nil {
			t.Errorf("pre leaves %s", out)
		}
		m.succeeds("systemctl", "disable", "--now", "ipvsadm")
		m.table("")
		m.succeeds("sh", "-c", "sh "+pre+" 1 && sh "+posttrans)
		m.enabled("")
		m.fails("systemctl", "is-active", "ipvsadm")

		m.interrupted([]string{remove, "0"}, func() { m.succeeds("systemctl", "enable", "--now", "ipvsadm") }, func() {}, func() {
			m.enabled("")
			m.table("")
		})
	})
}

// interrupted kills a script at each line that it executes. Each time it
// prepares, kills, recovers, runs the script again and checks.
func (m machine) interrupted(script []string, prepare, recover, check func()) {
	m.t.Helper()
	// The shell runs the trap before each command.
	bash := func(trap string) (string, error) {
		return m.do(append([]string{"bash", "-c", "set -T; trap '" + trap + "' DEBUG; . \"$0\""}, script...)...)
	}
	prepare()
	out, err := bash(`echo "<$LINENO>" >&2`)
	if err != nil {
		m.t.Fatalf("%q: %v\n%s", script, err, out)
	}
	var lines []string
	for _, match := range regexp.MustCompile(`(?m)<(\d+)>$`).FindAllStringSubmatch(out, -1) {
		if !slices.Contains(lines, match[1]) {
			lines = append(lines, match[1])
		}
	}
	if len(lines) < 3 {
		m.t.Fatalf("%s runs the lines %q:\n%s", filepath.Base(script[0]), lines, out)
	}
	check()
	m.t.Logf("%s is killed at the lines %s", script[0], strings.Join(lines, " "))
	for _, line := range lines[1:] { // the first calls the script
		prepare()
		out, err := bash("[ $LINENO != " + line + " ] || kill -KILL $$")
		var exit *exec.ExitError
		if !errors.As(err, &exit) || !exit.Sys().(syscall.WaitStatus).Signaled() && exit.ExitCode() != 137 {
			m.t.Fatalf("%s is not killed at line %s: %v\n%s", script[0], line, err, out)
		}
		recover()
		m.succeeds(append([]string{"sh"}, script...)...)
		if check(); m.t.Failed() {
			m.t.Fatalf("after %s was killed at line %s", script[0], line)
		}
	}
}
