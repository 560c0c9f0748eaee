// SPDX-License-Identifier: Apache-2.0

package args

// This file reads words as popt does, which 1.31 scans its command line
// with, and sets pflag's flags by them. Where popt differs from getopt and
// from pflag's own reading:
//   - -t=VALUE is -t VALUE;
//   - an optional value is taken from the next word unless that begins with
//     a dash, a required one whatever the word begins with;
//   - a lone dash, and every word after --, is an argument.

import (
	"errors"
	"strings"

	"github.com/spf13/pflag"

	"github.com/ipvsadm-go/ipvsadm/internal/spec"
)

// row is the entry of the table that a flag stands for, as the flag's value:
// what the flag is set to goes to the reader that has it.
type row struct {
	reader  *reader
	option  *spec.Option
	command *spec.Command
}

func (*row) String() string { return "" }
func (*row) Type() string   { return "" }

func (r *row) Set(value string) error { return r.reader.take(r, value, r.reader.last) }

func (r *row) value() spec.Value {
	if r.command != nil {
		return r.command.Value
	}
	return r.option.Value
}

// reader walks over command lines, one after the other.
type reader struct {
	flags *pflag.FlagSet
	// take judges an option as it comes, with its value and the last word that
	// it used.
	take  func(r *row, value, last string) error
	last  string
	next  []string // what is left of the command line
	count int      // of options that could be read
	plain []string // arguments
	// fault is what ended the reading of words.
	fault *Fault
}

// read walks over a command line. The error is that of an option which was not
// taken; a fault in reading counts after that.
func (r *reader) read(argv []string) error {
	r.next, r.count, r.plain, r.fault = argv, 0, nil, nil
	for r.fault == nil && len(r.next) > 0 {
		word := r.next[0]
		r.next = r.next[1:]
		var err error
		switch {
		case word == "--":
			r.plain = append(r.plain, r.next...)
			r.next = nil
		case strings.HasPrefix(word, "--"):
			err = r.long(word)
		case strings.HasPrefix(word, "-") && word != "-":
			err = r.short(word)
		default:
			r.plain = append(r.plain, word)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) long(word string) error {
	name, value, attached := strings.Cut(word[len("--"):], "=")
	f := r.named(name)
	if f == nil {
		r.fault = fault(UnknownOption, word)
		return nil
	}
	return r.option(f, word, value, attached)
}

// short reads a word of letters, the last of which may have its value in the
// same word.
func (r *reader) short(word string) error {
	for rest := word[1:]; rest != ""; {
		f := r.letter(rest[:1])
		if f == nil {
			r.fault = fault(UnknownOption, word)
			return nil
		}
		rest = rest[1:]
		value, equals := strings.CutPrefix(rest, "=")
		if takes := f.Value.(*row).value() != spec.NoValue; takes || equals {
			return r.option(f, word, value, equals || rest != "")
		}
		if err := r.option(f, word, "", false); err != nil {
			return err
		}
	}
	return nil
}

// named finds the flag of a long name. It is registered with pflag when it is
// first met: of the whole table a command line has few.
func (r *reader) named(name string) *pflag.Flag {
	if f := r.flags.Lookup(name); f != nil {
		return f
	}
	for i := range spec.Commands {
		if c := &spec.Commands[i]; c.Long == name {
			return r.register(&row{reader: r, command: c}, c.Long, c.Short, "")
		}
	}
	for i := range spec.Options {
		if o := &spec.Options[i]; o.Long == name {
			return r.register(&row{reader: r, option: o}, o.Long, o.Short, o.Default)
		}
	}
	return nil
}

func (r *reader) register(row *row, long string, short byte, def string) *pflag.Flag {
	f := &pflag.Flag{Name: long, Value: row, NoOptDefVal: def}
	if short != 0 {
		f.Shorthand = string(rune(short))
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

// option sets a flag that stands in word, to its value if that is attached to
// it.
func (r *reader) option(f *pflag.Flag, word, value string, attached bool) error {
	r.last = word
	switch kind := f.Value.(*row).value(); {
	case attached && kind == spec.NoValue:
		r.fault = fault(UnwantedValue, word)
		return nil
	case attached || kind == spec.NoValue:
	case len(r.next) > 0 && (kind == spec.RequiredValue || !strings.HasPrefix(r.next[0], "-")):
		value, r.next = r.next[0], r.next[1:]
		r.last = value
	case kind == spec.RequiredValue:
		r.fault = fault(MissingValue, word)
		return nil
	default:
		value = f.NoOptDefVal
	}
	r.count++
	if err := r.flags.Set(f.Name, value); err != nil {
		return errors.Unwrap(err) // what pflag says around it is not 1.31's
	}
	return nil
}
