// SPDX-License-Identifier: Apache-2.0

package conformance

// This file reads and writes scripts. A script is text that a shell such as
// bash can run as well:
//
//	# what the script is about
//	ipvsadm -A -t 10.0.0.1:80 -s rr
//	printf %s $'-A -f 1\n-a -f 1 -r 10.0.0.2\n' | ipvsadm -R
//	ipvsadm -L -n
//
// An empty line ends it. Besides the three programs under test it may call
// others, which prepare the namespaces of both.

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// command is a command line and its standard input.
type command struct {
	words []string // the program's name first
	stdin string
}

// script is what goes through both programs.
type script struct {
	name     string
	commands []command
}

// program is the name of the program, without its folder.
func (c command) program() string { return c.words[0][strings.LastIndexByte(c.words[0], '/')+1:] }

// underTest tells whether the command is for the programs that are compared.
func (c command) underTest() bool {
	switch c.program() {
	case "ipvsadm", "ipvsadm-save", "ipvsadm-restore":
		return true
	}
	return false
}

// first is the first word after the program's name.
func (c command) first() string {
	if len(c.words) == 1 {
		return ""
	}
	return c.words[1]
}

// lists tells whether the command only reads the table.
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

// saves tells whether the command prints the table as rules.
func (c command) saves() bool {
	w := c.first()
	return c.program() == "ipvsadm-save" || c.program() == "ipvsadm" &&
		(w == "--save" || !strings.HasPrefix(w, "--") && strings.HasPrefix(w, "-S"))
}

// restores tells whether the command reads rules.
func (c command) restores() bool {
	w := c.first()
	return c.program() == "ipvsadm-restore" || c.program() == "ipvsadm" &&
		(w == "--restore" || !strings.HasPrefix(w, "--") && strings.HasPrefix(w, "-R"))
}

// lines are the command lines that the command stands for: those that it
// reads, or itself. Each is without the program's name.
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
	var b strings.Builder
	if c.stdin != "" {
		b.WriteString("printf %s " + quote(c.stdin) + " | ")
	}
	for i, w := range c.words {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(quote(w))
	}
	return b.String()
}

func (s script) String() string {
	var b strings.Builder
	if s.name != "" {
		fmt.Fprintf(&b, "# %s\n", s.name)
	}
	for _, c := range s.commands {
		fmt.Fprintln(&b, c)
	}
	return b.String()
}

// plain are the bytes that a shell takes as they are.
const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=+.,:/%@"

func quote(w string) string {
	if w != "" && strings.Trim(w, plain) == "" {
		return w
	}
	var b strings.Builder
	b.WriteString("$'")
	for i := range len(w) {
		switch c := w[i]; {
		case c == '\\' || c == '\'':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\r':
			b.WriteString(`\r`)
		case c == '\t':
			b.WriteString(`\t`)
		case c < ' ' || c > '~':
			fmt.Fprintf(&b, `\%03o`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteString("'")
	return b.String()
}

// parseScripts reads a file of scripts; where says which it is.
func parseScripts(where, text string) ([]script, error) {
	var all []script
	var s script
	for i, line := range strings.Split(text+"\n\n", "\n") {
		switch comment, isComment := strings.CutPrefix(line, "#"); {
		case strings.TrimSpace(line) == "":
			if len(s.commands) > 0 {
				all = append(all, s)
			}
			s = script{}
		case isComment:
			s.name = strings.TrimSpace(s.name + comment)
		default:
			c, err := parseCommand(line)
			if err != nil {
				return nil, fmt.Errorf("%s:%d: %w", where, i+1, err)
			}
			s.commands = append(s.commands, c)
		}
	}
	for i := range all {
		if all[i].name == "" {
			all[i].name = all[i].commands[0].String()
		}
	}
	return all, nil
}

func parseCommand(line string) (command, error) {
	words, err := split(line)
	if err != nil {
		return command{}, err
	}
	if len(words) > 4 && words[0] == "printf" && words[1] == "%s" && words[3] == "|" {
		return command{words: words[4:], stdin: words[2]}, nil
	}
	return command{words: words}, nil
}

// split splits a line into words as a shell does, with single and double
// quotes, $'...' and backslashes, but nothing expanded.
func split(line string) ([]string, error) {
	var words []string
	for {
		line = strings.TrimLeft(line, " \t")
		if line == "" {
			return words, nil
		}
		var w strings.Builder
		for line != "" && line[0] != ' ' && line[0] != '\t' {
			var err error
			if line, err = piece(&w, line); err != nil {
				return nil, err
			}
		}
		words = append(words, w.String())
	}
}

var errQuote = errors.New("the quotation does not end")

// piece reads a quotation or a byte and returns the rest.
func piece(w *strings.Builder, line string) (string, error) {
	switch {
	case strings.HasPrefix(line, "$'"):
		return escapes(w, line[2:])
	case line[0] == '\'' || line[0] == '"':
		text, rest, ok := strings.Cut(line[1:], line[:1])
		if !ok {
			return "", errQuote
		}
		w.WriteString(text)
		return rest, nil
	case line[0] == '\\' && len(line) > 1:
		line = line[1:]
	}
	w.WriteByte(line[0])
	return line[1:], nil
}

func escapes(w *strings.Builder, line string) (string, error) {
	for line != "" {
		switch {
		case line[0] == '\'':
			return line[1:], nil
		case line[0] != '\\':
			w.WriteByte(line[0])
			line = line[1:]
			continue
		case len(line) < 2:
			return "", errQuote
		}
		used := 2
		switch line[1] {
		case 'n':
			w.WriteByte('\n')
		case 'r':
			w.WriteByte('\r')
		case 't':
			w.WriteByte('\t')
		case '\\', '\'':
			w.WriteByte(line[1])
		default:
			var c byte
			if _, err := fmt.Sscanf(line[1:min(4, len(line))], "%03o", &c); err != nil {
				return "", fmt.Errorf("the escape at %q: %w", line, err)
			}
			w.WriteByte(c)
			used = 4
		}
		line = line[used:]
	}
	return "", errQuote
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
			if err != nil {
				t.Fatal(err)
			}
			if len(all) != 1 || len(all[0].commands) != 1 || fmt.Sprintf("%q", all[0].commands[0]) != fmt.Sprintf("%q", c) ||
				fmt.Sprintf("%q", all[0].commands[0].words) != fmt.Sprintf("%q", c.words) || all[0].commands[0].stdin != c.stdin {
				t.Errorf("%q was read as %q", c, all)
			}
		})
	}
}
