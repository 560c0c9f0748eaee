// SPDX-License-Identifier: Apache-2.0

// Package args parses command lines: the program's own, and the lines of rule
// text. It accepts every command line that ipvsadm 1.31 accepts, and reports
// the same fault as 1.31 for others: it checks the values of options from
// left to right, and then the rest in the order of 1.31.
package args

import (
	"context"
	"net/netip"
	"time"

	"github.com/spf13/pflag"

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

	Client netip.Prefix // --client, for a list of connections
	State  string       // --state, for a list of connections

	File   string // the argument of apply or doctor, or empty
	Output string // --output or --update, for save and list
	Lock   string // --lock, for apply; empty for the default
	NetNS  string // --netns, for any command; empty for the program's own

	Drain    time.Duration // --drain: maximum time for connections to end
	Interval time.Duration // the time between readings of monitor and watch

	schedFlags string // the value of --sched-flags, for KeepService
	completed  bool   // by KeepService or KeepServer
}

// Change returns the change that the command makes to the table. It reports
// false if the command makes none or several changes, or is incomplete: see
// Keeps.
func (c *Command) Change() (ipvs.Change, bool) {
	if c.Keeps() && !c.completed {
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

// Parser parses command lines. It can be used for many command lines, but not
// concurrently.
type Parser struct {
	names  Names
	reader reader
	scan   scan
}

// Names looks up names; *names.Resolver implements it.
type Names interface {
	Host4(ctx context.Context, name string) (netip.Addr, error)
	Host6(ctx context.Context, name string) (netip.Addr, error)
	Port(name, proto string) (uint16, bool)
}

// New returns a parser that looks up names with n.
func New(n Names) *Parser {
	return &Parser{names: n, reader: reader{flags: pflag.NewFlagSet("", pflag.ContinueOnError)}}
}

// Parse parses the words after the program's name. The error is a *Fault, or
// the error of ctx if that canceled a lookup.
func (p *Parser) Parse(ctx context.Context, argv []string) (Command, error) {
	return p.parse(ctx, argv, false)
}

// ParseRule parses the words of a line of rule text, in which global options
// are unknown. It returns the same errors as Parse.
func (p *Parser) ParseRule(ctx context.Context, words []string) (Command, error) {
	return p.parse(ctx, words, true)
}

func (p *Parser) parse(ctx context.Context, argv []string, isRule bool) (Command, error) {
	s := &p.scan
	*s = scan{} // in place, to avoid a copy of the large struct
	s.ctx, s.names = ctx, p.names
	s.cmd.setDefaults()
	if err := p.read(argv, isRule); err != nil {
		return Command{}, err
	}
	return s.cmd, nil
}

func (p *Parser) read(argv []string, isRule bool) error {
	s, r := &p.scan, &p.reader
	*r = reader{flags: r.flags, words: argv, args: r.args[:0], isRule: isRule}
	for r.next() {
		if err := s.accept(r); err != nil {
			return withWord(err, r)
		}
		if s.cmd.ID == spec.Help || s.cmd.ID == spec.Version {
			return nil // the rest of the line is ignored
		}
	}
	switch {
	case s.cmd.ID == 0 && s.cmd.Given != 0 && r.fault == nil && len(r.args) == 0:
		s.cmd.ID = spec.List // the default with global options only
	case s.cmd.ID == 0:
		return notACommand(r)
	case r.fault != nil:
		return r.fault
	}
	return s.finish(r.args)
}

// withWord sets the faulty word of a fault. For an illegal value, that is the
// value of the current option.
func withWord(err error, r *reader) error {
	f, ok := err.(*Fault)
	if !ok {
		return err
	}
	switch f.Kind {
	case NotACommand:
		if f = notACommand(r); f.Word == "" {
			f.Word = r.word
		}
	case IllegalValue, IllegalChoice, InvalidTimeout, InvalidMark, IllegalPrefix, InvalidGroup4, InvalidGroup6:
		f.Word, f.Option = r.value, r.row.Option
	}
	return f
}

// notACommand returns the fault for a line that does not begin with a
// command. The faulty word is its first argument or unknown option.
func notACommand(r *reader) *Fault {
	f := fault(NotACommand)
	switch {
	case len(r.args) > 0:
		f.Word = r.args[0]
	case r.fault != nil:
		f.Word = r.fault.Word
	}
	return f
}

// setDefaults sets the values that options can change.
func (c *Command) setDefaults() {
	c.Service.ServiceID = ipvs.MarkID(0, ipvs.IPv4)
	c.Service.Netmask = ipvs.FullNetmask(ipvs.IPv4)
	c.Destination.Forward, c.Destination.Weight = ipvs.Route, 1
}
