// SPDX-License-Identifier: Apache-2.0

package cli

// This file runs the command apply, which ipvsadm-restore is: package restore
// does the work, and what it finds is said here.

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/internal/args"
	"github.com/ipvsadm-go/ipvsadm/internal/restore"
	"github.com/ipvsadm-go/ipvsadm/internal/rule"
	"github.com/ipvsadm-go/ipvsadm/internal/spec"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// apply runs the command apply. The parser that read it goes on to the file, so
// that the command has to be its own.
func (s *session) apply(ctx context.Context, cmd args.Command) int {
	name, text, err := s.readRules(cmd.File)
	if err != nil {
		return s.report(err)
	}
	f := restore.Read(ctx, text, s.parseChange)
	if f.Faulty() || cmd.Given.Has(spec.OptCheck) {
		s.complain(name, f)
		return verdict(f, cmd)
	}
	if err := s.reach(ctx); err != nil {
		return s.report(err)
	}
	if !cmd.Given.Has(spec.OptDryRun) {
		unlock, err := s.lock(cmd)
		if err != nil {
			return s.report(err)
		}
		defer unlock()
	}
	have, err := s.client.Table(ctx)
	if err != nil {
		return s.report(listFailure(err))
	}
	f.Meet(have)
	if status := verdict(f, cmd); status == statusUsage {
		s.complain(name, f)
		return status
	}
	strict := cmd.Given.Has(spec.OptStrict)
	if cmd.Given.Has(spec.OptDryRun) {
		s.complain(name, f)
		return s.report(s.printChanges(s.Stdout, f.Plan(have, strict)))
	}
	signals := catchSignals()
	defer signals.release()
	shown := newProgress(s.Stderr)
	end := f.Run(ctx, s.client, have, restore.Options{Strict: strict, Stopped: signals.caught, Progress: shown.show})
	shown.end()
	return s.ended(name, f, end, signals)
}

// ended says how a run of a file ended, all complaints first, and returns the
// exit status: 1 where the table is neither as it was nor as wanted.
func (s *session) ended(name string, f *restore.File, end restore.End, signals *signals) int {
	s.complain(name, f)
	status := statusUsage
	switch end.How {
	case restore.Finished:
		return lineStatus(f)
	case restore.Interrupted:
		fmt.Fprintln(s.Stderr, interruptedText(name, signals.got, end))
		status = 128 + int(signals.got.(syscall.Signal))
	case restore.Differing:
		fmt.Fprintln(s.Stderr, stillDiffersText(name, end))
		if err := s.printChanges(s.Stderr, end.Left); err != nil {
			s.report(err)
		}
	case restore.Failed:
		status = s.report(listFailure(end.Err))
	}
	switch end.Undo {
	case restore.Kept:
		if end.How == restore.Differing {
			status = statusList
		}
	case restore.Undone:
		fmt.Fprintln(s.Stderr, undoneText(name))
		if end.How == restore.Failed {
			status = statusUsage
		}
	case restore.NotUndone:
		if end.UndoErr != nil {
			s.report(listFailure(end.UndoErr))
		}
		fmt.Fprintln(s.Stderr, notUndoneText(name))
		status = statusList
	}
	return status
}

// verdict is how a file ends that is not applied, or not yet.
func verdict(f *restore.File, cmd args.Command) int {
	if f.Faulty() || cmd.Given.Has(spec.OptStrict) && f.Refused() {
		return statusUsage
	}
	return lineStatus(f)
}

// lineStatus is 1.31's: that of the last line.
func lineStatus(f *restore.File) int {
	if f.LastRefused() {
		return statusRefused
	}
	return statusOK
}

// parseChange reads a line of a rule file; its error is a *failure.
func (s *session) parseChange(ctx context.Context, words []string) (ipvs.Change, error) {
	cmd, err := s.parser.ParseRule(ctx, words)
	if err != nil {
		return ipvs.Change{}, parseFailure(err, s.program())
	}
	c, ok := cmd.Change()
	if !ok {
		return c, &failure{text: notAChangeText(cmd), status: statusUsage}
	}
	return c, nil
}

// complain reports the complaints about a file.
func (s *session) complain(name string, f *restore.File) {
	for _, c := range f.Complaints() {
		err := c.Err
		if c.Op != 0 {
			err = changeFailure(c.Op, err)
		}
		s.report(inFile(name, c.Line, err))
	}
}

// readRules reads a whole file, or standard input if it has no name.
func (s *session) readRules(file string) (name string, text []byte, err error) {
	if file == "" {
		text, err := readText(s.Stdin)
		if err != nil {
			return "", nil, inputFailure(err)
		}
		return stdinName, text, nil
	}
	text, err = readFile(file)
	if err != nil {
		return "", nil, fileFailure("read", file, err)
	}
	return file, text, nil
}

func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readText(f)
}

// readText keeps what may be megabytes in memory once.
func readText(r io.Reader) ([]byte, error) {
	var b bytes.Buffer
	if f, ok := r.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			b.Grow(int(info.Size()) + bytes.MinRead)
		}
	}
	_, err := b.ReadFrom(r)
	return b.Bytes(), err
}

func (s *session) printChanges(to io.Writer, changes []ipvs.Change) error {
	return output(rule.Writer{}.Write(to, slices.Values(changes)))
}

// signals catches what would end the program while it changes the table.
type signals struct {
	ending chan os.Signal
	pipe   chan os.Signal
	got    os.Signal
}

// catchSignals waits for the signals that end a program, unless they are
// ignored, as nohup and a shell's & have it. A reader that has gone is no reason
// to end: what cannot be said is lost, and the work goes on.
func catchSignals() *signals {
	s := &signals{ending: make(chan os.Signal, 1), pipe: make(chan os.Signal, 1)}
	for _, sig := range []os.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT, unix.SIGABRT} {
		if !signal.Ignored(sig) {
			signal.Notify(s.ending, sig)
		}
	}
	signal.Notify(s.pipe, unix.SIGPIPE)
	return s
}

// caught reports whether a signal has come.
func (s *signals) caught() bool {
	if s.got == nil {
		select {
		case s.got = <-s.ending:
		default:
		}
	}
	return s.got != nil
}

func (s *signals) release() {
	signal.Stop(s.ending)
	signal.Stop(s.pipe)
}
