// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"strings"
	"testing"
)

func TestRowsStandWhereTheirIdentitiesLookForThem(t *testing.T) {
	for i := range Options {
		if o := &Options[i]; FindOption(o.ID) != o {
			t.Errorf("FindOption(%d) is not the row of --%s", o.ID, o.Long)
		}
	}
	for i := range Commands {
		if c := &Commands[i]; FindCommand(c.ID) != c {
			t.Errorf("FindCommand(%d) is not the row of --%s", c.ID, c.Long)
		}
	}
}

func TestNoSpellingIsThereTwice(t *testing.T) {
	taken := make(map[string]string)
	take := func(spelling, by string) {
		if other := taken[spelling]; other != "" {
			t.Errorf("%s and %s are both spelled %s", other, by, spelling)
		}
		taken[spelling] = by
	}
	letters := func(by string, list ...byte) {
		for _, c := range list {
			if c != 0 {
				take("-"+string(rune(c)), by)
			}
		}
	}
	for _, c := range Commands {
		take("--"+c.Long, "the command "+c.Name)
		letters("the command "+c.Name, c.Short, c.Alias)
	}
	for _, o := range Options {
		take("--"+o.Long, "the option "+o.Long)
		letters("the option "+o.Long, o.Short)
	}
}

func TestRowsAreWhole(t *testing.T) {
	texts := func(of string, list ...string) {
		for _, s := range list {
			if s == "" || strings.TrimSpace(s) != s || strings.Contains(s, "\n") {
				t.Errorf("%s: the text %q", of, s)
			}
		}
	}
	for _, c := range Commands {
		texts(c.Long, c.Name, c.Long, c.Help)
		if takes := c.Value != NoValue || c.MaxArgs > 0; takes != (c.Arg != "") {
			t.Errorf("--%s takes something: %v, but the help calls it %q", c.Long, takes, c.Arg)
		}
		if c.Value == RequiredValue && c.Noun == "" {
			t.Errorf("--%s: no message has a name for its value", c.Long)
		}
	}
	for _, o := range Options {
		texts(o.Long, o.Long, o.Help)
		if (o.Value == NoValue) == (o.Arg != "") {
			t.Errorf("--%s: kind of value %d, and the help calls it %q", o.Long, o.Value, o.Arg)
		}
		if (o.Value == OptionalValue) != (o.Default != "") {
			t.Errorf("--%s: kind of value %d with the default %q", o.Long, o.Value, o.Default)
		}
		if o.Min > o.Max || o.Max > 0 && (o.Noun == "" || o.Value == NoValue) {
			t.Errorf("--%s: a number from %d to %d called %q", o.Long, o.Min, o.Max, o.Noun)
		}
	}
}

func TestEachGroupHasANameAndIsUsed(t *testing.T) {
	names := make(map[string]Group)
	var options, rules Groups
	for i := range Options {
		options |= Of(Options[i].Goes())
	}
	for i := range Commands {
		r := Commands[i].Rule
		rules |= r.Takes()
		if r.Required&r.Allowed|r.Required&r.OneOf|r.Allowed&r.OneOf != 0 {
			t.Errorf("a group has two places in the rule of %s", Commands[i].Name)
		}
	}
	for g := Group(0); g < groupCount; g++ {
		name := g.String()
		if other, taken := names[name]; taken || name == "" {
			t.Errorf("the groups %d and %d are both called %q", other, g, name)
		}
		names[name] = g
		if !options.Has(g) {
			t.Errorf("no option is of the group %s", g)
		}
		if !rules.Has(g) {
			t.Errorf("no command takes the group %s", g)
		}
	}
	if AllGroups != options {
		t.Errorf("AllGroups is %b, the options have %b", AllGroups, options)
	}
}

func TestSchedulerFlagsAreOneBitEach(t *testing.T) {
	type bit struct {
		scheduler string
		number    int
	}
	names, bits := make(map[string]bool), make(map[bit]bool)
	for _, f := range SchedulerFlags {
		if f.Number < 1 || f.Number > 3 || names[f.Name] || bits[bit{f.Scheduler, f.Number}] {
			t.Errorf("%+v", f)
		}
		names[f.Name], bits[bit{f.Scheduler, f.Number}] = true, true
	}
}

func TestCheckFindsTheFirstViolation(t *testing.T) {
	r := Rule{Required: Of(Scheduler), Allowed: Of(Weight), OneOf: Of(Connection, Timeout, Daemon)}
	for _, c := range []struct {
		name         string
		given, scope Groups
		want         Violation
	}{
		{"all is well", Of(Scheduler, Weight, Timeout), AllGroups, Violation{}},
		{"what is required is not there", Of(Weight), AllGroups, Violation{Kind: Missing, Group: Scheduler}},
		{"what is illegal comes later than what is missing", Of(Persistent), AllGroups, Violation{Kind: Missing, Group: Scheduler}},
		{"what is illegal comes earlier than what is missing", Of(Numeric), AllGroups, Violation{Kind: Illegal, Group: Numeric}},
		{"two of which one may be given", Of(Scheduler, Daemon, Timeout), AllGroups, Violation{Conflict, Daemon, Timeout}},
		{"the first of three stays the one that is named", Of(Scheduler, Connection, Timeout, Daemon), AllGroups, Violation{Conflict, Timeout, Connection}},
		{"what is out of scope does not count", Of(Numeric, Weight), Of(Weight, Timeout), Violation{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, bad := r.Check(c.given, c.scope)
			if got != c.want || bad != (c.want != Violation{}) {
				t.Errorf("got %+v, %v, want %+v", got, bad, c.want)
			}
		})
	}
}
