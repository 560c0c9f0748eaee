// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"

	"github.com/ipvsadm-go/ipvsadm/internal/args"
	"github.com/ipvsadm-go/ipvsadm/internal/rule"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// ruleset is a rule file that has been read: its text, folded into the table
// that they describe.
type ruleset struct {
	session *session
	text    []byte
	want    *ipvs.Table
	// daemons has each sync daemon that the file speaks of, with the line that
	// stops it before any has started it, else 0.
	daemons map[ipvs.DaemonState]int
	faults  []complaint // lines that are no commands
	refused []complaint // lines that the kernel refuses
	last    int         // the last line with a command
	// objections are the lines that the running kernel refused, and unfit the
	// servers that it does not take, with its message; stale tells
	// that there are some that want does not take into account yet.
	objections map[int]objection
	unfit      map[destinationID]string
	stale      bool
	places     *places // made when first asked for
}

// complaint is a message about a line.
type complaint struct {
	line int
	text string
}

// objection is a refusal that shows with a running kernel only.
type objection struct {
	text string
	// stays tells that the line was to replace something that stays as it
	// was; else the line is left out.
	stays bool
	was   ipvs.Change
}

// newRuleset reads a file. Its faults and refusals are those that show
// without a kernel.
func newRuleset(ctx context.Context, s *session, text []byte) *ruleset {
	r := &ruleset{session: s, text: text, objections: map[int]objection{}, unfit: map[destinationID]string{}}
	r.fold(ctx)
	return r
}

// fold makes the wanted table of the lines, so that what depends on a line
// that the kernel objects to is refused as well.
func (r *ruleset) fold(ctx context.Context) {
	var m ipvs.Model
	r.daemons = map[ipvs.DaemonState]int{}
	r.faults, r.refused, r.stale, r.places = nil, nil, false, nil
	r.each(ctx, func(line int, c ipvs.Change, err error) {
		r.last = line
		if err != nil {
			var f *failure
			errors.As(err, &f)
			r.faults = append(r.faults, complaint{line, f.text})
			return
		}
		o, objected := r.objections[line]
		if objected {
			text := o.text
			if _, found := m.Service(c.Service.ServiceID); c.Op == ipvs.OpEditService && !found {
				text = refusalText(c.Op, ipvs.ErrNoService) // the kernel looks for that first
			}
			r.refused = append(r.refused, complaint{line, text})
			if !o.stays {
				return
			}
			o.was.Op = c.Op
			c = o.was
		}
		if r.introduce(line, c) {
			return
		}
		err = m.Apply(c)
		text, unfit := r.unfit[destinationID{c.Service.ServiceID, c.Destination.AddrPort()}]
		switch {
		case err != nil && !objected:
			r.refused = append(r.refused, complaint{line, refusalText(c.Op, err)})
		case err == nil && unfit && c.Op == ipvs.OpAddDestination:
			c.Op = ipvs.OpDeleteDestination
			_ = m.Apply(c) // it has just been added
			r.refused = append(r.refused, complaint{line, text})
		}
	})
	r.want = m.Take()
}

// each reads the lines one by one; blank ones and comments are passed over.
func (r *ruleset) each(ctx context.Context, f func(line int, c ipvs.Change, err error)) {
	var words []string
	n := 0
	for line := range bytes.SplitSeq(r.text, []byte{'\n'}) {
		n++
		words = rule.AppendWords(words[:0], line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		cmd, err := r.session.parse(ctx, words)
		var c ipvs.Change
		if err == nil {
			var ok bool
			if c, ok = cmd.Change(); !ok {
				err = notAChange(cmd)
			}
		}
		f(n, c, err)
	}
}

// introduce makes the first word about a daemon count from what is running: a
// start finds none, so that one that runs already is no mistake, and a stop
// finds one, which meet looks for. It reports whether the change is such a stop,
// which leaves none.
func (r *ruleset) introduce(line int, c ipvs.Change) (stops bool) {
	if c.Op != ipvs.OpStartDaemon && c.Op != ipvs.OpStopDaemon {
		return false
	}
	state := c.Daemon.State
	if _, known := r.daemons[state]; known {
		return false
	}
	stops = c.Op == ipvs.OpStopDaemon
	r.daemons[state] = 0
	if stops {
		r.daemons[state] = line
	}
	return stops
}

// meet looks for the daemons that the file stops.
func (r *ruleset) meet(have *ipvs.Table) {
	for state, line := range r.daemons {
		if line > 0 && !slices.ContainsFunc(have.Daemons, func(d ipvs.Daemon) bool { return d.State == state }) {
			text := refusalText(ipvs.OpStopDaemon, ipvs.ErrNoDaemon)
			r.objections[line] = objection{text: text}
			r.refused = append(r.refused, complaint{line, text})
		}
	}
}

// changes are what makes the table as it is the wanted one. Daemons that the
// file does not speak of stay as they are.
func (r *ruleset) changes(have *ipvs.Table) []ipvs.Change {
	unspoken := func(d ipvs.Daemon) bool { _, spoken := r.daemons[d.State]; return !spoken }
	r.want.Daemons = slices.DeleteFunc(r.want.Daemons, unspoken)
	for _, d := range have.Daemons {
		if unspoken(d) {
			r.want.Daemons = append(r.want.Daemons, d)
		}
	}
	return ipvs.Diff(have, r.want)
}

// object takes the line that a refused change is from out of what is wanted,
// from the next fold on: what it was to replace stays as it was in have. A
// change that is from no line is passed over.
func (r *ruleset) object(ctx context.Context, e *ipvs.ChangeError, have *ipvs.Table) {
	if e.Change.Op == ipvs.OpAddDestination {
		r.unfit[destinationID{e.Change.Service.ServiceID, e.Change.Destination.AddrPort()}] = refusalText(e.Change.Op, e)
		r.stale = true
		return
	}
	line := r.lineOf(ctx, e.Change)
	if line == 0 {
		return
	}
	o := objection{text: refusalText(e.Change.Op, e), was: e.Change}
	switch s := have.Lookup(e.Change.Service.ServiceID); e.Change.Op {
	case ipvs.OpEditService:
		if o.stays = s != nil; o.stays {
			o.was.Service = s.Service
		}
	case ipvs.OpEditDestination:
		if s == nil {
			break
		}
		d := s.Lookup(e.Change.Destination.AddrPort())
		if o.stays = d != nil; o.stays {
			o.was.Destination = d.Destination
		}
	case ipvs.OpStartDaemon:
		for _, d := range have.Daemons {
			if d.State == e.Change.Daemon.State {
				o.stays, o.was.Daemon = true, d
			}
		}
	}
	r.objections[line] = o
	r.stale = true
}

// complaints are those about all lines, in their order.
func (r *ruleset) complaints() []complaint {
	all := slices.Concat(r.faults, r.refused)
	slices.SortFunc(all, func(a, b complaint) int { return a.line - b.line })
	return all
}

// status is 1.31's: that of the last line.
func (r *ruleset) status() int {
	if slices.ContainsFunc(r.refused, func(c complaint) bool { return c.line == r.last }) {
		return statusRefused
	}
	return statusOK
}

// places tells which line described a part of the table.
type places struct {
	services     map[ipvs.ServiceID]int
	destinations map[destinationID]int
	daemons      map[ipvs.DaemonState]int
	timeouts     int
}

type destinationID struct {
	service ipvs.ServiceID
	server  netip.AddrPort
}

// lineOf finds the line that a change is from; 0 for what the file does not
// speak of.
func (r *ruleset) lineOf(ctx context.Context, c ipvs.Change) int {
	if r.places == nil {
		r.places = r.findPlaces(ctx)
	}
	switch c.Op {
	case ipvs.OpAddService, ipvs.OpEditService:
		return r.places.services[c.Service.ServiceID]
	case ipvs.OpAddDestination, ipvs.OpEditDestination:
		return r.places.destinations[destinationID{c.Service.ServiceID, c.Destination.AddrPort()}]
	case ipvs.OpStartDaemon:
		return r.places.daemons[c.Daemon.State]
	case ipvs.OpSetTimeouts:
		return r.places.timeouts
	}
	return 0
}

// findPlaces reads the file again, since few files are refused anything. Of a
// service the last line that is not refused says what it is to be; of a
// server the one that adds it, since the kernel objects to its address.
func (r *ruleset) findPlaces(ctx context.Context) *places {
	p := &places{services: map[ipvs.ServiceID]int{}, destinations: map[destinationID]int{}, daemons: map[ipvs.DaemonState]int{}}
	refused := map[int]bool{}
	for _, c := range r.refused {
		refused[c.line] = !r.objections[c.line].stays
	}
	r.each(ctx, func(line int, c ipvs.Change, err error) {
		if err != nil || refused[line] {
			return
		}
		switch c.Op {
		case ipvs.OpAddService, ipvs.OpEditService:
			p.services[c.Service.ServiceID] = line
		case ipvs.OpAddDestination:
			p.destinations[destinationID{c.Service.ServiceID, c.Destination.AddrPort()}] = line
		case ipvs.OpStartDaemon:
			p.daemons[c.Daemon.State] = line
		case ipvs.OpSetTimeouts:
			p.timeouts = line
		}
	})
	return p
}

// notAChange is the failure of a command that a rule file cannot hold.
func notAChange(cmd args.Command) error {
	return &failure{notAChangeText(cmd), statusUsage}
}
