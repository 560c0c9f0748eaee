// SPDX-License-Identifier: Apache-2.0

package terminal

import (
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
)

// Open returns both ends of a pseudo-terminal: the one that a terminal emulator
// has, and the one for a program.
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

// Terminal is a pseudo-terminal whose screen is kept.
type Terminal struct {
	Slave *os.File // the end for programs

	master *os.File
	mu     sync.Mutex
	screen *Screen
}

// New opens a pseudo-terminal of some size.
func New(width, height int) (*Terminal, error) {
	master, slave, err := Open()
	if err != nil {
		return nil, err
	}
	t := &Terminal{Slave: slave, master: master, screen: NewScreen(width, height)}
	if err := t.Resize(width, height); err != nil {
		return nil, err
	}
	go t.read()
	return t, nil
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
		t.mu.Unlock()
	}
}

// Start starts a command whose controlling terminal this is.
func (t *Terminal) Start(cmd *exec.Cmd) error {
	cmd.Stdin, cmd.Stdout, cmd.Stderr = t.Slave, t.Slave, t.Slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	return cmd.Start()
}

// Type sends what a keyboard would.
func (t *Terminal) Type(text string) error {
	_, err := t.master.WriteString(text)
	return err
}

// Resize changes the size and tells the program so.
func (t *Terminal) Resize(width, height int) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.screen.Resize(width, height)
	return unix.IoctlSetWinsize(int(t.master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: uint16(height), Col: uint16(width)})
}

// Hangup takes the terminal away from its programs.
func (t *Terminal) Hangup() error {
	t.Slave.Close()
	return t.master.Close()
}

// Close closes both ends.
func (t *Terminal) Close() { t.Hangup() }

// Look calls f with the screen, which does not change meanwhile.
func (t *Terminal) Look(f func(*Screen)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f(t.screen)
}

// Text returns what is shown.
func (t *Terminal) Text() (text string) {
	t.Look(func(s *Screen) { text = s.String() })
	return text
}

// Await waits until the text on the screen is as wanted, and fails the test
// where it does not become so.
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

// Settings returns those of the line: echo, signals and so forth.
func (t *Terminal) Settings(tb testing.TB) unix.Termios {
	tb.Helper()
	settings, err := unix.IoctlGetTermios(int(t.master.Fd()), unix.TCGETS)
	if err != nil {
		tb.Fatal(err)
	}
	return *settings
}
