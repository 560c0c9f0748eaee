// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"

	"github.com/ipvsadm-go/ipvsadm/internal/args"
	"github.com/ipvsadm-go/ipvsadm/internal/rule"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// ruleset is a rule file that has been read: its lines, folded into the table
// that they describe.
type ruleset struct {
	session *session
	lines   []string
	want    *ipvs.Table
	// daemons has each sync daemon that the file speaks of, with the line that
	// stops it before any has started it, else 0.
	daemons map[ipvs.DaemonState]int
	faults  []complaint // lines that are no commands
	refused []complaint // lines that the kernel refuses
	last    int         // the last line with a command
	places  *places     // made when first asked for
}

// complaint is a message about a line.
type complaint struct {
	line int
	text string
}

// newRuleset reads a file. Its faults and refusals are those that show
// without a kernel.
func newRuleset(ctx context.Context, s *session, text string) *ruleset {
	r := &ruleset{session: s, lines: strings.Split(text, "\n"), want: &ipvs.Table{}, daemons: map[ipvs.DaemonState]int{}}
	r.each(ctx, func(line int, c ipvs.Change, err error) {
		r.last = line
		if err == nil {
			r.introduce(line, c)
			if err = r.want.Apply(c); err != nil {
				r.refuse(line, c.Op, err)
			}
			return
		}
		var f *failure
		errors.As(err, &f)
		r.faults = append(r.faults, complaint{line, f.text})
	})
	return r
}

// each reads the lines one by one; blank ones and comments are passed over.
func (r *ruleset) each(ctx context.Context, f func(line int, c ipvs.Change, err error)) {
	for i, line := range r.lines {
		words := rule.Words(line)
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
		f(i+1, c, err)
	}
}

// introduce makes the first word about a daemon count from what is running: a
// start finds none, so that one that runs already is no mistake, and a stop
// finds one, which meet looks for.
func (r *ruleset) introduce(line int, c ipvs.Change) {
	if c.Op != ipvs.StartDaemon && c.Op != ipvs.StopDaemon {
		return
	}
	state := c.Daemon.State
	if _, known := r.daemons[state]; known {
		return
	}
	r.daemons[state] = 0
	if c.Op == ipvs.StopDaemon {
		r.daemons[state] = line
		r.want.Daemons = append(r.want.Daemons, ipvs.Daemon{State: state})
	}
}

// meet takes over from the table as it is what the file does not speak of.
func (r *ruleset) meet(have *ipvs.Table) {
	running := map[ipvs.DaemonState]bool{}
	for _, d := range have.Daemons {
		running[d.State] = true
		if _, spoken := r.daemons[d.State]; !spoken {
			r.want.Daemons = append(r.want.Daemons, d)
		}
	}
	for state, line := range r.daemons {
		if line > 0 && !running[state] {
			r.refuse(line, ipvs.StopDaemon, ipvs.ErrNoDaemon)
		}
	}
}

func (r *ruleset) refuse(line int, op ipvs.Op, err error) {
	if !slices.ContainsFunc(r.refused, func(c complaint) bool { return c.line == line }) {
		r.refused = append(r.refused, complaint{line, refusalText(op, err)})
	}
}

// complaints are all of them in the order of the lines.
func (r *ruleset) complaints() []complaint {
	all := slices.Concat(r.faults, r.refused)
	slices.SortStableFunc(all, func(a, b complaint) int { return a.line - b.line })
	return all
}

// status is 1.31's: that of the last line.
func (r *ruleset) status() int {
	if slices.ContainsFunc(r.refused, func(c complaint) bool { return c.line == r.last }) {
		return statusRefused
	}
	return statusOK
}

// withdraw takes what the kernel refused out of the wanted table, back to how
// it was in have.
func (r *ruleset) withdraw(ctx context.Context, e *ipvs.ChangeError, have *ipvs.Table) {
	c := e.Change
	r.refuse(r.lineOf(ctx, c), c.Op, e)
	s, was := r.want.Lookup(c.Service.ServiceID), have.Lookup(c.Service.ServiceID)
	switch c.Op {
	case ipvs.AddService:
		_ = r.want.Apply(ipvs.Change{Op: ipvs.DeleteService, Service: c.Service})
	case ipvs.EditService:
		if s != nil && was != nil {
			s.Service = was.Service
		}
	case ipvs.AddDestination:
		if s != nil { // else it went with its service
			_ = r.want.Apply(ipvs.Change{Op: ipvs.DeleteDestination, Service: c.Service, Destination: c.Destination})
		}
	case ipvs.EditDestination:
		if s != nil && was != nil {
			if d, old := s.Lookup(c.Destination.AddrPort()), was.Lookup(c.Destination.AddrPort()); d != nil && old != nil {
				d.Destination = old.Destination
			}
		}
	case ipvs.SetTimeouts:
		r.want.Timeouts = ipvs.Timeouts{}
	case ipvs.StartDaemon:
		same := func(d ipvs.Daemon) bool { return d.State == c.Daemon.State }
		r.want.Daemons = slices.DeleteFunc(r.want.Daemons, same)
		if i := slices.IndexFunc(have.Daemons, same); i >= 0 {
			r.want.Daemons = append(r.want.Daemons, have.Daemons[i])
		}
	}
}

// places tells where in the file a part of the table was described last.
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

// lineOf finds the line that a change is from. It reads the file again, since
// few files are refused anything.
func (r *ruleset) lineOf(ctx context.Context, c ipvs.Change) int {
	if r.places == nil {
		p := &places{services: map[ipvs.ServiceID]int{}, destinations: map[destinationID]int{}, daemons: map[ipvs.DaemonState]int{}}
		r.each(ctx, func(line int, c ipvs.Change, err error) {
			if err != nil {
				return
			}
			switch c.Op {
			case ipvs.AddService, ipvs.EditService:
				p.services[c.Service.ServiceID] = line
			case ipvs.AddDestination, ipvs.EditDestination:
				p.destinations[destinationID{c.Service.ServiceID, c.Destination.AddrPort()}] = line
			case ipvs.StartDaemon:
				p.daemons[c.Daemon.State] = line
			case ipvs.SetTimeouts:
				p.timeouts = line
			}
		})
		r.places = p
	}
	switch c.Op {
	case ipvs.AddDestination, ipvs.EditDestination:
		return r.places.destinations[destinationID{c.Service.ServiceID, c.Destination.AddrPort()}]
	case ipvs.StartDaemon:
		return r.places.daemons[c.Daemon.State]
	case ipvs.SetTimeouts:
		return r.places.timeouts
	}
	return r.places.services[c.Service.ServiceID]
}

// notAChange is the failure of a command that a rule file cannot hold.
func notAChange(cmd *args.Command) error {
	return &failure{notAChangeText(cmd), statusUsage}
}
