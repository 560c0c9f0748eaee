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

// Result is the result of a run.
type Result struct {
	// How it ended.
	How Ending
	// Wanted has the complaints, those about what the kernel refused too.
	Wanted *Wanted
	// Added, Removed and Changed are the numbers of changes made, whether
	// they were undone or not. A server that drains counts once.
	Added, Removed, Changed int
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

// run is one run.
type run struct {
	Options
	kernel     Kernel
	wanted     *Wanted
	want       index   // of the table of wanted
	places     *places // in wanted, built on first use
	objections objections
	journal    *journal // the changes made, nil unless Strict
	result     Result
}

// Run changes the kernel's table, which is have, to match the file.
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

// rounds makes changes and reads the table again, until nothing is left to do
// or something ends the run.
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

// round makes the changes of a plan, some at a time. It ends early with
// Strict if the kernel refuses a line of the file. It reports how it ended,
// and whether the kernel refused a line for the first time.
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

// count counts changes that were made. Weight 0 of a server that drains is
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

// object records what the kernel refused because of the file, and reports
// whether any of it is new. What another writer is the reason for is left to
// the next round, as is a change that no line asks for.
func (r *run) object(had index, refused ipvs.ChangeErrors) (more bool) {
	for _, e := range refused {
		c := e.Change
		if byAnother(e) {
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
		o := objection{err: e, was: c}
		switch c.Op {
		case ipvs.OpEditService:
			if s := had.services[c.Service.ServiceID]; s != nil {
				o.stays, o.was.Service = true, s.Service
			}
		case ipvs.OpEditDestination:
			if d := had.server(serverOf(c)); d != nil {
				o.stays, o.was.Destination = true, d.Destination
			}
		case ipvs.OpStartDaemon:
			if d := daemonIn(had.Daemons, c.Daemon.State); d != nil {
				o.stays, o.was.Daemon = true, *d
			}
		}
		more = more || r.objections.lines[number].err == nil
		r.objections.lines[number] = o
	}
	return more
}

// chunkLen returns how many changes to send now, all of a service together.
func chunkLen(changes []ipvs.Change) int {
	n := 0
	for n < len(changes) && n < chunk {
		n += pieceLen(changes[n:])
	}
	return n
}

// pieceLen returns how many of the changes, from the first on, belong together:
// those about the same service, or about sync daemons. The kernel gets them at
// once.
func pieceLen(changes []ipvs.Change) int {
	n := min(1, len(changes))
	for n > 0 && n < len(changes) && changes[n].Service.ServiceID == changes[0].Service.ServiceID && isDaemon(changes[n]) == isDaemon(changes[0]) {
		n++
	}
	return n
}

func isDaemon(c ipvs.Change) bool { return c.Op == ipvs.OpStartDaemon || c.Op == ipvs.OpStopDaemon }

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
	var unsure error // the table may have more than was read
	for range MaxRounds {
		var now *ipvs.Table
		now, unsure = r.kernel.Table(ctx)
		if unsure != nil && (now == nil || !errors.Is(unsure, ipvs.ErrChanging)) {
			return NotUndone, unsure
		}
		had := indexOf(now)
		back := model.Diff(now, r.journal.undone(had, unsure == nil))
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
		r.journal.record(had, made)
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

// active reports whether anything to be removed, all of one service, has a
// connection that has not begun to end, or may have one: a list that kept
// changing may lack it.
func (r *run) active(ctx context.Context, removals []ipvs.Change) (bool, error) {
	list, err := r.kernel.Destinations(ctx, removals[0].Service.ServiceID)
	if errors.Is(err, ipvs.ErrChanging) {
		return true, nil
	}
	leave := map[netip.AddrPort]bool{}
	for i := range removals {
		leave[removals[i].Destination.AddrPort()] = true
	}
	for i := range list {
		if list[i].Conns.Active > 0 && (removals[0].Op == ipvs.OpDeleteService || leave[list[i].AddrPort()]) {
			return true, nil
		}
	}
	return false, err
}
