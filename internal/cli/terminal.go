// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// progress shows on a terminal how far long work has got, in a line that it
// clears in the end.
type progress struct {
	w     io.Writer // nil where it shows nothing
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
		fmt.Fprint(p.w, "\r", progressText(done, all))
		p.next, p.shown = now.Add(100*time.Millisecond), true
	}
}

// end clears the line.
func (p *progress) end() {
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.shown = false
	}
}
