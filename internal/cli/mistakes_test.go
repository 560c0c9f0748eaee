// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/ipvsadm-go/ipvsadm/internal/render"
	"github.com/ipvsadm-go/ipvsadm/internal/test/cluster"
	"github.com/ipvsadm-go/ipvsadm/internal/test/guest/guesttest"
	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/internal/test/program"
	"github.com/ipvsadm-go/ipvsadm/internal/test/session"
	"github.com/ipvsadm-go/ipvsadm/internal/test/terminal"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// mistakesFile is a session: commands, followed by their standard output, by
// standard error after "! ", by hints on a terminal after "? ", and by the
// exit status in brackets. Commands below a note that ends with "ours" use
// features that 1.31 lacks or are an intended difference. For all others, the
// output of 1.31 must be the same.
const mistakesFile = "../../testdata/mistakes.txt"

// mistakesTable sets up the table, which the mistakes must not change.
const mistakesTable = `
ip link set lo up
ip link add dummy0 type dummy
ip addr add 192.168.168.1/24 dev dummy0
ip link set dummy0 up
ip -6 addr add fd00::ff/64 dev dummy0 nodad
ip route add default dev dummy0
ipvsadm -R <<'END'
-A -t 12.0.0.1:80 -s rr
-a -t 12.0.0.1:80 -r 192.168.168.10:8080 -m -w 1
-a -t 12.0.0.1:80 -r 192.168.168.20:80 -m -w 2 -x 100 -y 10
-A -u 12.0.0.1:53 -s wlc
-a -u 12.0.0.1:53 -r 192.168.168.10:53 -g
-A -t 12.0.0.1:443 -s sh -b sh-port -p 300
-a -t 12.0.0.1:443 -r 192.168.168.10:443 -g
-A -f 1 -s rr
-A -f 2 -6 -s rr
-a -f 2 -6 -r fd00::10 -g
-A -t [fd00::1]:80 -s rr
-a -t [fd00::1]:80 -r [fd00::10]:80 -m
--start-daemon master --mcast-interface dummy0
END
`

// TestMistakesOnAKernel makes each mistake with a pipe and on a terminal, with
// this program and with 1.31.
func TestMistakesOnAKernel(t *testing.T) {
	all, err := session.Parse(session.Shell, program.Read(t, mistakesFile))
	must.OK(t, err)
	const least = 150
	if len(all) < least {
		t.Fatalf("%d mistakes, at least %d are wanted", len(all), least)
	}
	guesttest.InGuest(t, func(t *testing.T) {
		guesttest.Modprobe(t, "ip_vs", "dummy")
		guesttest.Namespace(t)
		program.Replace(t, "/etc/resolv.conf", "nameserver 127.0.0.1\n")
		program.Replace(t, "/etc/nsswitch.conf", "hosts: files\n")
		bin := program.Dir(t)
		ways := []way{
			{name: "into a pipe", bin: bin},
			{name: "on a terminal", bin: bin, terminal: true},
			{name: "into a pipe, by 1.31", bin: cluster.Original},
		}
		if got := ways[0].typed(t, t.TempDir(), mistakesTable); got != "" {
			t.Fatal(got)
		}
		client, err := ipvs.Dial(t.Context(), ipvs.Config{})
		must.OK(t, err)
		defer client.Close()
		table := func() string {
			have, err := client.Table(t.Context())
			must.OK(t, err)
			render.Sort(have.Services) // undoing changes the order of the kernel's lists
			return fmt.Sprint(*have)
		}
		before := table()
		folder := t.TempDir()
		ours := false
		for _, step := range all {
			if step.Note != "" {
				ours = strings.HasSuffix(step.Note, "ours")
			}
			for _, w := range ways {
				if w.bin == cluster.Original && ours {
					continue
				}
				want := step.Answer
				if !w.terminal {
					want = withoutHints(want)
				}
				if got := w.typed(t, folder, step.Command); got != want {
					t.Errorf("%s:\n$ %s\n%swant\n%s", w.name, step.Command, got, want)
				}
				if now := table(); now != before {
					t.Fatalf("%s: $ %s\nhas changed the table from\n%s\nto\n%s", w.name, step.Command, before, now)
				}
			}
		}
	})
}

func withoutHints(answer string) string {
	var b strings.Builder
	for line := range strings.Lines(answer) {
		if !strings.HasPrefix(line, "? ") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// way is a program and its kind of output for a run of the mistakes.
type way struct {
	name     string
	bin      string // the directory of the programs
	terminal bool   // on standard error
}

// progress matches the progress display of a long restore on a terminal, which
// is erased at the end.
var progress = regexp.MustCompile(`(\r\d+ of \d+ changes)+\r\x1b\[K`)

// unchanged matches the last line of a restore on a terminal, which
// TestLastLineOnATerminal tests.
var unchanged = regexp.MustCompile(`(?m)^\S+: nothing was changed\n`)

// typed runs a command and returns its output in the format of a session.
func (w way) typed(t *testing.T, dir, command string) string {
	t.Helper()
	on, stderr := (*terminal.Terminal)(nil), (*os.File)(nil)
	if w.terminal {
		on = terminal.New(t, 80, 24)
		stderr = on.Slave
	}
	a, err := typed(w.bin, dir, command, stderr)
	must.OK(t, err)
	if w.terminal {
		a.Stderr = strings.ReplaceAll(progress.ReplaceAllString(on.Output(t), ""), "\r", "")
		a.Stderr = unchanged.ReplaceAllString(a.Stderr, "")
	}
	answer := a.Stdout
	for line := range strings.Lines(a.Stderr) {
		if hint, ok := strings.CutPrefix(line, "hint: "); ok {
			answer += "? " + hint
		} else {
			answer += "! " + line
		}
	}
	return session.Answer(answer, a.Status)
}
