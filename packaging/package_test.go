// SPDX-License-Identifier: Apache-2.0

package packaging

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ipvsadm-go/ipvsadm/internal/test/guest/guesttest"
	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/internal/test/program"
)

// TestDebianPackage installs the package over Debian's ipvsadm and vice
// versa. IPVSADM_TEST_PACKAGES is the directory of our packages; Debian's are
// in its subdirectory old.
func TestDebianPackage(t *testing.T) {
	dir := packages(t)
	guesttest.InGuest(t, func(t *testing.T) {
		ours, old := one(t, dir, "ipvsadm-go_*_amd64.deb"), one(t, dir, "old/own/ipvsadm_*.deb")
		purgeDebians(t)

		const rules, settings = "-A -t 12.0.0.1:80 -s rr\n", "AUTO=\"true\"\nDAEMON=\"backup\"\n"
		apt := func(t *testing.T, file string) {
			t.Helper()
			program.Run(t, "apt-get", "install", "-y", "--allow-downgrades", file)
		}
		dpkg := func(t *testing.T, file string) {
			t.Helper()
			program.Run(t, "dpkg", "-i", "--force-depends", file)
		}
		holds := func(t *testing.T, parser, rules, settings string) {
			t.Helper()
			for _, path := range []string{"/sbin/ipvsadm", "/usr/sbin/ipvsadm"} {
				if out, err := program.Try(path, "-v"); path == "/sbin/ipvsadm" || parser == "pflag" {
					if (err == nil) != (parser != "") || !strings.Contains(out, parser) {
						t.Errorf("%s -v: %s, %v, want %q", path, out, err, parser)
					}
				}
			}
			for name, want := range map[string]string{rulesFile: rules, "/etc/default/ipvsadm": settings} {
				if b, err := os.ReadFile(name); err != nil && want != "" || string(b) != want {
					t.Errorf("%s: %q, %v, want %q", name, b, err, want)
				}
			}
			if out, _ := program.Try("dpkg-divert", "--list", "*ipvsadm*"); out != "" {
				t.Errorf("left over: %s", out)
			}
			if out, err := program.Try("dpkg", "--audit"); err != nil || out != "" {
				t.Errorf("audit: %s, %v", out, err)
			}
		}
		shipped := program.Read(t, "systemd/ipvsadm.conf")
		for _, merged := range []bool{true, false} {
			name, install := "merged ", apt
			if !merged {
				name, install = "unmerged ", dpkg // dpkg is faster than apt
				program.Run(t, "sh", "-c", "rm /sbin && cp -a /usr/sbin /sbin")
			}
			t.Run(name+"alone", func(t *testing.T) {
				list := program.Run(t, "dpkg-deb", "--contents", ours)
				for _, page := range []string{"README.md", "CHANGELOG.md", "clusters.md", "differences.md", "fleet.md", "guide.md", "install.md", "scale.md", "speed.md", "nat.svg"} {
					if !strings.Contains(list, "/usr/share/doc/ipvsadm-go/"+page+"\n") {
						t.Errorf("the package has no %s:\n%s", page, list)
					}
				}
				dpkg(t, ours)
				holds(t, "pflag", "", shipped)
				if on := switchedOn(t); on != "" {
					t.Errorf("%s is switched on", on)
				}
				dpkg(t, ours) // as an upgrade
				holds(t, "pflag", "", shipped)
				program.Run(t, "dpkg", "-r", "ipvsadm-go")
				holds(t, "", "", "")
			})
			t.Run(name+"over Debian's", func(t *testing.T) {
				install(t, old)
				program.Write(t, rulesFile, rules)
				program.Write(t, "/etc/default/ipvsadm", settings)
				install(t, ours)
				holds(t, "pflag", rules, settings)
				if on := switchedOn(t); on != "ipvsadm-sync@backup.service ipvsadm.service" {
					t.Errorf("enabled units are %q", on)
				}
				program.Run(t, "systemctl", "disable", "ipvsadm")
				dpkg(t, ours)
				if on := switchedOn(t); on != "ipvsadm-sync@backup.service" {
					t.Errorf("after an upgrade %q is switched on", on)
				}
			})
			t.Run(name+"and back", func(t *testing.T) {
				program.Run(t, "dpkg", "-r", "ipvsadm-go")
				holds(t, "", rules, settings)
				if on := switchedOn(t); on != "" {
					t.Errorf("%s stays switched on", on)
				}
				install(t, old)
				holds(t, "popt", rules, settings)
			})
			if merged { // dpkg alone does not replace our package by the old one
				t.Run(name+"and at once", func(t *testing.T) {
					apt(t, ours)
					holds(t, "pflag", rules, settings)
					apt(t, old)
					holds(t, "popt", rules, settings)
					if on := switchedOn(t); on != "" {
						t.Errorf("%s stays switched on", on)
					}
				})
			}
			t.Run(name+"and away", func(t *testing.T) {
				program.Run(t, "dpkg", "--purge", "ipvsadm", "ipvsadm-go")
				holds(t, "", "", "")
			})
		}
	})
}

// TestRedHatPackage installs the RPM package on a machine with no part of Red
// Hat but rpm.
func TestRedHatPackage(t *testing.T) {
	dir := packages(t)
	guesttest.InGuest(t, func(t *testing.T) {
		program.Need(t, "rpm")
		ours := one(t, dir, "ipvsadm-go-*.x86_64.rpm")
		const rulesFile, settings = "/etc/sysconfig/ipvsadm", "/etc/sysconfig/ipvsadm-config"
		rpm := func(words ...string) string {
			t.Helper()
			return program.Run(t, append([]string{"rpm", "--dbpath", filepath.Join(os.TempDir(), "rpm")}, words...)...)
		}
		holds := func(name, want string) {
			t.Helper()
			if b, err := os.ReadFile(name); err != nil || string(b) != want {
				t.Errorf("%s: %q, %v, want %q", name, b, err, want)
			}
		}
		purgeDebians(t)
		program.Run(t, "mkdir", "-p", "/etc/sysconfig")
		program.Write(t, rulesFile, webRules)
		program.Write(t, settings, "IPVS_SAVE_ON_STOP=yes\n")

		rpm("-i", "--nodeps", ours)
		rpm("-U", "--nodeps", "--replacepkgs", ours)
		for _, path := range []string{"/sbin/ipvsadm", "/usr/sbin/ipvsadm"} {
			if out := program.Run(t, path, "-v"); !strings.Contains(out, "pflag") {
				t.Errorf("%s -v: %s", path, out)
			}
		}
		holds(rulesFile, webRules)
		holds(settings, "IPVS_SAVE_ON_STOP=yes\n")
		script := program.Read(t, "/usr/lib/ipvsadm-go/service")
		if !strings.Contains(script, "="+rulesFile+"\n") || !strings.Contains(script, "="+settings+"\n") || strings.Contains(script, "/etc/default") {
			t.Errorf("the script of the units:\n%s", script)
		}
		for what, want := range map[string]string{"--provides": "ipvsadm = 1:1.31", "--conflicts": "ipvsadm < 1:1.31", "--obsoletes": "ipvsadm < 1:1.31"} {
			if got := rpm("-q", what, "ipvsadm-go"); !strings.Contains("\n"+got, "\n"+want+"\n") {
				t.Errorf("rpm -q %s: %s, want %s", what, got, want)
			}
		}
		rpm("-e", "ipvsadm-go")
		holds(rulesFile, webRules)
		if _, err := os.Lstat("/sbin/ipvsadm"); err == nil {
			t.Error("the program is still there")
		}
	})
}

// TestRedHatPackageWithDnf replaces Red Hat's package and goes back with the
// README's commands, without repositories.
func TestRedHatPackageWithDnf(t *testing.T) {
	dir := packages(t)
	guesttest.InGuest(t, func(t *testing.T) {
		program.Need(t, "dnf")
		purgeDebians(t)
		old := one(t, dir, "old/*.rpm")
		program.Run(t, "rpm", "-i", old)
		for _, c := range []struct {
			words []string
			want  string
		}{
			{[]string{"install", one(t, dir, "ipvsadm-go-*.x86_64.rpm")}, "ipvsadm-go "},
			{[]string{"swap", "ipvsadm-go", old}, "ipvsadm "},
		} {
			out := program.Run(t, append([]string{"dnf", "--assumeyes", "--disablerepo=*", "--releasever=9"}, c.words...)...)
			if got := program.Run(t, "rpm", "-qa", "--qf", "%{NAME} "); got != c.want {
				t.Errorf("dnf %q: installed are %q, want %q\n%s", c.words, got, c.want, out)
			}
		}
	}, "dnf")
}

// purgeDebians purges Debian's ipvsadm and the packages that depend on it,
// such as a director's ldirectord.
func purgeDebians(t *testing.T) {
	t.Helper()
	t.Setenv("DEBIAN_FRONTEND", "noninteractive")
	// No service manager runs in a guest.
	program.Write(t, "/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n")
	program.Run(t, "chmod", "+x", "/usr/sbin/policy-rc.d")
	program.Run(t, "apt-get", "purge", "-y", "ipvsadm")
}

// switchedOn returns the units of ipvsadm that are enabled.
func switchedOn(t *testing.T) string {
	t.Helper()
	links, err := filepath.Glob("/etc/systemd/system/multi-user.target.wants/ipvsadm*")
	must.OK(t, err)
	for i := range links {
		links[i] = filepath.Base(links[i])
	}
	return strings.Join(links, " ")
}

// packages returns the directory of the packages to test.
func packages(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("IPVSADM_TEST_PACKAGES")
	if dir == "" {
		t.Skip("needs packages: make test-package")
	}
	return dir
}

func one(t *testing.T, dir, pattern string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(files) != 1 {
		t.Fatalf("%s: %q, %v", pattern, files, err)
	}
	return files[0]
}
