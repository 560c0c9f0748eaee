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
	"slices"
	"strings"

	"github.com/ipvsadm-go/ipvsadm/internal/spec"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// Help writes the answer to -h for a program of the given name: first what
// ipvsadm 1.31 has as well, then what it does not have.
func Help(w io.Writer, program string) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "Usage: %s COMMAND [OPTION ...]\n", program)
	fmt.Fprintf(b, "Administers Linux IPVS: virtual services, their real servers, sync daemons.\n")
	fmt.Fprintf(b, "Without a command it lists the table.\n")
	commands(b, "Commands", false)
	sections := Sections()
	beyond := slices.IndexFunc(sections, func(s Section) bool { return s.Beyond })
	for _, s := range sections[:beyond] {
		section(b, s)
	}
	fmt.Fprintf(b, "\nBEYOND IPVSADM 1.31\n")
	commands(b, "More commands", true)
	for _, s := range sections[beyond:] {
		section(b, s)
	}
	fmt.Fprintf(b, "\nManual: man ipvsadm, man ipvsadm-save, man ipvsadm-restore\n")
	return b.Flush()
}

// commands writes the rows of the commands that are beyond 1.31, or of the
// others.
func commands(w io.Writer, title string, beyond bool) {
	fmt.Fprintf(w, "\n%s:\n", title)
	for i := range spec.Commands {
		if c := &spec.Commands[i]; c.Beyond() == beyond {
			row(w, letters(c.Short, c.Alias), c.Long, arg(c.Value, c.Arg), c.Help)
		}
	}
	fmt.Fprintf(w, "  Example: %s\n", map[bool]string{false: "ipvsadm -A -t 12.0.0.1:80 -s rr", true: "ipvsadm --watch 5"}[beyond])
}

func section(w io.Writer, s Section) {
	fmt.Fprintf(w, "\n%s:\n", s.Title)
	options(w, s.Options, 0)
	fmt.Fprintf(w, "  Example: %s\n", s.Example)
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
	fmt.Fprintf(b, "\nThis is ipvsadm --%s:\n%s.\n\n", c.Long, c.Help)
	letter, example := byte(0), "--dry-run /etc/ipvsadm.rules"
	if id == spec.Save {
		letter, example = SaveOutputLetter, "-n -o /etc/ipvsadm.rules"
	}
	options(b, c.Rule.Takes(), letter)
	fmt.Fprintf(b, "\nExample: %s %s\nManual: man %[1]s\n", program, example)
	return b.Flush()
}

// SaveOutputLetter is the letter of --output in ipvsadm-save. In ipvsadm it
// is that of --ops.
const SaveOutputLetter = 'o'

// options writes the rows of a set of options; output is the letter of
// --output.
func options(w io.Writer, set spec.Set, output byte) {
	for o, short := range Options(set, output) {
		row(w, letters(short, 0), o.Long, arg(o.Value, o.Arg), Text(o))
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

// Text is the help of an option, with the words that its value may be where
// these are few.
func Text(o *spec.Option) string {
	if words := Words(o); words != nil {
		return o.Help + ": " + strings.Join(words, " ")
	}
	return o.Help
}

// Words are the words that the value of an option may be, nil where there are
// others.
func Words(o *spec.Option) (words []string) {
	switch o.ID {
	case spec.OptScheduler:
		words = spec.SchedulerNames()
	case spec.OptSchedFlags:
		for _, f := range ipvs.SchedulerFlags() {
			words = append(words, f.Name)
		}
	case spec.OptPersistenceEngine:
		words = spec.PersistenceEngines[:]
	case spec.OptTunnelType:
		for _, t := range spec.Tunnels {
			words = append(words, t.Name)
		}
	}
	return words
}

// Section is a part of the help.
type Section struct {
	Title   string
	Options spec.Set
	Example string // a command that can be run after those of the sections before
	Beyond  bool   // 1.31 has none of the options
}

// Sections are the parts of the help, those that are beyond 1.31 last. Each
// option is in the first that it fits.
func Sections() []Section {
	takes := func(id spec.CommandID) spec.Set { return spec.FindCommand(id).Rule.Takes() &^ spec.Global }
	var list []Section
	var shown spec.Set
	add := func(beyond bool, title string, options spec.Set, example string) {
		if !beyond {
			options &^= spec.Beyond
		}
		list = append(list, Section{title, options &^ shown, example, beyond})
		shown |= options
	}
	add(false, "Virtual service", spec.ServiceAddress,
		"ipvsadm -L -t 12.0.0.1:80")
	add(false, "Settings of a virtual service (-A, -E)", takes(spec.AddService),
		"ipvsadm -A -t 12.0.0.1:443 -s wlc -p 600")
	add(false, "Settings of a real server (-a, -e; -d takes -r)", takes(spec.AddServer),
		"ipvsadm -a -t 12.0.0.1:80 -r 192.168.168.10:8080 -m -w 3")
	add(false, "Sync daemons (--start-daemon; --stop-daemon takes --syncid)", takes(spec.StartDaemon),
		"ipvsadm --start-daemon master --mcast-interface eth1")
	add(false, "Lists (-L; -S takes -n)", takes(spec.List),
		"ipvsadm -Ln --rate")
	add(true, "More for changes (-A, -E, -D, -a, -e, -d)", spec.Existing,
		"ipvsadm -d -t 12.0.0.1:80 -r 192.168.168.10:8080 --drain 60")
	add(true, "More for lists (-L)", takes(spec.List)&^spec.Of(spec.OptOutput),
		"ipvsadm -Lnc --client 10.1.0.0/16 --state established")
	add(true, "Monitor (--monitor; it and --doctor take --json)", takes(spec.Monitor),
		"ipvsadm --monitor --timestamp")
	add(true, "Saves (-S; -L --metrics takes --output)", takes(spec.Save),
		"ipvsadm -Sn --all --output /etc/ipvsadm.rules")
	add(true, "Restores (--apply, which takes -n and --drain, too)", takes(spec.Apply),
		"ipvsadm --apply --dry-run /etc/ipvsadm.rules")
	add(true, "Every command", spec.Global,
		"ipvsadm --netns blue -Ln")
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
