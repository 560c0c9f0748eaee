// SPDX-License-Identifier: Apache-2.0

package packaging

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ipvsadm-go/ipvsadm/internal/test/guest/guesttest"
	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/internal/test/program"
)

// TestDebianTakeover replaces Debian's ipvsadm on a running director, with
// and without the steps of install.md, upgrades, and goes back.
func TestDebianTakeover(t *testing.T) {
	dir := packages(t)
	guesttest.InGuest(t, func(t *testing.T) {
		director := debianDirector(t)
		for _, release := range []string{"own", "13"} {
			old := one(t, dir, "old/"+release+"/ipvsadm_*.deb")
			for name, procedure := range map[string][]string{
				" as in install.md": installBlock(t, "## Replace ipvsadm on a running director"),
				" without it":       {"apt install ./ipvsadm-go_*_amd64.deb"},
			} {
				t.Run(release+name, func(t *testing.T) {
					m := director.in(t)
					m.succeeds("dpkg", "-i", old)
					program.Write(t, rulesFile, "# by hand\n"+liveRules)
					program.Write(t, "/etc/default/ipvsadm", "AUTO=\"true\"\nDAEMON=\"backup\"\nIFACE=\"ens33\"\nSYNCID=\"7\"\n")
					m.systemctl("restart")
					m.table(liveRules)

					requests := startTraffic()
					for _, command := range procedure {
						out := m.succeeds("sh", "-c", "cd "+dir+" && "+command)
						t.Logf("%s\n%s", command, out)
						if strings.Contains(out, "divert") || strings.Contains(out, "diversion") {
							t.Errorf("%s says what only alarms:\n%s", command, out)
						}
					}
					if during := "from Debian's, " + release + name; len(procedure) > 1 {
						requests.none(t, during)
					} else if requests.end(t, during) == 0 {
						t.Error("no request is lost, so this shows nothing about the procedure")
					}
					m.takenOver(liveRules)
					m.enabled("ipvsadm-sync@backup.service ipvsadm.service")
					if got := program.Run(t, "ipvsadm", "-L", "--daemon"); !strings.Contains(got, "backup sync daemon (mcast=ens33, syncid=7,") {
						t.Errorf("the sync daemon is not there: %s", got)
					}
					m.succeeds("systemctl", "is-active", "ipvsadm-sync@backup")

					if len(procedure) > 1 {
						requests = startTraffic()
						m.succeeds("dpkg", "-i", one(t, dir, "ipvsadm-go_*_amd64.deb"))
						requests.none(t, "to a later version")
						m.takenOver(liveRules)

						m.succeeds("apt", "install", "--allow-downgrades", old)
						m.table(liveRules)
						m.succeeds("systemctl", "is-active", "ipvsadm")
						if out := program.Run(t, "ipvsadm", "-v"); !strings.Contains(out, "popt") {
							t.Errorf("the program is not Debian's: %s", out)
						}
					}
					m.succeeds("dpkg", "--purge", "ipvsadm", "ipvsadm-go")
				})
			}
		}
	})
}

// TestPackageBesideDaemons replaces Debian's ipvsadm while ldirectord and
// keepalived maintain the table. Debian 13's package enables its unit in any
// case.
func TestPackageBesideDaemons(t *testing.T) {
	dir := packages(t)
	guesttest.InGuest(t, func(t *testing.T) {
		m := debianDirector(t)
		old := one(t, dir, "old/13/*.deb")
		debs, err := filepath.Glob(dir + "/old/own/[^i]*.deb")
		must.OK(t, err)
		m.succeeds("mkdir", "-p", "/run/lock/subsys") // in systemd's own /run; systemd-tmpfiles creates it for ldirectord
		m.succeeds(append([]string{"dpkg", "-i", old}, debs...)...)
		must.OK(t, os.MkdirAll("/etc/keepalived", 0o755))
		must.OK(t, os.MkdirAll("/etc/ha.d", 0o755))
		program.Write(t, "/etc/ha.d/ldirectord.cf", `checktimeout=5
checkinterval=1
quiescent=yes
virtual=12.0.0.1:80
	real=192.168.168.10:80 masq
	real=192.168.168.20:80 masq
	scheduler=rr
	checktype=connect
virtual=12.0.0.1:81
	real=192.168.168.10:81 masq
	scheduler=rr
	checktype=connect
`)
		program.Write(t, "/etc/keepalived/keepalived.conf", `virtual_server 12.0.0.1 82 {
	lvs_sched rr
	lvs_method NAT
	protocol TCP
	delay_loop 1
	real_server 192.168.168.10 81 {
		inhibit_on_failure
		TCP_CHECK {
			connect_timeout 2
			retry 0
		}
	}
}
`)
		forgetFiles(t)
		m.succeeds("systemctl", "daemon-reload")
		m.succeeds("systemctl", "restart", "keepalived", "ldirectord")
		// Both react to a server that stops and starts.
		works := func(during string) {
			t.Helper()
			for _, name := range []string{"keepalived", "ldirectord"} {
				if state := program.Run(t, "dpkg-query", "-W", "-f", "${Status}", name); state != "install ok installed" {
					t.Errorf("%s: %s is %q", during, name, state)
				}
			}
			await := func(weight string) {
				t.Helper()
				want := "-a -t 12.0.0.1:81 -r 192.168.168.10:81 -m -w " + weight + "\n-A -t 12.0.0.1:82 -s rr\n-a -t 12.0.0.1:82 -r 192.168.168.10:81 -m -w " + weight
				if !must.Soon(func() bool { return strings.Contains(program.Run(t, "ipvsadm", "-Sn"), want) }) {
					t.Fatalf("%s: no weight %s in\n%s", during, weight, program.Run(t, "ipvsadm", "-Sn"))
				}
			}
			await("0")
			var l net.Listener
			must.OK(t, directorHosts[1].Do(func() (err error) { l, err = net.Listen("tcp", "192.168.168.10:81"); return err }))
			await("1")
			l.Close()
			await("0")
		}
		works("with Debian's")
		for _, step := range []struct {
			name    string
			words   []string
			enabled string
		}{
			{"the installation", []string{"apt", "install", one(t, dir, "ipvsadm-go_*_amd64.deb")}, ""},
			{"an upgrade", []string{"dpkg", "-i", one(t, dir, "ipvsadm-go_*_amd64.deb")}, ""},
			{"the removal", []string{"apt", "install", "--allow-downgrades", old}, "ipvsadm.service"},
		} {
			requests := startTraffic()
			m.succeeds(step.words...)
			forgetFiles(t)
			requests.none(t, step.name)
			works("after " + step.name)
			m.enabled(step.enabled)
		}
	})
}

// TestRedHatTakeover runs a course's commands on a Red Hat director, replaces
// the package under traffic, and reboots.
func TestRedHatTakeover(t *testing.T) {
	dir := packages(t)
	guesttest.InGuest(t, func(t *testing.T) {
		program.Need(t, "rpm")
		purgeDebians(t)
		buildDirector(t)
		program.ResolveFrom(t, "192.168.168.50 test5\n12.0.0.1 test5\n")
		program.Run(t, "mkdir", "-p", "/etc/sysconfig")
		m := boot(t)
		const rulesFile, settings = "/etc/sysconfig/ipvsadm", "/etc/sysconfig/ipvsadm-config"
		ours, old := one(t, dir, "ipvsadm-go-*.x86_64.rpm"), one(t, dir, "old/*.rpm")
		rpm := func(words ...string) string {
			t.Helper()
			return m.succeeds(append([]string{"rpm", "--dbpath", "/var/lib/rpm-of-test"}, words...)...)
		}
		sh := func(lines string) {
			t.Helper()
			for line := range strings.Lines(lines) {
				m.succeeds("sh", "-c", line)
			}
		}
		const add = "ipvsadm -A -t 12.0.0.1:80 -s rr\nipvsadm -a -t 12.0.0.1:80 -r 192.168.168.10:80 -m\nipvsadm -a -t 12.0.0.1:80 -r 192.168.168.20:80 -m\n"

		// The service of Red Hat's package runs, and the table has
		// changed since its start.
		rpm("-i", "--nodeps", old)
		sh("ipvsadm-save > " + rulesFile + "\nsystemctl enable --now ipvsadm\n" + add)
		if out, err := m.do("rpm", "--dbpath", "/var/lib/rpm-of-test", "-i", ours); err == nil || !strings.Contains(out, "ipvsadm") {
			t.Errorf("rpm -i in addition to Red Hat's: %v, %s", err, out)
		}
		requests := startTraffic()
		t.Log(rpm("-U", "--nodeps", ours))
		requests.none(t, "from Red Hat's")
		if out := rpm("-qa"); !strings.HasPrefix(out, "ipvsadm-go-") || strings.Count(out, "\n") != 1 {
			t.Errorf("installed are\n%s", out)
		}
		m.takenOver(liveRules)
		m.enabled("ipvsadm.service")
		m.file(rulesFile, liveRules)
		m.file(settings, program.Read(t, "systemd/ipvsadm.conf"))

		// The course's commands, with names that resolve to other
		// addresses and a restart before any save.
		sh("ipvsadm -C\n" + add + "ipvsadm-save > " + rulesFile + "\nsystemctl restart ipvsadm\n")
		m.table(liveRules)
		sh("rm " + rulesFile + "\nipvsadm -D -t 12.0.0.1:80\n" + add + "systemctl restart ipvsadm\n")
		m.table(liveRules)
		m.file(rulesFile, liveRules)

		requests = startTraffic()
		rpm("-U", "--nodeps", "--replacepkgs", ours)
		requests.none(t, "to a later version")
		m.takenOver(liveRules)

		program.Run(t, "ipvsadm", "-A", "-u", "12.0.0.1:53", "-s", "wlc")
		m = m.reboot()
		m.takenOver(liveRules + dnsRules)
		m.file(rulesFile, liveRules+dnsRules)

		rpm("-e", "ipvsadm-go")
		m.enabled("")
		m.file(rulesFile, liveRules+dnsRules)
		rpm("-i", "--nodeps", old)
		sh("systemctl enable --now ipvsadm\n")
		m.table(liveRules + dnsRules)

		// Edited settings are kept, and a disabled service stays
		// disabled.
		sh("systemctl disable --now ipvsadm\necho '# mine' >> " + settings + "\n" + add)
		rpm("-U", "--nodeps", ours)
		m.table(liveRules)
		m.enabled("")
		m.fails("systemctl", "is-active", "ipvsadm")
		if got := program.Read(t, settings); !strings.HasSuffix(got, "\"\n# mine\n") {
			t.Errorf("the settings are\n%s", got)
		}
	})
}

// debianDirector boots a director with systemd and without ipvsadm.
func debianDirector(t *testing.T) machine {
	t.Helper()
	purgeDebians(t)
	must.OK(t, os.Remove("/usr/sbin/policy-rc.d"))
	program.Write(t, "/etc/apt/apt.conf.d/99test", "APT::Get::Assume-Yes \"true\";\nDpkg::Use-Pty \"false\";\nAPT::Sandbox::User \"root\";\n")
	// In a guest apt takes minutes to read its package lists.
	program.Run(t, "sh", "-c", "rm -rf /var/lib/apt/lists/* /var/lib/man-db/auto-update")
	buildDirector(t)
	return boot(t)
}

// forgetFiles drops the kernel's caches. User Mode Linux keeps a host file
// open for each cached one, and dpkg reads thousands.
func forgetFiles(t *testing.T) {
	t.Helper()
	program.Write(t, "/proc/sys/vm/drop_caches", "3")
}

// in returns the machine for a subtest.
func (m machine) in(t *testing.T) machine { return machine{t, m.systemd} }

// takenOver checks that our program, its service and the table are in place.
func (m machine) takenOver(table string) {
	m.t.Helper()
	for _, path := range []string{"/sbin/ipvsadm", "/usr/sbin/ipvsadm"} {
		if out := program.Run(m.t, path, "-v"); !strings.Contains(out, "pflag") {
			m.t.Errorf("%s is not this program: %s", path, out)
		}
	}
	m.succeeds("systemctl", "is-active", "ipvsadm")
	m.table(table)
}

// enabled compares the units of ipvsadm that start at boot.
func (m machine) enabled(want string) {
	m.t.Helper()
	if got := switchedOn(m.t); got != want {
		m.t.Errorf("enabled are %q, want %q", got, want)
	}
}

// installBlock returns the commands of the block below a heading of install.md.
func installBlock(t *testing.T, heading string) []string {
	t.Helper()
	_, text, found := strings.Cut(program.Read(t, "doc/install.md"), "\n"+heading+"\n")
	_, text, begins := strings.Cut(text, "```sh\n")
	text, _, ends := strings.Cut(text, "\n```\n")
	if !found || !begins || !ends {
		t.Fatalf("install.md has no block below %q", heading)
	}
	return strings.Split(text, "\n")
}
