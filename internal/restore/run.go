// SPDX-License-Identifier: Apache-2.0

package restore

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"slices"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/model"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

const (
	// MaxRounds is how many times the table is read and corrected if
	// another program changes it during the run.
	MaxRounds = 5
	// chunk is roughly the number of changes between two calls of
	// Stopped.
	chunk = 512
	// DrainTime is the default time for which removed servers drain.
	DrainTime = 2 * time.Second
	drainPoll = 10 * time.Millisecond
)

// Kernel is the part of *ipvs.Client that a run uses.
type Kernel interface {
	Apply(context.Context, ...ipvs.Change) error
	Table(context.Context) (*ipvs.Table, error)
	Destinations(context.Context, ipvs.ServiceID) ([]ipvs.DestinationEntry, error)
}

// ReadTable returns the table of a kernel. If other programs keep changing
// it, the result may be incomplete: missing entries show up as refusals or in
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
	want       index   // of wanted.Table
	places     *places // of wanted, built on first use
	objections objections
	journal    *journal // of the changes made; nil unless Strict
	result     Result
}

// Run changes the kernel's table, last read as have, to match the file.
func (w *Wanted) Run(ctx context.Context, kernel Kernel, have *ipvs.Table, o Options) Result {
	r := run{Options: o, kernel: kernel, wanted: w, want: indexOf(w.Table), objections: objections{map[int]objection{}, map[serverID]error{}}}
	if o.Strict {
		r.journal = newJournal()
	}
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
		had := indexOf(have)
		p := r.wanted.plan(had, r.Strict, r.Drain > 0)
		switch {
		case len(p.changes) == 0:
			return Finished
		case rounds == MaxRounds:
			r.result.Left = p.changes
			return Differing
		}
		how, objected := r.round(ctx, had, p)
		if objected {
			w := r.wanted
			r.wanted, r.places = fold(w.file, w.merge, w.stopped, r.objections), nil
			r.want = indexOf(r.wanted.Table)
		}
		switch {
		case how != Finished:
			return how
		case objected && r.Strict:
			return Refused
		case !objected:
			rounds++
		}
		var err error
		if have, err = ReadTable(ctx, r.kernel); err != nil {
			r.result.Err = err
			return Failed
		}
	}
}

// round makes the changes of a plan in several calls. With Strict it ends at
// the first refusal of a line. It returns how it ended, and whether the kernel
// refused any line that it had not refused before.
func (r *run) round(ctx context.Context, had index, p plan) (how Ending, objected bool) {
	r.result.Done, r.result.All = 0, len(p.first)+len(p.removals)+len(p.starts)
	for i, part := range [][]ipvs.Change{p.first, p.removals, p.starts} {
		if i == 1 {
			if err := r.await(ctx, part); err != nil {
				r.result.Err = err
				return Failed, objected
			}
		}
		for len(part) > 0 {
			if r.Stopped() {
				return Interrupted, objected
			}
			n := chunkLen(part)
			err := r.kernel.Apply(ctx, part[:n]...)
			made, refused, failed := outcome(part[:n], err)
			r.count(made)
			if r.journal != nil {
				r.journal.record(had, made)
				r.journal.recordRefused(had, refused)
			}
			part = part[n:]
			r.result.Done += n
			r.Progress(r.result.Done, r.result.All)
			if failed {
				r.result.Err = err
				return Failed, objected
			}
			objected = r.object(had, refused) || objected
			if objected && r.Strict {
				return Finished, true
			}
		}
	}
	return Finished, objected
}

// count counts changes that were made. Setting weight 0 to drain a server is
// only a step of its removal.
func (r *run) count(made []ipvs.Change) {
	for i := range made {
		switch c := &made[i]; c.Op {
		case ipvs.OpAddService, ipvs.OpAddDestination:
			r.result.Added++
		case ipvs.OpDeleteService, ipvs.OpDeleteDestination:
			r.result.Removed++
		case ipvs.OpEditDestination:
			if r.want.server(serverOf(*c)) != nil {
				r.result.Changed++
			}
		default:
			r.result.Changed++
		}
	}
}

// object records refusals that the file is responsible for, and reports
// whether any of them is new. Refusals caused by another writer are left to
// the next round, as are those of changes that no line requires.
func (r *run) object(had index, refused ipvs.ChangeErrors) (more bool) {
	for _, e := range refused {
		c := e.Change
		if isConflict(e) {
			continue
		}
		if c.Op == ipvs.OpAddDestination {
			more = more || r.objections.servers[serverOf(c)] == nil
			r.objections.servers[serverOf(c)] = e
			continue
		}
		if r.places == nil {
			r.places = r.wanted.findPlaces()
		}
		number := r.places.lineOf(c)
		if number == 0 {
			continue
		}
		o := objection{err: e, old: c}
		switch c.Op {
		case ipvs.OpEditService:
			if s := had.services[c.Service.ServiceID]; s != nil {
				o.hasOld, o.old.Service = true, s.Service
			}
		case ipvs.OpEditDestination:
			if d := had.server(serverOf(c)); d != nil {
				o.hasOld, o.old.Destination = true, d.Destination
			}
		case ipvs.OpStartDaemon:
			if d := daemonIn(had.Daemons, c.Daemon.State); d != nil {
				o.hasOld, o.old.Daemon = true, *d
			}
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

// undo undoes the changes of the run.
func (r *run) undo(ctx context.Context) (Undo, error) {
	var partial error // the list of the table may be incomplete
	for range MaxRounds {
		var now *ipvs.Table
		now, partial = r.kernel.Table(ctx)
		if partial != nil && (now == nil || !errors.Is(partial, ipvs.ErrChanging)) {
			return NotUndone, partial
		}
		had := indexOf(now)
		back := model.Diff(now, r.journal.undone(had, partial == nil))
		if len(back) == 0 {
			if partial == nil {
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
		r.journal.record(had, made)
		for _, e := range refused {
			if isConflict(e) {
				r.journal.forget(e.Change)
			}
		}
	}
	return NotUndone, partial
}

// await waits until no server to remove has an active connection, until Drain
// has elapsed, or until the run must end.
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

// active reports whether a server that the removals, all of one service,
// concern has an active connection. It returns true if the list of servers may
// be incomplete.
func (r *run) active(ctx context.Context, removals []ipvs.Change) (bool, error) {
	list, err := r.kernel.Destinations(ctx, removals[0].Service.ServiceID)
	if errors.Is(err, ipvs.ErrChanging) {
		return true, nil
	}
	removed := map[netip.AddrPort]bool{}
	for i := range removals {
		removed[removals[i].Destination.AddrPort()] = true
	}
	for i := range list {
		if list[i].Conns.Active > 0 && (removals[0].Op == ipvs.OpDeleteService || removed[list[i].AddrPort()]) {
			return true, nil
		}
	}
	return false, err
}
