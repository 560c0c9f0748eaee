// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"github.com/ipvsadm-go/ipvsadm/internal/args"
	"github.com/ipvsadm-go/ipvsadm/internal/restore"
	"github.com/ipvsadm-go/ipvsadm/internal/spec"
	"github.com/ipvsadm-go/ipvsadm/internal/strictjson"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// readRules reads a rule file, or standard input if file is empty. It passes
// each line that changes the table to check, which may refuse it.
func readRules(ctx context.Context, s *session, file string, check restore.Check) (name string, f *restore.File, err error) {
	return readInput(s, file, func(in io.Reader) (*restore.File, error) {
		return restore.Read(ctx, in, maxText, s.ruleParser, check)
	})
}

// readInput passes a file, or standard input if file is empty, to read.
func readInput(s *session, file string, read func(io.Reader) (*restore.File, error)) (name string, f *restore.File, err error) {
	if file == "" {
		if isClosed(s.Stdin) {
			return stdinName, nil, usageFailure(closedText)
		}
		if isTerminal(s.Stdin) {
			s.say(applyHint)
		}
		if f, err = read(s.Stdin); err != nil {
			err = inputFailure(err)
		}
		return stdinName, f, err
	}
	in, err := os.Open(file)
	if err == nil {
		defer in.Close()
		f, err = read(in)
	}
	if err != nil {
		err = fileFailure("read", file, err)
	}
	return file, f, err
}

// ruleParser returns a parser of the lines of a rule file. Its errors are not
// messages: ruleFailure makes these for the few errors that are shown.
func (s *session) ruleParser() restore.Parse {
	parser := args.New(s.names)
	return func(ctx context.Context, words []string) (restore.Rule, error) {
		cmd, err := parser.ParseRule(ctx, words)
		switch {
		case err != nil:
			return restore.Rule{}, err
		case cmd.Keeps():
			return restore.Rule{}, usageFailure(keepText)
		}
		c, ok := cmd.Change()
		if !ok {
			return restore.Rule{}, notAChange(cmd.ID)
		}
		return restore.Rule{Change: c, Exist: cmd.Given.Has(spec.OptExist)}, nil
	}
}

// complain reports the complaints and warnings about a file in the order of
// the lines.
func complain(s *session, name string, w *restore.Wanted, warned warnings) {
	warnUpTo := func(line int) {
		for ; len(warned.list) > 0 && warned.list[0].line <= line; warned.list = warned.list[1:] {
			fmt.Fprintln(s.Stderr, escape(warned.list[0].message(name, w)))
		}
	}
	for _, c := range w.Complaints.List {
		warnUpTo(c.Line - 1)
		where := name + ": " + w.Place(c.Line) + ": "
		if _, ok := errors.AsType[*strictjson.Error](c.Err); ok {
			where = name + ": " // the complaint names the path of a value
		}
		s.reportAbout(subject{func() *ipvs.Table { return w.Table }, true}, atPlace(where, true, failureOf(s, c)))
	}
	warnUpTo(math.MaxInt)
	if w.Complaints.More > 0 {
		fmt.Fprintf(s.Stderr, moreText, name, w.Complaints.More)
	}
	if warned.more > 0 {
		fmt.Fprintf(s.Stderr, moreWarningsText, name, warned.more)
	}
}

// failureOf returns the message and the status of a complaint.
func failureOf(s *session, c restore.Complaint) *failure {
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
