// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// ignorePipe makes a write to a closed pipe an error instead of a signal,
// until restore is called.
func ignorePipe() (restore func()) {
	signal.Ignore(unix.SIGPIPE)
	return func() { signal.Reset(unix.SIGPIPE) }
}

// signals catches signals that would end the program while it changes the
// table.
type signals struct {
	ending chan os.Signal
	pipe   chan os.Signal
	got    os.Signal
}

// catchSignals catches the signals that end a program, except ignored ones, as
// with nohup or a shell's &. A closed pipe does not end the program either:
// output is lost, and the work continues.
func catchSignals() *signals {
	s := &signals{ending: make(chan os.Signal, 1), pipe: make(chan os.Signal, 1)}
	for _, sig := range []os.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT, unix.SIGABRT} {
		if !signal.Ignored(sig) {
			signal.Notify(s.ending, sig)
		}
	}
	signal.Notify(s.pipe, unix.SIGPIPE)
	return s
}

// caught reports whether a signal has been received.
func (s *signals) caught() bool {
	if s.got == nil {
		select {
		case s.got = <-s.ending:
		default:
		}
	}
	return s.got != nil
}

func (s *signals) release() {
	signal.Stop(s.ending)
	signal.Stop(s.pipe)
}

// signalStatus returns the exit status after a signal, as in a shell.
func signalStatus(sig os.Signal) int { return 128 + int(sig.(syscall.Signal)) }
