// SPDX-License-Identifier: Apache-2.0

package restore

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"github.com/ipvsadm-go/ipvsadm/internal/rule"
)

// MaxLine is the maximum length of a line in bytes.
const MaxLine = 1 << 20

var (
	// ErrLarge is the error of an input that exceeds the limit.
	ErrLarge = errors.New("input too large")
	// ErrLongLine is the error of a line of more than MaxLine bytes.
	ErrLongLine = errors.New("line too long")
)

// ReadWords calls do with the words of each line that contains a command. They
// are valid during the call. It returns an error of r, or ErrLarge.
func ReadWords(r io.Reader, limit int64, do func(words []string)) error {
	return readLines(r, limit, func(_ int, words []string, _ error) { do(words) })
}

// readLines calls do with the words of each line that contains a command, or
// with ErrLongLine. The words are valid during the call.
func readLines(r io.Reader, limit int64, do func(number int, words []string, err error)) error {
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
		if long {
			do(number, nil, ErrLongLine)
		} else if words = rule.AppendFileWords(words[:0], line); len(words) > 0 {
			do(number, words, nil)
		}
		if err == io.EOF {
			return nil
		}
	}
}

// readLine appends the next line, without its newline, to line. It discards
// lines that are too long.
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
