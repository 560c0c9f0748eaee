// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// step is a command typed on a host, and what is expected of it.
type step struct {
	note    string // a line printed above it, "" for none
	host    string
	command string // for sh
	answer  string // standard output and error, as compare takes it
	status  int    // exit status
	soon    bool   // the answer need not be there yet: type again, unseen, until it is or patience ends
}

const (
	patience = 15 * time.Second // for one step
	pause    = 300 * time.Millisecond
)

// prompt is what the host's shell shows.
func (s step) prompt() string { return "[root@" + s.host + " ~]# " }

// run prints the command and its answer as a terminal shows them. The error says
// what was not as expected.
func (s step) run(out io.Writer) error {
	if s.note != "" {
		fmt.Fprintf(out, "\n# %s\n", s.note)
	}
	fmt.Fprintf(out, "%s%s\n", s.prompt(), s.command)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	answer, err := s.try(ctx)
	for s.soon && err != nil {
		time.Sleep(pause)
		if ctx.Err() != nil {
			break
		}
		answer, err = s.try(ctx)
	}
	fmt.Fprint(out, answer)
	return err
}

func (s step) try(ctx context.Context) (answer string, err error) {
	cmd := exec.CommandContext(ctx, "sh", "-c", s.command)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	b, err := host{name: s.host}.run(cmd)
	exit := (*exec.ExitError)(nil)
	switch {
	case ctx.Err() != nil:
		return string(b), fmt.Errorf("no end within %v", patience)
	case err != nil && !errors.As(err, &exit):
		return string(b), err
	}
	err = compare(string(b), s.answer)
	if status := cmd.ProcessState.ExitCode(); status != s.status {
		err = errors.Join(err, fmt.Errorf("exit status %d, want %d", status, s.status))
	}
	return string(b), err
}

// compare says where an answer first differs from the expected one, in which
// <...> holds a regular expression for part of a line. It overlooks blanks at the
// ends of lines, which nobody sees.
func compare(got, want string) error {
	gotLines, wantLines := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i, line := range wantLines {
		pattern, err := linePattern(line)
		switch {
		case err != nil:
			return fmt.Errorf("line %d of the expected answer: %w", i+1, err)
		case i == len(gotLines):
			return fmt.Errorf("the answer ends before line %d, \"%s\"", i+1, line)
		case !pattern.MatchString(gotLines[i]):
			return fmt.Errorf("line %d: %q, want \"%s\"", i+1, gotLines[i], line)
		}
	}
	if len(gotLines) > len(wantLines) {
		return fmt.Errorf("line %d: %q, want no such line", len(wantLines)+1, gotLines[len(wantLines)])
	}
	return nil
}

var hole = regexp.MustCompile(`<[^>]*>`)

func linePattern(line string) (*regexp.Regexp, error) {
	var b strings.Builder
	end := 0
	for _, at := range hole.FindAllStringIndex(line, -1) {
		b.WriteString(regexp.QuoteMeta(line[end:at[0]]))
		b.WriteString("(?:" + line[at[0]+1:at[1]-1] + ")")
		end = at[1]
	}
	b.WriteString(regexp.QuoteMeta(line[end:]))
	return regexp.Compile("^" + b.String() + `[ \t]*$`)
}
