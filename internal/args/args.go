// SPDX-License-Identifier: Apache-2.0

// Package args reads command lines: the program's own, and the lines of rule
// text. It accepts what ipvsadm 1.31 accepts, in every spelling, and reports
// the fault that 1.31 reports: values are checked from left to right as the
// options come, then everything else in 1.31's order.
package args

import (
	"context"
	"net/netip"
	"time"

	"github.com/spf13/pflag"

	"github.com/ipvsadm-go/ipvsadm/internal/names"
	"github.com/ipvsadm-go/ipvsadm/internal/spec"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// Command is a parsed command line.
type Command struct {
	ID    spec.CommandID
	Given spec.Set // the options given, except those in spec.Uncounted

	Service     ipvs.Service
	Destination ipvs.Destination
	Timeouts    ipvs.Timeouts
	Daemon      ipvs.Daemon

	Client netip.Prefix // of a list of connections
	State  string       // of a list of connections

	File   string // the argument of apply or doctor, empty if there is none
	Output string // of save and list, the file of --output or --update
	Lock   string // of apply, empty for the default
	NetNS  string // of any command, empty for the program's own

	Drain    time.Duration // how long connections have to end
	Interval time.Duration // of monitor and watch

	schedFlags string // the value of --sched-flags, for KeepService
	kept       bool   // completed by KeepService or KeepServer
}

// Change returns the change that the command makes to the table. It reports
// false for a command that makes none, or more than one, and for one that is
// not complete; see Keeps.
func (c *Command) Change() (ipvs.Change, bool) {
	if c.Keeps() && !c.kept {
		return ipvs.Change{}, false
	}
	id := ipvs.Service{ServiceID: c.Service.ServiceID}
	switch c.ID {
	case spec.AddService:
		return ipvs.Change{Op: ipvs.OpAddService, Service: c.Service}, true
	case spec.EditService:
		return ipvs.Change{Op: ipvs.OpEditService, Service: c.Service}, true
	case spec.DeleteService:
		return ipvs.Change{Op: ipvs.OpDeleteService, Service: id}, true
	case spec.AddServer:
		return ipvs.Change{Op: ipvs.OpAddDestination, Service: id, Destination: c.Destination}, true
	case spec.EditServer:
		return ipvs.Change{Op: ipvs.OpEditDestination, Service: id, Destination: c.Destination}, true
	case spec.DeleteServer:
		d := ipvs.Destination{Addr: c.Destination.Addr, Port: c.Destination.Port}
		return ipvs.Change{Op: ipvs.OpDeleteDestination, Service: id, Destination: d}, true
	case spec.Flush:
		return ipvs.Change{Op: ipvs.OpFlush}, true
	case spec.Zero:
		if c.Given.HasAny(spec.ServiceAddress) {
			return ipvs.Change{Op: ipvs.OpZeroService, Service: id}, true
		}
		return ipvs.Change{Op: ipvs.OpZero}, true
	case spec.SetTimeouts:
		return ipvs.Change{Op: ipvs.OpSetTimeouts, Timeouts: c.Timeouts}, true
	case spec.StartDaemon:
		return ipvs.Change{Op: ipvs.OpStartDaemon, Daemon: c.Daemon}, true
	case spec.StopDaemon:
		return ipvs.Change{Op: ipvs.OpStopDaemon, Daemon: ipvs.Daemon{State: c.Daemon.State}}, true
	}
	return ipvs.Change{}, false
}

// Parser reads command lines, one after the other. It is not safe for
// concurrent use.
type Parser struct {
	names  Names
	reader reader
	scan   scan
}

// Names looks names up, as a names.Resolver does. A host whose error is
// names.ErrPending is being looked up.
type Names interface {
	Host4(ctx context.Context, name string) (netip.Addr, error)
	Host6(ctx context.Context, name string) (netip.Addr, error)
	Port(name, proto string) (uint16, bool)
}

// New returns a parser that looks up names with n.
func New(n Names) *Parser {
	return &Parser{names: n, reader: reader{flags: pflag.NewFlagSet("", pflag.ContinueOnError), letter: new(letters)}}
}

// Parse reads the words after the program's name. The error is a *Fault, or
// the context's if it ended a look-up, or names.ErrPending, whatever faults
// there are, if some host is being looked up.
func (p *Parser) Parse(ctx context.Context, argv []string) (Command, error) {
	return p.parse(ctx, argv, false)
}

// ParseRule reads the words of a line of rule text, where global options are
// unknown. The error is as for Parse.
func (p *Parser) ParseRule(ctx context.Context, words []string) (Command, error) {
	return p.parse(ctx, words, true)
}

func (p *Parser) parse(ctx context.Context, argv []string, isRule bool) (Command, error) {
	s := &p.scan
	*s = scan{} // in place, without a copy
	s.ctx, s.names = ctx, p.names
	s.cmd.setDefaults()
	err := p.read(argv, isRule)
	if s.pending {
		err = names.ErrPending
	}
	if err != nil {
		return Command{}, err
	}
	return s.cmd, nil
}

func (p *Parser) read(argv []string, isRule bool) error {
	s, r := &p.scan, &p.reader
	r.start(argv, isRule)
	for r.next() {
		if err := s.accept(r); err != nil {
			return blame(err, r)
		}
		if s.cmd.ID == spec.Help || s.cmd.ID == spec.Version {
			return nil // whatever follows
		}
	}
	switch {
	case s.cmd.ID == 0 && s.cmd.Given != 0 && r.fault == nil && len(r.plain) == 0:
		s.cmd.ID = spec.List // as without any words
	case s.cmd.ID == 0:
		return notACommand(r)
	case r.fault != nil:
		return r.fault
	}
	return s.finish(r.plain)
}

// blame names the word that a fault is in: where a value is no good, the one
// that was taken last.
func blame(err error, r *reader) error {
	f, ok := err.(*Fault)
	if !ok {
		return err
	}
	switch f.Kind {
	case NotACommand:
		if f = notACommand(r); f.Word == "" {
			f.Word = r.word
		}
	case IllegalValue, InvalidTimeout, InvalidMark, IllegalPrefix, InvalidGroup4, InvalidGroup6:
		f.Word, f.Option = r.value, r.row.Option
	}
	return f
}

// notACommand is the fault of a line without a command. It names the first word
// that stands in its place.
func notACommand(r *reader) *Fault {
	f := fault(NotACommand)
	switch {
	case len(r.plain) > 0:
		f.Word = r.plain[0]
	case r.fault != nil:
		f.Word = r.fault.Word
	}
	return f
}

// setDefaults sets what a command line without words has.
func (c *Command) setDefaults() {
	c.Service.ServiceID = ipvs.MarkID(0, ipvs.IPv4)
	c.Service.Netmask = ipvs.FullNetmask(ipvs.IPv4)
	c.Destination.Forward, c.Destination.Weight = ipvs.Route, 1
}
