// SPDX-License-Identifier: Apache-2.0

package args

// This file finds options in words as popt does, which 1.31 uses. popt
// differs from getopt and from pflag's own parser:
//   - -t=VALUE means -t VALUE;
//   - an optional value is taken from the next word unless that begins with
//     a dash, a required one whatever the word begins with;
//   - a lone dash, and every word after --, is an argument.

import (
	"strings"

	"github.com/spf13/pflag"

	"github.com/ipvsadm-go/ipvsadm/internal/spec"
)

// row is the row of a command or an option. It is the value of a flag, so
// that pflag can look it up.
type row struct{ spec.Row }

func (*row) String() string   { return "" }
func (*row) Type() string     { return "" }
func (*row) Set(string) error { return nil }

// reader finds the options of command lines, one line after the other.
type reader struct {
	flags   *pflag.FlagSet
	letter  *letters
	words   []string // what is left of the command line
	letters string   // what is left of a word of letters
	plain   []string // arguments, valid until the next command line
	isRule  bool     // a line of rule text, where global options are unknown
	// fault is what stopped the reading, if anything did.
	fault *Fault

	// The option found last, the word that has it, its value, and the
	// last word that it used.
	row               *row
	word, value, last string
}

// start prepares the reader for a command line.
func (r *reader) start(argv []string, isRule bool) {
	*r = reader{flags: r.flags, letter: r.letter, words: argv, plain: r.plain[:0], isRule: isRule}
}

// next finds the next option. It reports false at the end of the line and at
// a fault.
func (r *reader) next() bool {
	for r.letters == "" {
		if len(r.words) == 0 {
			return false
		}
		word := r.words[0]
		r.words = r.words[1:]
		switch {
		case word == "--":
			r.plain = append(r.plain, r.words...)
			r.words = nil
		case strings.HasPrefix(word, "--"):
			name, value, attached := strings.Cut(word[len("--"):], "=")
			r.word, r.row = word, r.named(name)
			return r.found(value, attached)
		case strings.HasPrefix(word, "-") && word != "-":
			r.word, r.letters = word, word[1:]
		default:
			r.plain = append(r.plain, word)
		}
	}
	return r.short()
}

// short finds the next option in a word of letters. The last one may have its
// value in the same word.
func (r *reader) short() bool {
	letter, rest := r.letters[0], r.letters[1:]
	r.letters = ""
	if r.row = r.letter[letter]; r.row == nil {
		r.row = r.lettered(letter)
		r.letter[letter] = r.row
	}
	value, equals := strings.CutPrefix(rest, "=")
	if equals || rest != "" && r.row != nil && r.row.Value != spec.NoValue {
		return r.found(value, true)
	}
	r.letters = rest
	return r.found("", false)
}

// found reads the value of the option in r.row, which may be attached to it.
func (r *reader) found(value string, attached bool) bool {
	if r.row == nil || r.isRule && r.row.Option != nil && r.row.CommandLine {
		return r.stop(UnknownOption)
	}
	r.value, r.last = value, r.word
	switch kind := r.row.Value; {
	case attached && kind == spec.NoValue:
		return r.stop(UnwantedValue)
	case attached || kind == spec.NoValue:
	case len(r.words) > 0 && (kind == spec.RequiredValue || !strings.HasPrefix(r.words[0], "-")):
		r.value, r.words = r.words[0], r.words[1:]
		r.last = r.value
	case kind == spec.RequiredValue:
		return r.stop(MissingValue)
	default:
		r.value = r.row.Default
	}
	return true
}

func (r *reader) stop(k FaultKind) bool {
	r.fault = fault(k, r.word)
	r.fault.Word = r.word
	return false
}

// named finds the row of a long name. Rows are registered with pflag on first
// use, since a command line uses few of them.
func (r *reader) named(name string) *row {
	if f := r.flags.Lookup(name); f != nil {
		return f.Value.(*row)
	}
	found, ok := spec.FindLong(name)
	if !ok {
		return nil
	}
	row := &row{found}
	f := &pflag.Flag{Name: row.Long, Value: row}
	if row.Short != 0 {
		f.Shorthand = string(rune(row.Short))
	}
	r.flags.AddFlag(f)
	return row
}

// letters has the rows of the letters that have been found: the lines of a file
// use a few of them over and over.
type letters [256]*row

// lettered finds the row of a letter, which is one byte.
func (r *reader) lettered(b byte) *row {
	found, ok := spec.FindLetter(b)
	if !ok {
		return nil
	}
	return r.named(found.Long)
}
