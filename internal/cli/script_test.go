// SPDX-License-Identifier: Apache-2.0

// The scripts in testdata/script run the program as users do on a real kernel,
// and then ipvsadm 1.31, to verify that the expected results are also those of
// 1.31. Intended differences use the conditions [ours] and [original] below a
// comment "# differs: ID" that names a row of manual.Differences.

package cli_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/ipvsadm-go/ipvsadm/internal/manual"
	"github.com/ipvsadm-go/ipvsadm/internal/test/cluster"
	"github.com/ipvsadm-go/ipvsadm/internal/test/guest/guesttest"
	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/internal/test/program"
	"github.com/ipvsadm-go/ipvsadm/internal/test/session"
)

func TestMain(m *testing.M) { program.Main(m) }

const scripts = "../../testdata/script"

func TestScripts(t *testing.T) {
	// Read them on the host too, so that "go test" caches results
	// correctly.
	files := glob(t, filepath.Join(scripts, "*.txtar"))
	guesttest.InGuest(t, func(t *testing.T) {
		bins := map[string]string{"ours": program.Dir(t), "original": cluster.Original}
		run := func(files []string, prepare func() bool) {
			for _, name := range []string{"ours", "original"} {
				t.Run(name, func(t *testing.T) {
					must.Soon(prepare)
					testscript.RunT(scriptT{t}, testscript.Params{
						Files:              files,
						RequireUniqueNames: true,
						Cmds:               map[string]func(*testscript.TestScript, bool, []string){"session": play},
						Condition: func(cond string) (bool, error) {
							if bins[cond] == "" {
								return false, fmt.Errorf("unknown condition %q", cond)
							}
							return cond == name, nil
						},
						Setup: func(e *testscript.Env) error {
							e.Setenv("PATH", bins[name]+":"+os.Getenv("PATH"))
							return nil
						},
					})
				})
			}
		}
		tools := t.TempDir()
		must.OK(t, os.WriteFile(filepath.Join(tools, "await"), []byte(await), 0o755))
		t.Setenv("PATH", tools+":"+os.Getenv("PATH"))
		// Names that are not in a file are reported as not found at once.
		program.Replace(t, "/etc/resolv.conf", "nameserver 127.0.0.1\n")
		program.Replace(t, "/etc/nsswitch.conf", "hosts: files dns\n")
		// One script tests a kernel without IPVS, and loads it at the end.
		i := slices.Index(files, filepath.Join(scripts, "no-module.txtar"))
		run(files[i:i+1], func() bool { return exec.Command("modprobe", "-r", "ip_vs").Run() == nil })
		guesttest.Modprobe(t, "ip_vs", "dummy")
		run(slices.Delete(files, i, i+1), func() bool { return true })
	})
}

// await is a program for scripts that repeats a command until it succeeds.
const await = `#!/bin/sh
i=0
until sh -c "$1" >/dev/null 2>&1; do
	[ $i -lt 1800 ] || exit 1
	i=$((i+1))
	sleep 0.1
done
`

// scriptT runs scripts in sequence, each in a new network namespace.
type scriptT struct{ *testing.T }

func (t scriptT) Parallel()     {}
func (t scriptT) Verbose() bool { return testing.Verbose() }
func (t scriptT) Run(name string, f func(testscript.T)) {
	t.T.Run(name, func(t *testing.T) {
		guesttest.Namespace(t)
		f(scriptT{t})
	})
}

func TestScriptsDifferOnlyAsListed(t *testing.T) {
	for _, file := range glob(t, filepath.Join(scripts, "*.txtar")) {
		allowed := false
		for line := range strings.Lines(program.Read(t, file)) {
			if strings.HasPrefix(line, "-- ") {
				break
			}
			if comment, ok := strings.CutPrefix(line, "# "); ok {
				id, differs := strings.CutPrefix(strings.TrimSpace(comment), "differs: ")
				allowed = differs && slices.ContainsFunc(manual.Differences(), func(d manual.Difference) bool { return d.ID == id })
			} else if strings.HasPrefix(line, "[") && !allowed {
				t.Errorf("%s: %snames no difference of the list above it", file, line)
			}
		}
	}
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %d files, %v", pattern, len(files), err)
	}
	return files
}

// play implements the command "session" of scripts: it runs the commands in a
// file and compares the output byte by byte. Standard error is marked with
// "! ". The size of the connection table depends on the kernel and is replaced
// by 4096.
func play(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: session file")
	}
	steps, err := session.Parse(session.Shell, ts.ReadFile(args[0]))
	ts.Check(err)
	failed := false
	for _, s := range steps {
		bin, _, _ := strings.Cut(ts.Getenv("PATH"), ":")
		a, err := typed(bin, ts.Getenv("WORK"), s.Command, nil)
		ts.Check(err)
		got := session.Answer(lines("", a.Stdout)+lines("! ", a.Stderr), a.Status)
		if got = tableSize.ReplaceAllString(got, "${1}4096"); got != s.Answer {
			failed = true
			ts.Logf("%s: %s\nanswers\n%swant\n%s", args[0], s.Command, got, s.Answer)
		}
	}
	if failed {
		ts.Fatalf("%s does not go as shown", args[0])
	}
}

// typed runs a command in dir, with bin first in the PATH and with a terminal
// as standard error unless that is nil. This program runs in the test's own
// process if the command needs no shell.
func typed(bin, dir, command string, terminal *os.File) (program.Answer, error) {
	words, plain := plainWords(command)
	if plain && bin != cluster.Original {
		return program.HereOn(terminal, "", words...), nil
	}
	cmd := exec.Command("sh", "-c", command)
	if plain {
		cmd.Path, cmd.Args = filepath.Join(bin, words[0]), words
	}
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
	if terminal != nil {
		cmd.Stderr = terminal
	}
	return program.Collect(cmd)
}

// plainWords splits a command that only runs the program into words, which may
// contain single quotes. It returns false for any other command.
func plainWords(command string) (words []string, ok bool) {
	if !plainCommand.MatchString(command) {
		return nil, false
	}
	for _, w := range word.FindAllString(command, -1) {
		words = append(words, strings.ReplaceAll(w, "'", ""))
	}
	return words, slices.Contains(program.Names[:], words[0])
}

var (
	plainCommand = regexp.MustCompile(`^( *('[^']*'|[^'"\\|&;<>(){}$*?#~\n\t` + "`" + `])+)+$`)
	word         = regexp.MustCompile(`('[^']*'|[^' ])+`)
	tableSize    = regexp.MustCompile(`(\(size=|"connection_table_size":|ipvs_connection_table_size )\d+`)
)

// lines prefixes each line with mark, and marks a missing final newline.
func lines(mark, text string) string {
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "(no end of line)\n"
	}
	var b strings.Builder
	for line := range strings.Lines(text) {
		if line == "\n" {
			b.WriteString(strings.TrimSpace(mark) + line)
		} else {
			b.WriteString(mark + line)
		}
	}
	return b.String()
}
