// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bufio"
	"bytes"
	"context"
	"io"

	"github.com/ipvsadm-go/ipvsadm/internal/args"
	"github.com/ipvsadm-go/ipvsadm/internal/outfile"
	"github.com/ipvsadm-go/ipvsadm/internal/render"
	"github.com/ipvsadm-go/ipvsadm/internal/rule"
	"github.com/ipvsadm-go/ipvsadm/internal/spec"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// formats are the options that choose a format; the first one given counts.
var formats = []struct {
	group  spec.Group
	format render.Format
}{
	{spec.Stats, render.Stats},
	{spec.Rate, render.Rate},
	{spec.Thresholds, render.Thresholds},
	{spec.PersistentConn, render.PersistentConn},
	{spec.TunnelInfo, render.TunnelInfo},
}

func renderOptions(given spec.Groups) render.Options {
	o := render.Options{
		Numeric: given.Has(spec.Numeric),
		Exact:   given.Has(spec.Exact),
		NoSort:  given.Has(spec.NoSort),
	}
	for _, f := range formats {
		if given.Has(f.group) {
			o.Format = f.format
			break
		}
	}
	return o
}

// list runs the list command; its error is a *failure.
func (s *session) list(ctx context.Context, cmd args.Command) error {
	if err := s.open(ctx); err != nil {
		return err
	}
	p := render.New(s.Stdout, s.names, renderOptions(cmd.Given))
	var err error
	switch {
	case cmd.Given.Has(spec.Connection):
		err = s.listConnections(ctx, p)
	case cmd.Given.Has(spec.ServiceAddress):
		err = s.listService(ctx, p, cmd.Service.ServiceID)
	case cmd.Given.Has(spec.Timeout):
		var t ipvs.Timeouts
		if t, err = s.client.Timeouts(ctx); err != nil {
			return listFailure(err)
		}
		err = output(p.Timeouts(t))
	case cmd.Given.Has(spec.Daemon):
		var d []ipvs.Daemon
		if d, err = s.client.Daemons(ctx); err != nil {
			return listFailure(err)
		}
		err = output(p.Daemons(d))
	default:
		err = s.listTable(ctx, p)
	}
	if e := output(p.Flush()); err == nil {
		err = e
	}
	return err
}

func (s *session) listTable(ctx context.Context, p *render.Printer) error {
	info, err := s.client.Info(ctx)
	if err != nil {
		return listFailure(err)
	}
	services, err := s.client.ServicesWithDestinations(ctx)
	if err != nil {
		return listFailure(err)
	}
	return output(p.Table(ctx, info, services))
}

func (s *session) listService(ctx context.Context, p *render.Printer, id ipvs.ServiceID) error {
	e, err := s.client.Service(ctx, id)
	if err != nil {
		return listFailure(err)
	}
	if e.Destinations, err = s.client.Destinations(ctx, id); err != nil {
		return listFailure(err)
	}
	return output(p.Services(ctx, []ipvs.ServiceEntry{e}))
}

func (s *session) listConnections(ctx context.Context, p *render.Printer) error {
	if err := s.reach(ctx); err != nil {
		return err
	}
	var unread error
	rows := func(yield func(ipvs.Connection, error) bool) {
		for c, err := range s.client.Connections(ctx) {
			if unread == nil {
				unread = err
			}
			if !yield(c, err) {
				return
			}
		}
	}
	err := p.Connections(ctx, rows)
	if unread != nil {
		return listFailure(unread)
	}
	return output(err)
}

// save writes the table as rule text; its error is a *failure.
func (s *session) save(ctx context.Context, cmd args.Command) error {
	if err := s.open(ctx); err != nil {
		return err
	}
	// Everything is read before anything is written.
	var t ipvs.Table
	var err error
	if t.Services, err = s.client.ServicesWithDestinations(ctx); err != nil {
		return listFailure(err)
	}
	if cmd.Given.Has(spec.All) {
		if t.Timeouts, err = s.client.Timeouts(ctx); err != nil {
			return listFailure(err)
		}
		if t.Daemons, err = s.client.Daemons(ctx); err != nil {
			return listFailure(err)
		}
	}
	render.Sort(t.Services)
	var w rule.Writer
	if !cmd.Given.Has(spec.Numeric) {
		w.Names = s.names
		s.names.Prefetch(ctx, render.Addresses(t.Services))
	}
	if !cmd.Given.Has(spec.Output) || cmd.Output == "-" {
		return output(writeRules(ctx, s.Stdout, w, &t))
	}
	var text bytes.Buffer
	_ = writeRules(ctx, &text, w, &t) // a Buffer takes everything
	if err := outfile.Write(cmd.Output, text.Bytes()); err != nil {
		return saveFailure(cmd.Output, err)
	}
	return nil
}

// writeRules writes the lines that make the table from an empty one; timeouts
// and daemons where it has any. Daemons come last, since while one runs the
// kernel takes no server of another family than its service.
func writeRules(ctx context.Context, to io.Writer, w rule.Writer, t *ipvs.Table) error {
	out := bufio.NewWriterSize(to, 64<<10)
	// The first error of a bufio.Writer stays with it.
	line := func(c ipvs.Change) { _, _ = out.Write(append(w.Append(ctx, out.AvailableBuffer(), c), '\n')) }
	if t.Timeouts != (ipvs.Timeouts{}) {
		line(ipvs.Change{Op: ipvs.SetTimeouts, Timeouts: t.Timeouts})
	}
	for i := range t.Services {
		s := &t.Services[i]
		line(ipvs.Change{Op: ipvs.AddService, Service: s.Service})
		id := ipvs.Service{ServiceID: s.ServiceID}
		for j := range s.Destinations {
			line(ipvs.Change{Op: ipvs.AddDestination, Service: id, Destination: s.Destinations[j].Destination})
		}
	}
	for _, d := range t.Daemons {
		line(ipvs.Change{Op: ipvs.StartDaemon, Daemon: d})
	}
	return out.Flush()
}
