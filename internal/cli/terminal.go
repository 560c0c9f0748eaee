// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// isTerminal reports whether a reader or writer is a terminal.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// maxWord is the maximum length of a word in a message.
const maxWord = 200

// escape escapes unprintable runes and invalid UTF-8 in a message as Go does, and
// shortens long words. It keeps line ends.
func escape(text string) string {
	words := strings.Split(text, " ")
	for i, w := range words {
		if len(w) > maxWord {
			w = w[:maxWord/2] + "..." + w[len(w)-maxWord/4:]
		}
		words[i] = string(appendEscaped(nil, []byte(w)))
	}
	return strings.Join(words, " ")
}

// appendEscaped appends text with unprintable runes, except line ends, escaped.
func appendEscaped(b, text []byte) []byte {
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		switch {
		case r == utf8.RuneError && n == 1:
			b = fmt.Appendf(b, `\x%02x`, text[0])
		case strconv.IsPrint(r), r == '\n':
			b = append(b, text[:n]...)
		default:
			quoted := strconv.QuoteRune(r)
			b = append(b, quoted[1:len(quoted)-1]...)
		}
		text = text[n:]
	}
	return b
}

// escaper writes to a terminal, and escapes control characters: names from DNS
// and from files may contain some.
type escaper struct {
	io.Writer
}

func (e escaper) Write(p []byte) (int, error) {
	if _, err := e.Writer.Write(appendEscaped(nil, p)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// progress shows the progress of a long operation on a terminal, in a line that
// clear clears.
type progress struct {
	w     io.Writer // nil if not a terminal
	next  time.Time
	shown bool
}

func newProgress(w io.Writer) *progress {
	p := &progress{}
	if isTerminal(w) {
		p.w, p.next = w, time.Now().Add(300*time.Millisecond)
	}
	return p
}

func (p *progress) show(done, all int) {
	if p.w == nil {
		return
	}
	if now := time.Now(); now.After(p.next) {
		fmt.Fprintf(p.w, progressText, done, all)
		p.next, p.shown = now.Add(100*time.Millisecond), true
	}
}

// clear clears the line.
func (p *progress) clear() {
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.shown = false
	}
}
