// SPDX-License-Identifier: Apache-2.0

package cli

// This file makes the table what a rule file says. IPVS has no transactions;
// what comes near one is that nothing is touched before the whole file has
// been read and checked, that only what differs is changed, each service in
// one piece, and that what differs in the end is said.

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/internal/args"
	"github.com/ipvsadm-go/ipvsadm/internal/rule"
	"github.com/ipvsadm-go/ipvsadm/internal/spec"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

const (
	// maxRounds is how often the table is read again and mended when another
	// program changes it meanwhile.
	maxRounds = 5
	// chunk is about how many changes are made between two looks at signals.
	chunk = 512
	// lockWait is how long another restore may take.
	lockWait = 60 * time.Second
	lockFile = "/run/ipvsadm.lock"
)

// apply runs the command apply.
func (s *session) apply(ctx context.Context, cmd *args.Command) int {
	name, text, err := s.readRules(cmd.File)
	if err != nil {
		return s.report(err)
	}
	r := newRuleset(ctx, s, text)
	if len(r.faults) > 0 || cmd.Given.Has(spec.Check) {
		s.complain(name, r.complaints())
		return r.verdict(cmd)
	}
	if err := s.open(ctx); err != nil {
		return s.report(err)
	}
	if !cmd.Given.Has(spec.DryRun) {
		unlock, err := s.lock(cmd.Lock)
		if err != nil {
			return s.report(err)
		}
		defer unlock()
	}
	have, err := s.client.Table(ctx)
	if err != nil {
		return s.report(listFailure(err))
	}
	r.meet(have)
	s.complain(name, r.complaints())
	if status := r.verdict(cmd); status == statusUsage {
		return status
	}
	changes := ipvs.Diff(have, r.want)
	if cmd.Given.Has(spec.DryRun) {
		return s.report(s.printChanges(ctx, changes))
	}
	a := applier{session: s, name: name, strict: cmd.Given.Has(spec.Strict), before: have.Clone(), ruleset: r}
	return a.run(ctx, have, changes)
}

// verdict is how a file ends that is not applied, or not yet.
func (r *ruleset) verdict(cmd *args.Command) int {
	if len(r.faults) > 0 || cmd.Given.Has(spec.Strict) && len(r.refused) > 0 {
		return statusUsage
	}
	return r.status()
}

// readRules reads a whole file, or standard input if it has no name.
func (s *session) readRules(file string) (name, text string, err error) {
	if file == "" {
		b, err := io.ReadAll(s.Stdin)
		if err != nil {
			return "", "", inputFailure(err)
		}
		return stdinName, string(b), nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return "", "", fileFailure("read", file, err)
	}
	return file, string(b), nil
}

func (s *session) complain(name string, list []complaint) {
	for _, c := range list {
		fmt.Fprintln(s.Stderr, inFile(name, c.line, c.text))
	}
}

func (s *session) printChanges(ctx context.Context, changes []ipvs.Change) error {
	out := bufio.NewWriterSize(s.Stdout, 64<<10)
	var w rule.Writer
	for i := range changes {
		if _, err := out.Write(append(w.Append(ctx, out.AvailableBuffer(), changes[i]), '\n')); err != nil {
			return outputFailure(err)
		}
	}
	return output(out.Flush())
}

// lock keeps other restores away until unlock is called, or waits for them.
func (s *session) lock(path string) (unlock func(), err error) {
	if path == "" {
		path = lockFile
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fileFailure("lock", path, err)
	}
	start, said := time.Now(), false
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch waited := time.Since(start); {
		case err == nil:
			return func() { f.Close() }, nil
		case err != unix.EWOULDBLOCK && err != unix.EINTR:
			f.Close()
			return nil, fileFailure("lock", path, err)
		case waited > lockWait:
			f.Close()
			return nil, lockFailure(path)
		case waited > time.Second && !said:
			said = true
			fmt.Fprintln(s.Stderr, waitingText(path))
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// applier brings the kernel's table to that of a ruleset.
type applier struct {
	*session
	*ruleset
	name   string
	strict bool
	before *ipvs.Table // as it was at first
}

func (a *applier) run(ctx context.Context, have *ipvs.Table, changes []ipvs.Change) int {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, unix.SIGINT, unix.SIGTERM)
	defer signal.Stop(stop)
	for round := 0; len(changes) > 0; round++ {
		if round == maxRounds {
			fmt.Fprintln(a.Stderr, stillDiffersText(a.name, round))
			if err := a.printTo(ctx, a.Stderr, changes); err != nil {
				return a.report(err)
			}
			return statusList
		}
		known := len(a.refused)
		if status, ended := a.round(ctx, have, changes, stop); ended {
			return status
		}
		a.complain(a.name, a.refused[known:])
		if a.strict && len(a.refused) > known {
			return a.undo(ctx)
		}
		var err error
		if have, err = a.client.Table(ctx); err != nil {
			return a.report(listFailure(err))
		}
		changes = ipvs.Diff(have, a.want)
	}
	return a.status()
}

func (a *applier) printTo(ctx context.Context, w io.Writer, changes []ipvs.Change) error {
	s := *a.session
	s.Stdout = w
	return s.printChanges(ctx, changes)
}

// round makes the changes, some at a time. What the kernel refuses is taken
// out of the wanted table; with strict that ends the round.
func (a *applier) round(ctx context.Context, have *ipvs.Table, changes []ipvs.Change, stop <-chan os.Signal) (status int, ended bool) {
	p := newProgress(a.Stderr, len(changes))
	defer p.end()
	for done := 0; done < len(changes); {
		n := chunkLen(changes[done:])
		err := a.client.Apply(ctx, changes[done:done+n]...)
		done += n
		p.show(done)
		var refused ipvs.ChangeErrors
		switch {
		case errors.Is(err, fs.ErrPermission):
			return a.report(initFailure(err)), true
		case errors.As(err, &refused):
			a.settle(ctx, have, refused)
			if a.strict && len(a.refused) > 0 {
				return 0, false
			}
		case err != nil:
			return a.report(listFailure(err)), true
		}
		select {
		case sig := <-stop:
			p.end()
			fmt.Fprintln(a.Stderr, interruptedText(a.name, sig, done, len(changes)))
			return 128 + int(sig.(syscall.Signal)), true
		default:
		}
	}
	return 0, false
}

// chunkLen is how many changes go together: whole services.
func chunkLen(changes []ipvs.Change) int {
	for n := chunk; n < len(changes); n++ {
		if changes[n].Service.ServiceID != changes[n-1].Service.ServiceID {
			return n
		}
	}
	return len(changes)
}

// settle tells the refusals that the file is to blame for from those of a
// table that has changed meanwhile, which the next round sees.
func (a *applier) settle(ctx context.Context, have *ipvs.Table, refused ipvs.ChangeErrors) {
	for _, e := range refused {
		switch id := e.Change.Service.ServiceID; {
		case errors.Is(e, ipvs.ErrServiceExists), errors.Is(e, ipvs.ErrDestinationExists), errors.Is(e, ipvs.ErrNoDestination):
		case errors.Is(e, ipvs.ErrDaemonRunning), errors.Is(e, ipvs.ErrNoDaemon):
		case errors.Is(e, ipvs.ErrNoService) && a.want.Lookup(id) != nil:
		default:
			a.withdraw(ctx, e, have)
		}
	}
}

// undo takes back what was done of a strict restore.
func (a *applier) undo(ctx context.Context) int {
	for range maxRounds {
		now, err := a.client.Table(ctx)
		if err != nil {
			return a.report(listFailure(err))
		}
		back := ipvs.Diff(now, a.before)
		if len(back) == 0 {
			fmt.Fprintln(a.Stderr, undoneText(a.name))
			return statusUsage
		}
		// Refusals show in the next round.
		if err := a.client.Apply(ctx, back...); err != nil && !errors.As(err, new(ipvs.ChangeErrors)) {
			return a.report(listFailure(err))
		}
	}
	fmt.Fprintln(a.Stderr, notUndoneText(a.name))
	return statusUsage
}

// progress shows on a terminal how far long work has got.
type progress struct {
	w     io.Writer
	all   int
	next  time.Time
	shown bool
}

func newProgress(w io.Writer, all int) *progress {
	p := &progress{all: all}
	if f, ok := w.(*os.File); ok {
		if _, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS); err == nil {
			p.w, p.next = w, time.Now().Add(300*time.Millisecond)
		}
	}
	return p
}

func (p *progress) show(done int) {
	if now := time.Now(); p.w != nil && now.After(p.next) {
		fmt.Fprint(p.w, "\r", progressText(done, p.all))
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
