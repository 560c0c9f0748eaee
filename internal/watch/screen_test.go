// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"strings"
	"testing"

	"github.com/ipvsadm-go/ipvsadm/internal/test/terminal"
)

func TestDiffWritesTheLinesThatDiffer(t *testing.T) {
	before := newScreen(8, 3)
	before.put(1, 1, strong, "100 200")
	now := newScreen(8, 3)
	now.put(1, 1, strong, "100 209")
	if got := string(now.AppendDiff(nil, before, Display{})); got != "\x1b[2;1H \x1b[0;1m100 209\x1b[m" {
		t.Errorf("%q", got)
	}
	if got := string(newScreen(4, 3).AppendDiff(nil, now, Display{})); got != clearScreen {
		t.Errorf("the diff to an empty screen of another size is %q", got)
	}
}

func TestEveryRuneTakesOneColumn(t *testing.T) {
	s := newScreen(20, 1)
	s.put(0, 0, normal, "a\x1b[2J\u202e日…█▏b")
	if got := s.String(); got != "a?[2J??…█▏b\n" {
		t.Errorf("%q", got)
	}
	s.put(-2, 0, normal, "xyz")
	s.put(19, 0, normal, "xyz")
	s.put(0, 1, normal, "xyz")
	if got := s.String(); got != "z?[2J??…█▏b        x\n" {
		t.Errorf("%q", got)
	}
}

// FuzzDiff checks diffs between arbitrary screens on an emulated terminal.
func FuzzDiff(f *testing.F) {
	f.Add(uint8(20), uint8(3), "one\ntwo", "one\nTwo", false)
	f.Add(uint8(80), uint8(24), "a b c d e f g h", "a B c d e F g H", true)
	f.Add(uint8(3), uint8(2), "abcdef", "abcxyz", true)
	f.Fuzz(func(t *testing.T, width, height uint8, first, second string, color bool) {
		w, h := int(width%100)+1, int(height%30)+1
		display := Display{UTF8: true, Color: color}
		draw := func(text string) *Screen {
			s := newScreen(w, h)
			for i, word := range strings.Fields(text) {
				s.put(i*7%w, i/3, style(len(word)%int(alert+1)), word)
			}
			return s
		}
		on := terminal.NewScreen(w, h)
		on.Write([]byte("earlier output"))
		a, b := draw(first), draw(second)
		checkDiff(t, on, nil, a, display)
		checkDiff(t, on, a, b, display)
		checkDiff(t, on, b, a, display)
	})
}
