// SPDX-License-Identifier: Apache-2.0

// Package args reads command lines: those that the program is started with,
// and each line of rule text, which is one too. It accepts what ipvsadm 1.31
// accepts, in each spelling, and finds the fault that 1.31 finds: values are
// judged from left to right as the options come, then the rest in 1.31's
// order.
package args

import (
	"context"
	"net/netip"

	"github.com/spf13/pflag"

	"github.com/ipvsadm-go/ipvsadm/internal/names"
	"github.com/ipvsadm-go/ipvsadm/internal/spec"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// Command is a command line that has been understood.
type Command struct {
	ID    spec.CommandID
	Given spec.Set // the options that were given, but for spec.Uncounted

	Service     ipvs.Service
	Destination ipvs.Destination
	Timeouts    ipvs.Timeouts
	Daemon      ipvs.Daemon

	Client netip.Prefix // of a list of connections
	State  string       // of a list of connections

	File   string // the argument of apply, empty if there is none
	Output string // of save and list, the file of --output or --update
	Lock   string // of apply, empty for the usual one
	NetNS  string // of any command, empty for that of the program
}

// Change is what the command does to the table; false for a command that
// does nothing to it, or more than a change can say.
func (c *Command) Change() (ipvs.Change, bool) {
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
	names  *names.Resolver
	reader reader
	scan   scan
}

// New makes a parser that looks names up with the resolver.
func New(r *names.Resolver) *Parser {
	return &Parser{names: r, reader: reader{flags: pflag.NewFlagSet("", pflag.ContinueOnError)}}
}

// Parse reads the words after the program's name. The error is a *Fault, or
// the context's if it ended a look-up.
func (p *Parser) Parse(ctx context.Context, argv []string) (Command, error) {
	return p.parse(ctx, argv, false)
}

// ParseRule reads the words of a line of rule text, in which the options that
// concern the whole program are unknown. The error is as for Parse.
func (p *Parser) ParseRule(ctx context.Context, words []string) (Command, error) {
	return p.parse(ctx, words, true)
}

func (p *Parser) parse(ctx context.Context, argv []string, isRule bool) (Command, error) {
	p.scan = scan{ctx: ctx, names: p.names, cmd: newCommand()}
	s, r := &p.scan, &p.reader
	r.start(argv, isRule)
	for r.next() {
		if err := s.take(r); err != nil {
			return Command{}, err
		}
		if s.cmd.ID == spec.Help || s.cmd.ID == spec.Version {
			return s.cmd, nil // whatever follows
		}
	}
	switch {
	case s.cmd.ID == 0 && s.cmd.Given != 0 && r.fault == nil && r.plain == nil:
		s.cmd.ID = spec.List // as without any words
	case s.cmd.ID == 0:
		return Command{}, fault(NotACommand)
	case r.fault != nil:
		return Command{}, r.fault
	}
	if err := s.finish(r.plain); err != nil {
		return Command{}, err
	}
	return s.cmd, nil
}

func newCommand() Command {
	return Command{
		Service: ipvs.Service{
			ServiceID: ipvs.MarkID(0, ipvs.IPv4),
			Netmask:   ipvs.FullNetmask(ipvs.IPv4),
		},
		Destination: ipvs.Destination{Forward: ipvs.Route, Weight: 1},
	}
}
