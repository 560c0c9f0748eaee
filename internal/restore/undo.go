// SPDX-License-Identifier: Apache-2.0

package restore

import (
	"context"
	"errors"

	"github.com/ipvsadm-go/ipvsadm/internal/model"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// A journal contains the table before and after the changes of a run. Changes
// by other programs appear in both, so that undoing the run keeps them.
type journal struct{ before, after *model.Model }

func newJournal(have *ipvs.Table) *journal { return &journal{model.New(have), model.New(have)} }

// recordChanges records changes of the run, and the side effect of a refused
// edit: kernels before mid-2026 remove a service's scheduler before they
// start the new one, which may fail.
func (j *journal) recordChanges(changes []ipvs.Change, refused ipvs.ChangeErrors) {
	for _, c := range changes {
		force(j.after, c)
	}
	for _, e := range refused {
		if s, found := j.after.Service(e.Change.Service.ServiceID); found && e.Change.Op == ipvs.OpEditService {
			s.Scheduler = "none"
			force(j.after, ipvs.Change{Op: ipvs.OpEditService, Service: s.Service})
		}
	}
}

// recordTable records the changes by other programs that the table shows. If
// it may be incomplete, missing entries count as present.
func (j *journal) recordTable(now *ipvs.Table, complete bool) {
	after, seen := j.after.View(), *now.Clone()
	for i, d := range seen.Daemons {
		if a := daemonIn(after.Daemons, d.State); a != nil && model.Matches(d, *a) {
			seen.Daemons[i] = *a // without the kernel's defaults
		}
	}
	for _, c := range model.Diff(after, &seen) {
		if !complete && !sets(c) {
			continue
		}
		if c.Op == ipvs.OpSetTimeouts {
			c.Timeouts = otherTimeouts(after.Timeouts, c.Timeouts)
		}
		id := c.Service.ServiceID
		if c.Op == ipvs.OpAddDestination || c.Op == ipvs.OpEditDestination {
			if s, found := j.after.Service(id); found && !j.before.Has(id) { // added by the run
				force(j.before, ipvs.Change{Op: ipvs.OpAddService, Service: s.Service})
			}
		}
		force(j.after, c)
		force(j.before, c)
	}
}

// otherTimeouts returns the timeouts now that differ from those after a run.
func otherTimeouts(after, now ipvs.Timeouts) (other ipvs.Timeouts) {
	if now.TCP != after.TCP {
		other.TCP = now.TCP
	}
	if now.TCPFin != after.TCPFin {
		other.TCPFin = now.TCPFin
	}
	if now.UDP != after.UDP {
		other.UDP = now.UDP
	}
	return other
}

// force applies a change to a part of a table, whether it exists or not.
func force(m *model.Model, c ipvs.Change) {
	err := m.Apply(c)
	switch {
	case errors.Is(err, ipvs.ErrServiceExists):
		_ = m.Apply(opposite(c)) // the service was replaced
	case errors.Is(err, ipvs.ErrDestinationExists):
		c.Op = ipvs.OpEditDestination
	case errors.Is(err, ipvs.ErrNoDestination) && c.Op == ipvs.OpEditDestination:
		c.Op = ipvs.OpAddDestination
	case errors.Is(err, ipvs.ErrNoService) && c.Op == ipvs.OpEditService:
		c.Op = ipvs.OpAddService
	case errors.Is(err, ipvs.ErrDaemonRunning):
		_ = m.Apply(opposite(c))
	default:
		return
	}
	_ = m.Apply(c)
}

// opposite returns the deletion of what a change adds.
func opposite(c ipvs.Change) ipvs.Change {
	switch c.Op {
	case ipvs.OpAddService:
		c.Op = ipvs.OpDeleteService
	case ipvs.OpAddDestination:
		c.Op = ipvs.OpDeleteDestination
	case ipvs.OpStartDaemon:
		c.Op = ipvs.OpStopDaemon
	}
	return c
}

// undo undoes the changes of the run. Like the run, it drains the servers that
// it removes.
func (r *run) undo(ctx context.Context) (Undo, error) {
	var partial error // the list of the table may be incomplete
	for range MaxRounds {
		now, complete, err := ReadTable(ctx, r.kernel)
		if err != nil {
			return NotUndone, err
		}
		r.journal.recordTable(now, complete)
		if partial = nil; !complete {
			now, partial = r.journal.after.View(), ipvs.ErrChanging
		}
		p := planOf(now, r.journal.before.View(), r.Drain > 0)
		if len(p.changes()) == 0 && complete {
			return Undone, nil
		}
		for i, part := range [][]ipvs.Change{p.first, p.removals, p.starts} {
			if i == 1 {
				if err := r.await(ctx, part); err != nil {
					return NotUndone, err
				}
			}
			// The next round shows what was refused.
			err := r.kernel.Apply(ctx, part...)
			made, refused, failed := outcome(part, err)
			if failed {
				return NotUndone, err
			}
			r.journal.recordChanges(made, nil)
			for _, e := range refused {
				if isConflict(e) {
					force(r.journal.before, opposite(e.Change))
				}
			}
		}
	}
	return NotUndone, partial
}
