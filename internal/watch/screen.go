// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// style is the appearance of a cell.
type style uint8

const (
	normal    style = iota
	strong          // a virtual service
	heading         // a column title
	highlight       // the title of the sort column; the cursor in the filter
	added
	changed
	removed
	alert
)

// attributes contains the parameters of the control sequence SGR for each
// style, without and with color.
var attributes = [...][2]string{
	normal:    {"", ""},
	strong:    {"1", "1"},
	heading:   {"4", "4"},
	highlight: {"7", "7"},
	added:     {"1", "32"},
	changed:   {"1", "33"},
	removed:   {"2", "31"},
	alert:     {"7", "1;31"},
}

func (s style) attributes(d Display) string {
	if d.Color {
		return attributes[s][1]
	}
	return attributes[s][0]
}

type cell struct {
	r     rune // one that takes one column
	style style
}

// Screen is the content of a terminal's screen.
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

// line returns the cells of a line, or none if y is outside the screen.
func (s *Screen) line(y int) []cell {
	if y < 0 || y >= s.Height {
		return nil
	}
	return s.cells[y*s.Width : (y+1)*s.Width]
}

// put writes text to a line, beginning in column x, and drops what does not
// fit on the screen.
func (s *Screen) put(x, y int, st style, text string) {
	line := s.line(y)
	for _, r := range text {
		if x >= len(line) {
			return
		}
		if x >= 0 {
			line[x] = cell{singleColumn(r), st}
		}
		x++
	}
}

// singleColumn returns r if it takes exactly one column, or a question mark.
// Names from the kernel could contain any rune.
func singleColumn(r rune) rune {
	if r >= ' ' && r <= '~' || r == ellipsis || r >= fullBlock && r <= narrowBlock {
		return r
	}
	return '?'
}

// String returns the text of the screen, without trailing blanks.
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

// Control sequences of ECMA-48 and DEC. Terminals ignore those that they do
// not support.
const (
	// Enter switches to the alternate screen, so that the text on the
	// main screen is kept, and hides the cursor.
	Enter = "\x1b[?1049h\x1b[?25l"
	// Leave undoes Enter. It clears the screen first, for terminals
	// without an alternate screen.
	Leave = "\x1b[m\x1b[H\x1b[2J\x1b[?25h\x1b[?1049l"

	clearScreen = "\x1b[m\x1b[2J"
)

// AppendDiff appends the control sequences and text that turn the previous
// screen of the terminal into s: the lines that differ. If previous is nil, or
// differs in size, the terminal is cleared first.
func (s *Screen) AppendDiff(b []byte, previous *Screen, d Display) []byte {
	if previous == nil || previous.Width != s.Width || previous.Height != s.Height {
		previous = newScreen(s.Width, s.Height)
		b = append(b, clearScreen...)
	}
	for y := range s.Height {
		line := s.line(y)
		if slices.Equal(line, previous.line(y)) {
			continue
		}
		b = fmt.Appendf(b, "\x1b[%d;1H", y+1)
		current := normal // the style at the start and the end of every line
		for _, c := range line {
			if c.style != current {
				b = fmt.Appendf(b, "\x1b[0;%sm", c.style.attributes(d))
				current = c.style
			}
			b = utf8.AppendRune(b, c.r)
		}
		if current != normal {
			b = append(b, "\x1b[m"...)
		}
	}
	return b
}
