// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"strings"
	"testing"

	"github.com/ipvsadm-go/ipvsadm/internal/test/terminal"
)

func TestDiffWritesOnlyWhatDiffers(t *testing.T) {
	before := newScreen(80, 24)
	before.put(1, 3, plain, "TCP 12.0.0.1:80   100  200")
	before.put(1, 4, strong, "TCP 12.0.0.2:80   100  200")
	now := newScreen(80, 24)
	now.put(1, 3, plain, "TCP 12.0.0.1:80   101  209")
	now.put(1, 4, strong, "TCP 12.0.0.2:80   100  205")
	if got, want := string(now.AppendDiff(nil, before, Look{})), "\x1b[4;22H1  209\x1b[5;27H\x1b[0;1m5\x1b[m"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := now.AppendDiff(nil, now, Look{}); len(got) > 0 {
		t.Errorf("%q brings a screen to itself", got)
	}
	other := newScreen(40, 24)
	if got := string(other.AppendDiff(nil, now, Look{})); got != clearScreen {
		t.Errorf("%q shows an empty screen of another size", got)
	}
}

func TestNamesFromElsewhereTakeOneColumnEach(t *testing.T) {
	s := newScreen(20, 1)
	s.put(0, 0, plain, "a\x1b[2J\u202e日…█▏b")
	if got := s.String(); got != "a?[2J??…█▏b\n" {
		t.Errorf("%q", got)
	}
	s.put(-2, 0, plain, "xyz")
	s.put(19, 0, plain, "xyz")
	s.put(0, 1, plain, "xyz")
	if got := s.String(); got != "z?[2J??…█▏b        x\n" {
		t.Errorf("%q", got)
	}
}

// Each screen is shown by what leads to it from the one before, as a terminal
// has it that draws both.
func FuzzDiff(f *testing.F) {
	f.Add(uint8(20), uint8(3), "one\ntwo", "one\nTwo", false)
	f.Add(uint8(80), uint8(24), "a b c d e f g h", "a B c d e F g H", true)
	f.Add(uint8(3), uint8(2), "abcdef", "abcxyz", true)
	f.Fuzz(func(t *testing.T, width, height uint8, first, second string, color bool) {
		w, h := int(width%100)+1, int(height%30)+1
		look := Look{UTF8: true, Color: color}
		draw := func(text string) *Screen {
			s := newScreen(w, h)
			for i, word := range strings.Fields(text) {
				s.put(i*7%w, i/3, style(len(word)%int(alert+1)), word)
			}
			return s
		}
		on := terminal.NewScreen(w, h)
		on.Write([]byte("what was there"))
		a, b := draw(first), draw(second)
		show(t, on, nil, a, look)
		show(t, on, a, b, look)
		show(t, on, b, a, look)
	})
}
