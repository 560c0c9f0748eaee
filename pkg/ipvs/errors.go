// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// What the kernel refuses, for errors.Is. A refusal is a *ChangeError or a
// *QueryError, which also matches the kernel's errno, so that
// errors.Is(err, fs.ErrPermission) tells a caller without CAP_NET_ADMIN.
var (
	ErrServiceExists     = errors.New("service already exists")
	ErrNoService         = errors.New("no such service")
	ErrNoScheduler       = errors.New("scheduler or persistence engine not found")
	ErrDestinationExists = errors.New("destination already exists")
	ErrNoDestination     = errors.New("no such destination")
	ErrDaemonRunning     = errors.New("sync daemon already runs")
	ErrNoDaemon          = errors.New("no such sync daemon runs")

	// ErrNoIPVS means that the kernel has no IPVS: ip_vs is neither built in
	// nor loaded.
	ErrNoIPVS = errors.New("the kernel has no IPVS")
	// ErrInvalid means that a value cannot be put in a message to the kernel;
	// nothing was sent.
	ErrInvalid = errors.New("invalid value")
	// ErrMalformed means that a message of the kernel cannot be understood.
	ErrMalformed = errors.New("malformed message from the kernel")
)

// ChangeError says that one change was refused, and which.
type ChangeError struct {
	Index  int    // place of the change in what Client.Apply was given
	Change Change // the change as it was given
	Err    error  // a syscall.Errno if the kernel, or Table.Apply in its stead, refused
}

// Error names the change and the reason.
func (e *ChangeError) Error() string {
	return e.Change.String() + ": " + reason(e.Err, e.sentinel())
}

// Unwrap gives Err.
func (e *ChangeError) Unwrap() error { return e.Err }

// Is matches the error variable of the refusal.
func (e *ChangeError) Is(target error) bool {
	s := e.sentinel()
	return s != nil && s == target
}

// sentinel tells what an errno means as the answer to an operation; the same
// errno stands for different things.
func (e *ChangeError) sentinel() error {
	op := e.Change.Op
	switch errno, _ := e.Err.(syscall.Errno); errno {
	case unix.EEXIST:
		switch op {
		case AddService:
			return ErrServiceExists
		case AddDestination:
			return ErrDestinationExists
		case StartDaemon:
			return ErrDaemonRunning
		}
	case unix.ESRCH:
		switch {
		case op.onService():
			return ErrNoService
		case op == StopDaemon:
			return ErrNoDaemon
		}
	case unix.ENOENT:
		switch op {
		case AddService, EditService:
			return ErrNoScheduler
		case EditDestination, DeleteDestination:
			return ErrNoDestination
		}
	}
	return nil
}

// ChangeErrors are the refused ones of several changes, in their order.
type ChangeErrors []*ChangeError

// Error gives one line for each refusal.
func (e ChangeErrors) Error() string {
	lines := make([]string, len(e))
	for i, err := range e {
		lines[i] = err.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives the refusals, for errors.Is and errors.As.
func (e ChangeErrors) Unwrap() []error {
	errs := make([]error, len(e))
	for i, err := range e {
		errs[i] = err
	}
	return errs
}

// QueryError says that the kernel did not answer a question.
type QueryError struct {
	Query string // what was asked, as in "get service TCP 12.0.0.1:80"
	Err   error  // a syscall.Errno if the kernel refused
}

// Error names the question and the reason.
func (e *QueryError) Error() string { return e.Query + ": " + reason(e.Err, e.sentinel()) }

// Unwrap gives Err.
func (e *QueryError) Unwrap() error { return e.Err }

// Is matches ErrNoService where the service asked for is not there.
func (e *QueryError) Is(target error) bool {
	s := e.sentinel()
	return s != nil && s == target
}

func (e *QueryError) sentinel() error {
	if errno, _ := e.Err.(syscall.Errno); errno == unix.ESRCH {
		return ErrNoService
	}
	return nil
}

func reason(err, sentinel error) string {
	if sentinel != nil {
		return sentinel.Error()
	}
	return err.Error()
}

func invalid(format string, a ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, a...)...)
}

func malformed(format string, a ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrMalformed}, a...)...)
}

// validName checks a name that the kernel takes up to maxLen bytes of.
func validName(what, s string, maxLen int) error {
	switch {
	case len(s) > maxLen:
		return invalid("the %s %q has more than %d bytes", what, s, maxLen)
	case strings.IndexByte(s, 0) >= 0:
		return invalid("the %s %q contains a zero byte", what, s)
	}
	return nil
}

// validSeconds checks a duration that the kernel is told in seconds of 32
// bits.
func validSeconds(what string, d time.Duration) error {
	if d < 0 || d%time.Second != 0 || d/time.Second > 1<<32-1 {
		return invalid("the %s %v is not a number of seconds from 0 to 4294967295", what, d)
	}
	return nil
}
