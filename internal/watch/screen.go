// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// style is how a cell looks.
type style uint8

const (
	plain   style = iota
	strong        // a virtual service
	heading       // titles of columns
	sorted        // the title of the column by which lines are sorted
	added
	edited
	removed
	alert
)

// attributes are the parameters of the control sequence that selects a style
// (SGR), without colors and with them.
var attributes = [...][2]string{
	plain:   {"", ""},
	strong:  {"1", "1"},
	heading: {"4", "4"},
	sorted:  {"7", "7"},
	added:   {"1", "32"},
	edited:  {"1", "33"},
	removed: {"2", "31"},
	alert:   {"7", "1;31"},
}

func (s style) attributes(l Look) string {
	if l.Color {
		return attributes[s][1]
	}
	return attributes[s][0]
}

type cell struct {
	r     rune // each takes one column
	style style
}

// Screen is what a terminal shows.
type Screen struct {
	Width, Height int
	cells         []cell
}

func newScreen(width, height int) *Screen {
	s := &Screen{width, height, make([]cell, width*height)}
	for i := range s.cells {
		s.cells[i].r = ' '
	}
	return s
}

// line returns a line; what lies outside is empty.
func (s *Screen) line(y int) []cell {
	if y < 0 || y >= s.Height {
		return nil
	}
	return s.cells[y*s.Width : (y+1)*s.Width]
}

// put writes text from a place on, as far as it fits.
func (s *Screen) put(x, y int, st style, text string) {
	line := s.line(y)
	for _, r := range text {
		if x >= len(line) {
			return
		}
		if x >= 0 {
			line[x] = cell{shown(r), st}
		}
		x++
	}
}

// shown returns a rune that takes one column: names come from elsewhere.
func shown(r rune) rune {
	if r >= ' ' && r <= '~' || r == ellipsis || r >= fullBlock && r <= narrowBlock {
		return r
	}
	return '?'
}

// String returns the lines without the blanks at their ends.
func (s *Screen) String() string {
	var b strings.Builder
	for y := range s.Height {
		var line strings.Builder
		for _, c := range s.line(y) {
			line.WriteRune(c.r)
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return b.String()
}

// Control sequences of ECMA-48 and the private ones of DEC that every terminal
// in use knows or passes over.
const (
	// Enter begins a screen that leaves alone what the terminal showed, and
	// hides the cursor.
	Enter = "\x1b[?1049h\x1b[?25l"
	// Leave undoes Enter. A terminal without a second screen is left empty.
	Leave = "\x1b[m\x1b[H\x1b[2J\x1b[?25h\x1b[?1049l"

	clearScreen = "\x1b[m\x1b[2J"
)

// shortGap is up to how many equal cells are written again, since to skip them
// takes as many bytes.
const shortGap = 5

// AppendDiff appends what turns the screen before, or whatever a terminal shows
// if that is nil or of another size, into this one.
func (s *Screen) AppendDiff(b []byte, before *Screen, l Look) []byte {
	if before == nil || before.Width != s.Width || before.Height != s.Height {
		before = newScreen(s.Width, s.Height)
		b = append(b, clearScreen...)
	}
	current := plain // each diff begins and ends with it
	for y := range s.Height {
		now, was := s.line(y), before.line(y)
		behind := -1 // where the cursor is in this line
		for x := range now {
			if now[x] == was[x] {
				continue
			}
			from := x
			if behind >= 0 && x-behind <= shortGap {
				from = behind
			} else {
				b = appendMove(b, x, y)
			}
			for _, c := range now[from : x+1] {
				if c.style != current {
					b = appendStyle(b, c.style.attributes(l))
					current = c.style
				}
				b = utf8.AppendRune(b, c.r)
			}
			behind = x + 1
		}
	}
	if current != plain {
		b = appendStyle(b, "")
	}
	return b
}

func appendMove(b []byte, x, y int) []byte {
	b = strconv.AppendInt(append(b, "\x1b["...), int64(y+1), 10)
	b = strconv.AppendInt(append(b, ';'), int64(x+1), 10)
	return append(b, 'H')
}

// appendStyle sets attributes, and no others.
func appendStyle(b []byte, attributes string) []byte {
	b = append(b, "\x1b["...)
	if attributes != "" {
		b = append(append(b, "0;"...), attributes...)
	}
	return append(b, 'm')
}
