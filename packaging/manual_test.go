// SPDX-License-Identifier: Apache-2.0

package packaging

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ipvsadm-go/ipvsadm/internal/test/guest/guesttest"
	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/internal/test/program"
	"github.com/ipvsadm-go/ipvsadm/internal/test/terminal"
)

// TestJqLinesOfTheManual runs the examples whose comment mentions "jq".
func TestJqLinesOfTheManual(t *testing.T) {
	page, err := os.ReadFile("man/ipvsadm.8")
	must.OK(t, err)
	// The kernel updates its counters every two seconds.
	wait := map[string]string{"difference": "command sleep 3\n"}
	examples := make(map[string]string)
	for _, part := range strings.Split(string(page), `.\" jq `)[1:] {
		name, text, _ := strings.Cut(part, "\n.Bd -literal -offset indent\n")
		text, _, found := strings.Cut(text, ".Ed\n")
		if !found {
			t.Fatalf("%s has no example", name)
		}
		examples[name] = strings.ReplaceAll(text, `\e`, `\`)
	}
	// The client of the connections runs on the director.
	const prepare = `cd "$(mktemp -d)"
ip link add dummy0 type dummy && ip link set dummy0 up
ip addr add 192.168.168.1/24 dev dummy0 && ip addr add 12.0.0.1/32 dev dummy0
connect() { for i in $(seq $2); do bash -c "printf x >/dev/udp/12.0.0.1/$1"; done; }
sleep() { connect 53 2; connect 54 1; command sleep 3; }
ipvsadm -A -u 12.0.0.1:53 -s rr
ipvsadm -a -u 12.0.0.1:53 -r 192.168.168.10 -m
ipvsadm -a -u 12.0.0.1:53 -r 192.168.168.11 -m -w 0
ipvsadm -A -u 12.0.0.1:54 -s rr
ipvsadm -a -u 12.0.0.1:54 -r 192.168.168.20:5400 -m
ipvsadm -A -t 12.0.0.1:80 -s rr
ipvsadm -a -t 12.0.0.1:80 -r 192.168.168.40 -m
ipvsadm -A -t 12.0.0.1:81 -s rr
ipvsadm -a -t 12.0.0.1:81 -r 192.168.168.41 -m
ipvsadm -A -f 7 -s rr
ipvsadm -a -f 7 -r 192.168.168.30 -g -w 0
ipvsadm -A -t [2001:db8::1]:80 -s rr
connect 54 3
for port in 80 81 81; do timeout 0.5 bash -c "echo >/dev/tcp/12.0.0.1/$port"; done
`
	answers := map[string]string{
		"clients":    "      6 12.0.0.1\n",
		"weight 0":   "192.168.168.11 53\n192.168.168.30 0\n",
		"no servers": "[\"tcp\",\"2001:db8::1\",80]\n[7]\n",
		"top":        "2 192.168.168.41 81\n1 192.168.168.40 80\n0 192.168.168.10 53\n0 192.168.168.11 53\n0 192.168.168.20 5400\n0 192.168.168.30 0\n",
		"difference": `{
  "inet tcp 12.0.0.1 80": 0,
  "inet tcp 12.0.0.1 81": 0,
  "inet udp 12.0.0.1 53": 2,
  "inet udp 12.0.0.1 54": 1,
  "inet6 tcp 2001:db8::1 80": 0,
  "inet 7": 0
}
`,
	}
	if len(examples) != len(answers) {
		t.Errorf("%d examples, %d answers", len(examples), len(answers))
	}
	guesttest.InGuest(t, func(t *testing.T) {
		program.Need(t, "jq")
		program.InPath(t)
		guesttest.Modprobe(t, "ip_vs", "dummy")
		for name, want := range answers {
			t.Run(name, func(t *testing.T) {
				guesttest.Namespace(t)
				if out := program.Run(t, "bash", "-c", prepare+wait[name]+examples[name]); out != want {
					t.Errorf("got\n%s, want\n%s", out, want)
				}
			})
		}
	})
}

// example is an example on a page; tag is the comment above it, or "".
type example struct{ tag, text string }

// examplesOf returns the examples of a page in order, without output and
// without the examples for jq, which TestJqLinesOfTheManual runs.
func examplesOf(t *testing.T, page string) (examples []example) {
	t.Helper()
	block := regexp.MustCompile(`(?m)(?:^\.\\" ([a-z].*)\n)?^\.(?:Bd -literal -offset indent\n((?s:.*?))\.Ed|Dl (.*))$`)
	for _, m := range block.FindAllStringSubmatch(program.Read(t, page), -1) {
		if m[1] != "output" && !strings.HasPrefix(m[1], "jq ") {
			examples = append(examples, example{m[1], strings.ReplaceAll(m[2]+m[3], `\e`, `\`)})
		}
	}
	return examples
}

// TestExamplesOfTheManual runs the examples of the pages in order, in a
// network namespace with the directors' addresses. It stops the monitor after
// a while. Examples that need systemd run in TestManualAtBoot.
func TestExamplesOfTheManual(t *testing.T) {
	// Some kernels support only legacy or only nft tables of iptables; User
	// Mode Linux since 7.2.7 supports neither. User Mode Linux has nf_tables
	// without a family: only kernels with the family inet, as Debian's are,
	// run nft.
	const prepare = `
iptables() {
	if command iptables -t mangle -N probe 2>/dev/null; then
		command iptables -t mangle -X probe
		command iptables "$@"
	elif modprobe -nq ip_tables; then
		xtables-legacy-multi iptables "$@"
	fi
}
nft() { ! modprobe -nq nft_fib_inet || command nft "$@"; }
ipvsadm() { case "$*" in --monitor*) timeout 2 ipvsadm "$@" || [ $? = 124 ] ;; *) command ipvsadm "$@" ;; esac; }
`
	const want = `-A -f 1 -s wlc -p 600
-a -f 1 -r 192.0.2.10:0 -g -w 1
-a -f 1 -r 192.0.2.11:0 -g -w 1
-A -t 12.0.0.1:21 -s wlc
-a -t 12.0.0.1:21 -r 192.168.168.10:21 -m -w 1
-A -t 12.0.0.1:80 -s rr
-a -t 12.0.0.1:80 -r 192.168.168.10:80 -m -w 1
-a -t 12.0.0.1:80 -r 192.168.168.20:80 -m -w 1
-A -t 192.0.2.1:21 -s wlc -p 540
-a -t 192.0.2.1:21 -r 192.0.2.10:21 -g -w 1
-A -t 192.0.2.1:443 -s wlc
-a -t 192.0.2.1:443 -r 192.0.2.10:443 -g -w 5
-a -t 192.0.2.1:443 -r 192.0.2.11:443 -g -w 1
-A -t [2001:db8::1]:443 -s wlc
-a -t [2001:db8::1]:443 -r 198.51.100.10:443 -i -w 1 --tun-type ipip
-A -u 192.0.2.1:53 -s sh -b sh-port
-a -u 192.0.2.1:53 -r 198.51.100.10:53 -i -w 1 --tun-type ipip
-a -u 192.0.2.1:53 -r 203.0.113.10:53 -i -w 1 --tun-type gue --tun-port 6080 --tun-nocsum
`
	guesttest.InGuest(t, func(t *testing.T) {
		guesttest.Namespace(t)
		program.InPath(t)
		program.ResolveFrom(t, "")
		guesttest.Modprobe(t, "dummy")
		dir := t.TempDir()
		run := func(text string) {
			cmd := exec.Command("bash", "-e", "-o", "pipefail", "-c", prepare+text)
			cmd.Dir = dir
			if a, err := program.Collect(cmd); err != nil || a.Status != 0 || a.Stderr != "" {
				t.Errorf("%s\nstatus %d, %v\n%s%s", text, a.Status, err, a.Stdout, a.Stderr)
			}
		}
		// Undo these, or move to the state that the next example
		// expects.
		after := map[string]string{
			"boot":    "",
			"journal": "",
			"daemons": "[ $(ipvsadm -L --daemon | grep -c syncid=7) = 2 ]; ipvsadm --stop-daemon master; ipvsadm --stop-daemon backup",
		}
		run("ip link add eth0 type dummy && ip link set eth0 up && ip address add 192.0.2.2/24 dev eth0")
		pages, err := filepath.Glob("man/*.[78]")
		must.OK(t, err)
		slices.SortFunc(pages, func(a, b string) int { return len(a) - len(b) }) // ipvsadm.8 first
		for _, name := range pages {
			examples := examplesOf(t, name)
			if least := map[string]int{"man/ipvsadm.8": 14, "man/ipvsadm-save.8": 2, "man/ipvsadm-restore.8": 2}[name]; len(examples) < least {
				t.Errorf("%s has %d examples, want %d", name, len(examples), least)
			}
			for _, e := range examples {
				more, known := after[e.tag]
				if e.tag != "" && !known {
					t.Errorf("%s: an example with the tag %q", name, e.tag)
				}
				if e.tag != "boot" && e.tag != "journal" { // TestUnits restores one
					run(e.text + more)
				}
			}
			run("ipvsadm-save -n -o ipvsadm.rules")
		}
		saved := strings.Split(program.Read(t, filepath.Join(dir, "ipvsadm.rules")), "\n")
		wanted := strings.Split(want, "\n")
		slices.Sort(saved)
		slices.Sort(wanted)
		if !slices.Equal(saved, wanted) {
			t.Errorf("the table is\n%s\nwant\n%s", strings.Join(saved, "\n"), strings.Join(wanted, "\n"))
		}
		run("nft list chain ip ipvs prerouting | grep -q 'tcp dport { 80, 443 }' || ! modprobe -nq nft_fib_inet")
	}, "nftables", "iptables", "iproute2", "kmod")
}

// TestManualAtBoot runs the manual's examples for the boot, under systemd.
func TestManualAtBoot(t *testing.T) {
	guesttest.InGuest(t, func(t *testing.T) {
		install(t, "debian")
		m := boot(t)
		guesttest.Modprobe(t, "ip_vs", "dummy")
		for _, line := range []string{
			"ip link add eth0 type dummy", "ip link set eth0 up", "ip address add 192.0.2.2/24 dev eth0",
			"ipvsadm -A -t 12.0.0.1:80 -s rr", "ipvsadm --set 1000 0 0",
		} {
			program.Run(t, strings.Fields(line)...)
		}
		typed := 0
		for _, e := range examplesOf(t, "man/ipvsadm.8") {
			if e.tag == "boot" {
				m.succeeds("sh", "-ec", e.text)
				typed++
			}
		}
		if typed != 2 {
			t.Errorf("%d examples", typed)
		}
		program.Run(t, "ipvsadm", "--set", "900", "0", "0")
		m.systemctl("restart")
		m.table("-A -t 12.0.0.1:80 -s rr\n")
		if out := program.Run(t, "ipvsadm", "-L", "--timeout"); out != "Timeout (tcp tcpfin udp): 1000 120 300\n" {
			t.Errorf("after the restart: %s", out)
		}
		for _, role := range []string{"master", "backup"} {
			running := func() bool {
				return strings.Contains(program.Run(t, "ipvsadm", "-L", "--daemon"), role+" sync daemon (mcast=eth0, syncid=7,")
			}
			if !must.Soon(running) {
				t.Errorf("no %s daemon runs", role)
			}
		}
	})
}

// TestExamplesOfTheHelp runs the examples of -h in order.
func TestExamplesOfTheHelp(t *testing.T) {
	guesttest.InGuest(t, func(t *testing.T) {
		guesttest.Namespace(t)
		program.InPath(t)
		program.ResolveFrom(t, "")
		guesttest.Modprobe(t, "dummy")
		program.Run(t, "bash", "-ec", `ip link add eth1 type dummy; ip link set eth1 up; ip address add 192.0.2.2/24 dev eth1
ip netns add blue; ip -n blue link set lo up`)
		t.Cleanup(func() { program.Run(t, "bash", "-c", "ipvsadm --stop-daemon master; ip netns delete blue") })
		ran := 0
		for _, name := range program.Names {
			_, rest, found := strings.Cut(program.Run(t, name, "-h"), "Example: ")
			for ; found; _, rest, found = strings.Cut(rest, "Example: ") {
				example, _, _ := strings.Cut(rest, "\n")
				words := strings.Fields(example)
				ran++
				switch {
				case slices.Contains(words, "--watch"):
					watch(t, words)
				case slices.Contains(words, "--monitor"):
					if a := program.Ask(t, append([]string{"timeout", "2"}, words...)...); a.Status != 124 || a.Stderr != "" {
						t.Errorf("%s: status %d\n%s", example, a.Status, a.Stderr)
					}
				default:
					a := program.Ask(t, words...)
					if a.Status != 0 || a.Stderr != "" && !strings.Contains(a.Stderr, " warning: ") {
						t.Errorf("%s: status %d\n%s", example, a.Status, a.Stderr)
					}
				}
			}
		}
		if ran < 15 {
			t.Errorf("%d examples", ran)
		}
	})
}

// watch waits until the screen shows the service that the examples added, and
// quits.
func watch(t *testing.T, words []string) {
	t.Helper()
	screen := terminal.New(t, 100, 30)
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Env = append(os.Environ(), "TERM=xterm")
	screen.Start(t, cmd)
	screen.Await(t, "the service", func(text string) bool { return strings.Contains(text, "12.0.0.1:80") })
	must.OK(t, screen.Type("q"))
	must.OK(t, cmd.Wait())
}

// TestExitStatusesOfTheManual runs a command for each exit status of each page.
// Statuses after a signal are tested with the signals.
func TestExitStatusesOfTheManual(t *testing.T) {
	const signal = "128 + signal"
	cases := map[string]map[string]string{
		"ipvsadm.8": {
			"0":    "ipvsadm -Ln",
			"1":    "ipvsadm -Ln -t 12.0.0.1:81",
			"2":    "ipvsadm -A -t 12.0.0.1:81 -w 1",
			"255":  "ipvsadm -D -t 12.0.0.1:81",
			signal: "",
		},
		"ipvsadm-save.8": {
			"0": "ipvsadm-save -n",
			"1": "ipvsadm-save -n >/dev/full",
			"2": "ipvsadm-save -n -o /nowhere/rules",
		},
		"ipvsadm-restore.8": {
			"0":    "ipvsadm-save -n | ipvsadm-restore",
			"1":    "echo -A -t 12.0.0.1:82 -s rr | ipvsadm-restore --diff",
			"2":    "echo -a -t 12.0.0.1:82 -r 192.168.168.10 | ipvsadm-restore --strict",
			"255":  "echo -a -t 12.0.0.1:82 -r 192.168.168.10 | ipvsadm-restore --merge",
			signal: "",
		},
	}
	more := []struct{ command, status string }{
		{"ipvsadm -L -q", "255"},
		{"ipvsadm foo", "255"},
		{"ipvsadm -Ln >/dev/full", "1"},
		{"ipvsadm --apply </dev", "1"},
		{"ipvsadm --watch </dev/null", "2"},
		{"printf '%s\\n' '-A -f 1 -s rr' '-A -f 1 -s rr' | ipvsadm --apply --merge --keep-going", "1"},
		{"printf '%s\\n' '-D -f 9' '-A -f 8 -s rr' | ipvsadm -R", "0"},
		{"printf '%s\\n' '-A -f 7 -s rr' '-A -q' '-D -f 7' | ipvsadm -R", "0"},
		{"printf '%s\\n' '-A -f 7 -s rr' '-D -f 7' '-A -q' | ipvsadm -R", "255"},
		{"printf '%s\\n' '-A -f 6 -s rr -w 1' | ipvsadm -R", "2"},
		{"echo foo | ipvsadm -R", "255"},
		{"ipvsadm --doctor >/dev/full", "2"},
		{"ipvsadm-save -q", "1"},
		{"ipvsadm-save --update /dev/null/rules", "2"},
		{"ipvsadm-restore -q", "255"},
		{"ipvsadm-restore --check nowhere", "2"},
		{"echo -C | ipvsadm-restore --check", "0"},
		{"ipvsadm-save -n | ipvsadm-restore --diff", "0"},
		{"ipvsadm --doctor >/dev/null; [ $? -le 2 ]", "0"},
	}
	guesttest.InGuest(t, func(t *testing.T) {
		guesttest.Namespace(t)
		program.InPath(t)
		program.Run(t, "ipvsadm", "-A", "-t", "12.0.0.1:80")
		ends := func(command, status string) {
			if a := program.Ask(t, "bash", "-c", command); fmt.Sprint(a.Status) != status {
				t.Errorf("%s: status %d, want %s\n%s%s", command, a.Status, status, a.Stdout, a.Stderr)
			}
		}
		for name, commands := range cases {
			_, text, _ := strings.Cut(program.Read(t, "man/"+name), "\n.Sh EXIT STATUS\n")
			text, _, _ = strings.Cut(text, "\n.El\n")
			var told []string
			for _, m := range regexp.MustCompile(`(?m)^\.It (.*)$`).FindAllStringSubmatch(text, -1) {
				told = append(told, m[1])
			}
			if want := slices.Sorted(maps.Keys(commands)); !slices.Equal(slices.Sorted(slices.Values(told)), want) {
				t.Errorf("%s tells the statuses %q, want %q", name, told, want)
			}
			for status, command := range commands {
				if status != signal {
					ends(command, status)
				}
			}
		}
		for _, c := range more {
			ends(c.command, c.status)
		}
	})
}

// TestSectionsOfTheManual checks their order.
func TestSectionsOfTheManual(t *testing.T) {
	for _, name := range []string{"ipvsadm.8", "ipvsadm-save.8", "ipvsadm-restore.8"} {
		var sections []string
		for _, m := range regexp.MustCompile(`(?m)^\.Sh (.*)$`).FindAllStringSubmatch(program.Read(t, "man/"+name), -1) {
			sections = append(sections, m[1])
		}
		at := 0
		for _, want := range []string{"NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "FILES", "EXIT STATUS", "EXAMPLES", "COMPATIBILITY", "SEE ALSO"} {
			i := slices.Index(sections, want)
			if i < at {
				t.Errorf("%s has no section %s, or not in its place: %q", name, want, sections)
			}
			at = i
		}
	}
}

func TestManualPages(t *testing.T) {
	guesttest.InGuest(t, func(t *testing.T) {
		program.Need(t, "mandoc")
		pages, err := filepath.Glob("man/*.[78]")
		if err != nil || len(pages) != 5 {
			t.Fatalf("%d pages, %v", len(pages), err)
		}
		if out, err := program.Try(append([]string{"mandoc", "-T", "lint", "-W", "warning"}, pages...)...); err != nil || out != "" {
			t.Errorf("mandoc: %v\n%s", err, out)
		}
	})
}
