// SPDX-License-Identifier: Apache-2.0

// Package spec has the only table of commands and options: their spellings,
// values, names in messages, and permitted combinations. The parser, the rule
// text, the help and the manual pages use it.
package spec

import (
	"iter"
	"math/bits"
)

// Word is the spelling and description of a command or an option.
type Word struct {
	Long  string // without the dashes
	Short byte   // 0 if there is none
	Alias byte   // a second letter, 0 if there is none
	Value Value
	// Default is the value of a word with OptionalValue if none follows.
	Default string
	Arg     string // name of the value, or of the command's arguments
	Help    string
	// Details are further sentences for the manual, with code in backquotes.
	Details string
	// Noun is the name of the value in messages: "illegal NOUN
	// specified".
	Noun string
	// Min and Max bound a numeric value.
	Min, Max int64
	Kind     Kind     // of the value, for completion
	Choices  []Choice // all valid values; nil if there are others
	// Since is the release that added the word, empty if 1.31 has it.
	Since string
	// CommandLine excludes the word from rule text: the command reads lines
	// itself or takes time, or the option concerns the whole run.
	CommandLine bool
}

// Beyond reports whether 1.31 does not have the word.
func (w *Word) Beyond() bool { return w.Since != "" }

// Choice is a valid word for a value.
type Choice struct{ Name, Help string }

// Names returns the names of choices.
func Names(choices []Choice) []string {
	names := make([]string, len(choices))
	for i := range choices {
		names[i] = choices[i].Name
	}
	return names
}

// Kind is the kind of value that completion offers in addition to Choices.
type Kind string

// The kinds of value.
const (
	TCPAddress    Kind = "-t"
	UDPAddress    Kind = "-u"
	SCTPAddress   Kind = "--sctp-service"
	MarkValue     Kind = "-f"
	ServerAddress Kind = "server"
	ClientAddress Kind = "client"
	SchedulerName Kind = "scheduler"
	FlagList      Kind = "flags"
	EngineName    Kind = "engine"
	InterfaceName Kind = "interface"
	NamespaceName Kind = "netns"
	FileName      Kind = "file"
)

// Option is an option that modifies a command.
type Option struct {
	ID      OptionID
	Section Section // of the help
	Word
}

// Command is an option that selects the action.
type Command struct {
	ID   CommandID
	Name string // its name in messages
	Word
	// MaxArgs is the maximum number of arguments, words that are neither
	// options nor their values.
	MaxArgs int
	Rule    Rule
	// Forms are the lines of the synopsis, if one does not suffice.
	Forms []Form
}

// Form is a line of the synopsis: one of the options in Needs, and those in
// Takes that the command takes.
type Form struct{ Needs, Takes Set }

// Value is whether an option has a value.
type Value uint8

// The kinds of option by their value.
const (
	NoValue Value = iota
	RequiredValue
	OptionalValue // taken from the next word unless that begins with a dash
)

// Set is a set of options.
type Set uint64

// Of returns a set of options.
func Of(ids ...OptionID) Set {
	var s Set
	for _, id := range ids {
		s |= 1 << id
	}
	return s
}

// Has reports whether the set contains an option.
func (s Set) Has(id OptionID) bool { return s>>id&1 != 0 }

// HasAny reports whether the sets have an option in common.
func (s Set) HasAny(other Set) bool { return s&other != 0 }

// first returns the option that 1.31 checks first; the set must not be empty.
func (s Set) first() OptionID { return OptionID(bits.TrailingZeros64(uint64(s))) }

// Alternatives returns the options of which only one may be given, including
// this one, and their name in messages.
func (o *Option) Alternatives() (name string, all Set) {
	switch {
	case ServiceAddress.Has(o.ID):
		return "service-address", ServiceAddress
	case ForwardingMethod.Has(o.ID):
		return "forwarding-method", ForwardingMethod
	}
	return o.Long, Of(o.ID)
}

// String returns the name of the option in messages.
func (id OptionID) String() string {
	name, _ := FindOption(id).Alternatives()
	return name
}

// Rule determines which options a command or a tunnel type takes: those in
// any of its sets. One of the alternatives of a required option suffices.
type Rule struct {
	Required Set
	Allowed  Set
	OneOf    []Set // at most one of each; an option may be in several
	With     []With
}

// With are the options that a command takes only with another option.
type With struct {
	Option OptionID
	Takes  Set
}

// Takes returns all options that a command takes, including those allowed
// only with another.
func (r Rule) Takes() Set {
	all := r.Required | r.Allowed | Global
	for _, s := range r.OneOf {
		all |= s
	}
	for _, w := range r.With {
		all |= w.Takes
	}
	return all
}

// takesWith returns the options that a command takes with those given.
func (r Rule) takesWith(given Set) Set {
	all := r.Takes()
	for _, w := range r.With {
		if !given.Has(w.Option) {
			all &^= w.Takes
		}
	}
	return all
}

// Excluded returns the union of the sets of OneOf that contain an option.
func (r Rule) Excluded(id OptionID) Set {
	var all Set
	for _, s := range r.OneOf {
		if s.Has(id) {
			all |= s
		}
	}
	return all
}

// Violation is a violation of a Rule.
type Violation struct {
	Kind   ViolationKind
	Option OptionID
	Other  OptionID // for Conflict: the one that is first in 1.31's order
}

// ViolationKind is how an option violates a Rule.
type ViolationKind uint8

// The kinds of Violation.
const (
	Missing ViolationKind = iota + 1
	Illegal
	Conflict
)

// Check looks for the first violation in 1.31's order.
func (r Rule) Check(given Set) (Violation, bool) {
	takes := r.takesWith(given)
	for rest := given | r.Required; rest != 0; rest &= rest - 1 {
		id := rest.first()
		if !given.Has(id) {
			if _, all := FindOption(id).Alternatives(); !given.HasAny(all) {
				return Violation{Kind: Missing, Option: id}, true
			}
			continue
		}
		if !takes.Has(id) {
			return Violation{Kind: Illegal, Option: id}, true
		}
		if before := r.Excluded(id) & given & (1<<id - 1); before != 0 {
			return Violation{Kind: Conflict, Option: id, Other: before.first()}, true
		}
	}
	return Violation{}, false
}

// FindOption returns the row of an option; the identity must be one of the
// constants.
func FindOption(id OptionID) *Option { return &Options[optionRows[id]] }

// optionRows are the indexes of the rows, whose order is not that of the
// constants.
var optionRows = func() (rows [optionCount]uint8) {
	for i := range Options {
		rows[Options[i].ID] = uint8(i)
	}
	return rows
}()

// FindCommand returns the row of a command; the identity must be one of the
// constants.
func FindCommand(id CommandID) *Command { return &Commands[id-1] }

// Row is a row of Commands or Options.
type Row struct {
	*Word
	Command *Command // nil for an option
	Option  *Option  // nil for a command
}

// Rows returns all commands, then all options.
func Rows() iter.Seq[Row] {
	return func(yield func(Row) bool) {
		for i := range Commands {
			if c := &Commands[i]; !yield(Row{Word: &c.Word, Command: c}) {
				return
			}
		}
		for i := range Options {
			if o := &Options[i]; !yield(Row{Word: &o.Word, Option: o}) {
				return
			}
		}
	}
}

// FindLong returns the row with a long name, without the dashes.
func FindLong(name string) (Row, bool) {
	for r := range Rows() {
		if r.Long == name {
			return r, true
		}
	}
	return Row{}, false
}

// FindLetter returns the row with a letter.
func FindLetter(letter byte) (Row, bool) {
	for r := range Rows() {
		if letter != 0 && (r.Short == letter || r.Alias == letter) {
			return r, true
		}
	}
	return Row{}, false
}

// Takers returns the commands that take an option, given its name in
// messages.
func Takers(name string) []*Command {
	var options Set
	for i := range Options {
		if id := Options[i].ID; id.String() == name {
			options |= Of(id)
		}
	}
	var takers []*Command
	for i := range Commands {
		if c := &Commands[i]; c.Rule.Takes().HasAny(options) {
			takers = append(takers, c)
		}
	}
	return takers
}
