// SPDX-License-Identifier: Apache-2.0

package restore

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"github.com/ipvsadm-go/ipvsadm/internal/rule"
)

// MaxLine is the longest line that is read, in bytes.
const MaxLine = 1 << 20

var (
	// ErrLarge is the error of an input that exceeds the limit.
	ErrLarge = errors.New("input too large")
	// ErrLongLine is the error of a line of more than MaxLine bytes.
	ErrLongLine = errors.New("line too long")
)

// text has the lines of a file that are rules, to be parsed again when the
// kernel refuses something. Other lines are kept empty, so that lines keep
// their numbers and only rules take memory.
type text struct {
	chunks [][]byte // each of whole lines
}

const chunkSize = 256 << 10

// append adds a line and its newline.
func (t *text) append(line []byte) {
	last := len(t.chunks) - 1
	if last < 0 || cap(t.chunks[last])-len(t.chunks[last]) <= len(line) {
		t.chunks = append(t.chunks, make([]byte, 0, max(chunkSize, len(line)+1)))
		last++
	}
	t.chunks[last] = append(append(t.chunks[last], line...), '\n')
}

// each calls do for each line.
func (t *text) each(do func(number int, line []byte)) {
	number := 0
	for _, chunk := range t.chunks {
		for line := range bytes.SplitSeq(bytes.TrimSuffix(chunk, []byte{'\n'}), []byte{'\n'}) {
			number++
			do(number, line)
		}
	}
}

// ReadWords calls do with the words of each line that has a command. They are
// valid during the call. It returns an error of r, or ErrLarge.
func ReadWords(r io.Reader, limit int64, do func(words []string)) error {
	var t text
	return t.read(r, limit, func(_ int, words []string, _ error) bool {
		do(words)
		return false
	})
}

// read calls do with the words of each line that has a command, or with an
// error for a line that is too long, and keeps the line if do reports true.
// The words are valid during the call.
func (t *text) read(r io.Reader, limit int64, do func(number int, words []string, err error) (keep bool)) error {
	limited := &io.LimitedReader{R: r, N: limit + 1}
	in := bufio.NewReaderSize(limited, 64<<10)
	var words []string
	var line []byte
	for number := 1; ; number++ {
		var long bool
		var err error
		line, long, err = readLine(in, line[:0])
		switch {
		case err != nil && err != io.EOF:
			return err
		case limited.N == 0:
			return ErrLarge
		}
		if number == 1 {
			line = bytes.TrimPrefix(line, []byte("\ufeff")) // a byte order mark
		}
		keep := false
		if long {
			do(number, nil, ErrLongLine)
		} else if words = rule.AppendFileWords(words[:0], line); len(words) > 0 {
			keep = do(number, words, nil)
		}
		if err == io.EOF {
			if keep {
				t.append(line)
			}
			return nil
		}
		if keep {
			t.append(line)
		} else {
			t.append(nil)
		}
	}
}

// readLine appends a line without its newline to line. The rest of a line
// that is too long is dropped.
func readLine(in *bufio.Reader, line []byte) (_ []byte, long bool, err error) {
	for {
		part, err := in.ReadSlice('\n')
		if len(line)+len(part) > MaxLine+1 {
			long, line = true, line[:0]
		} else if !long {
			line = append(line, part...)
		}
		if err != bufio.ErrBufferFull {
			return bytes.TrimSuffix(line, []byte{'\n'}), long, err
		}
	}
}
