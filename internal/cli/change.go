// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/ipvsadm-go/ipvsadm/internal/args"
	"github.com/ipvsadm-go/ipvsadm/internal/spec"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// changeCommand makes one change. With --exist the addition of an existing
// entry edits it, and the deletion of a missing one is ignored.
type changeCommand struct {
	*session
	cmd *args.Command
}

func (c changeCommand) Run(ctx context.Context) error {
	change, _ := c.cmd.Change()
	err := c.apply(ctx, change)
	if err == nil || !c.cmd.Given.Has(spec.OptExist) {
		return err
	}
	switch {
	case errors.Is(err, ipvs.ErrServiceExists):
		change.Op = ipvs.OpEditService
		return c.apply(ctx, change)
	case errors.Is(err, ipvs.ErrDestinationExists):
		change.Op = ipvs.OpEditDestination
		return c.apply(ctx, change)
	case isDeletion(change) && isMissing(err):
		return nil
	}
	return err
}

func (c changeCommand) successHint(m machine) string { return m.successHint(*c.cmd, c.Args) }

func isDeletion(c ipvs.Change) bool {
	return c.Op == ipvs.OpDeleteService || c.Op == ipvs.OpDeleteDestination
}

// isMissing reports whether an error means that an entry does not exist.
func isMissing(err error) bool {
	return errors.Is(err, ipvs.ErrNoService) || errors.Is(err, ipvs.ErrNoDestination)
}

// apply makes a change; its error is a *failure.
func (c changeCommand) apply(ctx context.Context, change ipvs.Change) error {
	if err := c.open(ctx); err != nil {
		return err
	}
	c.before = c.readBefore(ctx, change)
	err := c.client.Apply(ctx, change)
	if err == nil {
		return nil
	}
	if change.Op == ipvs.OpEditService && c.before != nil {
		c.keepScheduler(ctx, c.before.Services[0].Service)
	}
	return changeFailure(change.Op, err)
}

// readBefore reads the entries that a change will alter: a service before an
// edit, whose scheduler may have to be restored, and on a terminal the server
// before an edit, for the hint. It returns nil if none are needed or they cannot be read.
func (c changeCommand) readBefore(ctx context.Context, change ipvs.Change) *ipvs.Table {
	var e ipvs.ServiceEntry
	var err error
	switch {
	case change.Op == ipvs.OpEditService:
		e, err = c.client.Service(ctx, change.Service.ServiceID)
	case change.Op == ipvs.OpEditDestination && isTerminal(c.Stderr):
		e, err = c.readService(ctx, change.Service.ServiceID)
	default:
		return nil
	}
	if err != nil {
		return nil
	}
	return &ipvs.Table{Services: []ipvs.ServiceEntry{e}}
}

// noScheduler is the scheduler that the kernel reports if there is none.
const noScheduler = "none"

// keepScheduler restores a service's scheduler after a refused edit: kernels
// before mid-2026 remove the old scheduler before they start the new one,
// which may fail.
func (c changeCommand) keepScheduler(ctx context.Context, before ipvs.Service) {
	now, err := c.client.Service(ctx, before.ServiceID)
	if err != nil || now.Scheduler != noScheduler || before.Scheduler == noScheduler {
		return
	}
	err = c.client.Apply(ctx, ipvs.Change{Op: ipvs.OpEditService, Service: before})
	fmt.Fprintln(c.Stderr, schedulerText(before, err))
}
