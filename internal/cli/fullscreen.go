// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"io"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/internal/watch"
)

// fullScreen is a terminal that one program has to itself between enter and
// leave. Its line is set by what x/sys/unix has, so it takes no library.
type fullScreen struct {
	in, out *os.File
	before  *unix.Termios // the settings to go back to; nil while it is left
	// written has the end of the write that is under way, if writing is set: a
	// terminal that takes nothing for a while must not hold up the rest.
	written chan error
	writing bool
}

// fullScreenOf returns the terminal of an input and an output, or a *failure if
// there is none that can show a screen.
func fullScreenOf(in io.Reader, out io.Writer) (*fullScreen, error) {
	if filtered, ok := out.(screen); ok {
		out = filtered.Writer
	}
	if !isTerminal(in) || !isTerminal(out) {
		return nil, noTerminalFailure()
	}
	if term := os.Getenv("TERM"); term == "" || term == "dumb" {
		return nil, dumbTerminalFailure(term)
	}
	return &fullScreen{in: in.(*os.File), out: out.(*os.File), written: make(chan error, 1)}, nil
}

// displayOf returns the abilities of the terminal, according to the environment.
func displayOf(getenv func(string) string) watch.Display {
	locale := ""
	for _, name := range [...]string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if locale = getenv(name); locale != "" {
			break
		}
	}
	locale = strings.ToLower(locale)
	return watch.Display{
		// The Linux console's fonts lack the characters of the bars.
		UTF8:  getenv("TERM") != "linux" && (strings.Contains(locale, "utf-8") || strings.Contains(locale, "utf8")),
		Color: getenv("NO_COLOR") == "",
	}
}

// enter begins the screen.
func (f *fullScreen) enter() error {
	before, err := unix.IoctlGetTermios(int(f.in.Fd()), unix.TCGETS)
	if err != nil {
		return err
	}
	f.before = before
	if err := f.setLine(); err != nil {
		return err
	}
	if f.settle() {
		f.write([]byte(watch.Enter))
	}
	return nil
}

// setLine makes keys come one by one and unseen; those that send signals still
// do.
func (f *fullScreen) setLine() error {
	set := *f.before
	set.Iflag &^= unix.IXON // Ctrl-S would stop the output
	set.Lflag &^= unix.ICANON | unix.ECHO | unix.IEXTEN
	set.Cc[unix.VMIN], set.Cc[unix.VTIME] = 1, 0
	return unix.IoctlSetTermios(int(f.in.Fd()), unix.TCSETS, &set)
}

// leave makes the terminal what it was before enter. It may be called again.
func (f *fullScreen) leave() {
	if f.before == nil {
		return
	}
	if f.settle() {
		f.write([]byte(watch.Leave))
		f.settle()
	}
	// If the terminal has gone there is nothing to set.
	_ = unix.IoctlSetTermios(int(f.in.Fd()), unix.TCSETS, f.before)
	f.before = nil
}

// suspend leaves the screen, stops the process as Ctrl-Z does, and enters again
// when the process goes on.
func (f *fullScreen) suspend() error {
	f.leave()
	// Go's runtime keeps its handler of SIGTSTP for good once it was asked for
	// the signal. SIGTTOU stops a process likewise: not where no shell could
	// let it go on. Sent to its own thread, it has acted when the call returns.
	runtime.LockOSThread()
	err := unix.Tgkill(unix.Getpid(), unix.Gettid(), unix.SIGTTOU)
	runtime.UnlockOSThread()
	if err != nil {
		return err
	}
	return f.enter()
}

// write starts a write; none may be under way.
func (f *fullScreen) write(b []byte) {
	f.writing = true
	go func() {
		_, err := f.out.Write(b)
		f.written <- err
	}()
}

// settle waits for the write that is under way, but not for ever, and reports
// whether none is.
func (f *fullScreen) settle() bool {
	if f.writing {
		select {
		case <-f.written:
			f.writing = false
		case <-time.After(time.Second):
		}
	}
	return !f.writing
}

// size returns columns and lines.
func (f *fullScreen) size() (width, height int) {
	size, err := unix.IoctlGetWinsize(int(f.out.Fd()), unix.TIOCGWINSZ)
	if err != nil || size.Col == 0 || size.Row == 0 { // as of a serial line
		return 80, 24
	}
	return int(size.Col), int(size.Row)
}
