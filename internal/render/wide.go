// SPDX-License-Identifier: Apache-2.0

package render

import (
	"bufio"
	"strings"
)

// sheet holds the lines of a list until the width of its columns is known.
type sheet struct {
	right  bool   // columns but the first have their text at the right end
	text   []byte // of all lines
	lines  []sheetLine
	ends   []int // of the columns of all lines, counted from each line's start
	open   int   // the columns of the line that is being made
	widths []int
}

type sheetLine struct{ length, columns int }

// end ends a column of the line that is being made and has the text b so far.
func (s *sheet) end(b []byte) {
	start := 0
	if s.open > 0 {
		start = s.ends[len(s.ends)-1]
	}
	if s.open == len(s.widths) {
		s.widths = append(s.widths, 0)
	}
	s.widths[s.open] = max(s.widths[s.open], len(b)-start)
	s.ends = append(s.ends, len(b))
	s.open++
}

// add ends a line. What stands behind its last column, or all of a line
// without columns, has any width.
func (s *sheet) add(b []byte) {
	s.text = append(s.text, b...)
	s.lines = append(s.lines, sheetLine{len(b), s.open})
	s.open = 0
}

// addRow adds a line of columns.
func (s *sheet) addRow(columns ...string) {
	var b []byte
	for _, c := range columns {
		b = append(b, c...)
		s.end(b)
	}
	s.add(b)
}

// titles adds lines of titles. Those behind the address are columns, but for
// the scheduler and what else a service is set to, which follow its address.
func (s *sheet) titles(text string) {
	for line := range strings.Lines(text) {
		const address = ":Port"
		line = strings.TrimRight(line, " \n")
		end := strings.Index(line, address) + len(address)
		columns := strings.Fields(line[end:])
		if len(columns) == 0 || columns[0] == "Scheduler" {
			s.add([]byte(line))
			continue
		}
		s.addRow(append([]string{line[:end]}, columns...)...)
	}
}

// write writes the lines and forgets them.
func (s *sheet) write(w *bufio.Writer) error {
	text, ends := s.text, s.ends
	for _, l := range s.lines {
		b := s.appendLine(w.AvailableBuffer(), text[:l.length], ends[:l.columns])
		if _, err := w.Write(append(b, '\n')); err != nil {
			return err
		}
		text, ends = text[l.length:], ends[l.columns:]
	}
	*s = sheet{}
	return nil
}

func (s *sheet) appendLine(b, line []byte, ends []int) []byte {
	start := 0
	for i, end := range ends {
		if i > 0 {
			b = append(b, ' ')
		}
		column := line[start:end]
		if s.right && i > 0 {
			b = append(padTo(b, len(b), s.widths[i]-len(column)), column...)
		} else {
			at := len(b)
			b = append(b, column...)
			if i < len(ends)-1 || end < len(line) {
				b = padTo(b, at, s.widths[i])
			}
		}
		start = end
	}
	if start > 0 && start < len(line) {
		b = append(b, ' ')
	}
	return append(b, line[start:]...)
}
