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
	"strings"

	"github.com/ipvsadm-go/ipvsadm/internal/args"
	"github.com/ipvsadm-go/ipvsadm/internal/outfile"
	"github.com/ipvsadm-go/ipvsadm/internal/render"
	"github.com/ipvsadm-go/ipvsadm/internal/restore"
	"github.com/ipvsadm-go/ipvsadm/internal/rule"
	"github.com/ipvsadm-go/ipvsadm/internal/spec"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// saveCommand writes the table as rule text. A closed pipe is an error, since
// the reader did not get the whole text.
type saveCommand struct {
	*session
	cmd *args.Command
}

func (c saveCommand) Run(ctx context.Context) error {
	defer ignorePipe()()
	cmd := c.cmd
	update := cmd.Given.Has(spec.OptUpdate)
	all := cmd.Given.Has(spec.OptAll)
	scope := contents{timeouts: all, daemons: all}
	if update || cmd.Given.Has(spec.OptOutput) && cmd.Output != "-" {
		old, err := readContents(cmd.Output)
		switch {
		case update && cmd.Output == "-":
			return usageFailure(updateText)
		case update && err != nil:
			return fileFailure("read", cmd.Output, err)
		case old.other && !old.rules:
			return usageFailure(noRulesText, cmd.Output)
		case update:
			scope.timeouts, scope.daemons = all || old.timeouts, all || old.daemons
		}
	}
	if err := c.open(ctx); err != nil {
		return err
	}
	// Read everything before writing anything.
	how := services
	if scope.timeouts || scope.daemons {
		how = wholeTable
	}
	t, err := c.readTable(ctx, how)
	if err != nil {
		return listFailure(err)
	}
	if update && len(t.Services) == 0 {
		fmt.Fprintf(c.Stderr, keptText, cmd.Output)
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

// deliver writes a text to standard output, or atomically to the file of
// --output or --update; its error is a *failure.
func deliver(s *session, cmd *args.Command, write func(io.Writer) error) error {
	if !cmd.Given.HasAny(spec.Of(spec.OptOutput, spec.OptUpdate)) || cmd.Given.Has(spec.OptOutput) && cmd.Output == "-" {
		return output(write(s.Stdout))
	}
	var text bytes.Buffer
	_ = write(&text) // a Buffer never fails
	if err := outfile.Write(cmd.Output, text.Bytes()); err != nil {
		return fileFailure("write", cmd.Output, err)
	}
	return nil
}

// contents are the kinds of lines in a rule file.
type contents struct{ rules, timeouts, daemons, other bool }

// readContents returns the kinds of lines in a regular file; none if there is
// no such file. It only examines command names, looks up no hosts and ignores
// mistakes.
func readContents(file string) (found contents, err error) {
	info, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
		return found, nil
	}
	if err != nil {
		return found, err
	}
	in, err := os.Open(file)
	if err != nil {
		return found, err
	}
	defer in.Close()
	return found, restore.ReadWords(in, maxText, func(words []string) {
		command := commandIn(words)
		found.rules = found.rules || command != 0
		found.timeouts = found.timeouts || command == spec.SetTimeouts
		found.daemons = found.daemons || command == spec.StartDaemon
		found.other = found.other || command == 0
	})
}

// commandIn returns the first command among the words of a line, or 0.
func commandIn(words []string) spec.CommandID {
	for _, word := range words {
		row, found := spec.Row{}, false
		if name, isLong := strings.CutPrefix(word, "--"); isLong {
			name, _, _ = strings.Cut(name, "=")
			row, found = spec.FindLong(name)
		} else if len(word) > 1 && word[0] == '-' {
			row, found = spec.FindLetter(word[1])
		}
		if found && row.Command != nil {
			return row.Command.ID
		}
	}
	return 0
}
