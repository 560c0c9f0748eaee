// SPDX-License-Identifier: Apache-2.0

package doctor_test

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ipvsadm-go/ipvsadm/internal/spec"
	"github.com/ipvsadm-go/ipvsadm/internal/test/cluster"
	"github.com/ipvsadm-go/ipvsadm/internal/test/guest/guesttest"
	"github.com/ipvsadm-go/ipvsadm/internal/test/program"
)

func TestMain(m *testing.M) { program.Main(m) }

func TestOnAKernel(t *testing.T) {
	guesttest.InGuest(t, func(t *testing.T) {
		program.InPath(t)
		a := program.Ask(t, "ipvsadm", "--doctor")
		const empty = "warning: there are no virtual services, so nothing is balanced [no-services]\n"
		const notLoaded = "note: ip_vs is not loaded; the first command that needs it loads it [module]\n  fix: modprobe ip_vs\n"
		if !strings.HasPrefix(a.Stdout, empty+notLoaded) || a.Status != 1 || a.Stderr != "" {
			t.Errorf("%+v", a)
		}
		if _, err := os.Stat("/sys/module/ip_vs"); err == nil {
			t.Error("the module was loaded")
		}
		for _, fix := range fixes(a.Stdout) {
			program.Run(t, "sh", "-c", fix)
		}
		if out := program.Ask(t, "ipvsadm", "--doctor").Stdout; strings.Contains(out, "[module]\n  fix: ") {
			t.Errorf("after the fix:\n%s", out)
		}
		guesttest.Modprobe(t, "ip_vs", "dummy")
		for _, s := range scenarios {
			t.Run(s.name, func(t *testing.T) { s.play(t) })
		}
		t.Run("settings", testSettings)
		t.Run("without the table", testWithoutTable)
		t.Run("another namespace", testNamespace)
		t.Run("a file", testFile)
	})
}

// testSettings compares the table of sysctls with the kernel's settings and their
// defaults, in the first network namespace and in another one.
func testSettings(t *testing.T) {
	guesttest.Modprobe(t, "ip_vs_lblc", "ip_vs_lblcr")
	w := build(t, nat.hosts)
	for _, host := range []string{"", "director"} {
		defaults := func() error {
			const dir = "/proc/sys/net/ipv4/vs"
			files, err := os.ReadDir(dir)
			if err != nil || len(files) < 25 {
				return fmt.Errorf("%d settings, %v", len(files), err)
			}
			for _, f := range files {
				i := slices.IndexFunc(spec.Sysctls[:], func(s spec.Sysctl) bool { return s.Name == f.Name() })
				if i < 0 {
					t.Errorf("%q: no row has the setting %s", host, f.Name())
					continue
				}
				value := strings.Join(strings.Fields(program.Read(t, filepath.Join(dir, f.Name()))), " ")
				if row := spec.Sysctls[i]; !row.Varies && value != row.Default && !(host != "" && slices.Contains(row.Others, value)) {
					t.Errorf("%q: %s is %q, and by the row %q", host, row.Name, value, row.Default)
				}
			}
			return nil
		}
		err := defaults()
		if host != "" {
			err = cluster.Host{Name: host}.Do(defaults)
		}
		if err != nil {
			t.Error(err)
		}
	}
	if found, _ := w.doctor(); strings.Contains(found, "vs-sysctl") {
		t.Errorf("defaults are no finding:\n%s", found)
	}
}

// testWithoutTable examines a host whose table cannot be read.
func testWithoutTable(t *testing.T) {
	w := build(t, nat.hosts)
	w.run(nat.setup + "director# sysctl -qw net.ipv4.ip_forward=0 net.ipv4.vs.run_estimation=0\n")
	// Another user cannot read the directory of this binary.
	out, _ := exec.Command("sh", "-c", "cp "+os.Args[0]+" /usr/local/bin/ipvsadm && exec ip netns exec director setpriv --reuid 1000 --clear-groups /usr/local/bin/ipvsadm --doctor").CombinedOutput()
	got := string(out)
	if !strings.HasPrefix(got, "without root only the host is examined, not the virtual services\nnote: net.ipv4.vs.run_estimation is 0, so all rates are 0 [estimator]\n") ||
		strings.Contains(got, "error: ") || !strings.HasSuffix(got, " checks: 1 note\n") {
		t.Error(got)
	}
	out, _ = exec.Command("ip", "netns", "exec", "director", "sh", "-c", "mount -t tmpfs none /proc && exec ipvsadm --doctor").CombinedOutput()
	const want = "without /proc only the host is examined, not the virtual services\n2 checks, nothing found\n"
	if got := string(out); got != want {
		t.Error(got)
	}
	// In a systemd service with ProcSubset=pid, /proc contains processes
	// only.
	out, _ = exec.Command("ip", "netns", "exec", "director", "sh", "-c", "mount -t proc -o subset=pid none /proc && exec ipvsadm --doctor").CombinedOutput()
	if got := string(out); strings.Contains(got, "without ") || !strings.HasSuffix(got, " checks, nothing found\n") {
		t.Error(got)
	}
}

// testNamespace examines another namespace than the program's own; fixes
// apply there.
func testNamespace(t *testing.T) {
	w := build(t, nat.hosts)
	w.run(nat.setup + "director# sysctl -qw net.ipv4.ip_forward=0\ndirector# ipvsadm -e -t 12.0.0.1:80 -r 192.168.168.10:8080 -m -w 0\n")
	a := program.Ask(t, "ipvsadm", "--netns", "director", "--doctor")
	const want = `warning: TCP 12.0.0.1:80: all its servers have weight 0, so no new connection is accepted [all-weights-zero]
  fix: ipvsadm --netns director -e -t 12.0.0.1:80 -r 192.168.168.10:8080 -m -w 1
`
	if a.Status != 1 || !strings.HasPrefix(a.Stdout, want) {
		t.Fatalf("%d %s%s", a.Status, a.Stdout, a.Stderr)
	}
	program.Run(t, "sh", "-c", fixes(want)[0])
	if found, _ := w.doctor(); !strings.Contains(found, "ip-forward") {
		t.Error(found)
	}
	if a := program.Ask(t, "ipvsadm", "--netns", "nowhere", "--doctor"); a.Status != 2 || a.Stdout != "" || !strings.HasPrefix(a.Stderr, "can't use network namespace nowhere: ") {
		t.Errorf("%+v", a)
	}
}

// testFile examines the table of a rule file.
func testFile(t *testing.T) {
	w := build(t, nat.hosts)
	rules := filepath.Join(t.TempDir(), "rules")
	program.Write(t, rules, `-A -t 12.0.0.1:80 -s rr
-a -t 12.0.0.1:80 -r 192.168.168.10:8080 -m -w 0
-A -t 12.0.0.1:81 -s foo
-a -t 12.0.0.1:81 -r 192.168.168.10:8080 -m
`)
	found, status := w.doctor(rules)
	release := strings.TrimSpace(program.Read(t, "/proc/sys/kernel/osrelease"))
	want := `error: TCP 12.0.0.1:81: IPv4 forwarding is off, so replies from NAT servers (-m) do not reach clients [ip-forward]
  fix: sysctl -w net.ipv4.ip_forward=1
error: TCP 12.0.0.1:81: Linux ` + release + ` has no module ip_vs_foo, so the service cannot be added [scheduler-module]
warning: TCP 12.0.0.1:80: all its servers have weight 0, so no new connection is accepted [all-weights-zero]
  fix: edit ` + rules + `: -a -t 12.0.0.1:80 -r 192.168.168.10:8080 -m -w 1
`
	if found != want || status != 2 {
		t.Errorf("%d\n%s\nwant\n%s", status, found, want)
	}
	program.Write(t, rules, "-A -t 12.0.0.1:80 -s rr\n-a -t 12.0.0.1:81 -r 192.168.168.10 -m\n")
	a := program.Ask(t, "ipvsadm", "--doctor", rules)
	if want := rules + ": line 2: Service not defined\n"; a.Status != 2 || a.Stdout != "" || a.Stderr != want {
		t.Errorf("%+v, want %q", a, want)
	}
}

// play builds the scenario's network, examines its director, and applies the
// fixes.
func (s *scenario) play(t *testing.T) {
	w := build(t, s.hosts)
	if s.needs != "" && (cluster.Host{Name: "director"}).Do(exec.Command("sh", "-c", s.needs).Run) != nil {
		t.Logf("this kernel fails: %s", s.needs)
		return
	}
	w.run(s.base.setup + s.setup)
	found, status := w.doctor()
	if found != strings.TrimPrefix(s.found, "\n") {
		t.Fatalf("%s\nwant%s", found, s.found)
	}
	want := 0
	switch {
	case strings.HasPrefix(found, "error"):
		want = 2
	case strings.HasPrefix(found, "warning"):
		want = 1
	}
	if status != want {
		t.Errorf("status %d, want %d", status, want)
	}
	from, size := cmp.Or(s.from, "client"), cmp.Or(s.size, 16)
	switch {
	case s.service == "":
	case !s.fails:
		w.passes(from, s.service, size)
	case w.ask(from, s.service, 1, size) == nil:
		t.Errorf("%s answers despite the fault", s.service)
	}
	w.run(s.cleanup)
	all := fixes(found)
	for _, fix := range all {
		w.run("director# " + strings.TrimSpace(fix) + " >/dev/null")
	}
	if left, status := w.doctor(); status != 0 && len(all) > 0 {
		t.Errorf("after the fix:\n%s", left)
	}
	if s.service != "" && s.fails && len(all) > 0 {
		w.passes(from, s.service, size)
	}
}

// fixes returns the commands that the doctor printed, with placeholders
// filled in as an operator would.
func fixes(found string) (commands []string) {
	filled := strings.NewReplacer("GATEWAY", "192.168.168.10", "SERVER", "192.168.168.10:8080 -m", "INTERFACE", "ens33")
	for line := range strings.Lines(found) {
		if fix, ok := strings.CutPrefix(line, "  fix: "); ok {
			commands = append(commands, filled.Replace(fix))
		}
	}
	return commands
}
