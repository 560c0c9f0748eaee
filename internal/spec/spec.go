// SPDX-License-Identifier: Apache-2.0

// Package spec is the one table of commands and options: each has its
// spellings, its kind of value, its name in messages, and what it can be
// combined with. The parser, the rule text, the help and the manual pages all
// use it; nothing else lists options.
package spec

import "math/bits"

// Option is an option that modifies a command.
type Option struct {
	ID    OptionID
	Long  string // without the dashes
	Short byte   // 0 if there is none
	Value Value
	// Default is the value of an option with OptionalValue if none
	// follows.
	Default string
	Arg     string // what the help calls the value
	Help    string
	// Noun is the name of the value in messages: "illegal NOUN
	// specified".
	Noun string
	// Min and Max bound a numeric value.
	Min, Max int64
}

// Command is an option that says what to do.
type Command struct {
	ID    CommandID
	Name  string // what messages call it
	Long  string
	Short byte // 0 if there is none
	Alias byte // a second letter, 0 if there is none
	Value Value
	Arg   string // name of the value or the arguments in the help
	// MaxArgs is the maximum number of arguments, words that are neither
	// options nor their values.
	MaxArgs int
	Help    string
	Noun    string // as for Option
	Rule    Rule
	// Default, Min and Max are as for Option.
	Default  string
	Min, Max int64
}

// Value says whether an option has a value.
type Value uint8

// The kinds of option by their value.
const (
	NoValue Value = iota
	RequiredValue
	OptionalValue // taken from the next word unless that begins with a dash
)

// Set is a set of options.
type Set uint64

// Of returns the set of these options.
func Of(ids ...OptionID) Set {
	var s Set
	for _, id := range ids {
		s |= 1 << id
	}
	return s
}

// Has reports whether the set holds an option.
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

// Rule says which options a command or a tunnel type takes: those in any of
// the sets. Any one of a required option's alternatives will do.
type Rule struct {
	Required Set
	Allowed  Set
	OneOf    []Set // at most one of each; an option may be in several
	With     []With
}

// With are the options that a command takes only beside another option.
type With struct {
	Option OptionID
	Takes  Set
}

// Takes returns all options that a command takes, be it beside others only.
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

// takesBeside returns the options that go with a command beside those given.
func (r Rule) takesBeside(given Set) Set {
	all := r.Takes()
	for _, w := range r.With {
		if !given.Has(w.Option) {
			all &^= w.Takes
		}
	}
	return all
}

// Excluded returns the options of which one may be given, this one among them,
// by the sets of OneOf that have it.
func (r Rule) Excluded(id OptionID) Set {
	var all Set
	for _, s := range r.OneOf {
		if s.Has(id) {
			all |= s
		}
	}
	return all
}

// Violation is what breaks a Rule.
type Violation struct {
	Kind   ViolationKind
	Option OptionID
	Other  OptionID // for Conflict: the one that is first in 1.31's order
}

// ViolationKind says how an option breaks a Rule.
type ViolationKind uint8

// The kinds of Violation.
const (
	Missing ViolationKind = iota + 1
	Illegal
	Conflict
)

// Check looks for the first violation in 1.31's order.
func (r Rule) Check(given Set) (Violation, bool) {
	takes := r.takesBeside(given)
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

// Beyond reports whether 1.31 does not have the command.
func (c *Command) Beyond() bool {
	switch c.ID {
	case Apply, Monitor, Doctor, Watch:
		return true
	}
	return false
}

// FindCommand returns the row of a command; the identity must be one of the
// constants.
func FindCommand(id CommandID) *Command { return &Commands[id-1] }
