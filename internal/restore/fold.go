// SPDX-License-Identifier: Apache-2.0

package restore

import (
	"errors"
	"net/netip"

	"github.com/ipvsadm-go/ipvsadm/internal/model"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// Wanted is the table that a file describes, as far as is known: what the
// kernel refuses of it makes another one.
type Wanted struct {
	// Table has the services, and the timeouts and daemons of the file.
	Table *ipvs.Table
	// Complaints are those about all lines.
	Complaints Complaints
	// Refused reports whether a line that Parse accepted is refused.
	Refused bool
	// Last is the complaint about the last line with a command. Its Err is
	// nil if there is none.
	Last Complaint

	file    *File
	merge   bool
	stopped map[ipvs.DaemonState]bool // daemons that did not run before
	ignored map[int]bool              // lines that are refused and have no effect
	daemons map[ipvs.DaemonState]bool // that the file mentions
	named   map[ipvs.ServiceID]bool   // with merge, services with a line that is not refused
}

// objections are the refusals that only a running kernel can make.
type objections struct {
	lines   map[int]objection
	servers map[serverID]error // whose address the kernel refused
}

// objection is the refusal of a line.
type objection struct {
	err error
	// stays means that the line would have replaced was, which stays;
	// otherwise the line is left out.
	stays bool
	was   ipvs.Change
}

// serverID identifies a real server of a service.
type serverID struct {
	service ipvs.ServiceID
	server  netip.AddrPort
}

func serverOf(c ipvs.Change) serverID {
	return serverID{c.Service.ServiceID, c.Destination.AddrPort()}
}

// Wanted returns the table that the file describes, as far as is known before
// a run. have is the kernel's table, or nil if it is not known: then the file
// may stop any daemon. With merge, services stay that the file does not
// mention, or only in lines that are refused.
func (f *File) Wanted(have *ipvs.Table, merge bool) *Wanted {
	stopped := map[ipvs.DaemonState]bool{}
	for _, state := range []ipvs.DaemonState{ipvs.Master, ipvs.Backup} {
		stopped[state] = have != nil && daemonIn(have.Daemons, state) == nil
	}
	return fold(f, merge, stopped, objections{})
}

// Place names a line as the file does.
func (w *Wanted) Place(line int) string { return w.file.Place(line) }

// fold builds the wanted table. What depends on a refused line is refused as
// well.
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
		w.ignored[number] = !objected || !objection.stays
		if number == f.last.Line {
			w.Last = c
		}
	}
	w.Table = m.View()
	w.Complaints, w.Refused = merge(f.Faults, refused), refused.Any()
	return w
}

// add adds a line to the model and returns why it is refused.
func (w *Wanted) add(m *model.Model, r Rule, o objection, unfit map[serverID]error) error {
	if o.err != nil {
		if r.Op == ipvs.OpEditService && !m.Has(r.Service.ServiceID) {
			o.err = ipvs.ErrNoService // the kernel checks that first
		}
		if !o.stays || r.Op == ipvs.OpStartDaemon && w.daemons[r.Daemon.State] {
			return o.err // a daemon does not stay that the file has stopped
		}
		o.was.Op = r.Op
		r = Rule{Change: o.was}
	}
	state := r.Daemon.State
	if r.Op == ipvs.OpStopDaemon && !w.daemons[state] {
		// The first line about a daemon meets the one that runs.
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
	if e := unfit[serverOf(r.Change)]; e != nil && err == nil && r.Op == ipvs.OpAddDestination {
		_ = m.Apply(ipvs.Change{Op: ipvs.OpDeleteDestination, Service: r.Service, Destination: r.Destination}) // it has just been added
		err = e
	}
	if o.err != nil {
		return o.err
	}
	return err
}

// apply makes the change of a line in the model.
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
		return err // the service may exist, and stays as it is
	case r.Op == ipvs.OpDeleteService, r.Op == ipvs.OpDeleteDestination:
		return nil
	}
	return m.Apply(r.Change)
}

// places has the line that describes each part of the table.
type places struct {
	services map[ipvs.ServiceID]int
	servers  map[serverID]int
	daemons  map[ipvs.DaemonState]int
	timeouts int
}

// findPlaces finds the last line of each part that has an effect.
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

// lineOf returns the line that a change comes from, or 0 for what the file
// does not mention.
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
