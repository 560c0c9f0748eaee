// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ipvsadm-go/ipvsadm/internal/cli"
	"github.com/ipvsadm-go/ipvsadm/internal/render"
	"github.com/ipvsadm-go/ipvsadm/internal/test/guest/guesttest"
	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/internal/test/program"
	"github.com/ipvsadm-go/ipvsadm/internal/test/session"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// The mistakes are a session: what somebody types, and what comes back on
// standard output, behind "! " on standard error, behind "? " the hints that a
// terminal gets, and in brackets the status. Those below a note that ends with
// "ours" use what 1.31 does not know, or are a wanted difference; for the others
// 1.31 has to answer the same.
const mistakesFile = "../../testdata/mistakes.txt"

// mistakesTable is what the mistakes meet, and what they may not change.
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

// TestMistakesOnAKernel makes each mistake into a pipe and on a terminal, with
// this program and with 1.31.
func TestMistakesOnAKernel(t *testing.T) {
	text, err := os.ReadFile(mistakesFile)
	must.OK(t, err)
	all, err := session.Parse(session.Shell, string(text))
	must.OK(t, err)
	const least = 150
	if len(all) < least {
		t.Fatalf("%d mistakes, at least %d are wanted", len(all), least)
	}
	guesttest.InGuest(t, func(t *testing.T) {
		guesttest.Modprobe(t, "ip_vs", "dummy")
		guesttest.Namespace(t)
		for name, text := range map[string]string{"/etc/resolv.conf": "nameserver 127.0.0.1\n", "/etc/nsswitch.conf": "hosts: files\n"} {
			if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
			must.OK(t, os.WriteFile(name, []byte(text), 0o644))
		}
		bin := t.TempDir()
		for _, name := range program.Names {
			exe, err := os.Executable()
			if err == nil {
				err = os.Symlink(exe, filepath.Join(bin, name))
			}
			must.OK(t, err)
		}
		ways := []way{
			{name: "into a pipe", bin: bin},
			{name: "on a terminal", bin: bin, terminal: true},
			{name: "into a pipe, by 1.31", bin: originals, original: true},
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
			render.Sort(have.Services) // what was undone stands in another place of the kernel's lists
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
				if w.original && ours {
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

// way is how a mistake is made.
type way struct {
	name     string
	bin      string // the folder of the programs
	terminal bool   // on standard error
	original bool
}

// typed makes a mistake and returns the answer in a session's form. This program
// runs in the test's own process if the mistake needs no shell.
func (w way) typed(t *testing.T, folder, command string) string {
	t.Helper()
	words, plain := plainWords(command)
	var out, errs bytes.Buffer
	var stderr io.Writer = &errs
	said := errs.String
	if w.terminal {
		master, slave := cli.OpenTerminal(t)
		defer master.Close()
		defer slave.Close()
		stderr = slave
		said = func() string {
			const end = "the end"
			fmt.Fprint(slave, end)
			return strings.TrimSuffix(strings.ReplaceAll(cli.ReadUntil(t, master, end), "\r", ""), end)
		}
	}
	var status int
	if plain && !w.original {
		status = cli.Run(t.Context(), cli.Process{Args: words, Stdin: strings.NewReader(""), Stdout: &out, Stderr: stderr})
	} else {
		cmd := exec.CommandContext(t.Context(), "sh", "-c", command)
		if plain {
			cmd.Path, cmd.Args = filepath.Join(w.bin, words[0]), words
		}
		cmd.Dir = folder
		cmd.Env = append(os.Environ(), "PATH="+w.bin+":"+os.Getenv("PATH"))
		cmd.Stdout, cmd.Stderr = &out, stderr
		var exit *exec.ExitError
		if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
			t.Fatalf("%s: %v", command, err)
		}
		status = cmd.ProcessState.ExitCode()
	}
	answer := out.String()
	for line := range strings.Lines(said()) {
		if hint, ok := strings.CutPrefix(line, "hint: "); ok {
			answer += "? " + hint
		} else {
			answer += "! " + line
		}
	}
	return session.Answer(answer, status)
}
