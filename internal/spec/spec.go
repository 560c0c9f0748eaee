// SPDX-License-Identifier: Apache-2.0

// Package spec is the one table of what can stand on the command line: each
// command and each option once, with its spellings, the kind of value that
// it takes, what messages call it, and what goes with what. The parser, the
// rule text, the help and the manual all read it; nothing else lists options.
package spec

import "math/bits"

// Option is an option that modifies a command.
type Option struct {
	ID    OptionID
	Group Group  // what 1.31 counts it under
	With  Group  // of an Uncounted option: the group that it goes with
	Long  string // without the dashes
	Short byte   // 0 if there is none
	Value Value
	// Default is the value of an option with OptionalValue that has none.
	Default string
	Arg     string // what the help calls the value
	Help    string
	// Noun is what messages call the value: "illegal NOUN specified".
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
	Arg   string // what the help calls the value or the arguments
	// MaxArgs is how many arguments go with the command, words that are
	// neither options nor their values.
	MaxArgs int
	Help    string
	Noun    string // as for Option
	Rule    Rule
}

// Value is how an option is followed by a value.
type Value uint8

// The kinds of option by their value.
const (
	NoValue Value = iota
	RequiredValue
	OptionalValue // taken from the next word unless that begins with a dash
)

// Groups is a set of groups.
type Groups uint64

// Of makes a set.
func Of(groups ...Group) Groups {
	var s Groups
	for _, g := range groups {
		s |= 1 << g
	}
	return s
}

// Has tells whether the set holds g.
func (s Groups) Has(g Group) bool { return s>>g&1 != 0 }

// First is the member that the table lists first; the set must have one.
func (s Groups) First() Group { return Group(bits.TrailingZeros64(uint64(s))) }

// Rule says which groups go with a command or a tunnel type. Those in none of
// the sets do not.
type Rule struct {
	Required Groups
	Allowed  Groups
	OneOf    Groups // at most one of these
}

// Violation is what breaks a Rule, found in the order of the groups.
type Violation struct {
	Kind  ViolationKind
	Group Group
	Other Group // with Conflict: the one that came first
}

// ViolationKind tells what is wrong with a group.
type ViolationKind uint8

// The kinds of Violation.
const (
	Missing ViolationKind = iota + 1
	Illegal
	Conflict
)

// Check looks for the first violation among the groups of scope, in 1.31's
// order.
func (r Rule) Check(given, scope Groups) (Violation, bool) {
	var one Groups
	for rest := scope; rest != 0; rest &= rest - 1 {
		g := rest.First()
		switch {
		case !given.Has(g):
			if r.Required.Has(g) {
				return Violation{Kind: Missing, Group: g}, true
			}
		case r.OneOf.Has(g):
			if one != 0 {
				return Violation{Kind: Conflict, Group: g, Other: one.First()}, true
			}
			one = Of(g)
		case !r.Required.Has(g) && !r.Allowed.Has(g):
			return Violation{Kind: Illegal, Group: g}, true
		}
	}
	return Violation{}, false
}

// Goes is the group that tells which commands an option goes with.
func (o *Option) Goes() Group {
	if o.Group == Uncounted {
		return o.With
	}
	return o.Group
}

// Takes are the groups that a command takes.
func (r Rule) Takes() Groups { return r.Required | r.Allowed | r.OneOf }

// FindOption gives the row of an option; the identity must be one of the
// constants.
func FindOption(id OptionID) *Option { return &Options[id-1] }

// FindCommand gives the row of a command; the identity must be one of the
// constants.
func FindCommand(id CommandID) *Command { return &Commands[id-1] }
