// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/internal/args"
	"github.com/ipvsadm-go/ipvsadm/internal/render"
	"github.com/ipvsadm-go/ipvsadm/internal/spec"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// formats are the options that choose a format. If several are given, the first
// of these rows counts.
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

func renderOptions(given spec.Set) render.Options {
	o := render.Options{
		Named:   given.HasAny(spec.ServiceAddress),
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

// listCommand prints the table or a part of it.
type listCommand struct {
	*session
	cmd   *args.Command
	empty bool // no connection was listed
}

func (c *listCommand) Run(ctx context.Context) error {
	defer ignorePipe()()
	err := c.list(ctx)
	if errors.Is(err, unix.EPIPE) {
		return nil // the reader closed the pipe, as head does
	}
	return err
}

// successHint returns the reason why no connection was listed.
func (c *listCommand) successHint(machine) string {
	if !c.empty || !c.cmd.Given.HasAny(spec.ServiceAddress) {
		return ""
	}
	id := c.cmd.Service.ServiceID
	e, err := c.client.Service(context.Background(), id)
	switch {
	case errors.Is(err, ipvs.ErrNoService):
		return fmt.Sprintf("there is no virtual service %v: list them with ipvsadm -Ln", id)
	case err == nil && id.FWMark != 0 && e.Flags&ipvs.FlagPersistent == 0:
		return "connections do not record the mark: only templates of a persistent service (-p) are listed"
	}
	return ""
}

func (c *listCommand) list(ctx context.Context) error {
	given := c.cmd.Given
	open := c.open
	if given.HasAny(spec.Of(spec.OptJSON, spec.OptMetrics)) {
		open = c.openToRead
	}
	if err := open(ctx); err != nil {
		return err
	}
	if given.Has(spec.OptMetrics) {
		return c.listMetrics(ctx)
	}
	p := render.Text(c.Stdout, c.names, renderOptions(given))
	if given.Has(spec.OptJSON) {
		p = render.JSON(c.Stdout, renderOptions(given))
	}
	var err error
	switch {
	case given.Has(spec.OptConnection):
		err = c.listConnections(ctx, p)
	case given.Has(spec.OptTimeout):
		var t ipvs.Timeouts
		if t, err = c.client.Timeouts(ctx); err != nil {
			return listFailure(err)
		}
		err = output(p.Timeouts(t))
	case given.Has(spec.OptDaemon):
		var d []ipvs.Daemon
		if d, err = c.client.Daemons(ctx); err != nil {
			return listFailure(err)
		}
		err = output(p.Daemons(d))
	default:
		err = c.listTable(ctx, p)
	}
	if e := output(p.Flush()); err == nil {
		err = e
	}
	return err
}

// listTable lists the table, or the service that the command line names.
func (c *listCommand) listTable(ctx context.Context, p render.Writer) error {
	info, err := c.client.Info(ctx)
	if err != nil {
		return listFailure(err)
	}
	t, err := c.readNamed(ctx, c.cmd, services)
	if err := c.reportPartial(cmp.Or(err, noServiceError(c.cmd, t.Services))); err != nil {
		return err
	}
	return output(p.Table(ctx, info, t.Services))
}

// listMetrics fails if the table keeps changing, since a missing service
// would look deleted.
func (c *listCommand) listMetrics(ctx context.Context) error {
	info, err := c.client.Info(ctx)
	if err != nil {
		return listFailure(err)
	}
	totals, err := c.client.Totals(ctx)
	if err != nil {
		return listFailure(err)
	}
	t, err := c.readTable(ctx, wholeTable)
	if err != nil {
		return listFailure(err)
	}
	options := renderOptions(c.cmd.Given)
	options.NetNS = c.config.NetNS
	return deliver(c.session, c.cmd, func(out io.Writer) error {
		return render.Metrics(out, options, info, totals, t)
	})
}

func (c *listCommand) filter() ipvs.ConnectionFilter {
	f := ipvs.ConnectionFilter{Client: c.cmd.Client, State: c.cmd.State}
	if c.cmd.Given.HasAny(spec.ServiceAddress) {
		f.Service = c.cmd.Service.ServiceID
	}
	if c.cmd.Given.Has(spec.OptRealServer) {
		f.Destination = c.cmd.Destination.AddrPort()
	}
	return f
}

func (c *listCommand) listConnections(ctx context.Context, p render.Writer) error {
	if err := c.probe(ctx); err != nil {
		return err
	}
	var unread error
	c.empty = true
	rows := func(yield func(ipvs.Connection, error) bool) {
		for conn, err := range c.client.Connections(ctx, c.filter()) {
			if unread == nil {
				unread = err
			}
			c.empty = false
			if !yield(conn, err) {
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
