// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/ipvsadm-go/ipvsadm/internal/args"
	"github.com/ipvsadm-go/ipvsadm/internal/outfile"
	"github.com/ipvsadm-go/ipvsadm/internal/render"
	"github.com/ipvsadm-go/ipvsadm/internal/restore"
	"github.com/ipvsadm-go/ipvsadm/internal/rule"
	"github.com/ipvsadm-go/ipvsadm/internal/spec"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// saveCommand writes the table as rule text. A closed pipe is an error: its
// reader has not got the whole text.
type saveCommand struct {
	*session
	cmd *args.Command
}

func (c saveCommand) Run(ctx context.Context) error {
	defer ignorePipe()()
	cmd := c.cmd
	scope := saveScope{timeouts: cmd.Given.Has(spec.OptAll), daemons: cmd.Given.Has(spec.OptAll)}
	if cmd.Given.Has(spec.OptUpdate) {
		if err := scope.addThoseOf(cmd.Output); err != nil {
			return fileFailure("read", cmd.Output, err)
		}
	}
	if err := c.open(ctx); err != nil {
		return err
	}
	// Everything is read before anything is written.
	how := services
	if scope.timeouts || scope.daemons {
		how = wholeTable
	}
	t, err := c.readTable(ctx, how)
	if err != nil {
		return listFailure(err)
	}
	if cmd.Given.Has(spec.OptUpdate) && len(t.Services) == 0 {
		fmt.Fprintln(c.Stderr, keptText(cmd.Output))
		return nil
	}
	if !scope.timeouts {
		t.Timeouts = ipvs.Timeouts{}
	}
	if !scope.daemons {
		t.Daemons = nil
	}
	render.Sort(t.Services)
	var w rule.Writer
	if !cmd.Given.Has(spec.OptNumeric) {
		w.Names = c.names.Book(ctx, render.Addresses(t.Services))
	}
	return deliver(c.session, cmd, func(out io.Writer) error { return w.Write(out, rule.Changes(t)) })
}

// deliver writes a text to standard output, or the whole of it to the file of
// --output or --update; its error is a *failure.
func deliver(s *session, cmd *args.Command, write func(io.Writer) error) error {
	if !cmd.Given.HasAny(spec.Of(spec.OptOutput, spec.OptUpdate)) || cmd.Given.Has(spec.OptOutput) && cmd.Output == "-" {
		return output(write(s.Stdout))
	}
	var text bytes.Buffer
	_ = write(&text) // a Buffer takes everything
	if err := outfile.Write(cmd.Output, text.Bytes()); err != nil {
		return fileFailure("write", cmd.Output, err)
	}
	return nil
}

// saveScope is what a save contains besides services.
type saveScope struct{ timeouts, daemons bool }

// addThoseOf adds what a rule file contains, if there is one. The names of
// its commands are enough for that: nothing is looked up, and mistakes do not
// matter.
func (s *saveScope) addThoseOf(file string) error {
	in, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer in.Close()
	return restore.ReadWords(in, maxText, func(words []string) {
		s.timeouts = s.timeouts || slices.ContainsFunc(words, spells(spec.SetTimeouts))
		s.daemons = s.daemons || slices.ContainsFunc(words, spells(spec.StartDaemon))
	})
}

// spells returns a function that reports whether a word is the long name of a
// command, with a value or without.
func spells(id spec.CommandID) func(word string) bool {
	long := "--" + spec.FindCommand(id).Long
	return func(word string) bool {
		name, _, _ := strings.Cut(word, "=")
		return name == long
	}
}
