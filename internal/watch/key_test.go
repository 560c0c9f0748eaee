// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"slices"
	"testing"
)

// keys decodes input that arrives in pieces. An incomplete key at the end of
// a piece continues in the next one, except at the end of the last.
func keys(pieces ...string) []Key {
	var list []Key
	var b []byte
	for i, p := range pieces {
		b = append(b, p...)
		for len(b) > 0 {
			k, n := Decode(b, i == len(pieces)-1)
			if n == 0 {
				break
			}
			list, b = append(list, k), b[n:]
		}
	}
	return list
}

func TestDecode(t *testing.T) {
	for _, c := range []struct {
		typed string
		want  []Key
	}{
		{"sr", []Key{'s', 'r'}},
		{"\r\n\x7f\b\x15\x0c\x01", []Key{KeyEnter, KeyEnter, KeyBackspace, KeyBackspace, KeyErase, KeyRedraw, 1}},
		{"\x1b", []Key{KeyEscape}},
		{"\x1b\x1b", []Key{KeyEscape, KeyEscape}},
		{"\x1bq", []Key{KeyEscape, 'q'}},
		{"\x1b[A\x1b[B\x1b[C\x1b[D", []Key{KeyUp, KeyDown, KeyRight, KeyLeft}},
		{"\x1bOA\x1bOH\x1bOF\x1bOP", []Key{KeyUp, KeyHome, KeyEnd, KeyOther}},
		{"\x1b[5~\x1b[6~\x1b[H\x1b[F", []Key{KeyPageUp, KeyPageDown, KeyHome, KeyEnd}},
		{"\x1b[1~\x1b[4~\x1b[7~\x1b[8~\x1b[3~", []Key{KeyHome, KeyEnd, KeyHome, KeyEnd, KeyOther}},
		{"\x1b[1;5A\x1b[6;2~", []Key{KeyUp, KeyPageDown}}, // with Control, with Shift
		{"\x1b[[As", []Key{KeyOther, 's'}},                // F1 of the Linux console
		{"\x1b[200~f\x1b[201~", []Key{KeyOther, 'f', KeyOther}},
		{"\x1b[12", []Key{KeyOther}},
		{"\x1b[1\rs", []Key{KeyOther, KeyEnter, 's'}},
		{"\xff\xc3", []Key{0xff, 0xc3}},
	} {
		if got := keys(c.typed); !slices.Equal(got, c.want) {
			t.Errorf("%q: %v, want %v", c.typed, got, c.want)
		}
	}
	if k, n := Decode([]byte("\x1b[5"), false); n != 0 {
		t.Errorf("an incomplete sequence is decoded as the key %v", k)
	}
}

// FuzzDecode checks that input decodes to the same keys if it arrives in two
// pieces.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{"s\x1b", "\x1b[5~\x1bOA", "\x1b[[A", "é\x1b[1;5A", "\x1b[1\x1b[\xff"} {
		f.Add(s, 1)
	}
	f.Fuzz(func(t *testing.T, typed string, n int) {
		want := keys(typed)
		if len(typed) > 0 && len(want) == 0 {
			t.Errorf("%q is decoded as no key", typed)
		}
		n = max(0, min(n, len(typed)))
		if got := keys(typed[:n], typed[n:]); !slices.Equal(got, want) {
			t.Errorf("%q, split at %d: %v, want %v", typed, n, got, want)
		}
	})
}
