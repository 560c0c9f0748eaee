// SPDX-License-Identifier: Apache-2.0

// Package manual has the text that explains the program to its users: the
// help, which comes from the table of options, and the differences from
// ipvsadm 1.31.
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
	for _, s := range Sections() {
		fmt.Fprintf(b, "\n%s:\n", s.Title)
		options(b, s.Options, 0)
	}
	return b.Flush()
}

// Wrapper writes the answer to -h for a program that runs a single command:
// ipvsadm-save or ipvsadm-restore.
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
		letter = SaveOutputLetter
	}
	options(b, c.Rule.Takes(), letter)
	return b.Flush()
}

// SaveOutputLetter is the letter of --output in ipvsadm-save. In ipvsadm it
// is that of --ops.
const SaveOutputLetter = 'o'

// options writes the rows of a set of options; output is the letter of
// --output.
func options(w io.Writer, set spec.Set, output byte) {
	for o, short := range Options(set, output) {
		row(w, letters(short, 0), o.Long, arg(o.Value, o.Arg), o.Help)
	}
}

// Options returns the options of a set with their letters, 0 for none; output
// is the letter of --output.
func Options(set spec.Set, output byte) iter.Seq2[*spec.Option, byte] {
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

// Section is a part of the help.
type Section struct {
	Title   string
	Options spec.Set
}

// Sections are the parts of the help. Each option is in the first that it
// fits.
func Sections() []Section {
	takes := func(id spec.CommandID) spec.Set { return spec.FindCommand(id).Rule.Takes() &^ spec.Global }
	list := []Section{
		{"Which virtual service", spec.ServiceAddress},
		{"Options of a change (-A, -E, -D, -a, -e, -d)", spec.Existing},
		{"Options of a virtual service (-A, -E)", takes(spec.AddService)},
		{"Options of a real server (-a, -e; -d takes -r)", takes(spec.AddServer)},
		{"Options of a sync daemon (--start-daemon)", takes(spec.StartDaemon)},
		{"Options of a list (-L; -S takes -n)", takes(spec.List) &^ spec.Of(spec.OptOutput)},
		{"Options of a save (-S; -L --metrics takes --output)", takes(spec.Save)},
		{"Options of --monitor (--doctor takes --json)", takes(spec.Monitor)},
		{"Options of --apply", takes(spec.Apply)},
		{"Options of every command", spec.Global},
	}
	var shown spec.Set
	for i := range list {
		list[i].Options &^= shown
		shown |= list[i].Options
	}
	return list
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
	for i, line := range Wrap(help, 80-column) {
		if i > 0 {
			left = ""
		}
		fmt.Fprintf(w, "%-*s%s\n", column, left, line)
	}
}

// Wrap breaks a text between words into lines of at most width bytes, where
// the words allow that.
func Wrap(text string, width int) []string {
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
