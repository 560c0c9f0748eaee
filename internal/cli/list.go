// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"io"
	"os/signal"

	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/internal/args"
	"github.com/ipvsadm-go/ipvsadm/internal/render"
	"github.com/ipvsadm-go/ipvsadm/internal/spec"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// formats are the options that choose a format; the first one given counts.
var formats = []struct {
	option spec.OptionID
	format render.Format
}{
	{spec.OptStats, render.Stats},
	{spec.OptRate, render.Rate},
	{spec.OptThresholds, render.Thresholds},
	{spec.OptPersistentConn, render.PersistentConn},
	{spec.OptTunnelInfo, render.TunnelInfo},
}

// writer returns the writer of the requested form.
func (s *session) writer(given spec.Set) render.Writer {
	if given.Has(spec.OptJSON) {
		return render.JSON(s.Stdout, renderOptions(given))
	}
	return render.Text(s.Stdout, s.names, renderOptions(given))
}

func renderOptions(given spec.Set) render.Options {
	o := render.Options{
		Numeric: given.Has(spec.OptNumeric),
		Exact:   given.Has(spec.OptExact),
		NoSort:  given.Has(spec.OptNoSort),
		Wide:    given.Has(spec.OptWide),
	}
	for _, f := range formats {
		if given.Has(f.option) {
			o.Format = f.format
			break
		}
	}
	return o
}

// list runs the list command; its error is a *failure. A reader that closes a
// pipe has read what it wanted.
func (s *session) list(ctx context.Context, cmd args.Command) error {
	signal.Ignore(unix.SIGPIPE)
	defer signal.Reset(unix.SIGPIPE)
	err := s.listTo(ctx, cmd)
	if errors.Is(err, unix.EPIPE) {
		return nil
	}
	return err
}

func (s *session) listTo(ctx context.Context, cmd args.Command) error {
	if err := s.open(ctx); err != nil {
		return err
	}
	if cmd.Given.Has(spec.OptMetrics) {
		return s.listMetrics(ctx, cmd)
	}
	p := s.writer(cmd.Given)
	var err error
	switch {
	case cmd.Given.Has(spec.OptConnection):
		err = s.listConnections(ctx, p, connectionFilter(cmd))
	case cmd.Given.HasAny(spec.ServiceAddress):
		err = s.listService(ctx, p, cmd.Service.ServiceID)
	case cmd.Given.Has(spec.OptTimeout):
		var t ipvs.Timeouts
		if t, err = s.client.Timeouts(ctx); err != nil {
			return listFailure(err)
		}
		err = output(p.Timeouts(t))
	case cmd.Given.Has(spec.OptDaemon):
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

func (s *session) listTable(ctx context.Context, p render.Writer) error {
	info, err := s.client.Info(ctx)
	if err != nil {
		return listFailure(err)
	}
	t, err := s.readTable(ctx, services)
	if err := s.reportPartial(err); err != nil {
		return err
	}
	return output(p.Table(ctx, info, t.Services))
}

// listMetrics fails if the table keeps changing, since a missing service
// would look deleted.
func (s *session) listMetrics(ctx context.Context, cmd args.Command) error {
	info, err := s.client.Info(ctx)
	if err != nil {
		return listFailure(err)
	}
	totals, err := s.client.Totals(ctx)
	if err != nil {
		return listFailure(err)
	}
	t, err := s.readTable(ctx, services)
	if err != nil {
		return listFailure(err)
	}
	return s.deliver(cmd, func(out io.Writer) error {
		return render.Metrics(out, renderOptions(cmd.Given), info, totals, t.Services)
	})
}

func (s *session) listService(ctx context.Context, p render.Writer, id ipvs.ServiceID) error {
	info, err := s.client.Info(ctx)
	if err != nil {
		return listFailure(err)
	}
	e, err := s.readService(ctx, id)
	if errors.Is(err, ipvs.ErrNoService) {
		err = &ipvs.ChangeError{Change: ipvs.Change{Service: ipvs.Service{ServiceID: id}}, Err: err}
	}
	if err := s.reportPartial(err); err != nil {
		return err
	}
	return output(p.Services(ctx, info, []ipvs.ServiceEntry{e}))
}

func connectionFilter(cmd args.Command) ipvs.ConnectionFilter {
	f := ipvs.ConnectionFilter{Client: cmd.Client, State: cmd.State}
	if cmd.Given.HasAny(spec.ServiceAddress) {
		f.Service = cmd.Service.ServiceID
	}
	if cmd.Given.Has(spec.OptRealServer) {
		f.Destination = cmd.Destination.AddrPort()
	}
	return f
}

func (s *session) listConnections(ctx context.Context, p render.Writer, filter ipvs.ConnectionFilter) error {
	if err := s.probe(ctx); err != nil {
		return err
	}
	var unread error
	rows := func(yield func(ipvs.Connection, error) bool) {
		for c, err := range s.client.Connections(ctx, filter) {
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
