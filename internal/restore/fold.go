// SPDX-License-Identifier: Apache-2.0

package restore

import (
	"cmp"
	"errors"
	"net/netip"
	"slices"

	"github.com/ipvsadm-go/ipvsadm/internal/model"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// Wanted is the table that a file describes, without the lines known to be
// refused. If the kernel refuses more, a new Wanted replaces it.
type Wanted struct {
	// Table contains the services, timeouts and daemons of the file.
	Table *ipvs.Table
	// Complaints are about any line, whoever rejected it.
	Complaints Complaints
	// Refused reports whether a line was refused that Parse accepted.
	Refused bool
	// Last is the complaint about the last line with a command. Its Err is
	// nil if that line is valid.
	Last Complaint

	file      *File
	merge     bool
	before    *ipvs.Table   // the kernel's table, for its daemons; nil if unknown
	ignored   map[int]bool  // refused lines without effect
	mentioned map[part]bool // daemons and, with merge, services with an accepted line
}

// objections are refusals by the running kernel, which parsing cannot
// predict.
type objections struct {
	lines   map[int]objection
	servers map[part]error // servers with a refused address
}

// objection is the refusal of a line.
type objection struct {
	err error
	// old is the setting that the line would have replaced, and which is
	// kept; nil if the line has no effect.
	old *ipvs.Change
}

// part identifies a part of a table: a service, one of its servers, a sync
// daemon or, if zero, the timeouts.
type part struct {
	service ipvs.ServiceID
	server  netip.AddrPort
	daemon  ipvs.DaemonState
}

func partOf(c ipvs.Change) part {
	return part{c.Service.ServiceID, c.Destination.AddrPort(), c.Daemon.State}
}

// sets reports whether a change adds or edits a part of the table.
func sets(c ipvs.Change) bool {
	return slices.Contains([]ipvs.Op{ipvs.OpAddService, ipvs.OpEditService, ipvs.OpAddDestination,
		ipvs.OpEditDestination, ipvs.OpStartDaemon, ipvs.OpSetTimeouts}, c.Op)
}

// Wanted returns the table that the file describes, before the kernel has
// refused any line. have is the kernel's table; if it is nil, any daemon may
// be running. With merge, a run keeps services that no accepted line mentions.
func (f *File) Wanted(have *ipvs.Table, merge bool) *Wanted {
	return fold(f, merge, have, objections{})
}

// wasStopped reports whether a daemon was stopped before the run.
func (w *Wanted) wasStopped(state ipvs.DaemonState) bool {
	return w.before != nil && daemonIn(w.before.Daemons, state) == nil
}

// unnamedDaemons returns the running daemons that no line starts or stops.
// While one runs, the kernel refuses servers of another address family.
func (w *Wanted) unnamedDaemons() (list []ipvs.Daemon) {
	if w.before == nil || len(w.before.Daemons) == 0 {
		return nil
	}
	named := map[ipvs.DaemonState]bool{}
	for _, r := range w.file.Rules() {
		named[r.Daemon.State] = true
	}
	return slices.DeleteFunc(slices.Clone(w.before.Daemons), func(d ipvs.Daemon) bool { return named[d.State] })
}

// Place names a line as the file does.
func (w *Wanted) Place(line int) string { return w.file.Place(line) }

// fold builds the wanted table from the lines. Lines that depend on a refused
// line are refused as well.
func fold(f *File, merged bool, before *ipvs.Table, o objections) *Wanted {
	w := &Wanted{file: f, merge: merged, before: before, Last: f.last, ignored: map[int]bool{}, mentioned: map[part]bool{}}
	m := model.New(&ipvs.Table{Daemons: w.unnamedDaemons()})
	var refused Complaints
	for number, r := range f.Rules() {
		objection, objected := o.lines[number]
		err := w.add(m, r, objection, o.servers)
		if err == nil {
			continue
		}
		c := Complaint{number, r.Change, err}
		refused.add(c)
		w.ignored[number] = !objected || objection.old == nil
		if number == f.last.Line {
			w.Last = c
		}
	}
	w.Table = m.View()
	w.Table.Daemons = slices.DeleteFunc(w.Table.Daemons, func(d ipvs.Daemon) bool { return !w.MentionsDaemon(d.State) })
	w.Complaints, w.Refused = merge(f.Faults, refused), refused.Any()
	return w
}

// add applies a line to the model and returns the reason if it is refused.
func (w *Wanted) add(m *model.Model, r Rule, o objection, refused map[part]error) error {
	state := r.Daemon.State
	if o.err != nil {
		if r.Op == ipvs.OpEditService && !m.Has(r.Service.ServiceID) {
			o.err = ipvs.ErrNoService // the kernel checks that first
		}
		if o.old == nil || r.Op == ipvs.OpStartDaemon && w.MentionsDaemon(state) {
			return o.err // the file has stopped the old daemon
		}
		op := r.Op
		r = Rule{Change: *o.old}
		r.Op = op
	}
	if r.Op == ipvs.OpStopDaemon && !w.MentionsDaemon(state) {
		// The first line about a daemon stops the one that is running.
		if w.wasStopped(state) && !r.Exist {
			return ipvs.ErrNoDaemon
		}
		w.mentioned[part{daemon: state}] = true
		return nil
	}
	err := w.apply(m, r)
	if err == nil && (w.merge || state != 0) {
		w.mentioned[part{service: r.Service.ServiceID, daemon: state}] = true
	}
	if e := refused[partOf(r.Change)]; e != nil && err == nil && r.Op == ipvs.OpAddDestination {
		_ = m.Apply(ipvs.Change{Op: ipvs.OpDeleteDestination, Service: r.Service, Destination: r.Destination}) // cannot fail
		err = e
	}
	return cmp.Or(o.err, err)
}

// apply applies a line to the model.
func (w *Wanted) apply(m *model.Model, r Rule) error {
	err := m.Apply(r.Change)
	if err == nil || !r.Exist {
		return err
	}
	switch {
	case errors.Is(err, ipvs.ErrServiceExists):
		r.Op = ipvs.OpEditService
	case errors.Is(err, ipvs.ErrDestinationExists):
		r.Op = ipvs.OpEditDestination
	case r.Op == ipvs.OpDeleteDestination && w.merge && errors.Is(err, ipvs.ErrNoService):
		return err // a merge keeps the service if the kernel has it
	case r.Op == ipvs.OpDeleteService, r.Op == ipvs.OpDeleteDestination:
		return nil
	}
	return m.Apply(r.Change)
}

// places returns the last effective line about each part of the table.
func (w *Wanted) places() map[part]int {
	lines := map[part]int{}
	for number, r := range w.file.Rules() {
		if !w.ignored[number] && sets(r.Change) {
			lines[partOf(r.Change)] = number
		}
	}
	return lines
}
