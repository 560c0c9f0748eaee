// SPDX-License-Identifier: Apache-2.0

package terminal

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/internal/test/guest/guesttest"
	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
)

// Open returns both ends of a pseudo-terminal: the terminal emulator's, and
// the program's.
func Open() (master, slave *os.File, err error) {
	master, err = os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		return nil, nil, err
	}
	err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	var n uint32
	if err == nil {
		n, err = unix.IoctlGetUint32(int(master.Fd()), unix.TIOCGPTN)
	}
	if err == nil {
		slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		master.Close()
	}
	return master, slave, err
}

// Terminal is a pseudo-terminal with its screen.
type Terminal struct {
	Slave *os.File // the end for programs

	master *os.File
	mu     sync.Mutex
	screen *Screen
	raw    []byte // the unprocessed output
}

// New opens a pseudo-terminal with a size, and closes it when the test ends.
func New(tb testing.TB, width, height int) *Terminal {
	tb.Helper()
	t, err := Make(width, height)
	if err != nil {
		guesttest.Lacks(tb, err)
	}
	tb.Cleanup(func() { t.Hangup() })
	return t
}

// Make is New outside of tests; the caller calls Hangup at the end.
func Make(width, height int) (*Terminal, error) {
	master, slave, err := Open()
	if err != nil {
		return nil, err
	}
	t := &Terminal{Slave: slave, master: master, screen: NewScreen(width, height)}
	go t.read()
	return t, t.Resize(width, height)
}

func (t *Terminal) read() {
	b := make([]byte, 4096)
	for {
		n, err := t.master.Read(b)
		if err != nil {
			return
		}
		t.mu.Lock()
		t.screen.Write(b[:n])
		t.raw = append(t.raw, b[:n]...)
		t.mu.Unlock()
	}
}

// Control makes this the controlling terminal of a command.
func (t *Terminal) Control(cmd *exec.Cmd) {
	cmd.Stdin, cmd.Stdout, cmd.Stderr = t.Slave, t.Slave, t.Slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
}

// Start starts a command whose controlling terminal this is. It is killed when
// the test ends.
func (t *Terminal) Start(tb testing.TB, cmd *exec.Cmd) {
	tb.Helper()
	t.Control(cmd)
	must.OK(tb, cmd.Start())
	tb.Cleanup(func() {
		if cmd.ProcessState == nil {
			cmd.Process.Kill()
			cmd.Wait()
		}
	})
}

// Type sends text as from a keyboard.
func (t *Terminal) Type(text string) error {
	_, err := t.master.WriteString(text)
	return err
}

// Resize changes the size and notifies the program.
func (t *Terminal) Resize(width, height int) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.screen.Resize(width, height)
	return unix.IoctlSetWinsize(int(t.master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: uint16(height), Col: uint16(width)})
}

// Hangup closes the terminal, which sends SIGHUP to its programs.
func (t *Terminal) Hangup() error {
	t.Slave.Close()
	return t.master.Close()
}

// Output returns the bytes that programs have written so far.
func (t *Terminal) Output(tb testing.TB) (text string) {
	tb.Helper()
	const end = "(end of output)"
	fmt.Fprint(t.Slave, end)
	if !must.Soon(func() bool {
		t.mu.Lock()
		defer t.mu.Unlock()
		text = string(t.raw)
		return strings.HasSuffix(text, end)
	}) {
		tb.Fatalf("the terminal's output has no end: %q", text)
	}
	return strings.TrimSuffix(text, end)
}

// Look calls f with the screen, which does not change during the call.
func (t *Terminal) Look(f func(*Screen)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f(t.screen)
}

// Text returns the text on the screen.
func (t *Terminal) Text() (text string) {
	t.Look(func(s *Screen) { text = s.String() })
	return text
}

// Await waits until the text on the screen is as wanted, and otherwise fails
// the test.
func (t *Terminal) Await(tb testing.TB, what string, wanted func(text string) bool) {
	tb.Helper()
	var text string
	if !must.Soon(func() bool { text = t.Text(); return wanted(text) }) {
		tb.Fatalf("%s is not shown:\n%s", what, text)
	}
	t.Look(func(s *Screen) {
		if s.Err != nil {
			tb.Error(s.Err)
		}
	})
}

// Settings returns the settings of the line: echo, signals and so on.
func (t *Terminal) Settings(tb testing.TB) unix.Termios {
	tb.Helper()
	settings, err := unix.IoctlGetTermios(int(t.master.Fd()), unix.TCGETS)
	if err != nil {
		tb.Fatal(err)
	}
	return *settings
}
