// SPDX-License-Identifier: Apache-2.0

package session

import (
	"slices"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	const text = `
# of two
# lines

one# first
> goes on
answer
> of it
[2]
two# second

# between

one# third
`
	want := []Step{
		{"of two lines", "one", "first\ngoes on", "answer\n> of it\n[2]\n"},
		{"", "two", "second", ""},
		{"between", "one", "third", ""},
	}
	got, err := Parse(Host, text)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	for _, bad := range []string{"answer\n", "one# first\n\nanswer\n", "$ first\n"} {
		if got, err := Parse(Host, bad); err == nil {
			t.Errorf("%q is read as %q", bad, got)
		}
	}
}

func TestCompare(t *testing.T) {
	for name, c := range map[string]struct{ got, want, fault string }{
		"the same text passes":                      {"a\nb\n", "a\nb\n", ""},
		"blanks at the end of a line are no matter": {"a  \t\nb\n", "a\nb\n", ""},
		"the first line that differs is named":      {"a\nx\ny\n", "a\nb\nc\n", `line 2: "x", want "b"`},
		"a missing last newline fails":              {"a", "a\n", `the answer ends before line 2, ""`},
		"an empty line too many fails":              {"a\n\n", "a\n", `line 3: "", want no such line`},
		"a pattern matches part of a line":          {"(size=4096)\n", `(size=<\d+>)` + "\n", ""},
		"a pattern that does not match fails":       {"(size=)\n", `(size=<\d+>)` + "\n", `line 1: "(size=)", want "(size=<\d+>)"`},
		"alternatives end with their pattern":       {"ab\n", "a<b|c>\n", ""},
		"text around a pattern is no pattern":       {"1x2\n", `1.<\d>` + "\n", `line 1: "1x2", want "1.<\d>"`},
		"a pattern that is none is a fault":         {"a\n", "<(>\n", "line 1 of the expected answer: error parsing regexp"},
	} {
		t.Run(name, func(t *testing.T) {
			fault := ""
			if err := Compare(c.got, c.want); err != nil {
				fault = err.Error()
			}
			if (c.fault == "") != (fault == "") || !strings.HasPrefix(fault, c.fault) {
				t.Errorf("%q with %q: fault %q, want %q", c.got, c.want, fault, c.fault)
			}
		})
	}
}
