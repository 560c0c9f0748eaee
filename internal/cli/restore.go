// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/args"
	"github.com/ipvsadm-go/ipvsadm/internal/render"
	"github.com/ipvsadm-go/ipvsadm/internal/restore"
	"github.com/ipvsadm-go/ipvsadm/internal/rule"
	"github.com/ipvsadm-go/ipvsadm/internal/spec"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// mode is how mistakes in a rule file are handled.
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

func modeOf(cmd *args.Command) mode {
	switch {
	case cmd.Given.Has(spec.OptKeepGoing):
		return keepGoing
	case cmd.Given.HasAny(spec.Of(spec.OptStrict, spec.OptJSON)), cmd.File != "":
		return allOrNothing
	}
	return byLine
}

// restoreCommand implements ipvsadm-restore and the command --apply.
type restoreCommand struct {
	*session
	cmd    *args.Command
	mode   mode
	merge  bool
	name   string // of the file, for messages
	file   *restore.File
	warned warnings
}

func (r *restoreCommand) Run(ctx context.Context) error {
	if err := r.read(ctx); err != nil {
		return err
	}
	return exit(r.apply(ctx))
}

// read reads the rule file.
func (r *restoreCommand) read(ctx context.Context) (err error) {
	if r.cmd.File == "-" {
		r.cmd.File = ""
	}
	r.mode, r.merge = modeOf(r.cmd), r.cmd.Given.Has(spec.OptMerge)
	if r.cmd.Given.Has(spec.OptJSON) {
		return r.readDocument()
	}
	r.name, r.file, err = readRules(ctx, r.session, r.cmd.File, r.check)
	return err
}

// apply checks, previews or applies the file and returns the exit status.
func (r *restoreCommand) apply(ctx context.Context) int {
	switch {
	case r.cmd.Given.Has(spec.OptCheck), r.file.Faults.Any() && r.mode != keepGoing && (r.isPreview() || !r.isByLine()):
		return r.checkOnly()
	case r.cmd.Given.Has(spec.OptDryRun):
		return r.dryRun(ctx)
	}
	return r.run(ctx)
}

// isPreview reports whether the options prevent changes of the table.
func (r *restoreCommand) isPreview() bool {
	return r.cmd.Given.HasAny(spec.Of(spec.OptCheck, spec.OptDryRun, spec.OptDiff))
}

// isByLine reports whether the file is handled as by 1.31.
func (r *restoreCommand) isByLine() bool { return r.mode == byLine && !r.merge }

// check returns an error if a file must not contain the change, and collects
// the warnings about its line.
func (r *restoreCommand) check(number int, words []string, c ipvs.Change) error {
	switch {
	case r.merge && c.Op == ipvs.OpFlush:
		return usageFailure(mergedFlushText)
	case !r.isByLine() && (c.Op == ipvs.OpZero || c.Op == ipvs.OpZeroService):
		return notAChange(spec.Zero)
	}
	if r.hasWarnings() {
		for _, text := range lineWarnings(words, c) {
			r.warned.add(number, text)
		}
	}
	return nil
}

// hasWarnings reports whether to warn about valid lines that are probably
// mistakes.
func (r *restoreCommand) hasWarnings() bool {
	return r.cmd.Given.HasAny(spec.Of(spec.OptCheck, spec.OptDryRun))
}

// warnings returns the warnings about the file.
func (r *restoreCommand) warnings(w *restore.Wanted) warnings {
	if !r.hasWarnings() {
		return warnings{}
	}
	return withServices(r.warned, r.file, w)
}

// checkOnly reports the mistakes in a file that is not applied.
func (r *restoreCommand) checkOnly() int {
	w := r.file.Wanted(nil, r.merge)
	complain(r.session, r.name, w, r.warnings(w))
	r.reportUnchanged()
	return checkStatus(w)
}

// reportUnchanged reports on a terminal that a run that could have changed the
// table did not.
func (r *restoreCommand) reportUnchanged() {
	if !r.isPreview() && isTerminal(r.Stderr) {
		fmt.Fprintf(r.Stderr, unchangedText, r.name)
	}
}

// checkStatus returns the exit status for a file that is not applied. It is an
// error if there is any complaint.
func checkStatus(w *restore.Wanted) int {
	if w.Complaints.Any() {
		return statusUsage
	}
	return statusOK
}

// compare returns the table that the file describes. have and err are the
// result of reading the kernel's table. Its error is a *failure: the table
// could not be read, or a file without a command would empty it.
func (r *restoreCommand) compare(have *ipvs.Table, err error) (*restore.Wanted, error) {
	switch {
	case err != nil:
		return nil, withStatus(listFailure(err), statusUsage)
	case r.mode != byLine && r.file.Empty() && len(have.Services) > 0 && !r.merge:
		return nil, usageFailure(emptyText, r.name)
	}
	return r.file.Wanted(have, r.merge), nil
}

// dryRun implements --dry-run.
func (r *restoreCommand) dryRun(ctx context.Context) int {
	if err := r.probe(ctx); err != nil {
		return r.report(err)
	}
	have, _, err := restore.ReadTable(ctx, r.client)
	w, err := r.compare(have, err)
	if err != nil {
		return r.report(err)
	}
	complain(r.session, r.name, w, r.warnings(w))
	if r.mode != allOrNothing || !w.Refused {
		if err := printChanges(r.Stdout, w.Plan(have, r.mode == allOrNothing, r.drain() > 0)); err != nil {
			return r.report(err)
		}
	}
	return checkStatus(w)
}

// drain returns the time limit for draining.
func (r *restoreCommand) drain() time.Duration {
	if r.cmd.Given.Has(spec.OptDrain) {
		return r.cmd.Drain
	}
	return restore.DrainTime
}

// run applies the file.
func (r *restoreCommand) run(ctx context.Context) int {
	if err := r.probe(ctx); err != nil {
		return r.reportWithFaults(err)
	}
	unlock, err := takeLock(ctx, r.session, r.cmd)
	if err != nil {
		return r.reportWithFaults(err)
	}
	defer unlock()
	have, _, err := restore.ReadTable(ctx, r.client)
	if err == nil && r.mode == byLine && r.file.Faults.Any() {
		if len(have.Services) > 0 {
			return r.checkOnly()
		}
		r.file = r.file.UpTo(isFatal)
	}
	w, err := r.compare(have, err)
	switch {
	case err != nil:
		return r.reportWithFaults(err)
	case r.mode == allOrNothing && w.Refused:
		complain(r.session, r.name, w, warnings{})
		r.reportUnchanged()
		return statusUsage
	}
	signals := catchSignals()
	defer signals.release()
	shown := newProgress(r.Stderr)
	result := w.Run(ctx, r.client, have, restore.Options{Strict: r.mode == allOrNothing, Drain: r.drain(), Stopped: signals.caught, Progress: shown.show})
	shown.clear()
	status := r.reportResult(result, signals)
	if result.How == restore.Finished && isTerminal(r.Stderr) {
		fmt.Fprintln(r.Stderr, changedText(r.name, result.Wanted.Target(have), result))
	}
	return status
}

// reportWithFaults reports an error after the faults of the file.
func (r *restoreCommand) reportWithFaults(err error) int {
	if r.file.Faults.Any() {
		complain(r.session, r.name, r.file.Wanted(nil, r.merge), warnings{})
	}
	return r.report(err)
}

// isFatal reports whether a fault ends a run of 1.31. For a word that it cannot
// read, 1.31 reports the line and continues.
func isFatal(err error) bool {
	f, ok := errors.AsType[*args.Fault](err)
	return !ok || !f.Unreadable()
}

// reportResult reports all complaints and then how a run ended, and returns
// the exit status: 1 if the table is neither as before nor as wanted.
func (r *restoreCommand) reportResult(result restore.Result, signals *signals) int {
	complain(r.session, r.name, result.Wanted, warnings{})
	status := statusUsage
	switch result.How {
	case restore.Finished:
		return r.finishedStatus(result.Wanted)
	case restore.Interrupted:
		fmt.Fprintln(r.Stderr, interruptedText(r.name, signals.got, result))
		status = signalStatus(signals.got)
	case restore.Differing:
		fmt.Fprintln(r.Stderr, stillDiffersText(r.name, result))
		if err := printChanges(r.Stderr, result.Left); err != nil {
			r.report(err)
		}
		status = statusPartly
	case restore.Failed:
		status = r.report(listFailure(result.Err))
	}
	switch result.Undo {
	case restore.Undone:
		fmt.Fprintf(r.Stderr, undoneText, r.name)
		if result.How != restore.Interrupted {
			status = statusUsage
		}
	case restore.NotUndone:
		if result.UndoErr != nil {
			r.report(listFailure(result.UndoErr))
		}
		fmt.Fprintf(r.Stderr, notUndoneText, r.name)
		status = statusPartly
	}
	return status
}

func (r *restoreCommand) finishedStatus(w *restore.Wanted) int {
	switch {
	case r.mode == byLine && w.Last.Err != nil:
		return failureOf(r.session, w.Last).status
	case r.mode != byLine && w.Complaints.Any():
		return statusPartly
	}
	return statusOK
}

// printChanges prints changes in the order of a list.
func printChanges(to io.Writer, changes []ipvs.Change) error {
	return output(rule.Writer{}.Write(to, slices.Values(render.SortChanges(changes))))
}
