// SPDX-License-Identifier: Apache-2.0

// Package restore changes the kernel's table to match a rule file. IPVS has
// no transactions. Instead, nothing is changed before the whole file has been
// read and checked, only what differs is changed, each service in one piece,
// and what differs in the end is reported.
//
// It knows no messages, exit statuses or terminals: the caller provides the
// parser of a line, and gets complaints and the end of a run as values.
package restore

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"slices"

	"github.com/ipvsadm-go/ipvsadm/internal/model"
	"github.com/ipvsadm-go/ipvsadm/internal/rule"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// Parse parses the words of a line. It returns an error for a line that is no
// change of the table. With wait false it does not wait for host names:
// ErrPending is the error of a line with a name that is being looked up from
// then on.
type Parse func(ctx context.Context, words []string, wait bool) (Rule, error)

// Rule is a line that is a change of the table.
type Rule struct {
	ipvs.Change
	// Exist means that to add what is there is to edit it, and to delete
	// what is not there is no mistake.
	Exist bool
}

// ErrPending is the error of a line with a host name that is being looked up.
var ErrPending = errors.New("a host name is being looked up")

// Complaint is about a line of a file.
type Complaint struct {
	Line int
	// Change is what was refused. Its Op is zero for a line that is no
	// change.
	Change ipvs.Change
	Err    error // of Parse, ErrLongLine, or a refusal that matches an error of package ipvs
}

// MaxComplaints is the maximum number of complaints that are kept.
const MaxComplaints = 100

// Complaints are the first complaints about a file, in the order of its
// lines, and the number of further ones.
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

// File is a rule file that has been read, and the table that it describes.
type File struct {
	text  text
	parse Parse
	lines []line // instead of text, once the kernel has refused something

	want *model.Model
	// daemons has each sync daemon that the file mentions. If the first
	// line about it stops it, the value is that line, else 0.
	daemons map[ipvs.DaemonState]int
	faults  Complaints   // found while reading
	refused Complaints   // found by the last fold
	bad     map[int]bool // the lines that are refused
	last    int          // the last line with a command

	// objections are the lines that the running kernel refused, and unfit
	// the servers that it refused. stale means that want does not reflect
	// all of them yet.
	objections map[int]objection
	unfit      map[serverID]error
	stale      bool
	places     *places // built on first use

	// merged means that services stay which are not named: those that no
	// line is about, apart from refused ones. To replace a service by
	// what is left of its lines would delete it.
	merged bool
	named  map[ipvs.ServiceID]bool
}

// line is a line with a change.
type line struct {
	number int
	rule   Rule
}

// objection is a refusal that only a running kernel can make.
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

// Read reads a file of at most limit bytes, without a kernel. All its host
// names are looked up while it is read: from the first line that has to wait
// for one, the lines become changes at the end, in their order. It returns an
// error of r, ErrLarge, or that of ctx if it ended before all names were
// known.
func Read(ctx context.Context, r io.Reader, limit int64, parse Parse) (*File, error) {
	f := &File{parse: parse, objections: map[int]objection{}, unfit: map[serverID]error{}}
	fold := f.fold()
	pending := 0 // the first line that has to wait for a name
	err := f.text.read(r, limit, func(number int, words []string, err error) (keep bool) {
		var c Rule
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
	f.parseText(ctx, first, func(number int, _ []string, c Rule, err error) {
		if err == nil {
			f.add(number, c)
		} else {
			faults.add(Complaint{Line: number, Err: err})
		}
	})
	f.faults = merge(f.faults, faults)
	return ctx.Err()
}

// Faulty reports whether Parse has rejected any line.
func (f *File) Faulty() bool { return f.faults.Any() }

// Refused reports whether any line is refused, as far as is known.
func (f *File) Refused() bool { return f.refused.Any() }

// Empty reports whether the file has no line with a command.
func (f *File) Empty() bool { return f.last == 0 }

// LastRefused reports whether the last line with a command is refused.
func (f *File) LastRefused() bool { return f.bad[f.last] }

// Complaints returns the complaints about all lines.
func (f *File) Complaints() Complaints { return merge(f.faults, f.refused) }

func merge(a, b Complaints) Complaints {
	all := slices.Concat(a.List, b.List)
	slices.SortStableFunc(all, func(a, b Complaint) int { return a.Line - b.Line })
	n := min(len(all), MaxComplaints)
	return Complaints{all[:n], a.More + b.More + len(all) - n}
}

// Wanted returns the table that the file describes, as far as is known. It is
// not to be changed.
func (f *File) Wanted() *model.Model { return f.want }

// Each calls do for each change of the file, with its line and the words of
// it, which are valid during the call. It is for a file that has not been run
// yet.
func (f *File) Each(ctx context.Context, do func(number int, words []string, c Rule)) {
	f.parseText(ctx, 1, func(number int, words []string, c Rule, err error) {
		if err == nil {
			do(number, words, c)
		}
	})
}

// each calls do for each change of the file, whose lines were accepted
// before.
func (f *File) each(ctx context.Context, do func(number int, c Rule)) {
	if f.lines != nil {
		for i := range f.lines {
			do(f.lines[i].number, f.lines[i].rule)
		}
		return
	}
	f.Each(ctx, func(number int, _ []string, c Rule) { do(number, c) })
}

// parseText reads the lines from first on again.
func (f *File) parseText(ctx context.Context, first int, do func(number int, words []string, c Rule, err error)) {
	var words []string
	f.text.each(func(number int, line []byte) {
		if number < first {
			return
		}
		if words = rule.AppendFileWords(words[:0], line); len(words) > 0 {
			c, err := f.parse(ctx, words, true)
			do(number, words, c, err)
		}
	})
}

// keep keeps the parsed lines from now on. Few files meet a refusal, and the
// others save the memory.
func (f *File) keep(ctx context.Context) {
	if f.lines != nil {
		return
	}
	lines := []line{}
	f.each(ctx, func(number int, c Rule) { lines = append(lines, line{number, c}) })
	f.text, f.lines = text{}, lines
}

// refold builds the wanted table again, so that what depends on a refused
// line is refused as well.
func (f *File) refold(ctx context.Context) {
	fold := f.fold()
	f.each(ctx, fold.add)
	fold.end()
}

// folding builds the wanted table from lines.
type folding struct {
	*File
	model model.Model
}

// fold starts to build the wanted table.
func (f *File) fold() *folding {
	f.daemons, f.bad = map[ipvs.DaemonState]int{}, map[int]bool{}
	f.refused, f.stale, f.places = Complaints{}, false, nil
	if f.merged {
		f.named = map[ipvs.ServiceID]bool{}
	}
	return &folding{File: f}
}

func (f *folding) end() { f.want = &f.model }

func (f *folding) add(number int, c Rule) {
	if f.merged && c.Op == ipvs.OpFlush {
		return // a fault, see Merge
	}
	o, objected := f.objections[number]
	if objected {
		reason := o.err
		if c.Op == ipvs.OpEditService {
			if !f.model.Has(c.Service.ServiceID) {
				reason = ipvs.ErrNoService // the kernel checks that first
			}
		}
		f.refuse(number, c.Change, reason)
		if !o.stays {
			return
		}
		o.was.Op = c.Op
		c = Rule{Change: o.was}
	}
	if f.assumeDaemon(number, c.Change) {
		return
	}
	err := f.apply(c)
	if f.merged && err == nil && f.names(c.Change) {
		f.named[c.Service.ServiceID] = true
	}
	reason, unfit := f.unfit[serverOf(c.Change)]
	switch {
	case err != nil && !objected:
		f.refuse(number, c.Change, err)
	case err == nil && unfit && c.Op == ipvs.OpAddDestination:
		_ = f.model.Apply(ipvs.Change{Op: ipvs.OpDeleteDestination, Service: c.Service, Destination: c.Destination}) // it has just been added
		f.refuse(number, c.Change, reason)
	}
}

// names reports whether an accepted line says what becomes of its service.
// That a server need not be there says nothing about a service that no line
// adds.
func (f *folding) names(c ipvs.Change) bool {
	return c.Op == ipvs.OpDeleteService || f.model.Has(c.Service.ServiceID)
}

// apply makes a change of the wanted table.
func (f *folding) apply(r Rule) error {
	err := f.model.Apply(r.Change)
	if err == nil || !r.Exist {
		return err
	}
	switch {
	case errors.Is(err, ipvs.ErrServiceExists):
		r.Op = ipvs.OpEditService
	case errors.Is(err, ipvs.ErrDestinationExists):
		r.Op = ipvs.OpEditDestination
	case r.Op == ipvs.OpDeleteService || r.Op == ipvs.OpDeleteDestination:
		return nil
	}
	return f.model.Apply(r.Change)
}

func (f *File) refuse(number int, c ipvs.Change, err error) {
	f.bad[number] = true
	f.refused.add(Complaint{number, c, err})
}

// assumeDaemon assumes a state of each daemon before the first change of it.
// A start finds it stopped, since it is no mistake if it runs already. A stop
// finds it running, which CheckStops checks. assumeDaemon reports whether the
// change is such a stop, after which there is nothing to do.
func (f *File) assumeDaemon(number int, c ipvs.Change) (stops bool) {
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

// ErrMergedFlush is the error of a line that deletes all services, in a file
// that is merged.
var ErrMergedFlush = errors.New("all services are deleted where others are to stay")

// Merge makes the services stay that the file does not mention, or only in
// lines that are refused. It is for a file that has not been run yet.
func (f *File) Merge(ctx context.Context) {
	f.merged = true
	fold := f.fold()
	var faults Complaints
	f.Each(ctx, func(number int, _ []string, r Rule) {
		if r.Op == ipvs.OpFlush {
			faults.add(Complaint{Line: number, Err: ErrMergedFlush})
		}
		fold.add(number, r)
	})
	fold.end()
	f.faults = merge(f.faults, faults)
}

// CheckStops checks the file against the running daemons; call it before a
// plan is made. A line that stops a daemon that does not run is refused.
func (f *File) CheckStops(have *ipvs.Table) {
	for state, number := range f.daemons {
		if number > 0 && !slices.ContainsFunc(have.Daemons, func(d ipvs.Daemon) bool { return d.State == state }) {
			f.objections[number] = objection{err: ipvs.ErrNoDaemon}
			f.refuse(number, ipvs.Change{Op: ipvs.OpStopDaemon, Daemon: ipvs.Daemon{State: state}}, ipvs.ErrNoDaemon)
		}
	}
}

// object records that the kernel refused a change. The next fold leaves its
// line out, or keeps what stood before in have. A change that comes from no
// line is ignored.
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

// places has the line that describes each part of the table.
type places struct {
	services map[ipvs.ServiceID]int
	servers  map[serverID]int
	daemons  map[ipvs.DaemonState]int
	timeouts int
}

// lineOf returns the line that a change comes from, or 0 for what the file
// does not mention.
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

// findPlaces finds the last line of a service that is not refused, which has
// its final settings, and the line that adds a server, since what the kernel
// refuses is its address.
func (f *File) findPlaces(ctx context.Context) *places {
	p := &places{services: map[ipvs.ServiceID]int{}, servers: map[serverID]int{}, daemons: map[ipvs.DaemonState]int{}}
	f.each(ctx, func(number int, c Rule) {
		if f.bad[number] && !f.objections[number].stays {
			return
		}
		switch c.Op {
		case ipvs.OpAddService, ipvs.OpEditService:
			p.services[c.Service.ServiceID] = number
		case ipvs.OpAddDestination:
			p.servers[serverOf(c.Change)] = number
		case ipvs.OpStartDaemon:
			p.daemons[c.Daemon.State] = number
		case ipvs.OpSetTimeouts:
			p.timeouts = number
		}
	})
	return p
}
