// SPDX-License-Identifier: Apache-2.0

package restore

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"slices"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/rule"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

const (
	// MaxRounds is how many times the table is read and corrected if
	// another program changes it during the run.
	MaxRounds = 5
	// chunk is roughly the number of changes between two calls of
	// Stopped.
	chunk = 512
)

// Kernel is the part of *ipvs.Client that a run uses.
type Kernel interface {
	Apply(context.Context, ...ipvs.Change) error
	Table(context.Context) (*ipvs.Table, error)
	Destinations(context.Context, ipvs.ServiceID) ([]ipvs.DestinationEntry, error)
	Connections(context.Context, ipvs.ConnectionFilter) iter.Seq2[ipvs.Connection, error]
}

// ReadTable returns the table of a kernel. If other programs keep changing
// it, the result may be incomplete: missing entries show up as refusals or in
// the next round.
func ReadTable(ctx context.Context, k Kernel) (t *ipvs.Table, complete bool, err error) {
	t, err = k.Table(ctx)
	if t != nil && errors.Is(err, ipvs.ErrChanging) {
		return t, false, nil
	}
	return t, true, err
}

// Options are the options of a run.
type Options struct {
	// Strict means all or nothing: unless the table matches the file at
	// the end, all changes are undone.
	Strict bool
	// Drain limits the total time for which removed servers drain; if 0,
	// they are removed at once.
	Drain time.Duration
	// Stopped reports whether the run must end before its next changes.
	Stopped func() bool
	// Progress is called with the number of changes sent in a round.
	Progress func(done, all int)
}

// Result is the result of a run.
type Result struct {
	// How is the way in which the run ended.
	How Ending
	// Wanted contains all complaints, including the kernel's refusals.
	Wanted *Wanted
	// Added, Removed and Changed count the changes made, including those
	// undone later. A drained server counts once.
	Added, Removed, Changed int
	// Done of All changes were sent in the last round, if Interrupted.
	Done, All int
	// Left are the remaining changes, if Differing.
	Left []ipvs.Change
	// Err is the reason why the kernel could not be used, if Failed.
	Err error
	// Undo tells whether the changes were undone. UndoErr is the reason if
	// they were not, or perhaps not completely; nil if the kernel refused.
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
	Differing                 // another program changed the table in every round
	Failed                    // the kernel could not be used
)

// Undo is the state of a run's changes after its end.
type Undo uint8

// The states of a run's changes. A Strict run that did not finish ends with
// Undone or NotUndone.
const (
	Kept      Undo = iota
	Undone         // the table is as before, except for changes by others
	NotUndone      // the table is neither as before nor as wanted
)

// run is the state of a call of Run.
type run struct {
	Options
	kernel     Kernel
	wanted     *Wanted
	objections objections
	started    map[ipvs.DaemonState]bool // daemons that the run has started
	journal    *journal                  // of the changes made; nil if they will not be undone
	result     Result
}

// Run changes the kernel's table, last read as have, to match the file.
func (w *Wanted) Run(ctx context.Context, kernel Kernel, have *ipvs.Table, o Options) Result {
	r := run{Options: o, kernel: kernel, wanted: w, objections: objections{map[int]objection{}, map[part]error{}}, started: map[ipvs.DaemonState]bool{}}
	r.result.How = r.rounds(ctx, have)
	if o.Strict && r.result.How != Finished {
		r.result.Undo, r.result.UndoErr = r.undo(context.WithoutCancel(ctx))
	}
	r.result.Wanted = r.wanted
	return r.result
}

// rounds makes changes and reads the table again, until no change is left or
// the run ends early.
func (r *run) rounds(ctx context.Context, have *ipvs.Table) Ending {
	for rounds := 0; ; {
		p := r.wanted.plan(have, r.Strict, r.Drain > 0)
		r.result.Done, r.result.All = 0, len(p.first)+len(p.removals)+len(p.starts)
		switch {
		case r.result.All == 0:
			return Finished
		case rounds == MaxRounds:
			r.result.Left = p.changes()
			return Differing
		case r.Strict && r.journal == nil:
			r.journal = newJournal(have)
		}
		how, refusals := r.round(ctx, p)
		objected := r.recordRefusals(have, refusals)
		if objected {
			r.wanted = fold(r.wanted.file, r.wanted.merge, r.wanted.before, r.objections)
			for state := range r.started {
				// If the kernel refuses its line now, the daemon must stop.
				r.wanted.mentioned[part{daemon: state}] = r.wanted.MentionsDaemon(state) || r.wanted.wasStopped(state)
			}
		}
		switch {
		case how != Finished:
			return how
		case objected && r.Strict:
			return Refused
		case !objected:
			rounds++
		}
		now, complete, err := ReadTable(ctx, r.kernel)
		if err != nil {
			r.result.Err = err
			return Failed
		}
		if have = now; r.journal != nil {
			r.journal.recordTable(now, complete)
		}
	}
}

// round makes the changes of a plan in several calls, and returns the refused
// ones. With Strict it ends at the first refusal of a line.
func (r *run) round(ctx context.Context, p plan) (how Ending, refusals ipvs.ChangeErrors) {
	for i, part := range [][]ipvs.Change{p.first, p.removals, p.starts} {
		if i == 1 {
			if r.result.Err = r.await(ctx, part); r.result.Err != nil {
				return Failed, refusals
			}
		}
		for len(part) > 0 {
			if r.Stopped() {
				return Interrupted, refusals
			}
			n := chunkLen(part)
			err := r.kernel.Apply(ctx, part[:n]...)
			made, refused, failed := outcome(part[:n], err)
			r.count(made, p.drained)
			if r.journal != nil {
				r.journal.recordChanges(made, refused)
			}
			part = part[n:]
			r.result.Done += n
			r.Progress(r.result.Done, r.result.All)
			if failed {
				r.result.Err = err
				return Failed, refusals
			}
			refusals = append(refusals, refused...)
			if r.Strict && slices.ContainsFunc(refused, func(e *ipvs.ChangeError) bool { return !isConflict(e) }) {
				return Finished, refusals
			}
		}
	}
	return Finished, refusals
}

// count counts the changes that were made, and notes daemons. Setting weight 0 to drain a server is
// only a step of its removal.
func (r *run) count(made []ipvs.Change, drained map[part]bool) {
	for _, c := range made {
		if c.Op == ipvs.OpStartDaemon {
			r.started[c.Daemon.State] = true
		}
		switch {
		case c.Op == ipvs.OpAddService || c.Op == ipvs.OpAddDestination:
			r.result.Added++
		case c.Op == ipvs.OpDeleteService || c.Op == ipvs.OpDeleteDestination:
			r.result.Removed++
		case c.Op != ipvs.OpEditDestination || !drained[partOf(c)]:
			r.result.Changed++
		}
	}
}

// recordRefusals records refusals that the file caused, and reports whether
// any of them is new. Refusals caused by another writer are left to the next
// round, as are those of changes that no line requires.
func (r *run) recordRefusals(had *ipvs.Table, refused ipvs.ChangeErrors) (more bool) {
	if len(refused) == 0 {
		return false
	}
	lines, old := r.wanted.places(), map[part]ipvs.Change{}
	for c := range rule.Changes(had) {
		old[partOf(c)] = c
	}
	for _, e := range refused {
		id := partOf(e.Change)
		number := lines[id]
		switch {
		case isConflict(e), !sets(e.Change), number == 0:
			continue
		case e.Change.Op == ipvs.OpAddDestination:
			more = more || r.objections.servers[id] == nil
			r.objections.servers[id] = e
			continue
		}
		o := objection{err: e}
		if before, found := old[id]; found && e.Change.Op != ipvs.OpSetTimeouts {
			o.old = &before
		}
		more = more || r.objections.lines[number].err == nil
		r.objections.lines[number] = o
	}
	return more
}

// chunkLen returns the number of changes to send next. It does not split the
// changes to a service.
func chunkLen(changes []ipvs.Change) int {
	n := 0
	for n < len(changes) && n < chunk {
		n += pieceLen(changes[n:])
	}
	return n
}

// pieceLen returns the number of leading changes that belong together: to the
// same service, or to sync daemons. They are sent in one call.
func pieceLen(changes []ipvs.Change) int {
	n := min(1, len(changes))
	for n > 0 && n < len(changes) && changes[n].Service.ServiceID == changes[0].Service.ServiceID && isDaemon(changes[n]) == isDaemon(changes[0]) {
		n++
	}
	return n
}

func isDaemon(c ipvs.Change) bool { return c.Op == ipvs.OpStartDaemon || c.Op == ipvs.OpStopDaemon }

// isConflict reports whether a change was refused because another writer has
// changed the table since it was read.
func isConflict(err error) bool {
	return slices.ContainsFunc([]error{
		ipvs.ErrServiceExists, ipvs.ErrNoService, ipvs.ErrDestinationExists, ipvs.ErrNoDestination,
		ipvs.ErrDaemonRunning, ipvs.ErrNoDaemon,
	}, func(reason error) bool { return errors.Is(err, reason) })
}

// outcome returns the changes that a call of Apply made or may have made, the
// refused ones, and whether the call failed for another reason.
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
	left := refused
	for i := range changes {
		if len(left) > 0 && left[0].Index == i {
			left = left[1:]
			continue
		}
		made = append(made, changes[i])
	}
	return made, refused, failed
}
