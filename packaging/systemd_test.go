// SPDX-License-Identifier: Apache-2.0

package packaging

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/test/guest/guesttest"
	"github.com/ipvsadm-go/ipvsadm/internal/test/program"
)

const (
	rulesFile = "/etc/ipvsadm.rules"
	webRules  = "-A -t 12.0.0.1:80 -s rr\n-a -t 12.0.0.1:80 -r 192.168.168.10:80 -m -w 1\n"
	dnsRules  = "-A -u 12.0.0.1:53 -s wlc\n"
	// badRules has a mistake in its second line.
	badRules = dnsRules + "-A -t 12.0.0.1:443 -s rr -w 5\n"
)

// TestUnits starts a systemd in the guest, which runs the units.
func TestUnits(t *testing.T) {
	guesttest.InGuest(t, func(t *testing.T) {
		program.Need(t, "systemd-analyze")
		install(t)
		for _, unit := range []string{"ipvsadm.service", "ipvsadm-sync@master.service"} {
			if out, err := program.Try("systemd-analyze", "verify", "--recursive-errors=no", unit); err != nil || out != "" {
				t.Errorf("verify %s: %v\n%s", unit, err, out)
			}
		}
		for _, unit := range []string{"systemd/ipvsadm.service", "systemd/ipvsadm-sync@.service"} {
			if out := program.Run(t, "systemd-analyze", "security", "--offline=true", unit); !strings.Contains(out, " OK ") {
				t.Errorf("security of %s:\n%s", unit, out)
			}
		}
		do := boot(t)
		fails := func(words ...string) {
			t.Helper()
			if out, err := do(words...); err == nil {
				t.Errorf("%q succeeds: %s", words, out)
			}
		}
		succeeds := func(words ...string) string {
			t.Helper()
			out, err := do(words...)
			if err != nil {
				log, _ := do("journalctl", "-b", "--no-pager")
				t.Fatalf("%q: %v\n%s\n%s", words, err, out, log)
			}
			return out
		}
		table := func(want string) {
			t.Helper()
			if got := program.Run(t, "ipvsadm", "-Sn"); got != want {
				t.Errorf("the table is\n%swant\n%s", got, want)
			}
		}

		if _, err := os.Stat("/proc/net/ip_vs"); err == nil {
			t.Error("ip_vs is loaded before a unit asks for it")
		}
		succeeds("systemctl", "start", "ipvsadm") // without rules
		succeeds("systemctl", "stop", "ipvsadm")
		program.Write(t, rulesFile, webRules)
		succeeds("systemctl", "start", "ipvsadm")
		table(webRules)
		program.Write(t, rulesFile, dnsRules)
		succeeds("systemctl", "reload", "ipvsadm")
		table(dnsRules)
		program.Write(t, rulesFile, badRules)
		fails("systemctl", "reload", "ipvsadm")
		table(dnsRules)
		succeeds("systemctl", "stop", "ipvsadm")
		table("")
		if saved, err := os.ReadFile(rulesFile); err != nil || string(saved) != badRules {
			t.Errorf("unasked, the stop saved %q, %v", saved, err)
		}

		program.Run(t, "ipvsadm", "-A", "-t", "12.0.0.9:80")
		fails("systemctl", "start", "ipvsadm")
		table("-A -t 12.0.0.9:80 -s wlc\n")
		if log := succeeds("journalctl", "-t", "ipvsadm", "--no-pager"); !strings.Contains(log, rulesFile+": line 2: Illegal 'weight' option") {
			t.Errorf("the journal has\n%s", log)
		}

		program.Write(t, rulesFile, webRules)
		program.Write(t, "/etc/default/ipvsadm", "IPVS_SAVE_ON_STOP=yes\nDAEMON=\"both\"\nIFACE=\"lo\"\nSYNCID=\"7\"\n")
		succeeds("systemctl", "start", "ipvsadm")
		daemons := func(want ...string) {
			t.Helper()
			var got string
			program.Await(10*time.Second, func() bool { // they start after the table
				got = program.Run(t, "ipvsadm", "-L", "--daemon")
				return strings.Count(got, "\n") == len(want)
			})
			for _, w := range want {
				if !strings.Contains(got, w+" sync daemon (mcast=lo, syncid=7,") {
					t.Errorf("no %s:\n%s", w, got)
				}
			}
			if strings.Count(got, "\n") != len(want) {
				t.Errorf("the daemons are\n%swant %q", got, want)
			}
		}
		daemons("master", "backup")
		program.Run(t, "ipvsadm", "-A", "-u", "12.0.0.1:53")
		succeeds("systemctl", "stop", "ipvsadm")
		daemons()
		table("")
		if saved, err := os.ReadFile(rulesFile); err != nil || string(saved) != webRules+dnsRules {
			t.Errorf("saved %q, %v", saved, err)
		}
		program.Write(t, "/etc/default/ipvsadm", "DAEMON=none\nIFACE=lo\nSYNCID=7\n")
		fails("systemctl", "is-active", "ipvsadm-sync@backup")
		program.Write(t, "/etc/default/ipvsadm", "IFACE=lo\nSYNCID=7\n")
		succeeds("systemctl", "start", "ipvsadm-sync@backup")
		daemons("backup")
	})
}

// boot starts a systemd that starts nothing unasked. It returns a function
// that runs a command in its namespaces.
func boot(t *testing.T) (do func(words ...string) (string, error)) {
	t.Helper()
	program.Run(t, "sh", "-c", `
mount -t cgroup2 none /sys/fs/cgroup
cd /etc/systemd/system
for unit in $(ls /lib/systemd/system/sysinit.target.wants | grep -v journald); do ln -sf /dev/null $unit; done
printf '[Unit]\nDefaultDependencies=no\n' > nothing.target
`)
	log, err := os.Create(t.TempDir() + "/systemd.log")
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	systemd := exec.Command("unshare", "--pid", "--fork", "--mount-proc", "env", "-i", "container=uml", "PATH="+os.Getenv("PATH"),
		"/lib/systemd/systemd", "--system", "--unit=nothing.target", "--log-target=console")
	systemd.Stdout, systemd.Stderr = log, log
	if err := systemd.Start(); err != nil {
		t.Fatal(err)
	}
	do = func(words ...string) (string, error) {
		pid, err := program.Try("pgrep", "-P", strconv.Itoa(systemd.Process.Pid))
		if err != nil {
			return pid, err
		}
		return program.Try(append([]string{"nsenter", "-t", strings.TrimSpace(pid), "-p", "-m"}, words...)...)
	}
	if !program.Await(time.Minute, func() bool { _, err := do("systemctl", "start", "systemd-journald"); return err == nil }) {
		said, _ := os.ReadFile(log.Name())
		t.Fatalf("no systemd:\n%s", said)
	}
	return do
}
