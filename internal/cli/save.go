// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"os/signal"

	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/internal/args"
	"github.com/ipvsadm-go/ipvsadm/internal/outfile"
	"github.com/ipvsadm-go/ipvsadm/internal/render"
	"github.com/ipvsadm-go/ipvsadm/internal/rule"
	"github.com/ipvsadm-go/ipvsadm/internal/spec"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// save writes the table as rule text; its error is a *failure. A reader that has
// gone did not get the whole of it.
func (s *session) save(ctx context.Context, cmd args.Command) error {
	signal.Ignore(unix.SIGPIPE)
	defer signal.Reset(unix.SIGPIPE)
	if err := s.open(ctx); err != nil {
		return err
	}
	// Everything is read before anything is written.
	var t ipvs.Table
	var err error
	if t.Services, err = s.client.ServicesWithDestinations(ctx); err != nil {
		return listFailure(err)
	}
	if cmd.Given.Has(spec.OptAll) {
		if t.Timeouts, err = s.client.Timeouts(ctx); err != nil {
			return listFailure(err)
		}
		if t.Daemons, err = s.client.Daemons(ctx); err != nil {
			return listFailure(err)
		}
	}
	render.Sort(t.Services)
	var w rule.Writer
	if !cmd.Given.Has(spec.OptNumeric) {
		w.Names = s.names.Book(ctx, render.Addresses(t.Services))
	}
	if !cmd.Given.Has(spec.OptOutput) || cmd.Output == "-" {
		return output(w.Write(s.Stdout, rule.Changes(&t)))
	}
	var text bytes.Buffer
	_ = w.Write(&text, rule.Changes(&t)) // a Buffer takes everything
	if err := outfile.Write(cmd.Output, text.Bytes()); err != nil {
		return fileFailure("write", cmd.Output, err)
	}
	return nil
}
