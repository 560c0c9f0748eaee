// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"io"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/internal/watch"
)

// fullScreen is a terminal whose whole screen the program uses between enter
// and leave.
type fullScreen struct {
	in, out *os.File
	before  *unix.Termios // the settings to restore; nil outside enter and leave
}

// fullScreenOf returns the terminal of an input and an output. It returns a
// *failure if they are not a terminal with a full screen.
func fullScreenOf(in io.Reader, out io.Writer) (*fullScreen, error) {
	if filtered, ok := out.(escaper); ok {
		out = filtered.Writer
	}
	if !isTerminal(in) || !isTerminal(out) {
		return nil, usageFailure(noTerminalText)
	}
	if term := os.Getenv("TERM"); term == "" || term == "dumb" {
		return nil, usageFailure(noTerminalText+" that can move its cursor, TERM is `%s'", escape(term))
	}
	return &fullScreen{in: in.(*os.File), out: out.(*os.File)}, nil
}

// displayOf returns the capabilities of the terminal according to the
// environment.
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

// enter switches to the screen.
func (f *fullScreen) enter() error {
	before, err := unix.IoctlGetTermios(int(f.in.Fd()), unix.TCGETS)
	if err != nil {
		return err
	}
	f.before = before
	if err := f.setLine(); err != nil {
		return err
	}
	_, err = f.out.WriteString(watch.Enter)
	return err
}

// setLine turns off canonical mode and echo. Keys that send signals still do.
func (f *fullScreen) setLine() error {
	set := *f.before
	set.Iflag &^= unix.IXON // Ctrl-S would stop the output
	set.Lflag &^= unix.ICANON | unix.ECHO | unix.IEXTEN
	set.Cc[unix.VMIN], set.Cc[unix.VTIME] = 1, 0
	return unix.IoctlSetTermios(int(f.in.Fd()), unix.TCSETS, &set)
}

// leave restores the terminal. A second call has no effect.
func (f *fullScreen) leave() {
	if f.before == nil {
		return
	}
	// An error means that the terminal was closed.
	_, _ = f.out.WriteString(watch.Leave)
	_ = unix.IoctlSetTermios(int(f.in.Fd()), unix.TCSETS, f.before)
	f.before = nil
}

// suspend leaves the screen, stops the process as Ctrl-Z does, and enters the
// screen again when the process continues.
func (f *fullScreen) suspend() error {
	f.leave()
	// After signal.Notify, Go never restores the default action of SIGTSTP.
	// SIGTTOU stops the process too, except in an orphaned process group.
	// Sent to this thread, it takes effect before the call returns.
	runtime.LockOSThread()
	err := unix.Tgkill(unix.Getpid(), unix.Gettid(), unix.SIGTTOU)
	runtime.UnlockOSThread()
	if err != nil {
		return err
	}
	return f.enter()
}

// size returns the numbers of columns and lines.
func (f *fullScreen) size() (width, height int) {
	size, err := unix.IoctlGetWinsize(int(f.out.Fd()), unix.TIOCGWINSZ)
	if err != nil || size.Col == 0 || size.Row == 0 { // such as a serial line
		return 80, 24
	}
	return int(size.Col), int(size.Row)
}
