// SPDX-License-Identifier: Apache-2.0

package cli

// This file runs the command doctor: it hands the table and the machine to
// package doctor, and prints what that finds.

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/args"
	"github.com/ipvsadm-go/ipvsadm/internal/doctor"
	"github.com/ipvsadm-go/ipvsadm/internal/render"
	"github.com/ipvsadm-go/ipvsadm/internal/spec"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// examination is how long the machine is looked at, besides its table.
const examination = 2 * time.Second

// doctor examines the director, or what it would be with the table of a file,
// and returns the exit status.
func (s *session) doctor(ctx context.Context, cmd args.Command) int {
	c := doctor.Case{File: cmd.File, NetNS: s.config.NetNS}
	if cmd.File != "" {
		name, f, err := s.readRules(ctx, cmd.File)
		switch {
		case err != nil:
			return s.report(err)
		case f.Complaints().Any():
			s.complain(name, f, warnings{})
			return statusUsage
		}
		c.Table = f.Wanted().Table()
	}
	if err := s.lookAtTable(ctx, &c); err != nil {
		s.report(err)
		return statusUsage
	}
	ctx, cancel := context.WithTimeout(ctx, examination)
	defer cancel()
	var err error
	if c.Host, err = doctor.Read(ctx, s.config.NetNS, c.Table); err != nil {
		s.report(hostFailure(err))
		return statusUsage
	}
	if c.Host.Unasked > 0 {
		fmt.Fprintln(s.Stderr, unaskedText(c.Host.Unasked))
	}
	findings := doctor.Examine(c)
	write := doctor.WriteText
	if cmd.Given.Has(spec.OptJSON) {
		write = doctor.WriteJSON
	}
	if err := write(s.Stdout, findings); err != nil {
		s.report(outputFailure(err))
		return statusUsage
	}
	worst := doctor.Worst(findings)
	if worst < doctor.Warning {
		s.say(serversHint(c.Table))
	}
	return doctorStatus(worst)
}

// lookAtTable asks the kernel for its table, unless a file stands in its place,
// and for the size of its connection table. Who may not see the table is told.
// Its error is a *failure.
func (s *session) lookAtTable(ctx context.Context, c *doctor.Case) (err error) {
	unseen := func(want string) {
		if c.Table == nil {
			fmt.Fprintln(s.Stderr, unseenText(want))
		}
	}
	if is, known := loaded(); !is {
		if !known {
			unseen("/proc")
		}
		return nil
	}
	var info ipvs.Info
	err = s.reconnected(ctx, func() (err error) {
		info, err = s.client.Info(ctx)
		return err
	})
	switch _, namespace := errors.AsType[*ipvs.NetNSError](err); {
	case errors.Is(err, ipvs.ErrNoIPVS):
		return nil
	case errors.Is(err, fs.ErrPermission) && !namespace:
		unseen("root")
		return nil
	case err != nil:
		return initFailure(err)
	}
	c.ConnTableSize = info.ConnTableSize
	if c.Table != nil {
		return nil
	}
	t, err := s.readTable(ctx, wholeTable)
	if err := s.reportPartial(err); err != nil {
		return err
	}
	render.Sort(t.Services)
	c.Table = t
	return nil
}
