// SPDX-License-Identifier: Apache-2.0

// Package manual has texts for users: the help and the grammar of the
// commands, from the table of options, and the differences from ipvsadm 1.31.
package manual

import (
	"bufio"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/ipvsadm-go/ipvsadm/internal/spec"
)

const column = 36

// Help writes the help of -h for a program of the given name: first the
// options of ipvsadm 1.31, then the others.
func Help(w io.Writer, program string) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "Administers Linux IPVS: virtual services, their real servers, sync daemons.\n")
	fmt.Fprintf(b, "Without a command it lists the table.\n\nUsage:\n")
	for i := range spec.Commands {
		for _, items := range Synopsis(&spec.Commands[i]) {
			usage(b, "  "+program, items)
		}
	}
	commands(b, "Commands", false)
	before := false
	for s := range Sections() {
		if s.Beyond && !before {
			fmt.Fprintf(b, "\nBEYOND IPVSADM 1.31\n")
			commands(b, "More commands", true)
			before = true
		}
		fmt.Fprintf(b, "\n%s:\n", s.Title)
		options(b, s.Options, 0)
		fmt.Fprintf(b, "  Example: %s\n", s.Example)
	}
	fmt.Fprintf(b, "\nManual: man ipvsadm, ipvsadm-save, ipvsadm-restore, ipvs-sysctl, ipvsadm-compat\n")
	return b.Flush()
}

// usage writes a line of the synopsis, which may be continued.
func usage(w io.Writer, program string, items []string) {
	line := program
	for _, item := range items {
		if len(line)+1+len(item) > 80 {
			fmt.Fprintln(w, line)
			line = "         "
		}
		line += " " + item
	}
	fmt.Fprintln(w, line)
}

// commands writes the rows of the commands of 1.31, or with beyond those of
// the others.
func commands(w io.Writer, title string, beyond bool) {
	fmt.Fprintf(w, "\n%s:\n", title)
	for i := range spec.Commands {
		if c := &spec.Commands[i]; c.Beyond() == beyond {
			row(w, &c.Word, c.Short)
		}
	}
	fmt.Fprintf(w, "  Example: %s\n", map[bool]string{false: "ipvsadm -A -t 12.0.0.1:80 -s rr", true: "ipvsadm --watch 5"}[beyond])
}

// Wrapper writes the help of -h for a program that runs a single command:
// ipvsadm-save or ipvsadm-restore.
func Wrapper(w io.Writer, program string, id spec.CommandID) error {
	b := bufio.NewWriter(w)
	c := spec.FindCommand(id)
	usage(b, "Usage: "+program, WrapperSynopsis(c))
	fmt.Fprintf(b, "\nThis is ipvsadm --%s:\n%s.\n\n", c.Long, c.Help)
	example := "--dry-run /etc/ipvsadm.rules"
	if id == spec.Save {
		example = "-n -o /etc/ipvsadm.rules"
	}
	options(b, c.Rule.Takes(), wrapperOutput(c))
	fmt.Fprintf(b, "\nExample: %s %s\nManual: man %[1]s\n", program, example)
	return b.Flush()
}

// SaveOutputLetter is the letter of --output in ipvsadm-save. In ipvsadm it
// is that of --ops.
const SaveOutputLetter = 'o'

// wrapperOutput returns the letter of --output in a command's program.
func wrapperOutput(c *spec.Command) byte {
	if c.ID == spec.Save {
		return SaveOutputLetter
	}
	return 0
}

// options writes the rows of a set of options; output is the letter of
// --output.
func options(w io.Writer, set spec.Set, output byte) {
	for o, short := range Options(set, output) {
		row(w, &o.Word, short)
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

// Text returns the help of a word. It lists the possible values if they are few.
func Text(w *spec.Word) string {
	if w.Choices == nil || w.Value == spec.RequiredValue && strings.Contains(w.Arg, "|") {
		return w.Help
	}
	return w.Help + ": " + strings.Join(spec.Names(w.Choices), " ")
}

// Section is a part of the help.
type Section struct {
	Title   string
	Options spec.Set
	Example string // a command that can be run after the previous examples
	Beyond  bool   // 1.31 has none of the options
}

// Sections returns the parts of the help, those with options that 1.31 lacks
// last.
func Sections() iter.Seq[Section] {
	return func(yield func(Section) bool) {
		for i, s := range spec.Sections {
			section := Section{Title: s.Title, Example: s.Example}
			for j := range spec.Options {
				if o := &spec.Options[j]; o.Section == spec.Section(i) {
					section.Options |= spec.Of(o.ID)
					section.Beyond = o.Beyond()
				}
			}
			if !yield(section) {
				return
			}
		}
	}
}

// row writes the row of a word; short is its letter, or 0.
func row(w io.Writer, word *spec.Word, short byte) {
	letters := ""
	switch {
	case word.Alias != 0:
		letters = fmt.Sprintf("-%c, -%c,", short, word.Alias)
	case short != 0:
		letters = fmt.Sprintf("-%c,", short)
	}
	left := fmt.Sprintf("  %-8s --%s%s", letters, word.Long, value(word))
	if len(left) > column-2 {
		fmt.Fprintln(w, left)
		left = ""
	}
	for i, line := range Wrap(Text(word), 80-column) {
		if i > 0 {
			left = ""
		}
		fmt.Fprintf(w, "%-*s%s\n", column, left, line)
	}
}

// Wrap breaks a text between words into lines of at most width bytes, unless
// a word is longer.
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
