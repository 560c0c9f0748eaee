// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/args"
	"github.com/ipvsadm-go/ipvsadm/internal/doctor"
	"github.com/ipvsadm-go/ipvsadm/internal/render"
	"github.com/ipvsadm-go/ipvsadm/internal/spec"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// factsTimeout limits the time to gather facts other than the table.
const factsTimeout = 2 * time.Second

// doctorCommand examines the director, with the kernel's table or that of a
// file.
type doctorCommand struct {
	*session
	cmd *args.Command
}

func (s doctorCommand) Run(ctx context.Context) error {
	cmd := s.cmd
	c := doctor.Case{File: cmd.File, NetNS: s.config.NetNS}
	if cmd.File != "" {
		name, f, err := readRules(ctx, s.session, cmd.File, nil)
		if err != nil {
			return err
		}
		w := f.Wanted(nil, false)
		if w.Complaints.Any() {
			complain(s.session, name, w, warnings{})
			return exit(statusUsage)
		}
		c.Table = w.Table
	}
	if err := s.readTables(ctx, &c); err != nil {
		return withStatus(err, statusUsage)
	}
	ctx, cancel := context.WithTimeout(ctx, factsTimeout)
	defer cancel()
	var connections iter.Seq2[ipvs.Connection, error]
	if s.client != nil && cmd.File == "" {
		connections = s.client.Connections(ctx, ipvs.ConnectionFilter{})
	}
	host, err := doctor.Read(ctx, s.config.NetNS, c.Table, connections)
	if err != nil {
		return hostFailure(err)
	}
	c.Host = host
	findings := doctor.Examine(c)
	if host.Unasked > 0 {
		fmt.Fprintf(s.Stderr, unaskedText, host.Unasked)
	}
	write := doctor.WriteText
	if cmd.Given.Has(spec.OptJSON) {
		write = doctor.WriteJSON
	}
	if err := write(s.Stdout, findings); err != nil {
		return withStatus(output(err), statusUsage)
	}
	worst := doctor.OK
	if len(findings) > 0 { // the worst level first
		worst = findings[0].Level
	}
	if worst < doctor.Warning && c.Table != nil {
		s.say(unexaminedHint)
	}
	return exit(doctorStatus(worst))
}

// readTables adds the kernel's table to a case, unless a file replaces it,
// and the size of the connection table. Users without privilege get a message
// that the table was not read. Its error is a *failure.
func (s doctorCommand) readTables(ctx context.Context, c *doctor.Case) (err error) {
	unseen := func(want string) {
		if c.Table == nil {
			fmt.Fprintf(s.Stderr, unseenText, want)
		}
	}
	if yes, known := loaded(); !yes {
		switch {
		case !known:
			unseen("/proc")
		case c.Table == nil:
			c.Table = &ipvs.Table{}
		}
		return nil
	}
	var info ipvs.Info
	if s.client, err = s.redial(ctx, s.config); err == nil {
		info, err = s.client.Info(ctx)
	}
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
