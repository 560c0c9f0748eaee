// SPDX-License-Identifier: Apache-2.0

package cli

// This file runs the command apply, which is ipvsadm-restore. Package restore
// does the work; messages and exit statuses are here.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"sync"

	"github.com/ipvsadm-go/ipvsadm/internal/args"
	"github.com/ipvsadm-go/ipvsadm/internal/names"
	"github.com/ipvsadm-go/ipvsadm/internal/render"
	"github.com/ipvsadm-go/ipvsadm/internal/restore"
	"github.com/ipvsadm-go/ipvsadm/internal/rule"
	"github.com/ipvsadm-go/ipvsadm/internal/spec"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// mode is the treatment of a rule file that has mistakes.
type mode uint8

const (
	// byLine is 1.31's way, for standard input: refused lines are
	// reported, the others take effect, and the exit status is that of
	// the last line.
	byLine mode = iota
	// allOrNothing changes nothing, or undoes its changes.
	allOrNothing
	// keepGoing skips lines with mistakes.
	keepGoing
)

func modeOf(cmd args.Command) mode {
	switch {
	case cmd.Given.Has(spec.OptKeepGoing):
		return keepGoing
	case cmd.Given.Has(spec.OptStrict), cmd.File != "":
		return allOrNothing
	}
	return byLine
}

// restoreCommand is ipvsadm-restore, which is also the command apply.
type restoreCommand struct {
	*session
	cmd *args.Command
}

func (c restoreCommand) Run(ctx context.Context) error { return exit(c.apply(ctx, *c.cmd)) }

// apply runs the command apply. The command is a copy, since its parser also
// parses the lines of the file.
func (s *session) apply(ctx context.Context, cmd args.Command) int {
	mode := modeOf(cmd)
	name, f, err := s.readRules(ctx, cmd.File)
	if err != nil {
		return s.report(err)
	}
	if cmd.Given.Has(spec.OptMerge) {
		f.Merge(ctx)
	}
	var warned warnings
	if cmd.Given.HasAny(spec.Of(spec.OptCheck, spec.OptDryRun)) {
		warned = warningsOf(ctx, f)
	}
	if cmd.Given.Has(spec.OptCheck) || f.Faulty() && mode != keepGoing {
		s.complain(name, f, warned)
		return checkStatus(f)
	}
	if err := s.probe(ctx); err != nil {
		return s.report(err)
	}
	if !cmd.Given.HasAny(spec.Of(spec.OptDryRun, spec.OptDiff)) {
		unlock, err := s.lock(cmd)
		if err != nil {
			return s.report(err)
		}
		defer unlock()
	}
	var have *ipvs.Table
	if cmd.Given.Has(spec.OptDiff) { // what it misses, no later round finds
		have, err = s.readTable(ctx, wholeTable)
	} else {
		have, err = restore.ReadTable(ctx, s.client)
	}
	if err != nil {
		s.report(listFailure(err))
		return statusUsage // nothing was changed
	}
	if mode != byLine && f.Empty() && len(have.Services) > 0 && !cmd.Given.Has(spec.OptMerge) {
		return s.report(emptyFailure(name))
	}
	f.CheckStops(have)
	if cmd.Given.Has(spec.OptDiff) {
		return s.diff(name, f, have)
	}
	if mode == allOrNothing && f.Refused() {
		s.complain(name, f, warned)
		return statusUsage
	}
	drain := restore.DrainTime
	if cmd.Given.Has(spec.OptDrain) {
		drain = cmd.Drain
	}
	if cmd.Given.Has(spec.OptDryRun) {
		s.complain(name, f, warned)
		if err := s.printChanges(s.Stdout, f.Plan(have, mode == allOrNothing, drain > 0)); err != nil {
			return s.report(err)
		}
		return checkStatus(f)
	}
	var planned []ipvs.Change
	if isTerminal(s.Stderr) {
		planned = f.Plan(have, false, false)
	}
	signals := catchSignals()
	defer signals.release()
	shown := newProgress(s.Stderr)
	end := f.Run(ctx, s.client, have, restore.Options{Strict: mode == allOrNothing, Drain: drain, Stopped: signals.caught, Progress: shown.show})
	shown.end()
	status := s.ended(name, f, mode, end, signals)
	if end.How == restore.Finished && isTerminal(s.Stderr) {
		fmt.Fprintln(s.Stderr, changedText(name, f.Target(have).Table, planned))
	}
	return status
}

// checkStatus returns the exit status for a file that is not applied: any
// complaint is a mistake.
func checkStatus(f *restore.File) int {
	if f.Complaints().Any() {
		return statusUsage
	}
	return statusOK
}

// ended reports how a run of a file ended, after all complaints, and returns
// the exit status: 1 if the table is neither as it was nor wholly as wanted.
func (s *session) ended(name string, f *restore.File, mode mode, end restore.End, signals *signals) int {
	s.complain(name, f, warnings{})
	status := statusUsage
	switch end.How {
	case restore.Finished:
		return finishedStatus(f, mode)
	case restore.Interrupted:
		fmt.Fprintln(s.Stderr, interruptedText(name, signals.got, end))
		status = signalStatus(signals.got)
	case restore.Differing:
		fmt.Fprintln(s.Stderr, stillDiffersText(name, end))
		if err := s.printChanges(s.Stderr, end.Left); err != nil {
			s.report(err)
		}
		status = statusPartly
	case restore.Failed:
		status = s.report(listFailure(end.Err))
	}
	switch end.Undo {
	case restore.Undone:
		fmt.Fprintln(s.Stderr, undoneText(name))
		if end.How != restore.Interrupted {
			status = statusUsage
		}
	case restore.NotUndone:
		if end.UndoErr != nil {
			s.report(listFailure(end.UndoErr))
		}
		fmt.Fprintln(s.Stderr, notUndoneText(name))
		status = statusPartly
	}
	return status
}

func finishedStatus(f *restore.File, mode mode) int {
	switch {
	case mode == byLine && f.LastRefused():
		return statusRefused
	case mode != byLine && f.Complaints().Any():
		return statusPartly
	}
	return statusOK
}

// changeParser returns the parser of the lines of a rule file. Few of its
// errors are shown, so ruleFailure makes the message only then.
func (s *session) changeParser() restore.Parse {
	ahead := args.New(s.names.Async())
	return func(ctx context.Context, words []string, wait bool) (restore.Rule, error) {
		if wait {
			return s.parseChange(ctx, s.parser, words)
		}
		return s.parseChange(ctx, ahead, words)
	}
}

func (s *session) parseChange(ctx context.Context, p *args.Parser, words []string) (restore.Rule, error) {
	cmd, err := p.ParseRule(ctx, words)
	switch {
	case errors.Is(err, names.ErrPending):
		return restore.Rule{}, restore.ErrPending
	case err != nil:
		return restore.Rule{}, err
	}
	if cmd.Keeps() {
		return restore.Rule{}, keepFailure()
	}
	c, ok := cmd.Change()
	if !ok {
		return restore.Rule{}, notAChange(cmd.ID)
	}
	return restore.Rule{Change: c, Exist: cmd.Given.Has(spec.OptExist)}, nil
}

// complain reports the complaints about a file, and the warnings, in the
// order of the lines.
func (s *session) complain(name string, f *restore.File, warned warnings) {
	warnUpTo := func(line int) {
		for ; len(warned.list) > 0 && warned.list[0].line <= line; warned.list = warned.list[1:] {
			fmt.Fprintln(s.Stderr, plain(warned.list[0].message(name)))
		}
	}
	all := f.Complaints()
	table := sync.OnceValue(func() *ipvs.Table { return f.Wanted().Table() })
	for _, c := range all.List {
		err := c.Err
		if c.Change.Op == 0 {
			err = ruleFailure(err, s.program())
		} else {
			if _, ok := errors.AsType[*ipvs.ChangeError](err); !ok {
				err = &ipvs.ChangeError{Change: c.Change, Err: err}
			}
			err = changeFailure(c.Change.Op, err)
		}
		warnUpTo(c.Line - 1)
		s.reportAbout(subject{table, true}, inFile(name, c.Line, err))
	}
	warnUpTo(math.MaxInt)
	if all.More > 0 {
		fmt.Fprintln(s.Stderr, moreText(name, all.More))
	}
	if warned.more > 0 {
		fmt.Fprintln(s.Stderr, moreWarningsText(name, warned.more))
	}
}

// maxText limits how many bytes of rules are read: a million rules fit.
const maxText = 256 << 20

// readRules reads a rule file, or standard input if it has no name.
func (s *session) readRules(ctx context.Context, file string) (name string, f *restore.File, err error) {
	if file == "" {
		if isTerminal(s.Stdin) {
			s.say(applyHint)
		}
		if f, err = restore.Read(ctx, s.Stdin, maxText, s.changeParser()); err != nil {
			err = inputFailure(err)
		}
		return stdinName, f, err
	}
	in, err := os.Open(file)
	if err == nil {
		defer in.Close()
		f, err = restore.Read(ctx, in, maxText, s.changeParser())
	}
	if err != nil {
		err = fileFailure("read", file, err)
	}
	return file, f, err
}

// printChanges prints changes in the order of a listing.
func (s *session) printChanges(to io.Writer, changes []ipvs.Change) error {
	return output(rule.Writer{}.Write(to, slices.Values(render.SortChanges(changes))))
}
