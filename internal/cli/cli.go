// SPDX-License-Identifier: Apache-2.0

// Package cli runs one command line, under the name ipvsadm, ipvsadm-save or
// ipvsadm-restore, and returns the exit status. It is the only place that
// knows messages and exit statuses.
package cli

import (
	"context"
	"fmt"
	"io"
	"path/filepath"

	"github.com/ipvsadm-go/ipvsadm/internal/args"
	"github.com/ipvsadm-go/ipvsadm/internal/manual"
	"github.com/ipvsadm-go/ipvsadm/internal/spec"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// The names besides ipvsadm under which the program runs.
const (
	saveName    = "ipvsadm-save"
	restoreName = "ipvsadm-restore"
)

// Run runs the process's command line and returns its exit status.
func Run(ctx context.Context, p Process) int { return newSession(p).start(ctx) }

func (s *session) start(ctx context.Context) int {
	s.parser = args.New(s.names)
	defer s.close()
	switch filepath.Base(s.Args[0]) {
	case saveName:
		return s.saveCommand(ctx)
	case restoreName:
		return s.restoreCommand(ctx)
	}
	return s.main(ctx)
}

func (s *session) main(ctx context.Context) int {
	if len(s.Args) == 1 {
		s.config.NoStats = true
		return s.report(s.list(ctx, args.Command{ID: spec.List}))
	}
	cmd, err := s.parse(ctx, s.Args[1:])
	switch {
	case err != nil:
		return s.report(err)
	case cmd.ID == spec.Restore:
		return s.restore(ctx, s.Stdin)
	case cmd.ID == spec.Apply:
		return s.apply(ctx, cmd)
	case cmd.ID == spec.Doctor:
		return s.doctor(ctx, cmd)
	case cmd.ID == spec.Watch:
		return s.watch(ctx, cmd)
	case cmd.Given.Has(spec.OptDrain):
		return s.drain(ctx, cmd)
	}
	if err := s.run(ctx, &cmd); err != nil {
		return s.report(err)
	}
	s.hint(subject{}, func(m machine) string { return m.successHint(cmd, s.Args) })
	return statusOK
}

// run runs a command that is neither restore nor apply, after it has
// completed one with --keep; its error is a *failure.
func (s *session) run(ctx context.Context, cmd *args.Command) error {
	switch cmd.ID {
	case spec.Help:
		return output(manual.Help(s.Stdout, s.program()))
	case spec.Version:
		_, err := io.WriteString(s.Stdout, versionText(s.Version()))
		return output(err)
	case spec.List:
		return s.list(ctx, *cmd)
	case spec.Monitor:
		return s.monitor(ctx, *cmd)
	case spec.Save:
		return s.save(ctx, *cmd)
	}
	if cmd.Keeps() {
		return s.keep(ctx, cmd)
	}
	change, ok := cmd.Change()
	if ok && cmd.Given.Has(spec.OptExist) {
		return s.changeExisting(ctx, change)
	}
	if !ok {
		return fmt.Errorf("the command %v has no change", cmd.ID)
	}
	return s.change(ctx, change)
}

func (s *session) change(ctx context.Context, c ipvs.Change) error {
	if err := s.open(ctx); err != nil {
		return err
	}
	s.before = s.readBefore(ctx, c)
	err := s.client.Apply(ctx, c)
	if err == nil {
		return nil
	}
	if c.Op == ipvs.OpEditService && s.before != nil {
		s.keepScheduler(ctx, s.before.Services[0].Service)
	}
	return changeFailure(c.Op, err)
}

// readBefore reads what a change is about to alter: a service that it edits,
// whose scheduler may have to be restored, and on a terminal what a hint may
// need. It returns nil if that is not known.
func (s *session) readBefore(ctx context.Context, c ipvs.Change) *ipvs.Table {
	id := c.Service.ServiceID
	hints := isTerminal(s.Stderr)
	switch {
	case c.Op == ipvs.OpFlush && hints:
		return s.kernelTable()
	case c.Op == ipvs.OpEditService:
	case hints && (c.Op == ipvs.OpDeleteService || c.Op == ipvs.OpEditDestination || c.Op == ipvs.OpDeleteDestination):
	default:
		return nil
	}
	var e ipvs.ServiceEntry
	var err error
	if c.Op == ipvs.OpEditService {
		e, err = s.client.Service(ctx, id)
	} else {
		e, err = s.readService(ctx, id)
	}
	if err != nil {
		return nil
	}
	return &ipvs.Table{Services: []ipvs.ServiceEntry{e}}
}

// keepScheduler restores a service's scheduler after a refused edit: kernels
// before mid-2026 remove the old one before they find that the new one does
// not start.
func (s *session) keepScheduler(ctx context.Context, before ipvs.Service) {
	now, err := s.client.Service(ctx, before.ServiceID)
	if err != nil || now.Scheduler != noScheduler || before.Scheduler == noScheduler {
		return
	}
	err = s.client.Apply(ctx, ipvs.Change{Op: ipvs.OpEditService, Service: before})
	fmt.Fprintln(s.Stderr, schedulerText(before, err))
}

// noScheduler is the kernel's name for no scheduler.
const noScheduler = "none"

func output(err error) error {
	if err != nil {
		return outputFailure(err)
	}
	return nil
}
