// SPDX-License-Identifier: Apache-2.0

// The scripts in testdata/script run the program as users do, on a real
// kernel. With IPVSADM_TEST_ORIGINAL=1 they run ipvsadm 1.31 in its place, so
// that what they expect is known to be what 1.31 does; where this program is
// to do otherwise, a script says so with the conditions [ours] and [original],
// below a comment "# differs: ID" that names a row of manual.Differences. What
// no script can show has a test in Go with a comment of that kind.

package cli_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/ipvsadm-go/ipvsadm/internal/cli"
	"github.com/ipvsadm-go/ipvsadm/internal/manual"
	"github.com/ipvsadm-go/ipvsadm/internal/test/guest/guesttest"
)

// TestMain lets this test binary be the program as well, under its names.
func TestMain(m *testing.M) {
	if slices.Contains(programs[:], filepath.Base(os.Args[0])) {
		os.Exit(cli.Run(context.Background(), cli.Process{
			Args: os.Args, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		}))
	}
	guesttest.Main(m)
}

var programs = [...]string{"ipvsadm", "ipvsadm-save", "ipvsadm-restore"}

const (
	scripts   = "../../testdata/script"
	originals = "/usr/sbin"
)

func testsOriginal() bool { return os.Getenv("IPVSADM_TEST_ORIGINAL") == "1" }

func TestScripts(t *testing.T) {
	// Looked at here too, so that "go test" knows what the result depends on.
	original := testsOriginal()
	files := glob(t, filepath.Join(scripts, "*.txtar"))
	guesttest.InGuest(t, func(t *testing.T) {
		p := testscript.Params{
			RequireUniqueNames: true,
			Cmds:               map[string]func(*testscript.TestScript, bool, []string){"session": session},
			Condition: func(cond string) (bool, error) {
				switch cond {
				case "ours":
					return !original, nil
				case "original":
					return original, nil
				}
				return false, fmt.Errorf("unknown condition %q", cond)
			},
		}
		bin := t.TempDir()
		p.Setup = func(e *testscript.Env) error {
			e.Setenv("PATH", bin+":"+os.Getenv("PATH"))
			return nil
		}
		for _, name := range programs {
			target := filepath.Join(originals, name)
			if !original {
				var err error
				if target, err = os.Executable(); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Symlink(target, filepath.Join(bin, name)); err != nil {
				t.Fatal(err)
			}
		}
		// Names that are in no file are unknown at once.
		for name, text := range map[string]string{"/etc/resolv.conf": "nameserver 127.0.0.1\n", "/etc/nsswitch.conf": "hosts: files dns\n"} {
			if err := os.RemoveAll(name); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		// One script is about a kernel without IPVS.
		i := slices.Index(files, filepath.Join(scripts, "no-module.txtar"))
		p.Files = files[i : i+1]
		testscript.RunT(scriptT{t}, p)
		guesttest.Modprobe(t, "ip_vs", "dummy")
		p.Files = slices.Delete(files, i, i+1)
		testscript.RunT(scriptT{t}, p)
	})
}

// scriptT runs scripts one after the other, each in a network namespace of
// its own.
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
	listed := make(map[string]bool)
	for _, d := range manual.Differences {
		listed[d.ID] = true
	}
	shown := make(map[string]bool)
	show := func(file, comment string) bool {
		id, ok := strings.CutPrefix(strings.TrimSpace(comment), "differs: ")
		if !ok {
			return false
		}
		if !listed[id] {
			t.Errorf("%s: the list of differences has no %q", file, id)
		}
		shown[id] = true
		return true
	}
	for _, file := range glob(t, filepath.Join(scripts, "*.txtar")) {
		allowed := false
		for line := range strings.Lines(read(t, file)) {
			comment, isComment := strings.CutPrefix(line, "# ")
			switch {
			case isComment:
				allowed = show(file, comment)
			case strings.HasPrefix(line, "[") && !allowed:
				t.Errorf("%s: %snames no difference above it", file, line)
			}
			if strings.HasPrefix(line, "-- ") {
				break
			}
		}
	}
	for _, file := range glob(t, "*_test.go") {
		for line := range strings.Lines(read(t, file)) {
			if comment, ok := strings.CutPrefix(line, "// "); ok {
				show(file, comment)
			}
		}
	}
	for id := range listed {
		if !shown[id] {
			t.Errorf("no script and no test shows the difference %s", id)
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

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// session is a command of scripts: it runs what a file shows somebody typing
// into a shell, and compares what comes back to the byte.
//
//	$ ipvsadm -Z -t 12.0.0.1:80
//	! No such service
//	[255]
//
// A line "$ command" goes on in lines "> more". Below it stand the lines on
// standard output, those on standard error behind "! ", and in brackets the
// exit status unless it is 0. Blank lines and # lines between commands are
// for the reader. The size of the connection table, which depends on the
// kernel, is always shown as 4096. Of this program, a command that needs no
// shell runs in the test's own process: it takes many times as long to start
// one in the guest.
func session(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: session file")
	}
	want, err := parseSession(ts.ReadFile(args[0]))
	ts.Check(err)
	got := make([]exchange, len(want))
	for i := range want {
		got[i] = want[i].run(ts)
	}
	failed := false
	for i := range want {
		if want[i].answer != got[i].answer {
			failed = true
			ts.Logf("%s: %s\nanswers\n%swant\n%s", args[0], want[i].command, got[i].answer, want[i].answer)
		}
	}
	if failed {
		ts.Fatalf("%s does not go as shown", args[0])
	}
}

// exchange is one command of a session.
type exchange struct {
	command string // with line ends
	answer  string
}

func parseSession(text string) ([]exchange, error) {
	var list []exchange
	inAnswer := false
	for line := range strings.Lines(text) {
		switch {
		case strings.HasPrefix(line, "$ "):
			list = append(list, exchange{command: line[len("$ "):]})
			inAnswer = true
		case line == "\n" || strings.HasPrefix(line, "#"):
			inAnswer = false
		case !inAnswer:
			return nil, fmt.Errorf("a session's line belongs to no command: %q", line)
		default:
			e := &list[len(list)-1]
			if more, ok := strings.CutPrefix(line, ">"); ok && e.answer == "" {
				e.command += strings.TrimPrefix(more, " ")
			} else {
				e.answer += line
			}
		}
	}
	return list, nil
}

func (e exchange) run(ts *testscript.TestScript) exchange {
	var out, errs bytes.Buffer
	var status int
	words, plain := plainWords(e.command)
	if plain && !testsOriginal() {
		status = cli.Run(context.Background(), cli.Process{Args: words, Stdin: eof, Stdout: &out, Stderr: &errs})
	} else {
		cmd := exec.Command("sh", "-c", e.command)
		if plain {
			cmd.Path, cmd.Args = filepath.Join(originals, words[0]), words
		}
		cmd.Dir = ts.Getenv("WORK")
		cmd.Env = append(os.Environ(), "PATH="+ts.Getenv("PATH"))
		cmd.Stdout, cmd.Stderr = &out, &errs
		var exit *exec.ExitError
		if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
			ts.Fatalf("%s%v", e.command, err)
		}
		status = cmd.ProcessState.ExitCode()
	}
	answer := lines("", out.String()) + lines("! ", errs.String())
	if status != 0 {
		answer += fmt.Sprintf("[%d]\n", status)
	}
	return exchange{e.command, tableSize.ReplaceAllString(answer, "${1}4096")}
}

// plainWords splits a command that starts the program and nothing else, in
// words of which some may be in single quotes.
func plainWords(command string) (words []string, ok bool) {
	command = strings.TrimSuffix(command, "\n")
	if !plainCommand.MatchString(command) {
		return nil, false
	}
	for _, w := range word.FindAllString(command, -1) {
		words = append(words, strings.ReplaceAll(w, "'", ""))
	}
	return words, slices.Contains(programs[:], words[0])
}

var (
	plainCommand = regexp.MustCompile(`^( *('[^']*'|[^'"\\|&;<>(){}$*?#~\n\t` + "`" + `])+)+$`)
	word         = regexp.MustCompile(`('[^']*'|[^' ])+`)
	eof          = strings.NewReader("")
)

var tableSize = regexp.MustCompile(`(\(size=|"connection_table_size":|ipvs_connection_table_size )\d+`)

// lines puts a mark in front of each line.
func lines(mark, text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if line == "\n" && mark != "" {
			line = strings.TrimRight(mark, " ") + line
		} else {
			line = mark + line
		}
		b.WriteString(line)
	}
	if s := b.String(); s == "" || strings.HasSuffix(s, "\n") {
		return s
	}
	return b.String() + "(no end of line)\n"
}
