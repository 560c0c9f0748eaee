// SPDX-License-Identifier: Apache-2.0

// Package terminal is for tests of programs that need a terminal: a
// pseudo-terminal, and the screen of a terminal emulator at its other end.
package terminal

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Cell is one character of a Screen with its attributes, the parameters of SGR.
type Cell struct {
	Rune       rune
	Attributes string
}

// Screen is the screen of a terminal. It supports the control sequences that
// the project's programs and a shell's tools write; any other is an error.
type Screen struct {
	Width, Height int
	CursorHidden  bool
	Other         bool  // the alternate screen is shown, as by an editor
	Err           error // the first unknown sequence

	cells      []Cell
	main       []Cell // the main screen while the alternate one is shown
	x, y       int
	savedX     int
	savedY     int
	attributes string
	rest       []byte // an incomplete sequence or rune
}

// NewScreen returns an empty Screen.
func NewScreen(width, height int) *Screen {
	s := &Screen{Width: width, Height: height}
	s.cells = s.blank()
	return s
}

func (s *Screen) blank() []Cell {
	cells := make([]Cell, s.Width*s.Height)
	for i := range cells {
		cells[i].Rune = ' '
	}
	return cells
}

// Resize keeps the cells that are within the new size.
func (s *Screen) Resize(width, height int) {
	before := *s
	s.Width, s.Height = width, height
	s.x, s.y = min(s.x, width-1), min(s.y, height-1)
	resized := func(cells []Cell) []Cell {
		if cells == nil {
			return nil
		}
		next := s.blank()
		for y := range min(height, before.Height) {
			copy(next[y*width:(y+1)*width], cells[y*before.Width:(y+1)*before.Width])
		}
		return next
	}
	s.cells, s.main = resized(before.cells), resized(before.main)
}

// At returns a cell.
func (s *Screen) At(x, y int) Cell { return s.cells[y*s.Width+x] }

// String returns the lines without trailing blanks.
func (s *Screen) String() string {
	var b strings.Builder
	for y := range s.Height {
		var line strings.Builder
		for x := range s.Width {
			line.WriteRune(s.At(x, y).Rune)
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return b.String()
}

// Write shows a program's output.
func (s *Screen) Write(p []byte) (int, error) {
	b := append(s.rest, p...)
	for len(b) > 0 {
		n := s.next(b)
		if n == 0 {
			break
		}
		b = b[n:]
	}
	s.rest = append([]byte(nil), b...)
	return len(p), s.Err
}

// next executes the first character or sequence and returns its length, 0 if
// it is incomplete.
func (s *Screen) next(b []byte) int {
	switch b[0] {
	case '\r':
		s.x = 0
	case '\n':
		s.down()
	case '\b':
		s.x = max(s.x-1, 0)
	case '\t':
		s.x = min(s.x/8*8+8, s.Width-1)
	case '\a':
	case 0x1b:
		return s.sequence(b)
	default:
		if !utf8.FullRune(b) {
			return 0
		}
		r, n := utf8.DecodeRune(b)
		s.show(r)
		return n
	}
	return 1
}

func (s *Screen) show(r rune) {
	if s.x == s.Width {
		s.x = 0
		s.down()
	}
	if r < ' ' || r == utf8.RuneError {
		s.fail(fmt.Sprintf("character %q", r))
	}
	s.cells[s.y*s.Width+s.x] = Cell{r, s.attributes}
	s.x++
}

// down moves to the next line; on the last the screen scrolls.
func (s *Screen) down() {
	if s.y++; s.y < s.Height {
		return
	}
	s.y = s.Height - 1
	empty := s.blank()[:s.Width]
	s.cells = append(append([]Cell(nil), s.cells[s.Width:]...), empty...)
}

func (s *Screen) fail(what string) {
	if s.Err == nil {
		s.Err = fmt.Errorf("the terminal does not know the %s", what)
	}
}

// sequence executes a control sequence.
func (s *Screen) sequence(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	if b[1] != '[' {
		s.fail(fmt.Sprintf("sequence %q", b[:2]))
		return 2
	}
	end := 2
	for end < len(b) && (b[end] < '@' || b[end] > '~') {
		end++
	}
	if end == len(b) {
		return 0
	}
	parameters := string(b[2:end])
	switch what := string(b[end]); {
	case what == "H":
		s.y, s.x = s.place(parameters)
	case what == "m":
		s.attributes = strings.TrimPrefix(strings.TrimPrefix(parameters, "0"), ";")
	case what == "J" && parameters == "2":
		s.cells = s.blank()
	case what == "h" && parameters == "?1049" && !s.Other:
		s.Other, s.main, s.savedX, s.savedY = true, s.cells, s.x, s.y
		s.cells = s.blank()
	case what == "l" && parameters == "?1049" && s.Other:
		s.Other, s.cells, s.x, s.y = false, s.main, s.savedX, s.savedY
	case what == "h" && parameters == "?25":
		s.CursorHidden = false
	case what == "l" && parameters == "?25":
		s.CursorHidden = true
	default:
		s.fail(fmt.Sprintf("sequence %q", b[:end+1]))
	}
	return end + 1
}

// place reads line and column, which count from 1. It limits them to the
// edges: a program may not know yet that the terminal is smaller.
func (s *Screen) place(parameters string) (y, x int) {
	if parameters == "" {
		return 0, 0
	}
	line, column, _ := strings.Cut(parameters, ";")
	y, err := strconv.Atoi(line)
	if x, err2 := strconv.Atoi(column); err == nil && err2 == nil && x >= 1 && y >= 1 {
		return min(y, s.Height) - 1, min(x, s.Width) - 1
	}
	s.fail(fmt.Sprintf("place %q", parameters))
	return 0, 0
}
