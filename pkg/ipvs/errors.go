// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"
)

// Reasons for which the kernel refuses, for errors.Is. A refusal is a
// *[ChangeError] or a *[QueryError], which also matches the kernel's errno: a
// caller without CAP_NET_ADMIN gets an error that matches fs.ErrPermission.
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
	// ErrMalformed means that a message of the kernel cannot be decoded.
	ErrMalformed = errors.New("malformed message from the kernel")
	// ErrChanging means that the table kept changing while it was listed, so
	// that entries may be missing from the list.
	ErrChanging = errors.New("the table keeps changing")
)

// ChangeError is the refusal of one change.
type ChangeError struct {
	Index  int    // index in the arguments of Client.Apply
	Change Change // the refused change
	Err    error  // a syscall.Errno if the kernel refused
}

// Error names the change and the reason.
func (e *ChangeError) Error() string {
	return e.Change.String() + ": " + reason(e.Err, e.sentinel())
}

// Unwrap returns Err.
func (e *ChangeError) Unwrap() error { return e.Err }

// Is reports whether target is the error variable of the refusal.
func (e *ChangeError) Is(target error) bool {
	s := e.sentinel()
	return s != nil && s == target
}

// sentinel returns the error variable of an errno, whose meaning depends on
// the operation, or nil if there is none.
func (e *ChangeError) sentinel() error {
	op := e.Change.Op
	switch errno, _ := e.Err.(syscall.Errno); errno {
	case syscall.EEXIST:
		switch op {
		case OpAddService:
			return ErrServiceExists
		case OpAddDestination:
			return ErrDestinationExists
		case OpStartDaemon:
			return ErrDaemonRunning
		}
	case syscall.ESRCH:
		switch {
		case op.onService():
			return ErrNoService
		case op == OpStopDaemon:
			return ErrNoDaemon
		}
	case syscall.ENOENT:
		switch op {
		case OpAddService, OpEditService:
			return ErrNoScheduler
		case OpEditDestination, OpDeleteDestination:
			return ErrNoDestination
		}
	}
	return nil
}

// ChangeErrors are the refusals of several changes, in order.
type ChangeErrors []*ChangeError

// Error returns a line for each refusal. It only counts those that follow
// from the refusal of their service.
func (e ChangeErrors) Error() string {
	lacking := map[ServiceID]bool{} // services that were not added
	var lines []string
	follow := 0
	for _, err := range e {
		id := err.Change.Service.ServiceID
		if lacking[id] && err.Is(ErrNoService) {
			follow++
			continue
		}
		if err.Change.Op == OpAddService && !err.Is(ErrServiceExists) {
			lacking[id] = true
		}
		lines = append(lines, err.Error())
	}
	if follow > 0 {
		lines = append(lines, fmt.Sprintf("%d changes of these services failed because they were not added", follow))
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the refusals, for errors.Is and errors.As.
func (e ChangeErrors) Unwrap() []error {
	errs := make([]error, len(e))
	for i, err := range e {
		errs[i] = err
	}
	return errs
}

// ApplyError means that Client.Apply ended before all changes had been tried:
// the context ended, or the kernel could not be reached.
type ApplyError struct {
	// Tried is the number of changes, from the first on, with a known result:
	// each was made, or is in Refused.
	Tried int
	// Sent is the number of changes that reached the kernel, at least Tried.
	// Those from Tried up to Sent were tried too, but not all of their
	// refusals are known. None from Sent on was tried.
	Sent int
	// Refused are the known refusals: all of the first Tried changes, and
	// perhaps some of those up to Sent.
	Refused ChangeErrors
	Err     error // what ended it
}

// Error returns the progress, the reason, and the refusals, each on a line.
func (e *ApplyError) Error() string {
	s := fmt.Sprintf("after %d changes: %v", e.Sent, e.Err)
	if len(e.Refused) > 0 {
		s = e.Refused.Error() + "\n" + s
	}
	return s
}

// Unwrap returns Err and the refusals, for errors.Is and errors.As.
func (e *ApplyError) Unwrap() []error {
	if len(e.Refused) == 0 {
		return []error{e.Err}
	}
	return []error{e.Err, e.Refused}
}

// NetNSError means that a network namespace could not be entered.
type NetNSError struct {
	NetNS string // Config.NetNS
	Err   error  // EINVAL if it is no network namespace
}

// Error names the namespace and the reason.
func (e *NetNSError) Error() string {
	s := "network namespace " + e.NetNS + ": "
	if errors.Is(e.Err, syscall.EINVAL) {
		return s + "not a network namespace"
	}
	return s + e.Err.Error()
}

// Unwrap returns Err.
func (e *NetNSError) Unwrap() error { return e.Err }

// QueryError means that the kernel did not answer a query.
type QueryError struct {
	Query string // the query, as in "get service TCP 12.0.0.1:80"
	Err   error  // a syscall.Errno if the kernel refused
}

// Error names the query and the reason.
func (e *QueryError) Error() string { return e.Query + ": " + reason(e.Err, e.sentinel()) }

// Unwrap returns Err.
func (e *QueryError) Unwrap() error { return e.Err }

// Is reports whether target is ErrNoService and the queried service does not
// exist.
func (e *QueryError) Is(target error) bool {
	s := e.sentinel()
	return s != nil && s == target
}

func (e *QueryError) sentinel() error {
	if errno, _ := e.Err.(syscall.Errno); errno == syscall.ESRCH {
		return ErrNoService
	}
	return nil
}

func reason(err, sentinel error) string {
	if sentinel != nil {
		return sentinel.Error()
	}
	return fmt.Sprint(err) // err may be nil in tests
}

func invalid(format string, a ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, a...)...)
}

func malformed(format string, a ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrMalformed}, a...)...)
}

// validName checks a name of at most maxLen bytes.
func validName(what, s string, maxLen int) error {
	switch {
	case len(s) > maxLen:
		return invalid("the %s %q has more than %d bytes", what, s, maxLen)
	case strings.IndexByte(s, 0) >= 0:
		return invalid("the %s %q contains a zero byte", what, s)
	}
	return nil
}

// validSeconds checks a duration that is encoded as seconds in 32 bits.
func validSeconds(what string, d time.Duration) error {
	if d < 0 || d%time.Second != 0 || d/time.Second > 1<<32-1 {
		return invalid("the %s %v is not a number of seconds from 0 to 4294967295", what, d)
	}
	return nil
}
