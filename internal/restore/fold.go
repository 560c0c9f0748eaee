// SPDX-License-Identifier: Apache-2.0

package restore

import (
	"errors"
	"net/netip"

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

	file    *File
	merge   bool
	stopped map[ipvs.DaemonState]bool // daemons that were not running before
	ignored map[int]bool              // refused lines without effect
	daemons map[ipvs.DaemonState]bool // mentioned in the file
	named   map[ipvs.ServiceID]bool   // with merge, services with an accepted line
}

// objections are the refusals that only a running kernel can make.
type objections struct {
	lines   map[int]objection
	servers map[serverID]error // servers with a refused address
}

// objection is the refusal of a line.
type objection struct {
	err error
	// hasOld means that the line was to replace old, which is kept;
	// otherwise the line has no effect.
	hasOld bool
	old    ipvs.Change
}

// serverID identifies a real server of a service.
type serverID struct {
	service ipvs.ServiceID
	server  netip.AddrPort
}

func serverOf(c ipvs.Change) serverID {
	return serverID{c.Service.ServiceID, c.Destination.AddrPort()}
}

// Wanted returns the table that the file describes, before the kernel has
// refused any line. have is the kernel's table; if it is nil, any daemon may
// be running. With merge, a run keeps services that no accepted line mentions.
func (f *File) Wanted(have *ipvs.Table, merge bool) *Wanted {
	stopped := map[ipvs.DaemonState]bool{}
	for _, state := range []ipvs.DaemonState{ipvs.Master, ipvs.Backup} {
		stopped[state] = have != nil && daemonIn(have.Daemons, state) == nil
	}
	return fold(f, merge, stopped, objections{})
}

// Place names a line as the file does.
func (w *Wanted) Place(line int) string { return w.file.Place(line) }

// fold builds the wanted table from the lines. Lines that depend on a refused
// line are refused as well.
func fold(f *File, merged bool, stopped map[ipvs.DaemonState]bool, o objections) *Wanted {
	w := &Wanted{file: f, merge: merged, stopped: stopped,
		Last: f.last, ignored: map[int]bool{}, daemons: map[ipvs.DaemonState]bool{}, named: map[ipvs.ServiceID]bool{}}
	var m model.Model
	var refused Complaints
	for number, r := range f.Rules() {
		objection, objected := o.lines[number]
		err := w.add(&m, r, objection, o.servers)
		if err == nil {
			continue
		}
		c := Complaint{number, r.Change, err}
		refused.add(c)
		w.ignored[number] = !objected || !objection.hasOld
		if number == f.last.Line {
			w.Last = c
		}
	}
	w.Table = m.View()
	w.Complaints, w.Refused = merge(f.Faults, refused), refused.Any()
	return w
}

// add applies a line to the model and returns the reason if it is refused.
func (w *Wanted) add(m *model.Model, r Rule, o objection, refused map[serverID]error) error {
	if o.err != nil {
		if r.Op == ipvs.OpEditService && !m.Has(r.Service.ServiceID) {
			o.err = ipvs.ErrNoService // the kernel checks that first
		}
		if !o.hasOld || r.Op == ipvs.OpStartDaemon && w.daemons[r.Daemon.State] {
			return o.err // the file has stopped the old daemon
		}
		o.old.Op = r.Op
		r = Rule{Change: o.old}
	}
	state := r.Daemon.State
	if r.Op == ipvs.OpStopDaemon && !w.daemons[state] {
		// The first line about a daemon stops the one that is running.
		if w.stopped[state] && !r.Exist {
			return ipvs.ErrNoDaemon
		}
		w.daemons[state] = true
		return nil
	}
	err := w.apply(m, r)
	switch {
	case err != nil:
	case r.Op == ipvs.OpStartDaemon:
		w.daemons[state] = true
	case w.merge:
		w.named[r.Service.ServiceID] = true
	}
	if e := refused[serverOf(r.Change)]; e != nil && err == nil && r.Op == ipvs.OpAddDestination {
		_ = m.Apply(ipvs.Change{Op: ipvs.OpDeleteDestination, Service: r.Service, Destination: r.Destination}) // cannot fail
		err = e
	}
	if o.err != nil {
		return o.err
	}
	return err
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

// places maps each part of the table to the line that describes it.
type places struct {
	services map[ipvs.ServiceID]int
	servers  map[serverID]int
	daemons  map[ipvs.DaemonState]int
	timeouts int
}

// findPlaces finds the last effective line about each part.
func (w *Wanted) findPlaces() *places {
	p := &places{services: map[ipvs.ServiceID]int{}, servers: map[serverID]int{}, daemons: map[ipvs.DaemonState]int{}}
	for number, r := range w.file.Rules() {
		if w.ignored[number] {
			continue
		}
		switch r.Op {
		case ipvs.OpAddService, ipvs.OpEditService:
			p.services[r.Service.ServiceID] = number
		case ipvs.OpAddDestination, ipvs.OpEditDestination:
			p.servers[serverOf(r.Change)] = number
		case ipvs.OpStartDaemon:
			p.daemons[r.Daemon.State] = number
		case ipvs.OpSetTimeouts:
			p.timeouts = number
		}
	}
	return p
}

// lineOf returns the line that requires a change, or 0 if the file does not
// mention that part of the table.
func (p *places) lineOf(c ipvs.Change) int {
	switch c.Op {
	case ipvs.OpAddService, ipvs.OpEditService:
		return p.services[c.Service.ServiceID]
	case ipvs.OpEditDestination:
		return p.servers[serverOf(c)]
	case ipvs.OpStartDaemon:
		return p.daemons[c.Daemon.State]
	case ipvs.OpSetTimeouts:
		return p.timeouts
	}
	return 0
}
