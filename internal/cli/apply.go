// SPDX-License-Identifier: Apache-2.0

package cli

// This file makes the table what a rule file says. IPVS has no transactions;
// what comes near one is that nothing is touched before the whole file has
// been read and checked, that only what differs is changed, each service in
// one piece, and that what differs in the end is said.

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"slices"
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

	lockFile = "/run/ipvsadm.lock"
	// lockWait is how long another restore may take; after lockSilence a
	// message tells what is waited for.
	lockWait    = 60 * time.Second
	lockSilence = time.Second
)

// apply runs the command apply, which is its own: the parser that made it goes
// on to the file.
func (s *session) apply(ctx context.Context, cmd args.Command) int {
	name, text, err := s.readRules(cmd.File)
	if err != nil {
		return s.report(err)
	}
	r := newRuleset(ctx, s, text)
	if len(r.faults) > 0 || cmd.Given.Has(spec.OptCheck) {
		s.complain(name, r.complaints())
		return r.verdict(cmd)
	}
	if err := s.reach(ctx); err != nil {
		return s.report(err)
	}
	if !cmd.Given.Has(spec.OptDryRun) {
		unlock, err := s.lock(cmd)
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
	if status := r.verdict(cmd); status == statusUsage {
		s.complain(name, r.complaints())
		return status
	}
	a := applier{session: s, ruleset: r, name: name, strict: cmd.Given.Has(spec.OptStrict)}
	if cmd.Given.Has(spec.OptDryRun) {
		s.complain(name, r.complaints())
		now, removals := drain(have, r.want, a.plan(have))
		return s.report(s.printChanges(ctx, s.Stdout, append(now, removals...)))
	}
	return a.run(ctx, have)
}

// verdict is how a file ends that is not applied, or not yet.
func (r *ruleset) verdict(cmd args.Command) int {
	if len(r.faults) > 0 || cmd.Given.Has(spec.OptStrict) && len(r.refused) > 0 {
		return statusUsage
	}
	return r.status()
}

// readRules reads a whole file, or standard input if it has no name.
func (s *session) readRules(file string) (name string, text []byte, err error) {
	if file == "" {
		text, err := readText(s.Stdin)
		if err != nil {
			return "", nil, inputFailure(err)
		}
		return stdinName, text, nil
	}
	f, err := os.Open(file)
	if err != nil {
		return "", nil, fileFailure("read", file, err)
	}
	defer f.Close()
	if text, err = readText(f); err != nil {
		return "", nil, fileFailure("read", file, err)
	}
	return file, text, nil
}

// readText keeps what may be megabytes in memory once.
func readText(r io.Reader) ([]byte, error) {
	var b bytes.Buffer
	if f, ok := r.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			b.Grow(int(info.Size()) + bytes.MinRead)
		}
	}
	_, err := b.ReadFrom(r)
	return b.Bytes(), err
}

func (s *session) complain(name string, list []complaint) {
	for _, c := range list {
		fmt.Fprintln(s.Stderr, inFile(name, c.line, c.text))
	}
}

func (s *session) printChanges(ctx context.Context, to io.Writer, changes []ipvs.Change) error {
	out := bufio.NewWriterSize(to, 64<<10)
	var w rule.Writer
	for i := range changes {
		if _, err := out.Write(append(w.Append(ctx, out.AvailableBuffer(), changes[i]), '\n')); err != nil {
			return outputFailure(err)
		}
	}
	return output(out.Flush())
}

// lock keeps other restores away until unlock is called, or waits for them.
func (s *session) lock(cmd args.Command) (unlock func(), err error) {
	path := lockFile
	if cmd.Given.Has(spec.OptLock) {
		path = cmd.Lock
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
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
		case waited > s.lockWait:
			f.Close()
			return nil, lockFailure(path)
		case waited > s.lockSilence && !said:
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
}

// plan is what there is to do, in the order in which it is sent.
func (a *applier) plan(have *ipvs.Table) []ipvs.Change {
	changes := a.changes(have)
	if a.strict {
		return riskyFirst(have, changes)
	}
	return changes
}

func (a *applier) run(ctx context.Context, have *ipvs.Table) int {
	stop := make(chan os.Signal, 1)
	for _, sig := range []os.Signal{unix.SIGINT, unix.SIGTERM} {
		if !signal.Ignored(sig) { // as nohup and a shell's & have it
			signal.Notify(stop, sig)
		}
	}
	defer signal.Stop(stop)
	before, changes := have, a.plan(have)
	for round := 0; len(changes) > 0; {
		if round == maxRounds {
			a.complain(a.name, a.complaints())
			fmt.Fprintln(a.Stderr, stillDiffersText(a.name, round))
			if err := a.printChanges(ctx, a.Stderr, changes); err != nil {
				return a.report(err)
			}
			return statusList
		}
		status, ended := a.round(ctx, have, changes, stop)
		switch {
		case ended:
			return status
		case a.stale: // the file is to blame for this round
			a.fold(ctx)
			if a.strict {
				a.complain(a.name, a.complaints())
				return a.undo(ctx, before)
			}
		default:
			round++
		}
		var err error
		if have, err = a.client.Table(ctx); err != nil {
			return a.report(listFailure(err))
		}
		changes = a.plan(have)
	}
	// Not before now is it known what the kernel refuses, and what for.
	a.complain(a.name, a.complaints())
	return a.status()
}

// round makes the changes, some at a time, up to a refusal that the file is
// to blame for if that is to end all, or up to a signal.
func (a *applier) round(ctx context.Context, have *ipvs.Table, changes []ipvs.Change, stop <-chan os.Signal) (status int, ended bool) {
	now, removals := drain(have, a.want, changes)
	all := append(now, removals...)
	p := newProgress(a.Stderr, len(all))
	defer p.end()
	for done := 0; done < len(all); {
		rest := all[done:]
		if done < len(now) {
			rest = now[done:]
		} else if done == len(now) {
			if err := a.await(ctx, removals, stop); err != nil {
				return a.report(listFailure(err)), true
			}
		}
		select {
		case sig := <-stop:
			p.end()
			if a.stale {
				a.fold(ctx)
			}
			a.complain(a.name, a.complaints())
			fmt.Fprintln(a.Stderr, interruptedText(a.name, sig, done, len(all)))
			return 128 + int(sig.(syscall.Signal)), true
		default:
		}
		n := chunkLen(rest)
		err := a.client.Apply(ctx, rest[:n]...)
		done += n
		p.show(done)
		var refused ipvs.ChangeErrors
		switch {
		case errors.Is(err, fs.ErrPermission):
			return a.report(initFailure(err)), true
		case errors.As(err, &refused):
			a.settle(ctx, have, refused)
			if a.strict && a.stale {
				return 0, false
			}
		case err != nil:
			return a.report(listFailure(err)), true
		}
	}
	return 0, false
}

// settle tells the refusals that the file is to blame for from those of a
// table that has changed meanwhile, which the next round sees, and from what
// follows from either.
func (a *applier) settle(ctx context.Context, have *ipvs.Table, refused ipvs.ChangeErrors) {
	for _, e := range refused {
		switch {
		case errors.Is(e, ipvs.ErrServiceExists), errors.Is(e, ipvs.ErrNoService):
		case errors.Is(e, ipvs.ErrDestinationExists), errors.Is(e, ipvs.ErrNoDestination):
		case errors.Is(e, ipvs.ErrDaemonRunning), errors.Is(e, ipvs.ErrNoDaemon):
		default:
			a.object(ctx, e, have)
		}
	}
}

// undo takes back what was done of a strict restore.
func (a *applier) undo(ctx context.Context, before *ipvs.Table) int {
	for range maxRounds {
		now, err := a.client.Table(ctx)
		if err == nil {
			back := ipvs.Diff(now, before)
			if len(back) == 0 {
				fmt.Fprintln(a.Stderr, undoneText(a.name))
				return statusUsage
			}
			err = a.client.Apply(ctx, back...)
		}
		// What is refused shows in the next round.
		if err != nil && !errors.As(err, new(ipvs.ChangeErrors)) {
			a.report(listFailure(err))
			break
		}
	}
	fmt.Fprintln(a.Stderr, notUndoneText(a.name))
	return statusUsage
}

// chunkLen is how many changes go together: all that are about one thing.
func chunkLen(changes []ipvs.Change) int {
	n := 0
	for n < len(changes) && n < chunk {
		n += pieceLen(changes[n:])
	}
	return n
}

// pieceLen is how many of the changes, from the first on, are about the same
// service, or about daemons.
func pieceLen(changes []ipvs.Change) int {
	n := 1
	for n < len(changes) && changes[n].Service.ServiceID == changes[0].Service.ServiceID && onDaemon(changes[n]) == onDaemon(changes[0]) {
		n++
	}
	return n
}

func onDaemon(c ipvs.Change) bool { return c.Op == ipvs.OpStartDaemon || c.Op == ipvs.OpStopDaemon }

// riskyFirst puts what only the kernel can judge, schedulers, addresses and
// interfaces, before the rest, so that little has to be undone, if the changes
// can be made in that order.
func riskyFirst(have *ipvs.Table, changes []ipvs.Change) []ipvs.Change {
	var risky, rest []ipvs.Change
	for left := changes; len(left) > 0; {
		n := pieceLen(left)
		if slices.ContainsFunc(left[:n], isRisky) {
			risky = append(risky, left[:n]...)
		} else {
			rest = append(rest, left[:n]...)
		}
		left = left[n:]
	}
	order, m := append(risky, rest...), ipvs.NewModel(have)
	for _, c := range order {
		if m.Apply(c) != nil {
			return changes
		}
	}
	return order
}

func isRisky(c ipvs.Change) bool {
	return c.Op == ipvs.OpAddService || c.Op == ipvs.OpEditService || c.Op == ipvs.OpAddDestination || c.Op == ipvs.OpStartDaemon
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
