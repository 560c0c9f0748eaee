// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/internal/args"
	"github.com/ipvsadm-go/ipvsadm/internal/rule"
	"github.com/ipvsadm-go/ipvsadm/internal/spec"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// restore runs each line of r as a command line, as -R does. A line that the
// kernel refuses, or that has a word that cannot be read, is reported and the
// rest goes on; any other fault ends the run. Changes are sent many at a time.
// None is kept back, nor what became of it, while the program waits for more
// input.
func (s *session) restore(ctx context.Context, r io.Reader) int {
	if err := s.probe(ctx); err != nil {
		return s.report(err)
	}
	if isTerminal(r) {
		s.say(restoreHint)
	}
	b := newBatch(s)
	in := bufio.NewReaderSize(&flusher{r, func() {
		if b.send(ctx); !isReady(r) {
			b.wait()
		}
	}}, 32<<10)
	var words []string
	var line []byte
	for n := 1; ; n++ {
		var err error
		line, err = readLine(in, line[:0])
		if err != nil && err != io.EOF {
			b.finish(ctx)
			return s.report(inputFailure(err))
		}
		if words = rule.AppendWords(words[:0], line); len(words) > 0 {
			if end := b.line(ctx, n, words); end {
				return b.status
			}
		}
		if err == io.EOF {
			b.finish(ctx)
			return b.status
		}
	}
}

// readLine appends a line with its end to line, or what stands before an
// error.
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

// isReady reports whether a read of r is known not to wait.
func isReady(r io.Reader) bool {
	f, ok := r.(*os.File)
	if !ok {
		return false
	}
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(f.Fd()), Events: unix.POLLIN}}, 0)
	return err == nil && n > 0
}

// maxPending is how many changes wait to be sent together at the most.
const maxPending = 256

// batch runs lines of rule text and keeps changes back to send them together.
// While the kernel makes those that were sent, the next lines are read.
type batch struct {
	*session
	kept, sent piece
	answer     chan error // of what was sent
	waiting    bool       // for it
	status     int        // of the last line
}

// piece is changes that are sent together.
type piece struct {
	changes []ipvs.Change
	lines   []int // where each change stands
}

func newBatch(s *session) *batch {
	room := func() piece { return piece{make([]ipvs.Change, 0, maxPending), make([]int, 0, maxPending)} }
	return &batch{session: s, kept: room(), sent: room(), answer: make(chan error)}
}

// line runs one line and reports whether it was the last to run.
func (b *batch) line(ctx context.Context, n int, words []string) (end bool) {
	cmd, err := b.parser.ParseRule(ctx, words)
	if err == nil && isOnItsOwn(cmd.ID) {
		err = &args.Fault{Kind: args.NotACommand}
	}
	if err != nil {
		b.finish(ctx)
		b.status = b.report(inLine(n, parseFailure(err, b.program())))
		var f *args.Fault
		return !errors.As(err, &f) || !f.Unreadable()
	}
	if c, ok := cmd.Change(); ok && !cmd.Given.Has(spec.OptExist) {
		b.kept.changes = append(b.kept.changes, c)
		b.kept.lines = append(b.kept.lines, n)
		if len(b.kept.changes) == maxPending {
			b.send(ctx)
		}
		return false
	}
	b.finish(ctx)
	err = b.run(ctx, &cmd)
	b.status = b.report(inLine(n, err))
	if b.status == statusRefused && cmd.Given.HasAny(spec.Existing) {
		return false // as any other change that is refused
	}
	return err != nil || cmd.ID == spec.Help || cmd.ID == spec.Version // 1.31 exits with these
}

// isOnItsOwn reports whether a command is no line of a rule file: it reads one
// itself, goes on until it is told to end, or examines the machine.
func isOnItsOwn(c spec.CommandID) bool {
	switch c {
	case spec.Restore, spec.Apply, spec.Monitor, spec.Watch, spec.Doctor:
		return true
	}
	return false
}

// finish makes all changes so far.
func (b *batch) finish(ctx context.Context) {
	b.send(ctx)
	b.wait()
}

// send begins to make the collected changes.
func (b *batch) send(ctx context.Context) {
	if len(b.kept.changes) == 0 {
		return
	}
	b.wait()
	b.kept, b.sent = b.sent, b.kept
	b.kept.changes, b.kept.lines = b.kept.changes[:0], b.kept.lines[:0]
	if err := b.open(ctx); err != nil {
		b.status = b.report(inLine(b.sent.lines[0], err))
		return
	}
	b.waiting = true
	go func() { b.answer <- b.client.Apply(ctx, b.sent.changes...) }()
}

// wait waits for the changes that were sent and reports those refused.
func (b *batch) wait() {
	if !b.waiting {
		return
	}
	err := <-b.answer
	b.waiting = false
	b.status = statusOK
	lines := b.sent.lines
	last := len(lines) - 1
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
