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
		if got := plain(c.text); got != c.want {
			t.Errorf("%q becomes %q, want %q", c.text, got, c.want)
		}
	}
}

func TestScreenLeavesLinesAsTheyAre(t *testing.T) {
	var b bytes.Buffer
	w := screen{&b}
	for _, text := range []string{"TCP  12.0.0.1:80 rr\n  -> web:80\n", "evil\x1b]0;x\a.example\nnext", "grün\n"} {
		if n, err := w.Write([]byte(text)); n != len(text) || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	}
	if want := "TCP  12.0.0.1:80 rr\n  -> web:80\nevil\\x1b]0;x\\a.example\nnextgrün\n"; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
}

// Messages about a rule file are escaped for any output. Those about the
// command line are the same bytes as 1.31's.
func TestComplaintsAboutFilesAreWrittenOut(t *testing.T) {
	k := newFakeKernel(t, web)
	word := "-\x1b[2J" + strings.Repeat("x", 1000)
	a := k.restore(t, "-A -f 1 "+word+"\n")
	if strings.ContainsAny(a.errors, "\x1b") || len(a.errors) > 300 || !strings.HasSuffix(a.errors, "x: unknown option\n") {
		t.Errorf("%q", a.errors)
	}
	if a := k.do(t, "", "ipvsadm", "-A", "-f", "1", word); a.errors != word+": unknown option\n" {
		t.Errorf("%q", a.errors)
	}
	if a := k.do(t, "-A -f 1 "+word+"\n", "ipvsadm", "-R"); a.errors != "line 1: "+word+": unknown option\n" {
		t.Errorf("%q", a.errors)
	}
	many := strings.Repeat("-q\n", 250)
	a = k.restore(t, many)
	if lines := strings.Split(strings.TrimSuffix(a.errors, "\n"), "\n"); len(lines) != 101 || lines[100] != "<stdin>: and 150 more lines with mistakes" {
		t.Errorf("%d lines, the last is %s", len(lines), lines[len(lines)-1])
	}
}
