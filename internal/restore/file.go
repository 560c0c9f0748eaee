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
	"errors"
	"io"
	"net/netip"
	"slices"

	"github.com/ipvsadm-go/ipvsadm/internal/rule"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// Parse reads the words of a line. Its error is about a line that is no change
// of the table. With wait false it does not wait for host names: ErrPending is
// the error of a line with a name that is being looked up from then on.
type Parse func(ctx context.Context, words []string, wait bool) (ipvs.Change, error)

// ErrPending is the error of a line with a host name that is being looked up.
var ErrPending = errors.New("a host name is being looked up")

// Complaint is about a line of a file.
type Complaint struct {
	Line int
	// Op is what was refused, zero for a line that is no change.
	Op  ipvs.Op
	Err error // of Parse, ErrLongLine, or a refusal that matches an error of package ipvs
}

// MaxComplaints is how many complaints are kept.
const MaxComplaints = 100

// Complaints are those about the first lines of a file, in the order of the
// lines, and how many more there are.
type Complaints struct {
	List []Complaint
	More int
}

func (c *Complaints) add(more Complaint) {
	if len(c.List) < MaxComplaints {
		c.List = append(c.List, more)
	} else {
		c.More++
	}
}

// Any reports whether there are any.
func (c Complaints) Any() bool { return len(c.List) > 0 }

// File is a rule file that has been read, folded into the table that it
// describes.
type File struct {
	text  text
	parse Parse
	lines []line // instead of text, once the kernel has refused something

	want *ipvs.Table
	// daemons has each sync daemon that the file speaks of, with the line that
	// stops it before any has started it, else 0.
	daemons map[ipvs.DaemonState]int
	faults  Complaints   // of the reading
	refused Complaints   // of the last fold
	bad     map[int]bool // the lines that are refused
	last    int          // the last line with a command

	// objections are the lines that the running kernel refused, and unfit the
	// servers that it does not accept. With stale, want does not take all of
	// them into account yet.
	objections map[int]objection
	unfit      map[serverID]error
	stale      bool
	places     *places // made when first asked for
}

// line is a line with a change.
type line struct {
	number int
	change ipvs.Change
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

// Read reads a file of at most limit bytes, without a kernel. All its host names
// are looked up while it is read: from the first line that has to wait for one,
// the lines become changes at the end, in their order. The error is that of r,
// ErrLarge, or that of ctx if it ended before all names were known.
func Read(ctx context.Context, r io.Reader, limit int64, parse Parse) (*File, error) {
	f := &File{parse: parse, objections: map[int]objection{}, unfit: map[serverID]error{}}
	fold := f.fold()
	pending := 0 // the first line that has to wait for a name
	err := f.text.read(r, limit, func(number int, words []string, err error) (keep bool) {
		var c ipvs.Change
		if err == nil {
			c, err = parse(ctx, words, false)
		}
		f.last = number
		switch {
		case errors.Is(err, ErrPending):
			if pending == 0 {
				pending = number
			}
		case err != nil:
			f.faults.add(Complaint{Line: number, Err: err})
			return false
		case pending == 0:
			fold.add(number, c)
		}
		return true
	})
	if pending > 0 && err == nil {
		err = fold.wait(ctx, pending)
	}
	fold.end()
	return f, err
}

// wait adds the lines from first on, for which names had to be looked up.
func (f *folding) wait(ctx context.Context, first int) error {
	var faults Complaints
	f.parseText(ctx, first, func(number int, c ipvs.Change, err error) {
		if err == nil {
			f.add(number, c)
		} else {
			faults.add(Complaint{Line: number, Err: err})
		}
	})
	f.faults = merge(f.faults, faults)
	return ctx.Err()
}

// Faulty reports whether some line was not accepted by Parse.
func (f *File) Faulty() bool { return f.faults.Any() }

// Refused reports whether some line is refused, as far as is known.
func (f *File) Refused() bool { return f.refused.Any() }

// Empty reports whether the file has no line with a command.
func (f *File) Empty() bool { return f.last == 0 }

// LastRefused reports whether the last line with a command is refused.
func (f *File) LastRefused() bool { return f.bad[f.last] }

// Complaints returns those about all lines.
func (f *File) Complaints() Complaints { return merge(f.faults, f.refused) }

func merge(a, b Complaints) Complaints {
	all := slices.Concat(a.List, b.List)
	slices.SortStableFunc(all, func(a, b Complaint) int { return a.Line - b.Line })
	n := min(len(all), MaxComplaints)
	return Complaints{all[:n], a.More + b.More + len(all) - n}
}

// each passes each change of the file to do.
func (f *File) each(ctx context.Context, do func(number int, c ipvs.Change)) {
	if f.lines != nil {
		for i := range f.lines {
			do(f.lines[i].number, f.lines[i].change)
		}
		return
	}
	f.parseText(ctx, 1, func(number int, c ipvs.Change, err error) {
		if err == nil {
			do(number, c)
		}
	})
}

// parseText reads the lines from first on again.
func (f *File) parseText(ctx context.Context, first int, do func(number int, c ipvs.Change, err error)) {
	var words []string
	f.text.each(func(number int, line []byte) {
		if number < first {
			return
		}
		if words = rule.AppendFileWords(words[:0], line); len(words) > 0 {
			c, err := f.parse(ctx, words, true)
			do(number, c, err)
		}
	})
}

// keep has the lines in memory from now on. Few files are refused anything, and
// the others need not have the room.
func (f *File) keep(ctx context.Context) {
	if f.lines != nil {
		return
	}
	lines := []line{}
	f.each(ctx, func(number int, c ipvs.Change) { lines = append(lines, line{number, c}) })
	f.text, f.lines = text{}, lines
}

// refold makes the wanted table of the lines anew, so that what depends on a
// line that the kernel objects to is refused as well.
func (f *File) refold(ctx context.Context) {
	fold := f.fold()
	f.each(ctx, fold.add)
	fold.end()
}

// folding makes the wanted table of lines.
type folding struct {
	*File
	model ipvs.Model
}

// fold begins to make the wanted table.
func (f *File) fold() *folding {
	f.daemons, f.bad = map[ipvs.DaemonState]int{}, map[int]bool{}
	f.refused, f.stale, f.places = Complaints{}, false, nil
	return &folding{File: f}
}

func (f *folding) end() { f.want = f.model.Take() }

func (f *folding) add(number int, c ipvs.Change) {
	o, objected := f.objections[number]
	if objected {
		reason := o.err
		if c.Op == ipvs.OpEditService {
			if _, found := f.model.Service(c.Service.ServiceID); !found {
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
	err := f.model.Apply(c)
	reason, unfit := f.unfit[serverOf(c)]
	switch {
	case err != nil && !objected:
		f.refuse(number, c.Op, err)
	case err == nil && unfit && c.Op == ipvs.OpAddDestination:
		_ = f.model.Apply(ipvs.DeleteDestination(c.Service.ServiceID, c.Destination.AddrPort())) // it has just been added
		f.refuse(number, c.Op, reason)
	}
}

func (f *File) refuse(number int, op ipvs.Op, err error) {
	f.bad[number] = true
	f.refused.add(Complaint{number, op, err})
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
	f.each(ctx, func(number int, c ipvs.Change) {
		if f.bad[number] && !f.objections[number].stays {
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
