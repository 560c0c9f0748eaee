// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"strings"
	"testing"
)

func TestPlainWritesOutWhatDoesNotPrint(t *testing.T) {
	long := strings.Repeat("a", 200)
	for _, c := range []struct{ text, want string }{
		{"line 3: Service not defined", "line 3: Service not defined"},
		{"two\nlines\n", "two\nlines\n"},
		{"grün, 日本", "grün, 日本"},
		{"\x1b[2J", `\x1b[2J`},
		{"a\tb\rc\x00d\x7f", `a\tb\rc\x00d\x7f`},
		{"\xff\xc3", `\xff\xc3`},
		{"left\u202eright", `left\u202eright`},
		{"\ufeff-A", `\ufeff-A`},
		{long, long},
		{long + "b: unknown option", long[:100] + "..." + long[:48] + "b: unknown option"},
	} {
		if got := escape(c.text); got != c.want {
			t.Errorf("%q becomes %q, want %q", c.text, got, c.want)
		}
	}
}

func TestScreenLeavesLinesAsTheyAre(t *testing.T) {
	var b bytes.Buffer
	w := escaper{&b}
	for _, text := range []string{"TCP  12.0.0.1:80 rr\n  -> web:80\n", "evil\x1b]0;x\a.example\nnext", "grün\n"} {
		if n, err := w.Write([]byte(text)); n != len(text) || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	}
	if want := "TCP  12.0.0.1:80 rr\n  -> web:80\nevil\\x1b]0;x\\a.example\nnextgrün\n"; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
}
