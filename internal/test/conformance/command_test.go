// SPDX-License-Identifier: Apache-2.0

package conformance

// This file reads and writes scripts: sessions whose answers come from the
// original, each named by the note above its first command. Words are quoted
// as in bash, and a printf provides standard input:
//
//	# what the script is about
//	$ ipvsadm -A -t 10.0.0.1:80 -s rr
//	$ printf %s $'-A -f 1\n-a -f 1 -r 10.0.0.2\n' | ipvsadm -R
//
// Commands of other programs prepare both namespaces.

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/internal/test/program"
	"github.com/ipvsadm-go/ipvsadm/internal/test/session"
)

// command is a command line and its standard input.
type command struct {
	words []string // the program's name first
	stdin string
}

// script is a sequence of commands for both programs.
type script struct {
	name     string
	commands []command
}

// program returns the name of the program, without its directory.
func (c command) program() string { return c.words[0][strings.LastIndexByte(c.words[0], '/')+1:] }

// underTest reports whether the command runs one of the compared programs.
func (c command) underTest() bool {
	return slices.Contains(program.Names[:], c.program())
}

// first returns the first word after the program's name.
func (c command) first() string {
	if len(c.words) == 1 {
		return ""
	}
	return c.words[1]
}

// lists reports whether the command only reads the table.
func (c command) lists() bool {
	if c.program() == "ipvsadm-save" {
		return true
	}
	if c.program() != "ipvsadm" {
		return false
	}
	w := c.first()
	long := strings.HasPrefix(w, "--")
	return len(c.words) == 1 || w == "--list" || c.saves() || !long && (strings.HasPrefix(w, "-L") || strings.HasPrefix(w, "-l"))
}

// saves reports whether the command prints the table as rules.
func (c command) saves() bool {
	w := c.first()
	return c.program() == "ipvsadm-save" || c.program() == "ipvsadm" &&
		(w == "--save" || !strings.HasPrefix(w, "--") && strings.HasPrefix(w, "-S"))
}

// restores reports whether the command reads rules.
func (c command) restores() bool {
	w := c.first()
	return c.program() == "ipvsadm-restore" || c.program() == "ipvsadm" &&
		(w == "--restore" || !strings.HasPrefix(w, "--") && strings.HasPrefix(w, "-R"))
}

// lines returns the command lines that a restore reads, or else that of the
// command itself, without the program's name.
func (c command) lines() [][]string {
	if !c.restores() {
		return [][]string{c.words[1:]}
	}
	var all [][]string
	for line := range strings.SplitSeq(c.stdin, "\n") {
		all = append(all, strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(" \t\r", r) }))
	}
	return all
}

func (c command) String() string {
	var words []string
	if c.stdin != "" {
		words = append(words, "printf %s", quote(c.stdin), "|")
	}
	for _, w := range c.words {
		words = append(words, quote(w))
	}
	return strings.Join(words, " ")
}

func (s script) String() string {
	var b strings.Builder
	if s.name != "" {
		fmt.Fprintf(&b, "# %s\n", s.name)
	}
	for _, c := range s.commands {
		fmt.Fprintln(&b, "$", c)
	}
	return b.String()
}

var (
	plain     = regexp.MustCompile(`^[\w=+.,:/%@-]+$`) // needs no quotes
	wordOf    = regexp.MustCompile(`(\$'(\\.|[^\\'])*'|'[^']*'|[^\s'])+`)
	quotation = regexp.MustCompile(`\$'(\\.|[^\\'])*'|'[^']*'`)
)

// quote quotes a word with the escapes common to Go and a shell's dollar
// quotes.
func quote(w string) string {
	if plain.MatchString(w) {
		return w
	}
	q := strconv.QuoteToASCII(w)
	return "$'" + strings.NewReplacer(`\"`, `"`, `'`, `\'`).Replace(q[1:len(q)-1]) + "'"
}

// split splits a line into words and unquotes them.
func split(line string) (words []string, err error) {
	for _, w := range wordOf.FindAllString(line, -1) {
		words = append(words, quotation.ReplaceAllStringFunc(w, func(q string) string {
			text, escaped := strings.CutPrefix(q[:len(q)-1], "$'")
			if !escaped {
				return text[1:]
			}
			text, e := strconv.Unquote(`"` + strings.NewReplacer(`\'`, `'`, `\\`, `\\`, `"`, `\"`).Replace(text) + `"`)
			if e != nil {
				err = fmt.Errorf("%s: %w", q, e)
			}
			return text
		}))
	}
	if strings.Count(quotation.ReplaceAllString(line, ""), "'") > 0 {
		err = fmt.Errorf("a quotation does not end in %s", line)
	}
	return words, err
}

// parseScripts parses a file of scripts. where is its name for errors.
func parseScripts(where, text string) (all []script, err error) {
	steps, err := session.Parse(session.Shell, text)
	for _, step := range steps {
		if step.Note != "" || all == nil {
			all = append(all, script{name: step.Note})
		}
		c, e := parseCommand(step.Command)
		if e != nil {
			return nil, fmt.Errorf("%s: %w", where, e)
		}
		s := &all[len(all)-1]
		s.commands = append(s.commands, c)
	}
	return all, err
}

func parseCommand(line string) (command, error) {
	words, err := split(line)
	if len(words) > 4 && words[0] == "printf" && words[1] == "%s" && words[3] == "|" {
		return command{words: words[4:], stdin: words[2]}, err
	}
	return command{words: words}, err
}

func TestScriptsAreReadAsTheyAreWritten(t *testing.T) {
	for name, c := range map[string]command{
		"plain words":              {words: []string{"ipvsadm", "-A", "-t", "10.0.0.1:80"}},
		"an empty word":            {words: []string{"ipvsadm", "-A", "-t", ""}},
		"blanks and quotes":        {words: []string{"ipvsadm", " a'b\"c\\d "}},
		"what a shell would read":  {words: []string{"ipvsadm", "$x", "*", "a|b", "#"}},
		"bytes that are not ASCII": {words: []string{"ipvsadm", "\xff\x01é"}},
		"standard input":           {words: []string{"ipvsadm", "-R"}, stdin: "-C\r\n\t# it's\n"},
	} {
		t.Run(name, func(t *testing.T) {
			all, err := parseScripts("here", script{commands: []command{c}}.String())
			must.OK(t, err)
			if len(all) != 1 || len(all[0].commands) != 1 || !slices.Equal(all[0].commands[0].words, c.words) || all[0].commands[0].stdin != c.stdin {
				t.Errorf("%q was read as %q", c, all)
			}
		})
	}
}
