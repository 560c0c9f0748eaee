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
	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/internal/test/program"
	"github.com/ipvsadm-go/ipvsadm/internal/test/session"
)

const (
	rulesFile = "/etc/ipvsadm.rules"
	webRules  = "-A -t 12.0.0.1:80 -s rr\n-a -t 12.0.0.1:80 -r 192.168.168.10:80 -m -w 1\n"
	dnsRules  = "-A -u 12.0.0.1:53 -s wlc\n"
	// badRules has a fault in its second line.
	badRules = dnsRules + "-A -t 12.0.0.1:443 -s rr -w 5\n"
	// mistakes is webRules with a fault of each kind.
	mistakes = "-A -t 12.0.0.2:80 -q\n-A -t 12.0.0.3:80 -s nosuch\n-a -t 12.0.0.3:80 -r 192.168.168.10:80 -m\n" +
		webRules + "-A -t 12.0.0.1:80 -s rr\n-a -t 12.0.0.1:81 -r 192.168.168.10:80 -m\n-a -t 12.0.0.1:80 -r 224.0.0.1:80 -m\n"
)

// TestUnits runs Debian's units under systemd in the guest.
func TestUnits(t *testing.T) {
	guesttest.InGuest(t, func(t *testing.T) {
		program.Need(t, "systemd-analyze")
		install(t, "debian")
		verifyUnits(t)
		m := boot(t)
		for _, unit := range []string{"systemd/ipvsadm.service", "systemd/ipvsadm-sync@.service", "systemd/ipvsadm-metrics.service", "systemd/ipvsadm-monitor.service"} {
			if out := program.Run(t, "systemd-analyze", "security", "--offline=true", unit); !strings.Contains(out, " OK ") {
				t.Errorf("security of %s:\n%s", unit, out)
			}
		}

		const dir, metrics = "/var/lib/prometheus/node-exporter", "/var/lib/prometheus/node-exporter/ipvs.prom"
		m.fails("systemctl", "start", "ipvsadm-metrics.timer") // without node_exporter's directory
		m.succeeds("mkdir", "-p", dir)
		m.succeeds("systemctl", "start", "ipvsadm-metrics")
		if _, err := os.Stat("/proc/net/ip_vs"); err == nil {
			t.Error("ip_vs is loaded before a unit asks for it")
		}
		m.systemctl("start") // without rules
		m.systemctl("stop")
		program.Write(t, rulesFile, webRules)
		m.systemctl("start")
		m.table(webRules)
		m.succeeds("systemctl", "start", "ipvsadm-metrics.timer")
		if !must.Soon(func() bool { _, err := os.Stat(metrics); return err == nil }) {
			t.Errorf("the timer writes no metrics:\n%s", m.succeeds("journalctl", "-u", "ipvsadm-metrics", "--no-pager"))
		}
		m.succeeds("systemctl", "stop", "ipvsadm-metrics.timer")
		m.succeeds("systemctl", "start", "ipvsadm-metrics")
		m.file(metrics, program.Run(t, "ipvsadm", "-L", "--metrics"))
		if mode := program.Run(t, "stat", "-c", "%a", metrics); mode != "644\n" {
			t.Errorf("the metrics have the mode %s", mode)
		}
		// The journal brings back what -C deletes.
		m.succeeds("systemctl", "start", "ipvsadm-monitor")
		const journal = "journalctl -t ipvsadm-monitor -o cat --no-pager"
		inJournal := func(line string) {
			if !must.Soon(func() bool { return strings.Contains(m.succeeds("sh", "-c", journal), line) }) {
				t.Errorf("%q is not in the journal:\n%s", line, m.succeeds("sh", "-c", journal))
			}
		}
		inJournal("-C\n")
		program.Run(t, "ipvsadm", "-A", "-f", "5")
		inJournal("-A -f 5 -s wlc\n")
		program.Run(t, "ipvsadm", "-C")
		inJournal("-D -f 5\n")
		m.succeeds("sh", "-c", journal+" | sed '/^-D/,$d' | ipvsadm-restore")
		m.table(webRules + "-A -f 5 -s wlc\n")
		m.succeeds("systemctl", "stop", "ipvsadm-monitor")
		program.Write(t, rulesFile, dnsRules)
		m.systemctl("reload")
		m.table(dnsRules)
		program.Write(t, rulesFile, badRules)
		m.fails("systemctl", "reload", "ipvsadm")
		m.table(dnsRules)
		m.systemctl("stop")
		m.table("")
		m.file(rulesFile, badRules) // a stop does not save by default

		program.Run(t, "ipvsadm", "-A", "-t", "12.0.0.9:80")
		m.systemctl("start") // starts every service that can come up
		m.table(dnsRules)
		m.logged(rulesFile + ": line 2: Illegal 'weight' option")

		m.systemctl("stop")
		program.Write(t, rulesFile, mistakes+dnsRules)
		m.systemctl("start")
		m.table(webRules + dnsRules)
		m.succeeds("systemctl", "is-active", "ipvsadm")
		m.fails("systemctl", "reload", "ipvsadm")
		m.table(webRules + dnsRules)
		m.systemctl("stop")
		// A file that only another user, its owner, and root can
		// read.
		program.Write(t, rulesFile, webRules)
		m.succeeds("chown", "1000:1000", rulesFile)
		m.succeeds("chmod", "0640", rulesFile)
		m.systemctl("start")
		m.table(webRules)
		m.systemctl("stop")
		m.succeeds("chown", "0:0", rulesFile)

		// The settings are read as by a shell, and no fault in them
		// stops the service.
		const settings = "/etc/default/ipvsadm"
		program.Write(t, rulesFile, webRules)
		program.Write(t, settings, "AUTO=false\nIPVS_SAVE_ON_STOP=yes\nDAEMON=both  # master and backup\nIFACE=lo  # x\nSYNCID=\"7\"\nfalse\n")
		m.systemctl("start")
		m.daemons("master", "backup")
		m.logged(settings + ": AUTO is not read: systemctl disable ipvsadm")
		program.Run(t, "ipvsadm", "-A", "-u", "12.0.0.1:53")
		m.systemctl("stop")
		m.daemons()
		m.table("")
		m.file(rulesFile, webRules+dnsRules)

		// A sync daemon of the rules is saved, even if a setting
		// starts it too.
		const master = "--start-daemon master --mcast-interface lo --syncid 7"
		program.Write(t, rulesFile, webRules+master+"\n")
		m.systemctl("start")
		m.daemons("master", "backup")
		m.systemctl("stop")
		m.daemons()
		m.file(rulesFile, webRules+master+"<.*>\n")

		program.Write(t, rulesFile, webRules)
		program.Write(t, settings, "IPVS_SAVE_ON_STOP=perhaps\nDAEMON=master,backup\nIFACE=lo\n")
		m.systemctl("restart")
		m.fails("systemctl", "is-active", "ipvsadm-sync@backup")
		m.daemons()
		m.logged(settings + ": IPVS_SAVE_ON_STOP is 'perhaps', not yes or no: taken for no")
		m.logged(settings + ": DAEMON is 'master,backup', not none, master, backup or both: no backup sync daemon")
		program.Write(t, settings, "DAEMON=backup\nIFACE=nosuch0\n")
		m.fails("systemctl", "start", "ipvsadm-sync@backup")
		m.logged("the backup sync daemon does not start on the interface 'nosuch0'")
		program.Write(t, settings, "if then\n")
		m.systemctl("restart")
		m.table(webRules)
		m.daemons()
		m.logged("yntax error")
		program.Write(t, settings, "DAEMON=backup\nIFACE=lo\nSYNCID=7\n")
		m.succeeds("systemctl", "start", "ipvsadm-sync@backup")
		m.daemons("backup")
	})
}

// TestUnitsOfRedHat runs Red Hat's units, which save when they stop.
func TestUnitsOfRedHat(t *testing.T) {
	guesttest.InGuest(t, func(t *testing.T) {
		program.Need(t, "systemd-analyze")
		install(t, "redhat")
		verifyUnits(t)
		m := boot(t)
		program.ResolveFrom(t, "192.168.168.50 test5\n12.0.0.1 test5\n")
		const rulesFile, settings = "/etc/sysconfig/ipvsadm", "/etc/sysconfig/ipvsadm-config"
		add := func(rules string) {
			t.Helper()
			for line := range strings.Lines(rules) {
				program.Run(t, append([]string{"ipvsadm"}, strings.Fields(line)...)...)
			}
		}

		// Two addresses have the same name: the save has the second
		// as a number.
		m.succeeds("modprobe", "ip_vs")
		add(webRules)
		m.succeeds("sh", "-c", "ipvsadm-save > "+rulesFile)
		m.systemctl("restart") // starts it: it was not running
		m.table(webRules)

		m.systemctl("restart")
		m.table(webRules)
		m.file(rulesFile, webRules)

		program.Run(t, "ipvsadm", "-C")
		add(dnsRules)
		m.systemctl("restart")
		m.table(dnsRules)
		m.file(rulesFile, dnsRules)

		// An empty table does not replace the file.
		program.Run(t, "ipvsadm", "-C")
		m.systemctl("stop")
		m.file(rulesFile, dnsRules)
		m.systemctl("start")
		m.table(dnsRules)

		// The table does not replace the file after a failed start.
		m.systemctl("stop")
		add(webRules)
		program.Write(t, rulesFile, "")
		m.fails("systemctl", "start", "ipvsadm")
		m.systemctl("stop")
		m.fails("systemctl", "restart", "ipvsadm")
		m.file(rulesFile, "")
		m.table(webRules)
		// The table does not replace the file after a start that left out
		// faulty lines, until the file is corrected.
		program.Write(t, rulesFile, badRules)
		m.systemctl("start")
		m.table(dnsRules)
		m.systemctl("stop")
		m.file(rulesFile, badRules)
		m.systemctl("start")
		program.Write(t, rulesFile, webRules)
		m.systemctl("reload")
		add(dnsRules)
		m.systemctl("stop")
		m.file(rulesFile, webRules+dnsRules)

		// Timeouts and sync daemons are saved if the file has them.
		const (
			timeouts = "--set 901 121 301\n"
			daemon   = "--start-daemon backup --mcast-interface lo --syncid 3"
		)
		program.Write(t, rulesFile, timeouts+webRules+daemon+"\n")
		m.systemctl("start")
		add("--set 902 122 302\n" + dnsRules)
		m.systemctl("stop")
		m.file(rulesFile, "--set 902 122 302\n"+webRules+dnsRules+daemon+"<.*>\n")
		add("--set 900 120 300\n--stop-daemon backup\n")
		m.systemctl("start")
		m.table(webRules + dnsRules)
		if got := program.Run(t, "ipvsadm", "-L", "--timeout"); got != "Timeout (tcp tcpfin udp): 902 122 302\n" {
			t.Errorf("the file's timeouts are not there: %s", got)
		}
		if got := program.Run(t, "ipvsadm", "-L", "--daemon"); !strings.HasPrefix(got, "backup sync daemon (mcast=lo, syncid=3,") {
			t.Errorf("the file's sync daemon is not there: %s", got)
		}
		program.Write(t, rulesFile, dnsRules)
		m.systemctl("stop")
		m.file(rulesFile, webRules+dnsRules)

		// A failed save changes neither the file nor the table.
		m.systemctl("start")
		add("-C\n" + webRules)
		m.succeeds("chmod", "g+w", "/etc/sysconfig")
		m.systemctl("stop")
		m.file(rulesFile, webRules+dnsRules)
		m.table(webRules)
		m.succeeds("chmod", "g-w", "/etc/sysconfig")

		add("--stop-daemon backup\n")
		program.Write(t, settings, "IPVS_SAVE_ON_STOP=\"no\"\n")
		m.systemctl("start")
		program.Run(t, "ipvsadm", "-D", "-u", "12.0.0.1:53")
		m.systemctl("restart")
		m.table(webRules + dnsRules)
		m.logged(settings + ": IPVS_SAVE_ON_STOP is 'no': a stop of ipvsadm.service does not save the table")
		m.daemons() // without a setting
	})
}

// machine is a running systemd with the units of a distribution family.
type machine struct {
	t       *testing.T
	systemd *exec.Cmd
}

// do runs a command in systemd's namespaces.
func (m machine) do(words ...string) (string, error) {
	pid, err := program.Try("pgrep", "-P", strconv.Itoa(m.systemd.Process.Pid))
	if err != nil {
		return pid, err
	}
	return program.Try(append([]string{"nsenter", "-t", strings.TrimSpace(pid), "-p", "-m"}, words...)...)
}

func (m machine) fails(words ...string) {
	m.t.Helper()
	if out, err := m.do(words...); err == nil {
		m.t.Errorf("%q succeeds: %s", words, out)
	}
}

func (m machine) succeeds(words ...string) string {
	m.t.Helper()
	out, err := m.do(words...)
	if err != nil {
		log, _ := m.do("journalctl", "-b", "--no-pager")
		m.t.Fatalf("%q: %v\n%s\n%s", words, err, out, log)
	}
	return out
}

// systemctl runs a verb of systemctl on ipvsadm.service.
func (m machine) systemctl(verb string) {
	m.t.Helper()
	m.succeeds("systemctl", verb, "ipvsadm")
}

// table compares the table with a save.
func (m machine) table(want string) {
	m.t.Helper()
	if got := program.Run(m.t, "ipvsadm", "-Sn"); got != want {
		m.t.Errorf("the table is\n%swant\n%s", got, want)
	}
}

// file compares the text of a file, by the rules for answers of a session.
func (m machine) file(name, want string) {
	m.t.Helper()
	text, err := os.ReadFile(name)
	if err == nil {
		err = session.Compare(string(text), want)
	}
	if err != nil {
		m.t.Errorf("%s: %v\n%s", name, err, text)
	}
}

// logged looks for a line in the journal.
func (m machine) logged(want string) {
	m.t.Helper()
	if log := m.succeeds("journalctl", "-t", "ipvsadm", "-p", "warning", "--no-pager"); !strings.Contains(log, want) {
		m.t.Errorf("the journal does not have %q:\n%s", want, log)
	}
}

// daemons compares the sync daemons, which start after the table.
func (m machine) daemons(want ...string) {
	m.t.Helper()
	var got string
	must.Soon(func() bool {
		got = program.Run(m.t, "ipvsadm", "-L", "--daemon")
		return strings.Count(got, "\n") == len(want)
	})
	for _, w := range want {
		if !strings.Contains(got, w+" sync daemon (mcast=lo, syncid=7,") {
			m.t.Errorf("no %s:\n%s", w, got)
		}
	}
	if strings.Count(got, "\n") != len(want) {
		m.t.Errorf("the daemons are\n%swant %q", got, want)
	}
}

// verifyUnits has systemd-analyze check the installed units.
func verifyUnits(t *testing.T) {
	t.Helper()
	for _, unit := range []string{"ipvsadm.service", "ipvsadm-sync@master.service", "ipvsadm-metrics.timer"} {
		if out, err := program.Try("systemd-analyze", "verify", "--recursive-errors=no", unit); err != nil || out != "" {
			t.Errorf("verify %s: %v\n%s", unit, err, out)
		}
	}
}

// boot starts a systemd that starts only the units enabled by the test.
func boot(t *testing.T) machine {
	t.Helper()
	program.Run(t, "sh", "-c", `
mount -t cgroup2 none /sys/fs/cgroup
cd /etc/systemd/system
for unit in $(cd /lib/systemd/system && ls sysinit.target.wants multi-user.target.wants | grep '\..*[a-z]$' | grep -v journald); do
	ln -sf /dev/null $unit
done
rm -rf multi-user.target.wants
printf '[Unit]\nDefaultDependencies=no\n' > multi-user.target
`)
	return bootAgain(t)
}

// bootAgain starts systemd as boot does, without the preparation.
func bootAgain(t *testing.T) machine {
	t.Helper()
	log, err := os.Create(t.TempDir() + "/systemd.log")
	must.OK(t, err)
	defer log.Close()
	systemd := exec.Command("unshare", "--pid", "--fork", "--mount-proc", "env", "-i", "container=uml", "PATH="+os.Getenv("PATH"),
		"/lib/systemd/systemd", "--system", "--unit=multi-user.target", "--log-target=console")
	systemd.Stdout, systemd.Stderr = log, log
	must.OK(t, systemd.Start())
	m := machine{t, systemd}
	if !must.Soon(func() bool { _, err := m.do("systemctl", "start", "systemd-journald"); return err == nil }) {
		said, _ := os.ReadFile(log.Name())
		t.Fatalf("no systemd:\n%s", said)
	}
	if !must.Soon(func() bool { _, err := m.do("systemctl", "is-active", "multi-user.target"); return err == nil }) {
		t.Fatal("the boot does not end")
	}
	return m
}

// reboot shuts systemd down, unloads IPVS, clears /run, and boots again.
func (m machine) reboot() machine {
	m.t.Helper()
	m.do("systemctl", "poweroff") // its own reply may be lost
	ended := make(chan struct{})
	go func() { m.systemd.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(2 * time.Minute):
		m.t.Fatal("systemd does not end")
	}
	if got := program.Run(m.t, "ipvsadm", "-Sn"); got != "" {
		m.t.Errorf("at the end of the boot there is\n%s", got)
	}
	program.Run(m.t, "sh", "-c", "modprobe -r $(lsmod | sed -n 's/^\\(ip_vs_[a-z]*\\) .*/\\1/p') ip_vs; rm -rf /run/systemd /run/ipvsadm*")
	return bootAgain(m.t)
}
