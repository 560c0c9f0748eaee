// SPDX-License-Identifier: Apache-2.0

// Package session parses sessions, the format in which tests and documents
// write commands and their output:
//
//	# a note for the reader
//	director# ipvsadm -Z -t 12.0.0.1:80
//	No such service
//	[255]
//
// A command follows its prompt and continues in lines "> more". Below it are
// the lines of its answer and, in brackets, its exit status unless that is 0.
// A blank line or a note ends the answer.
package session

import (
	"fmt"
	"regexp"
	"strings"
)

// Step is a command and its answer.
type Step struct {
	Note    string // the comment above the command, without #
	Host    string // "" if the prompt names none
	Command string // without the final newline
	Answer  string // including the exit status
}

// The prompts: in scripts, of root, of root on a host, and of root on a host
// in a terminal.
var (
	Shell    = regexp.MustCompile(`^()\$ (.*)`)
	Root     = regexp.MustCompile(`^()# (.*)`)
	Host     = regexp.MustCompile(`^(\w+)# (.*)`)
	Terminal = regexp.MustCompile(`^\[root@(\w+) ~\]# (.*)`)
)

// Parse parses a session with one kind of prompt.
func Parse(prompt *regexp.Regexp, text string) (steps []Step, err error) {
	note, last := "", (*Step)(nil) // nil between an answer and the next command
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		typed := prompt.FindStringSubmatch(line)
		switch {
		case typed != nil:
			steps = append(steps, Step{Note: note, Host: typed[1], Command: typed[2]})
			note, last = "", &steps[len(steps)-1]
		case line == "":
			last = nil
		case strings.HasPrefix(line, "#"):
			note = strings.TrimSpace(note + " " + strings.TrimSpace(line[1:]))
			last = nil
		case last == nil:
			return nil, fmt.Errorf("a session's line belongs to no command: %q", line)
		case line[0] == '>' && last.Answer == "":
			last.Command += "\n" + strings.TrimPrefix(line[1:], " ")
		default:
			last.Answer += line + "\n"
		}
	}
	return steps, nil
}

// Answer returns the answer of a command with this output and exit status.
func Answer(output string, status int) string {
	if output != "" && !strings.HasSuffix(output, "\n") {
		output += "\n"
	}
	if status != 0 {
		output += fmt.Sprintf("[%d]\n", status)
	}
	return output
}

// String returns the step as a terminal shows it.
func (s Step) String() string { return s.Prompt() + s.Command + "\n" + s.Answer }

// Prompt returns the prompt of the host's shell.
func (s Step) Prompt() string { return "[root@" + s.Host + " ~]# " }

// Compare returns the first difference of an answer from the expected one, in
// which <...> contains a regular expression for part of a line. Trailing
// blanks are ignored.
func Compare(got, want string) error {
	gotLines, wantLines := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i, line := range wantLines {
		pattern, err := pattern(line)
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

func pattern(line string) (*regexp.Regexp, error) {
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

// Excerpts shortens two long texts to the lines around their first
// difference.
func Excerpts(a, b string) (string, string) {
	const before, most = 5, 40
	x, y := strings.SplitAfter(a, "\n"), strings.SplitAfter(b, "\n")
	if len(x) <= most && len(y) <= most {
		return a, b
	}
	at := 0
	for at < min(len(x), len(y)) && x[at] == y[at] {
		at++
	}
	at = max(0, at-before)
	cut := func(l []string) string { return strings.Join(l[min(at, len(l)):min(at+most, len(l))], "") }
	return cut(x), cut(y)
}
