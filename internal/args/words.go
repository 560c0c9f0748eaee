// SPDX-License-Identifier: Apache-2.0

package args

// This file reads words as popt does, which 1.31 scans its command line
// with, and writes each option in one spelling, which pflag takes. Where popt
// differs from getopt and pflag:
//   - -t=VALUE is -t VALUE;
//   - an optional value is taken from the next word unless that begins with
//     a dash, a required one whatever the word begins with;
//   - a lone dash, and every word after --, is an argument.

import (
	"strings"

	"github.com/spf13/pflag"

	"github.com/ipvsadm-go/ipvsadm/internal/spec"
)

// words are a command line as far as it could be read.
type words struct {
	options []string // each in one spelling, with the value as the next word
	last    []string // for each option, the last word that it used
	plain   []string // arguments
	fault   *Fault   // what ended the reading; it counts after the options
}

// row is the entry of the table that a flag stands for. It is a pflag.Value
// so that a flag leads back to it; values are judged by the Parser.
type row struct {
	option   *spec.Option
	command  *spec.Command
	spelling string // -l, which pflag reads without making anything, else --long
}

func (*row) String() string   { return "" }
func (*row) Set(string) error { return nil }
func (*row) Type() string     { return "" }

func (r *row) value() spec.Value {
	if r.command != nil {
		return r.command.Value
	}
	return r.option.Value
}

// reader walks over command lines, one after the other.
type reader struct {
	flags *pflag.FlagSet
	next  []string // what is left of the command line
	words
}

// read gives the words of a command line. They are valid until the next one is
// read.
func (r *reader) read(argv []string) *words {
	r.next = argv
	r.words = words{options: r.options[:0], last: r.last[:0]}
	for r.fault == nil && len(r.next) > 0 {
		word := r.next[0]
		r.next = r.next[1:]
		switch {
		case word == "--":
			r.plain = append(r.plain, r.next...)
			r.next = nil
		case strings.HasPrefix(word, "--"):
			r.long(word)
		case strings.HasPrefix(word, "-") && word != "-":
			r.short(word)
		default:
			r.plain = append(r.plain, word)
		}
	}
	return &r.words
}

func (r *reader) long(word string) {
	name, value, attached := strings.Cut(word[len("--"):], "=")
	f := r.named(name)
	if f == nil {
		r.fault = fault(UnknownOption, word)
		return
	}
	r.option(f, word, value, attached)
}

// short reads a word of letters, the last of which may have its value in the
// same word.
func (r *reader) short(word string) {
	for rest := word[1:]; rest != ""; {
		f := r.letter(rest[:1])
		if f == nil {
			r.fault = fault(UnknownOption, word)
			return
		}
		rest = rest[1:]
		value, equals := strings.CutPrefix(rest, "=")
		if takes := f.Value.(*row).value() != spec.NoValue; takes || equals {
			r.option(f, word, value, equals || rest != "")
			return
		}
		r.option(f, word, "", false)
	}
}

// named finds the flag of a long name. It is registered with pflag when it is
// first met: of the whole table a command line has few.
func (r *reader) named(name string) *pflag.Flag {
	if f := r.flags.Lookup(name); f != nil {
		return f
	}
	for i := range spec.Commands {
		if c := &spec.Commands[i]; c.Long == name {
			return r.register(&row{command: c}, c.Long, c.Short, "")
		}
	}
	for i := range spec.Options {
		if o := &spec.Options[i]; o.Long == name {
			return r.register(&row{option: o}, o.Long, o.Short, o.Default)
		}
	}
	return nil
}

func (r *reader) register(row *row, long string, short byte, def string) *pflag.Flag {
	f := &pflag.Flag{Name: long, Value: row}
	row.spelling = "--" + long
	if short != 0 {
		f.Shorthand = string(rune(short))
		row.spelling = "-" + f.Shorthand
	}
	switch row.value() {
	case spec.NoValue:
		f.NoOptDefVal = "given" // pflag takes an empty one for a required value
	case spec.OptionalValue:
		f.NoOptDefVal = def
	}
	r.flags.AddFlag(f)
	return f
}

// letter finds the flag of a letter, which is one byte.
func (r *reader) letter(letter string) *pflag.Flag {
	if f := r.flags.ShorthandLookup(letter); f != nil {
		return f
	}
	b := letter[0]
	for i := range spec.Commands {
		if c := &spec.Commands[i]; b != 0 && (c.Short == b || c.Alias == b) {
			return r.named(c.Long)
		}
	}
	for i := range spec.Options {
		if o := &spec.Options[i]; b != 0 && o.Short == b {
			return r.named(o.Long)
		}
	}
	return nil
}

// option adds a flag that stands in word, with its value if that is attached
// to it.
func (r *reader) option(f *pflag.Flag, word, value string, attached bool) {
	last := word
	if !attached {
		switch kind := f.Value.(*row).value(); {
		case kind == spec.NoValue:
		case len(r.next) > 0 && (kind == spec.RequiredValue || !strings.HasPrefix(r.next[0], "-")):
			value, attached = r.next[0], true
			last, r.next = value, r.next[1:]
		case kind == spec.RequiredValue:
			r.fault = fault(MissingValue, word)
			return
		}
	} else if f.Value.(*row).value() == spec.NoValue {
		r.fault = fault(UnwantedValue, word)
		return
	}
	switch row := f.Value.(*row); {
	case attached && row.value() == spec.OptionalValue:
		r.options = append(r.options, "--"+f.Name+"="+value)
	case attached:
		r.options = append(r.options, row.spelling, value)
	default:
		r.options = append(r.options, row.spelling)
	}
	r.last = append(r.last, last)
}
