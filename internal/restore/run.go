// SPDX-License-Identifier: Apache-2.0

package restore

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/model"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

const (
	// MaxRounds is how often the table is read again and corrected when
	// another program changes it meanwhile.
	MaxRounds = 5
	// chunk is roughly the number of changes between two calls of
	// Stopped.
	chunk = 512
	// DrainTime is the usual time for which removed servers drain.
	DrainTime = 2 * time.Second
	drainPoll = 10 * time.Millisecond
)

// Kernel has the methods of an *ipvs.Client that a run needs.
type Kernel interface {
	Apply(context.Context, ...ipvs.Change) error
	Table(context.Context) (*ipvs.Table, error)
	Destinations(context.Context, ipvs.ServiceID) ([]ipvs.DestinationEntry, error)
}

// ReadTable returns the table of a kernel. If other programs keep changing
// it, the result is incomplete: a run learns of the rest by refusals, or in
// the next round.
func ReadTable(ctx context.Context, k Kernel) (*ipvs.Table, error) {
	t, err := k.Table(ctx)
	if errors.Is(err, ipvs.ErrChanging) && t != nil {
		err = nil
	}
	return t, err
}

// Options are the options of a run.
type Options struct {
	// Strict means all or nothing: unless the table comes to match the
	// file, all changes are undone.
	Strict bool
	// Drain limits the time for which all removed servers drain; with 0
	// they are removed at once.
	Drain time.Duration
	// Stopped reports whether the run has to end before its next changes.
	Stopped func() bool
	// Progress is called with the number of changes made in a round.
	Progress func(done, all int)
}

// End is how a run ended.
type End struct {
	How Ending
	// If Interrupted, the last round made Done of All changes.
	Done, All int
	// Left are the changes still to make, if Differing.
	Left []ipvs.Change
	// Err is the reason why the kernel could not be used, if Failed.
	Err error
	// Undo is what became of the changes that were made. UndoErr is the
	// reason if they could not be undone, or perhaps not all of them, nil
	// if the kernel refused.
	Undo    Undo
	UndoErr error
}

// Ending is a way in which a run ends.
type Ending uint8

// The ways in which a run ends.
const (
	Finished    Ending = iota // the table is as wanted, except for the complaints
	Refused                   // Strict, and the kernel refused a line
	Interrupted               // Stopped reported true
	Differing                 // another program changed the table in each of MaxRounds
	Failed                    // the kernel could not be used
)

// Undo is what became of the changes that a run had made when it ended.
type Undo uint8

// What can become of changes. Unless a Strict run finished, it is Undone or
// NotUndone.
const (
	Kept      Undo = iota
	Undone         // the table is as it was, except for what others changed
	NotUndone      // the table is neither as it was nor as wanted
)

// run is one run of a file.
type run struct {
	*File
	Options
	kernel Kernel
	// journal has the changes made, nil unless Strict.
	journal *journal
}

// Run changes the kernel's table, which is have, to match the file. What the
// kernel refuses is then among the complaints, however the run ended.
func (f *File) Run(ctx context.Context, kernel Kernel, have *ipvs.Table, o Options) End {
	r := run{File: f, Options: o, kernel: kernel}
	if o.Strict {
		r.journal = newJournal()
	}
	end := r.rounds(ctx, have)
	if o.Strict && end.How != Finished {
		end.Undo, end.UndoErr = r.undo(context.WithoutCancel(ctx))
	}
	return end
}

// rounds makes changes and reads the table again, until nothing is left to do
// or something ends the run.
func (r *run) rounds(ctx context.Context, have *ipvs.Table) End {
	for rounds := 0; ; {
		p := r.plan(have, r.Strict, r.Drain > 0)
		switch {
		case len(p.changes) == 0:
			return End{How: Finished}
		case rounds == MaxRounds:
			return End{How: Differing, Left: p.changes}
		}
		end := r.round(ctx, have, p)
		blamed := r.stale // the file is the reason why this round failed
		if blamed {
			r.refold(ctx)
		}
		switch {
		case end != nil:
			return *end
		case blamed && r.Strict:
			return End{How: Refused}
		case !blamed:
			rounds++
		}
		var err error
		if have, err = ReadTable(ctx, r.kernel); err != nil {
			return End{How: Failed, Err: err}
		}
	}
}

// round makes the changes of a plan, some at a time. It returns nil at the
// end of the plan, or with Strict at a refusal caused by the file.
func (r *run) round(ctx context.Context, have *ipvs.Table, p plan) *End {
	all := p.all()
	var had map[ipvs.ServiceID]*ipvs.ServiceEntry
	if r.journal != nil {
		had = ByID(have)
	}
	for done := 0; done < len(all); {
		rest := all[done:]
		if done < len(p.first) {
			rest = p.first[done:]
		} else if done == len(p.first) {
			if err := r.await(ctx, p.removals); err != nil {
				return &End{How: Failed, Err: err}
			}
		}
		if r.Stopped() {
			return &End{How: Interrupted, Done: done, All: len(all)}
		}
		n := chunkLen(rest)
		err := r.kernel.Apply(ctx, rest[:n]...)
		made, refused, failed := outcome(rest[:n], err)
		if r.journal != nil {
			r.journal.record(had, have, made)
			r.journal.recordRefused(had, refused)
		}
		done += n
		r.Progress(done, len(all))
		if failed {
			return &End{How: Failed, Err: err}
		}
		r.settle(ctx, have, refused)
		if r.Strict && r.stale {
			return nil
		}
	}
	return nil
}

// pieceLen returns how many of the changes, from the first on, belong together:
// those about the same service, or about sync daemons. The kernel gets them at
// once.
func pieceLen(changes []ipvs.Change) int {
	n := min(1, len(changes))
	for n > 0 && n < len(changes) && pieceOf(changes[n]) == pieceOf(changes[0]) {
		n++
	}
	return n
}

// piece is what a change is about.
type piece struct {
	service ipvs.ServiceID
	daemons bool
	other   ipvs.Op
}

func pieceOf(c ipvs.Change) piece {
	switch c.Op {
	case ipvs.OpFlush, ipvs.OpZero, ipvs.OpSetTimeouts:
		return piece{other: c.Op}
	case ipvs.OpStartDaemon, ipvs.OpStopDaemon:
		return piece{daemons: true}
	}
	return piece{service: c.Service.ServiceID}
}

// chunkLen returns the number of changes to send together, about chunk in
// whole pieces.
func chunkLen(changes []ipvs.Change) int {
	n := 0
	for n < len(changes) && n < chunk {
		n += pieceLen(changes[n:])
	}
	return n
}

// settle records refusals caused by the file. Those caused by another writer
// are left to the next round.
func (r *run) settle(ctx context.Context, have *ipvs.Table, refused ipvs.ChangeErrors) {
	for _, e := range refused {
		if !byAnother(e) {
			r.object(ctx, e, have)
		}
	}
}

// byAnother reports whether a change was refused because another writer has
// changed the table since it was read.
func byAnother(err error) bool {
	return slices.ContainsFunc([]error{
		ipvs.ErrServiceExists, ipvs.ErrNoService, ipvs.ErrDestinationExists, ipvs.ErrNoDestination,
		ipvs.ErrDaemonRunning, ipvs.ErrNoDaemon,
	}, func(reason error) bool { return errors.Is(err, reason) })
}

// outcome returns the changes that a call of Apply made, or may have made,
// the refused ones, and whether its error is about more than refusals.
func outcome(changes []ipvs.Change, err error) (made []ipvs.Change, refused ipvs.ChangeErrors, failed bool) {
	if err == nil {
		return changes, nil, false
	}
	var interrupted *ipvs.ApplyError
	switch {
	case errors.As(err, &interrupted):
		changes, refused, failed = changes[:interrupted.Sent], interrupted.Refused, true
	case !errors.As(err, &refused):
		return nil, nil, true // nothing was sent
	default:
		failed = errors.Is(err, fs.ErrPermission)
	}
	for i := range changes {
		if !slices.ContainsFunc(refused, func(e *ipvs.ChangeError) bool { return e.Index == i }) {
			made = append(made, changes[i])
		}
	}
	return made, refused, failed
}

// undo undoes the changes of the run.
func (r *run) undo(ctx context.Context) (Undo, error) {
	var unsure error // the table may have more than was read
	for range MaxRounds {
		var now *ipvs.Table
		now, unsure = r.kernel.Table(ctx)
		if unsure != nil && (now == nil || !errors.Is(unsure, ipvs.ErrChanging)) {
			return NotUndone, unsure
		}
		if unsure == nil {
			r.journal.forgetChanged(now)
		}
		back := model.Diff(now, r.journal.undone(now))
		if len(back) == 0 {
			if unsure == nil {
				return Undone, nil
			}
			continue
		}
		// The next round shows what was refused.
		err := r.kernel.Apply(ctx, back...)
		made, refused, failed := outcome(back, err)
		if failed {
			return NotUndone, err
		}
		r.journal.record(ByID(now), now, made)
		for _, e := range refused {
			if byAnother(e) {
				r.journal.forget(e.Change)
			}
		}
	}
	return NotUndone, unsure
}

// await waits until no server to be removed has an active connection, at most
// for Drain, or until the run has to end.
func (r *run) await(ctx context.Context, removals []ipvs.Change) error {
	for end := time.Now().Add(r.Drain); len(removals) > 0 && time.Now().Before(end) && !r.Stopped(); {
		n := pieceLen(removals)
		active, err := r.active(ctx, removals[:n])
		switch {
		case err != nil:
			return err
		case active:
			time.Sleep(drainPoll)
		default:
			removals = removals[n:]
		}
	}
	return nil
}

// active reports whether any of the servers, all of one service, has a
// connection that has not begun to end, or may have one: a list that kept
// changing may lack it.
func (r *run) active(ctx context.Context, removals []ipvs.Change) (bool, error) {
	list, err := r.kernel.Destinations(ctx, removals[0].Service.ServiceID)
	if errors.Is(err, ipvs.ErrChanging) {
		return true, nil
	}
	return slices.ContainsFunc(list, func(d ipvs.DestinationEntry) bool {
		return d.Conns.Active > 0 && slices.ContainsFunc(removals, func(c ipvs.Change) bool {
			return c.Destination.AddrPort() == d.AddrPort()
		})
	}), err
}
