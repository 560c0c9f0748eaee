// SPDX-License-Identifier: Apache-2.0

package render

import (
	"bufio"
	"strings"
)

// wideTable collects the lines of a listing until the widths of its columns
// are known.
type wideTable struct {
	right   bool   // right-align all columns except the first
	text    []byte // of all lines
	lines   []wideLine
	ends    []int // of the columns of all lines, as offsets in their line
	columns int   // number of columns in the current line
	widths  []int
}

type wideLine struct{ length, columns int }

// endColumn ends a column of the current line, whose text so far is b.
func (t *wideTable) endColumn(b []byte) {
	start := 0
	if t.columns > 0 {
		start = t.ends[len(t.ends)-1]
	}
	if t.columns == len(t.widths) {
		t.widths = append(t.widths, 0)
	}
	t.widths[t.columns] = max(t.widths[t.columns], len(b)-start)
	t.ends = append(t.ends, len(b))
	t.columns++
}

// endLine ends the current line, whose text is b. Text after the last column
// does not count for the widths, nor does a line without columns.
func (t *wideTable) endLine(b []byte) {
	t.text = append(t.text, b...)
	t.lines = append(t.lines, wideLine{len(b), t.columns})
	t.columns = 0
}

// addLine adds a line with the given columns.
func (t *wideTable) addLine(columns ...string) {
	var b []byte
	for _, c := range columns {
		b = append(b, c...)
		t.endColumn(b)
	}
	t.endLine(b)
}

// addTitles adds title lines. The titles after the address become columns,
// except those of the scheduler and flags, which are not in columns.
func (t *wideTable) addTitles(text string) {
	for line := range strings.Lines(text) {
		const address = ":Port"
		line = strings.TrimRight(line, " \n")
		end := strings.Index(line, address) + len(address)
		columns := strings.Fields(line[end:])
		if len(columns) == 0 || columns[0] == "Scheduler" {
			t.endLine([]byte(line))
			continue
		}
		t.addLine(append([]string{line[:end]}, columns...)...)
	}
}

// write writes the lines and empties the table.
func (t *wideTable) write(w *bufio.Writer) error {
	text, ends := t.text, t.ends
	for _, l := range t.lines {
		b := t.appendLine(w.AvailableBuffer(), text[:l.length], ends[:l.columns])
		if _, err := w.Write(append(b, '\n')); err != nil {
			return err
		}
		text, ends = text[l.length:], ends[l.columns:]
	}
	*t = wideTable{}
	return nil
}

func (t *wideTable) appendLine(b, line []byte, ends []int) []byte {
	start := 0
	for i, end := range ends {
		if i > 0 {
			b = append(b, ' ')
		}
		column := line[start:end]
		if t.right && i > 0 {
			b = append(padTo(b, len(b), t.widths[i]-len(column)), column...)
		} else {
			colStart := len(b)
			b = append(b, column...)
			if i < len(ends)-1 || end < len(line) {
				b = padTo(b, colStart, t.widths[i])
			}
		}
		start = end
	}
	if start > 0 && start < len(line) {
		b = append(b, ' ')
	}
	return append(b, line[start:]...)
}
