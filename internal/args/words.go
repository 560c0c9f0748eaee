// SPDX-License-Identifier: Apache-2.0

package args

// This file splits command lines into options like popt, the library that
// 1.31 uses. popt differs from getopt and from pflag's own parser:
//   - -t=VALUE means -t VALUE;
//   - the next word is the value of an option if that requires one, or, for
//     an optional value, if the word does not begin with a dash;
//   - a single dash is an argument, and so is every word after --.

import (
	"strings"

	"github.com/spf13/pflag"

	"github.com/ipvsadm-go/ipvsadm/internal/spec"
)

// row is the row of a command or an option. It implements pflag.Value, so
// that pflag can look it up.
type row struct{ spec.Row }

func (*row) String() string   { return "" }
func (*row) Type() string     { return "" }
func (*row) Set(string) error { return nil }

// reader splits command lines into options and arguments.
type reader struct {
	flags  *pflag.FlagSet
	words  []string // the rest of the command line
	group  string   // the rest of a group of short options, as in -Lnc
	args   []string // the arguments; reused for the next command line
	isRule bool     // a line of rule text: global options are unknown
	fault  *Fault   // the fault that ended the command line, or nil

	// The current option: its row, the word that contains it, its value,
	// and the last word that belongs to it.
	row                   *row
	word, value, lastWord string
}

// next moves to the next option. It reports false at the end of the command
// line, and if there is a fault.
func (r *reader) next() bool {
	for r.group == "" {
		if len(r.words) == 0 {
			return false
		}
		word := r.words[0]
		r.words = r.words[1:]
		switch {
		case word == "--":
			r.args = append(r.args, r.words...)
			r.words = nil
		case strings.HasPrefix(word, "--"):
			name, value, attached := strings.Cut(word[len("--"):], "=")
			r.word, r.row = word, r.findLong(name)
			return r.readValue(value, attached)
		case strings.HasPrefix(word, "-") && word != "-":
			r.word, r.group = word, word[1:]
		default:
			r.args = append(r.args, word)
		}
	}
	return r.nextShort()
}

// nextShort moves to the next option in a group of short options. The value
// of the last option may be in the same word.
func (r *reader) nextShort() bool {
	letter, rest := r.group[:1], r.group[1:]
	r.group, r.row = "", r.findShort(letter)
	value, equals := strings.CutPrefix(rest, "=")
	if equals || rest != "" && r.row != nil && r.row.Value != spec.NoValue {
		return r.readValue(value, true)
	}
	r.group = rest
	return r.readValue("", false)
}

// readValue sets the value of the current option. If attached is set, the
// value is in the same word as the option.
func (r *reader) readValue(value string, attached bool) bool {
	if r.row == nil || r.isRule && r.row.Option != nil && r.row.CommandLine {
		return r.fail(UnknownOption)
	}
	r.value, r.lastWord = value, r.word
	switch kind := r.row.Value; {
	case attached && kind == spec.NoValue:
		return r.fail(UnwantedValue)
	case attached || kind == spec.NoValue:
	case len(r.words) > 0 && (kind == spec.RequiredValue || !strings.HasPrefix(r.words[0], "-")):
		r.value, r.words = r.words[0], r.words[1:]
		r.lastWord = r.value
	case kind == spec.RequiredValue:
		return r.fail(MissingValue)
	default:
		r.value = r.row.Default
	}
	return true
}

func (r *reader) fail(k FaultKind) bool {
	r.fault = fault(k, r.word)
	r.fault.Word = r.word
	return false
}

// findLong returns the row of a long option, or nil. Rows are registered with
// pflag on first use, since a command line uses only a few.
func (r *reader) findLong(name string) *row {
	if f := r.flags.Lookup(name); f != nil {
		return f.Value.(*row)
	}
	found, ok := spec.FindLong(name)
	if !ok {
		return nil
	}
	return r.register(name, found.Short, found)
}

// findShort returns the row of a letter, or nil. A second letter has a flag of
// its own, whose long name cannot be typed: a word ends at the equals sign.
func (r *reader) findShort(letter string) *row {
	if f := r.flags.ShorthandLookup(letter); f != nil {
		return f.Value.(*row)
	}
	found, ok := spec.FindLetter(letter[0])
	switch {
	case !ok:
		return nil
	case letter[0] == found.Alias:
		return r.register("="+letter, found.Alias, found)
	}
	return r.register(found.Long, found.Short, found)
}

func (r *reader) register(name string, letter byte, found spec.Row) *row {
	f := pflag.Flag{Name: name, Value: &row{found}}
	if letter != 0 {
		f.Shorthand = string(rune(letter))
	}
	r.flags.AddFlag(&f)
	return f.Value.(*row)
}
