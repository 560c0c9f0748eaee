// SPDX-License-Identifier: Apache-2.0

// Package restore makes the kernel's table what a rule file says. IPVS has no
// transactions; what comes near one is that nothing is touched before the whole
// file has been read and checked, that only what differs is changed, each
// service in one piece, and that what differs in the end is said.
//
// It knows no message, exit status or terminal: who calls it hands in what
// reads a line, and gets complaints and the end of a run as values.
package restore

import (
	"context"
	"net/netip"
	"slices"

	"github.com/ipvsadm-go/ipvsadm/internal/rule"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// Parse reads the words of a line. Its error is about a line that is no change
// of the table.
type Parse func(ctx context.Context, words []string) (ipvs.Change, error)

// Complaint is about a line of a file.
type Complaint struct {
	Line int
	// Op is what was refused, zero for a line that Parse did not accept.
	Op  ipvs.Op
	Err error // of Parse, or a refusal that matches an error of package ipvs
}

// File is a rule file that has been read, folded into the table that it
// describes.
type File struct {
	text  []byte
	parse Parse
	lines []line // instead of text, once the kernel has refused something

	want *ipvs.Table
	// daemons has each sync daemon that the file speaks of, with the line that
	// stops it before any has started it, else 0.
	daemons map[ipvs.DaemonState]int
	faults  []Complaint
	refused []Complaint
	last    int // the last line with a command

	// objections are the lines that the running kernel refused, and unfit the
	// servers that it does not accept. With stale, want does not take all of
	// them into account yet.
	objections map[int]objection
	unfit      map[serverID]error
	stale      bool
	places     *places // made when first asked for
}

// line is a line with a command.
type line struct {
	number int
	change ipvs.Change
	err    error
}

// objection is a refusal that shows with a running kernel only.
type objection struct {
	err error
	// With stays, the line was to replace something that stays as it was; else
	// the line is left out.
	stays bool
	was   ipvs.Change
}

// serverID names a real server of a service.
type serverID struct {
	service ipvs.ServiceID
	server  netip.AddrPort
}

func serverOf(c ipvs.Change) serverID {
	return serverID{c.Service.ServiceID, c.Destination.AddrPort()}
}

// Read reads a file, without a kernel. It keeps the text until the file is no
// longer needed.
func Read(ctx context.Context, text []byte, parse Parse) *File {
	f := &File{text: text, parse: parse, objections: map[int]objection{}, unfit: map[serverID]error{}}
	f.fold(ctx)
	return f
}

// Faulty reports whether some line was not accepted by Parse.
func (f *File) Faulty() bool { return len(f.faults) > 0 }

// Refused reports whether some line is refused, as far as is known.
func (f *File) Refused() bool { return len(f.refused) > 0 }

// Empty reports whether the file has no line with a command.
func (f *File) Empty() bool { return f.last == 0 }

// LastRefused reports whether the last line with a command is refused.
func (f *File) LastRefused() bool {
	return slices.ContainsFunc(f.refused, func(c Complaint) bool { return c.Line == f.last })
}

// Complaints returns those about all lines, in the order of the lines.
func (f *File) Complaints() []Complaint {
	all := slices.Concat(f.faults, f.refused)
	slices.SortStableFunc(all, func(a, b Complaint) int { return a.Line - b.Line })
	return all
}

// each passes each line with a command to do.
func (f *File) each(ctx context.Context, do func(number int, c ipvs.Change, err error)) {
	if f.lines != nil {
		for i := range f.lines {
			do(f.lines[i].number, f.lines[i].change, f.lines[i].err)
		}
		return
	}
	for number, words := range rule.Lines(f.text) {
		c, err := f.parse(ctx, words)
		do(number, c, err)
	}
}

// keep has the lines in memory from now on. Few files are refused anything, and
// the others need not have the room.
func (f *File) keep(ctx context.Context) {
	if f.lines != nil {
		return
	}
	lines := []line{}
	f.each(ctx, func(number int, c ipvs.Change, err error) { lines = append(lines, line{number, c, err}) })
	f.text, f.lines = nil, lines
}

// fold makes the wanted table of the lines, so that what depends on a line that
// the kernel objects to is refused as well.
func (f *File) fold(ctx context.Context) {
	var m ipvs.Model
	f.daemons = map[ipvs.DaemonState]int{}
	f.faults, f.refused, f.stale, f.places = nil, nil, false, nil
	f.each(ctx, func(number int, c ipvs.Change, err error) {
		f.last = number
		if err != nil {
			f.faults = append(f.faults, Complaint{Line: number, Err: err})
			return
		}
		o, objected := f.objections[number]
		if objected {
			reason := o.err
			if c.Op == ipvs.OpEditService {
				if _, found := m.Service(c.Service.ServiceID); !found {
					reason = ipvs.ErrNoService // the kernel looks for that first
				}
			}
			f.refuse(number, c.Op, reason)
			if !o.stays {
				return
			}
			o.was.Op = c.Op
			c = o.was
		}
		if f.meetDaemon(number, c) {
			return
		}
		err = m.Apply(c)
		reason, unfit := f.unfit[serverOf(c)]
		switch {
		case err != nil && !objected:
			f.refuse(number, c.Op, err)
		case err == nil && unfit && c.Op == ipvs.OpAddDestination:
			_ = m.Apply(ipvs.DeleteDestination(c.Service.ServiceID, c.Destination.AddrPort())) // it has just been added
			f.refuse(number, c.Op, reason)
		}
	})
	f.want = m.Take()
}

func (f *File) refuse(number int, op ipvs.Op, err error) {
	f.refused = append(f.refused, Complaint{number, op, err})
}

// meetDaemon makes the first change of a daemon count from what is running: a
// start finds none, so that one that runs already is no mistake, and a stop
// finds one, which Meet looks for. It reports whether the change is such a
// stop, which leaves none.
func (f *File) meetDaemon(number int, c ipvs.Change) (stops bool) {
	if c.Op != ipvs.OpStartDaemon && c.Op != ipvs.OpStopDaemon {
		return false
	}
	state := c.Daemon.State
	if _, known := f.daemons[state]; known {
		return false
	}
	stops = c.Op == ipvs.OpStopDaemon
	f.daemons[state] = 0
	if stops {
		f.daemons[state] = number
	}
	return stops
}

// Meet tells the file which daemons are running before a plan is made. A line
// that stops one that does not run is refused.
func (f *File) Meet(have *ipvs.Table) {
	for state, number := range f.daemons {
		if number > 0 && !slices.ContainsFunc(have.Daemons, func(d ipvs.Daemon) bool { return d.State == state }) {
			f.objections[number] = objection{err: ipvs.ErrNoDaemon}
			f.refuse(number, ipvs.OpStopDaemon, ipvs.ErrNoDaemon)
		}
	}
}

// object records that the kernel refused a change. The next fold leaves its
// line out, or keeps what stood before in have. A change that is from no line
// is passed over.
func (f *File) object(ctx context.Context, e *ipvs.ChangeError, have *ipvs.Table) {
	f.keep(ctx)
	c := e.Change
	if c.Op == ipvs.OpAddDestination {
		f.unfit[serverOf(c)] = e
		f.stale = true
		return
	}
	number := f.lineOf(ctx, c)
	if number == 0 {
		return
	}
	o := objection{err: e, was: c}
	switch s := have.Lookup(c.Service.ServiceID); c.Op {
	case ipvs.OpEditService:
		if o.stays = s != nil; o.stays {
			o.was.Service = s.Service
		}
	case ipvs.OpEditDestination:
		if s == nil {
			break
		}
		d := s.Lookup(c.Destination.AddrPort())
		if o.stays = d != nil; o.stays {
			o.was.Destination = d.Destination
		}
	case ipvs.OpStartDaemon:
		for _, d := range have.Daemons {
			if d.State == c.Daemon.State {
				o.stays, o.was.Daemon = true, d
			}
		}
	}
	f.objections[number] = o
	f.stale = true
}

// places says which line describes a part of the table.
type places struct {
	services map[ipvs.ServiceID]int
	servers  map[serverID]int
	daemons  map[ipvs.DaemonState]int
	timeouts int
}

// lineOf returns the line that a change is from, or 0 for what the file does
// not speak of.
func (f *File) lineOf(ctx context.Context, c ipvs.Change) int {
	if f.places == nil {
		f.places = f.findPlaces(ctx)
	}
	switch c.Op {
	case ipvs.OpAddService, ipvs.OpEditService:
		return f.places.services[c.Service.ServiceID]
	case ipvs.OpAddDestination, ipvs.OpEditDestination:
		return f.places.servers[serverOf(c)]
	case ipvs.OpStartDaemon:
		return f.places.daemons[c.Daemon.State]
	case ipvs.OpSetTimeouts:
		return f.places.timeouts
	}
	return 0
}

// findPlaces takes, of a service, the last line that is not refused, which says
// what it is to be; of a server the one that adds it, since the kernel objects
// to its address.
func (f *File) findPlaces(ctx context.Context) *places {
	p := &places{services: map[ipvs.ServiceID]int{}, servers: map[serverID]int{}, daemons: map[ipvs.DaemonState]int{}}
	refused := map[int]bool{}
	for _, c := range f.refused {
		refused[c.Line] = !f.objections[c.Line].stays
	}
	f.each(ctx, func(number int, c ipvs.Change, err error) {
		if err != nil || refused[number] {
			return
		}
		switch c.Op {
		case ipvs.OpAddService, ipvs.OpEditService:
			p.services[c.Service.ServiceID] = number
		case ipvs.OpAddDestination:
			p.servers[serverOf(c)] = number
		case ipvs.OpStartDaemon:
			p.daemons[c.Daemon.State] = number
		case ipvs.OpSetTimeouts:
			p.timeouts = number
		}
	})
	return p
}
