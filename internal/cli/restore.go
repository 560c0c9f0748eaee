// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bufio"
	"context"
	"errors"
	"io"

	"github.com/ipvsadm-go/ipvsadm/internal/args"
	"github.com/ipvsadm-go/ipvsadm/internal/rule"
	"github.com/ipvsadm-go/ipvsadm/internal/spec"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// restore runs each line of r as a command line of its own, as -R does: one
// that the kernel refuses, or with a word that cannot be read, is reported and
// the rest goes on; any other fault ends the run. Changes are sent many at a
// time, but none is kept back while the program waits for more input.
func (s *session) restore(ctx context.Context, r io.Reader) int {
	if err := s.reach(ctx); err != nil {
		return s.report(err)
	}
	if isTerminal(r) {
		s.say(restoreHint)
	}
	b := batch{session: s, changes: make([]ipvs.Change, 0, maxPending), lines: make([]int, 0, maxPending)}
	in := bufio.NewReaderSize(&flusher{r, func() { b.send(ctx) }}, 32<<10)
	var words []string
	var line []byte
	for n := 1; ; n++ {
		var err error
		line, err = readLine(in, line[:0])
		if err != nil && err != io.EOF {
			b.send(ctx)
			return s.report(inputFailure(err))
		}
		if words = rule.AppendWords(words[:0], line); len(words) > 0 {
			if end := b.line(ctx, n, words); end {
				return b.status
			}
		}
		if err == io.EOF {
			b.send(ctx)
			return b.status
		}
	}
}

// readLine appends a line with its end to line, or what stands before an error.
func readLine(in *bufio.Reader, line []byte) ([]byte, error) {
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		if err != bufio.ErrBufferFull {
			return line, err
		}
	}
}

// flusher calls before ahead of each read of r.
type flusher struct {
	r      io.Reader
	before func()
}

func (f *flusher) Read(p []byte) (int, error) {
	f.before()
	return f.r.Read(p)
}

// maxPending is how many changes wait to be sent together at the most.
const maxPending = 512

// batch runs lines of rule text and keeps changes back to send them together.
type batch struct {
	*session
	changes []ipvs.Change
	lines   []int // where each change stands
	status  int   // of the last line
}

// line runs one line and reports whether it was the last to run.
func (b *batch) line(ctx context.Context, n int, words []string) (end bool) {
	cmd, err := b.parser.ParseRule(ctx, words)
	if err == nil && (cmd.ID == spec.Restore || cmd.ID == spec.Apply || cmd.ID == spec.Monitor || cmd.ID == spec.Watch) {
		err = &args.Fault{Kind: args.NotACommand}
	}
	if err != nil {
		b.send(ctx)
		b.status = b.report(inLine(n, parseFailure(err, b.program())))
		var f *args.Fault
		return !errors.As(err, &f) || !f.Unreadable()
	}
	if c, ok := cmd.Change(); ok && !cmd.Given.Has(spec.OptExist) {
		b.changes = append(b.changes, c)
		b.lines = append(b.lines, n)
		if len(b.changes) == maxPending {
			b.send(ctx)
		}
		return false
	}
	b.send(ctx)
	err = b.run(ctx, &cmd)
	b.status = b.report(inLine(n, err))
	if b.status == statusRefused && cmd.Given.HasAny(spec.Existing) {
		return false // as any other change that is refused
	}
	return err != nil || cmd.ID == spec.Help || cmd.ID == spec.Version // 1.31 exits with these
}

// send makes the changes that were kept back and reports those refused.
func (b *batch) send(ctx context.Context) {
	if len(b.changes) == 0 {
		return
	}
	changes, lines := b.changes, b.lines
	b.changes, b.lines = b.changes[:0], b.lines[:0]
	last := len(changes) - 1
	if err := b.open(ctx); err != nil {
		b.status = b.report(inLine(lines[0], err))
		return
	}
	b.status = statusOK
	err := b.client.Apply(ctx, changes...)
	var refused ipvs.ChangeErrors
	if !errors.As(err, &refused) && err != nil {
		b.status = b.report(inLine(lines[last], changeFailure(0, err)))
		return
	}
	for _, r := range refused {
		status := b.report(inLine(lines[r.Index], changeFailure(r.Change.Op, r)))
		if r.Index == last {
			b.status = status
		}
	}
}
