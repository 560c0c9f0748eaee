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
		if c.Forms != nil {
			var shown Set
			for _, f := range c.Forms {
				shown |= f.Needs | f.Takes
			}
			if takes := c.Rule.Takes() &^ Global &^ OnlyAccepted; shown&^Uncounted != takes&^Uncounted {
				t.Errorf("--%s takes %b, but its forms show %b", c.Long, takes, shown)
			}
		}
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

func TestSchedulersAreTold(t *testing.T) {
	seen := make(map[string]string)
	for _, s := range Schedulers {
		if s.Name == "" || s.Help == "" || seen[s.Help] != "" || !IsScheduler(s.Name) {
			t.Errorf("%q has the text %q, and so has %q", s.Name, s.Help, seen[s.Help])
		}
		seen[s.Help] = s.Name
	}
	if len(Names(Schedulers[:])) != len(Schedulers) || IsScheduler("") {
		t.Error("the names are not those of the table")
	}
}

// TestSectionsAreOfOneKind checks that 1.31 has all options of a section or
// none, that the options it lacks have no letter, and that their sections are
// the last ones.
func TestSectionsAreOfOneKind(t *testing.T) {
	beyond := make(map[Section]bool)
	for i := range Options {
		o := &Options[i]
		if known, found := beyond[o.Section]; found && known != o.Beyond() {
			t.Errorf("the section %q has --%s, and options of another kind", Sections[o.Section].Title, o.Long)
		}
		beyond[o.Section] = o.Beyond()
		if o.Beyond() != (o.ID >= OptAll) || o.Beyond() && o.Short != 0 {
			t.Errorf("--%s: since %q, with the letter %q and the identity %d", o.Long, o.Since, o.Short, o.ID)
		}
	}
	if len(beyond) != len(Sections) {
		t.Errorf("options in %d sections of %d", len(beyond), len(Sections))
	}
	for s := range Section(len(Sections) - 1) {
		if beyond[s] && !beyond[s+1] {
			t.Errorf("%q is behind what 1.31 lacks", Sections[s+1].Title)
		}
	}
}

func TestRowsAreFound(t *testing.T) {
	for r := range Rows() {
		if found, ok := FindLong(r.Long); !ok || found != r {
			t.Errorf("FindLong(%q) is %v", r.Long, found.Word)
		}
		for _, letter := range []byte{r.Short, r.Alias} {
			if found, ok := FindLetter(letter); ok != (letter != 0) || ok && found != r {
				t.Errorf("FindLetter(%q) is %v", letter, found.Word)
			}
		}
	}
	if takers := Takers("forwarding-method"); len(takers) != 2 || takers[0].ID != AddServer || takers[1].ID != EditServer {
		t.Errorf("%d commands take a forwarding method", len(takers))
	}
}

func TestEachOptionHasARowAndACommand(t *testing.T) {
	if len(Options) != int(optionCount) {
		t.Errorf("%d rows for %d options", len(Options), optionCount)
	}
	var taken Set
	for i := range Commands {
		r := Commands[i].Rule
		taken |= r.Takes()
		var places Set
		var oneOf Set
		for _, s := range r.OneOf {
			oneOf |= s
		}
		sets := []Set{r.Required, r.Allowed, oneOf}
		for _, w := range r.With {
			if !r.takesWith(0).Has(w.Option) {
				t.Errorf("%s does not take %s by itself", Commands[i].Name, w.Option)
			}
			sets = append(sets, w.Takes)
		}
		for _, s := range sets {
			if places.HasAny(s) {
				t.Errorf("an option has two places in the rule of %s", Commands[i].Name)
			}
			places |= s
		}
	}
	for i := range Options {
		if o := &Options[i]; !taken.Has(o.ID) {
			t.Errorf("no command takes --%s", o.Long)
		}
	}
}
