// SPDX-License-Identifier: Apache-2.0

// Package manual writes what explains the program to its user, from the table
// of options.
package manual

import (
	"bufio"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/ipvsadm-go/ipvsadm/internal/spec"
)

// Help writes the answer to -h for a program of the given name.
func Help(w io.Writer, program string) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "Usage: %s COMMAND [OPTION ...]\n", program)
	fmt.Fprintf(b, "Administers the virtual services of Linux IPVS and their real servers.\n")
	fmt.Fprintf(b, "Without a command it lists the table.\n\nCommands:\n")
	for i := range spec.Commands {
		c := &spec.Commands[i]
		row(b, letters(c.Short, c.Alias), c.Long, arg(c.Value, c.Arg), c.Help)
	}
	var shown spec.Set
	for _, s := range sections {
		fmt.Fprintf(b, "\n%s:\n", s.title)
		options(b, s.options&^shown, 0)
		shown |= s.options
	}
	return b.Flush()
}

// Wrapper writes the answer to -h for a program that is one command under a
// name of its own: ipvsadm-save or ipvsadm-restore.
func Wrapper(w io.Writer, program string, id spec.CommandID) error {
	b := bufio.NewWriter(w)
	c := spec.FindCommand(id)
	fmt.Fprintf(b, "Usage: %s [OPTION ...]", program)
	if c.MaxArgs > 0 {
		fmt.Fprintf(b, " %s", c.Arg)
	}
	fmt.Fprintf(b, "\nThis is ipvsadm --%s: %s.\n\n", c.Long, c.Help)
	letter := byte(0)
	if id == spec.Save {
		letter = saveOutputLetter
	}
	options(b, c.Rule.Takes(), letter)
	return b.Flush()
}

// saveOutputLetter is the letter of --output where the program is called
// ipvsadm-save; elsewhere it is that of --ops.
const saveOutputLetter = 'o'

// options writes the rows of a set of options; output is the letter that
// --output has.
func options(w io.Writer, set spec.Set, output byte) {
	for o, short := range listed(set, output) {
		row(w, letters(short, 0), o.Long, arg(o.Value, o.Arg), o.Help)
	}
}

// listed are the options of a set with their letters, 0 for none; output is the
// one that --output has.
func listed(set spec.Set, output byte) iter.Seq2[*spec.Option, byte] {
	return func(yield func(*spec.Option, byte) bool) {
		for i := range spec.Options {
			o := &spec.Options[i]
			short := o.Short
			if o.ID == spec.OptOutput {
				short = output
			}
			if set.Has(o.ID) && !yield(o, short) {
				return
			}
		}
	}
}

// sections are the parts of the help. An option stands in the first that has
// it.
var sections = [...]struct {
	title   string
	options spec.Set
}{
	{"Which virtual service", spec.ServiceAddress},
	{"Options of a virtual service (-A, -E)", spec.FindCommand(spec.AddService).Rule.Takes()},
	{"Options of a real server (-a, -e; -d takes -r)", spec.FindCommand(spec.AddServer).Rule.Takes()},
	{"Options of a sync daemon (--start-daemon)", spec.FindCommand(spec.StartDaemon).Rule.Takes()},
	{"Options of a list (-L; -S takes -n)", spec.FindCommand(spec.List).Rule.Takes()},
	{"Options of a save (-S)", spec.FindCommand(spec.Save).Rule.Takes()},
	{"Options of --apply", spec.FindCommand(spec.Apply).Rule.Takes()},
}

func letters(short, alias byte) string {
	switch {
	case alias != 0:
		return fmt.Sprintf("-%c, -%c,", short, alias)
	case short != 0:
		return fmt.Sprintf("-%c,", short)
	}
	return ""
}

func arg(v spec.Value, name string) string {
	switch {
	case name == "":
		return ""
	case v == spec.OptionalValue:
		return " [" + name + "]"
	}
	return " " + name
}

const column = 36

func row(w io.Writer, letters, long, arg, help string) {
	left := fmt.Sprintf("  %-8s --%s%s", letters, long, arg)
	if len(left) > column-2 {
		fmt.Fprintln(w, left)
		left = ""
	}
	for i, line := range wrap(help, 80-column) {
		if i > 0 {
			left = ""
		}
		fmt.Fprintf(w, "%-*s%s\n", column, left, line)
	}
}

// wrap breaks a text into lines of at most width bytes, where words allow.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		switch {
		case line == "":
			line = word
		case len(line)+1+len(word) > width:
			lines = append(lines, line)
			line = word
		default:
			line += " " + word
		}
	}
	return append(lines, line)
}
