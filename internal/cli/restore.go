// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

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

// restoreCommand is ipvsadm-restore, which is also the command --apply. The
// command line is a copy, since its parser also parses the lines of the file.
type restoreCommand struct {
	*session
	cmd    args.Command
	mode   mode
	merge  bool
	name   string // of the file, for messages
	file   *restore.File
	warned warnings
}

func (r *restoreCommand) Run(ctx context.Context) error {
	if r.cmd.File == "-" {
		r.cmd.File = ""
	}
	r.mode, r.merge = modeOf(r.cmd), r.cmd.Given.Has(spec.OptMerge)
	var err error
	if r.name, r.file, err = r.readRules(ctx, r.cmd.File, r.check); err != nil {
		return err
	}
	return exit(r.apply(ctx))
}

// apply does with the file what the options say, and returns the exit status.
func (r *restoreCommand) apply(ctx context.Context) int {
	switch {
	case r.cmd.Given.Has(spec.OptCheck):
		return r.checkOnly()
	case r.file.Faults.Any() && r.mode != keepGoing && (r.isPreview() || !r.isByLine()):
		return r.refuse()
	case r.cmd.Given.Has(spec.OptDiff):
		return r.diff(ctx)
	case r.cmd.Given.Has(spec.OptDryRun):
		return r.dryRun(ctx)
	}
	return r.run(ctx)
}

// isPreview reports whether the table is left as it is.
func (r *restoreCommand) isPreview() bool {
	return r.cmd.Given.HasAny(spec.Of(spec.OptCheck, spec.OptDryRun, spec.OptDiff))
}

// isByLine reports whether the file is treated as 1.31 treats it.
func (r *restoreCommand) isByLine() bool { return r.mode == byLine && !r.merge }

// check returns why a change is refused in a file, and collects the warnings
// about its line.
func (r *restoreCommand) check(number int, words []string, c ipvs.Change) error {
	switch {
	case r.merge && c.Op == ipvs.OpFlush:
		return mergedFlushFailure()
	case !r.isByLine() && (c.Op == ipvs.OpZero || c.Op == ipvs.OpZeroService):
		return notAChange(spec.Zero)
	}
	if r.warns() {
		for _, text := range lineWarnings(words, c) {
			r.warned.add(number, text)
		}
	}
	return nil
}

// warns reports whether a run warns of what is valid and seldom meant.
func (r *restoreCommand) warns() bool {
	return r.cmd.Given.HasAny(spec.Of(spec.OptCheck, spec.OptDryRun))
}

// warnings returns the warnings about the file.
func (r *restoreCommand) warnings(w *restore.Wanted) warnings {
	if !r.warns() {
		return warnings{}
	}
	return withServices(r.warned, r.file, w)
}

// checkOnly is --check.
func (r *restoreCommand) checkOnly() int {
	w := r.file.Wanted(nil, r.merge)
	r.complain(r.name, w, r.warnings(w))
	return checkStatus(w)
}

// refuse reports a file with mistakes that changes nothing.
func (r *restoreCommand) refuse() int {
	w := r.file.Wanted(nil, r.merge)
	r.complain(r.name, w, r.warnings(w))
	r.sayUnchanged()
	return statusUsage
}

// sayUnchanged says on a terminal that nothing was changed, if something would
// have been.
func (r *restoreCommand) sayUnchanged() {
	if !r.isPreview() && isTerminal(r.Stderr) {
		fmt.Fprintln(r.Stderr, unchangedText(r.name))
	}
}

// checkStatus returns the exit status for a file that is not applied: any
// complaint is a mistake.
func checkStatus(w *restore.Wanted) int {
	if w.Complaints.Any() {
		return statusUsage
	}
	return statusOK
}

// compare compares the file with the table have, which was read with an
// error. The error that it returns is a *failure: nothing can be changed, or a
// file without a command would empty the table.
func (r *restoreCommand) compare(have *ipvs.Table, err error) (*restore.Wanted, error) {
	switch {
	case err != nil:
		return nil, withStatus(listFailure(err), statusUsage)
	case r.mode != byLine && r.file.Empty() && len(have.Services) > 0 && !r.merge:
		return nil, emptyFailure(r.name)
	}
	return r.file.Wanted(have, r.merge), nil
}

// diff is --diff.
func (r *restoreCommand) diff(ctx context.Context) int {
	if err := r.probe(ctx); err != nil {
		return r.report(err)
	}
	have, err := r.readTable(ctx, wholeTable) // no later round finds what it misses
	w, err := r.compare(have, err)
	switch {
	case err != nil:
		return r.report(err)
	case w.Complaints.Any():
		r.complain(r.name, w, warnings{})
		return statusUsage
	}
	return r.printDiff(have, w)
}

// dryRun is --dry-run.
func (r *restoreCommand) dryRun(ctx context.Context) int {
	if err := r.probe(ctx); err != nil {
		return r.report(err)
	}
	have, err := restore.ReadTable(ctx, r.client)
	w, err := r.compare(have, err)
	if err != nil {
		return r.report(err)
	}
	r.complain(r.name, w, r.warnings(w))
	if r.mode != allOrNothing || !w.Refused {
		if err := r.printChanges(r.Stdout, w.Plan(have, r.mode == allOrNothing, r.drain() > 0)); err != nil {
			return r.report(err)
		}
	}
	return checkStatus(w)
}

// drain returns the time for which servers may drain.
func (r *restoreCommand) drain() time.Duration {
	if r.cmd.Given.Has(spec.OptDrain) {
		return r.cmd.Drain
	}
	return restore.DrainTime
}

// run changes the table.
func (r *restoreCommand) run(ctx context.Context) int {
	if err := r.probe(ctx); err != nil {
		return r.reportWithFaults(err)
	}
	unlock, err := r.lock(ctx, r.cmd)
	if err != nil {
		return r.reportWithFaults(err)
	}
	defer unlock()
	have, err := restore.ReadTable(ctx, r.client)
	if err == nil && r.mode == byLine && r.file.Faults.Any() {
		if len(have.Services) > 0 {
			return r.refuse()
		}
		r.file = r.file.UpTo(firstEnding(r.file.Faults))
	}
	w, err := r.compare(have, err)
	switch {
	case err != nil:
		return r.reportWithFaults(err)
	case r.mode == allOrNothing && w.Refused:
		r.complain(r.name, w, warnings{})
		r.sayUnchanged()
		return statusUsage
	}
	signals := catchSignals()
	defer signals.release()
	shown := newProgress(r.Stderr)
	result := w.Run(ctx, r.client, have, restore.Options{Strict: r.mode == allOrNothing, Drain: r.drain(), Stopped: signals.caught, Progress: shown.show})
	shown.end()
	status := r.ended(result, signals)
	if result.How == restore.Finished && isTerminal(r.Stderr) {
		fmt.Fprintln(r.Stderr, changedText(r.name, result.Wanted.Target(have).Table, result))
	}
	return status
}

// reportWithFaults reports an error after the faults of the file.
func (r *restoreCommand) reportWithFaults(err error) int {
	if r.file.Faults.Any() {
		r.complain(r.name, r.file.Wanted(nil, r.merge), warnings{})
	}
	return r.report(err)
}

// firstEnding returns the line of the first fault that ends a run of 1.31,
// which reports a word that it cannot read and goes on.
func firstEnding(faults restore.Complaints) int {
	for _, c := range faults.List {
		if f, ok := errors.AsType[*args.Fault](c.Err); !ok || !f.Unreadable() {
			return c.Line
		}
	}
	if faults.More == 0 {
		return math.MaxInt
	}
	return faults.List[len(faults.List)-1].Line
}

// ended reports how a run ended, after all complaints, and returns the exit
// status: 1 if the table is neither as it was nor wholly as wanted.
func (r *restoreCommand) ended(result restore.Result, signals *signals) int {
	r.complain(r.name, result.Wanted, warnings{})
	status := statusUsage
	switch result.How {
	case restore.Finished:
		return r.finishedStatus(result.Wanted)
	case restore.Interrupted:
		fmt.Fprintln(r.Stderr, interruptedText(r.name, signals.got, result))
		status = signalStatus(signals.got)
	case restore.Differing:
		fmt.Fprintln(r.Stderr, stillDiffersText(r.name, result))
		if err := r.printChanges(r.Stderr, result.Left); err != nil {
			r.report(err)
		}
		status = statusPartly
	case restore.Failed:
		status = r.report(listFailure(result.Err))
	}
	switch result.Undo {
	case restore.Undone:
		fmt.Fprintln(r.Stderr, undoneText(r.name))
		if result.How != restore.Interrupted {
			status = statusUsage
		}
	case restore.NotUndone:
		if result.UndoErr != nil {
			r.report(listFailure(result.UndoErr))
		}
		fmt.Fprintln(r.Stderr, notUndoneText(r.name))
		status = statusPartly
	}
	return status
}

func (r *restoreCommand) finishedStatus(w *restore.Wanted) int {
	switch {
	case r.mode == byLine && w.Last.Err != nil:
		return r.failureOf(w.Last).status
	case r.mode != byLine && w.Complaints.Any():
		return statusPartly
	}
	return statusOK
}

// readRules reads a rule file, or standard input if it has no name. Each line
// that is a change is passed to check, which may refuse it.
func (s *session) readRules(ctx context.Context, file string, check lineCheck) (name string, f *restore.File, err error) {
	if file == "" {
		if isClosed(s.Stdin) {
			return stdinName, nil, closedFailure()
		}
		if isTerminal(s.Stdin) {
			s.say(applyHint)
		}
		if f, err = restore.Read(ctx, s.Stdin, maxText, s.ruleParser(check)); err != nil {
			err = inputFailure(err)
		}
		return stdinName, f, err
	}
	in, err := os.Open(file)
	if err == nil {
		defer in.Close()
		f, err = restore.Read(ctx, in, maxText, s.ruleParser(check))
	}
	if err != nil {
		err = fileFailure("read", file, err)
	}
	return file, f, err
}

// isClosed reports whether a standard stream was closed when the program
// started: Go opens /dev/null for it, for reading and writing.
func isClosed(stream any) bool {
	f, ok := stream.(*os.File)
	var st unix.Stat_t
	if !ok || unix.Fstat(int(f.Fd()), &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFCHR || st.Rdev != unix.Mkdev(1, 3) {
		return false
	}
	flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0)
	return err == nil && flags&unix.O_ACCMODE == unix.O_RDWR
}

// maxText limits how many bytes of rules are read: a million rules fit.
const maxText = 256 << 20

// lineCheck returns why a change is refused in a file. It may be nil.
type lineCheck func(number int, words []string, c ipvs.Change) error

// ruleParser returns the parser of the lines of a rule file. Few of its errors
// are shown, so ruleFailure makes the message only then.
func (s *session) ruleParser(check lineCheck) restore.Parse {
	ahead := args.New(s.names.Async())
	return func(ctx context.Context, number int, words []string, wait bool) (restore.Rule, error) {
		parser := ahead
		if wait {
			parser = s.parser
		}
		cmd, err := parser.ParseRule(ctx, words)
		switch {
		case errors.Is(err, names.ErrPending):
			return restore.Rule{}, restore.ErrPending
		case err != nil:
			return restore.Rule{}, err
		case cmd.Keeps():
			return restore.Rule{}, keepFailure()
		}
		c, ok := cmd.Change()
		if !ok {
			return restore.Rule{}, notAChange(cmd.ID)
		}
		if check != nil {
			err = check(number, words, c)
		}
		return restore.Rule{Change: c, Exist: cmd.Given.Has(spec.OptExist)}, err
	}
}

// complain reports the complaints about a file, and the warnings, in the
// order of the lines.
func (s *session) complain(name string, w *restore.Wanted, warned warnings) {
	warnUpTo := func(line int) {
		for ; len(warned.list) > 0 && warned.list[0].line <= line; warned.list = warned.list[1:] {
			fmt.Fprintln(s.Stderr, plain(warned.list[0].message(name)))
		}
	}
	for _, c := range w.Complaints.List {
		warnUpTo(c.Line - 1)
		s.reportAbout(subject{func() *ipvs.Table { return w.Table }, true}, inFile(name, c.Line, s.failureOf(c)))
	}
	warnUpTo(math.MaxInt)
	if w.Complaints.More > 0 {
		fmt.Fprintln(s.Stderr, moreText(name, w.Complaints.More))
	}
	if warned.more > 0 {
		fmt.Fprintln(s.Stderr, moreWarningsText(name, warned.more))
	}
}

// failureOf returns the message and the status of a complaint.
func (s *session) failureOf(c restore.Complaint) *failure {
	err := ruleFailure(c.Err, s.program())
	if c.Change.Op != 0 {
		refusal, ok := errors.AsType[*ipvs.ChangeError](c.Err)
		if !ok {
			refusal = &ipvs.ChangeError{Change: c.Change, Err: c.Err}
		}
		err = changeFailure(c.Change.Op, refusal)
	}
	return asFailure(err)
}

// printChanges prints changes in the order of a listing.
func (s *session) printChanges(to io.Writer, changes []ipvs.Change) error {
	return output(rule.Writer{}.Write(to, slices.Values(render.SortChanges(changes))))
}
