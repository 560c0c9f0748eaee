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
	defer b.end()
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

const (
	// maxPending is how many changes wait to be sent together at the most.
	maxPending = 256
	// maxPieces is how many such pieces there are at the most: one that the
	// kernel works at, one that it finds when it is ready, and one that is
	// read.
	maxPieces = 3
)

// batch runs lines of rule text and keeps changes back to send them together.
type batch struct {
	*session
	kept     *piece
	unused   []*piece
	unsent   chan *piece
	answered chan *piece
	waiting  int // pieces to be answered
	status   int // of the last line
}

// piece is changes that are sent together.
type piece struct {
	changes []ipvs.Change
	lines   []int // where each change stands
	err     error // what became of them
}

func newBatch(s *session) *batch {
	b := &batch{session: s}
	b.kept = b.another()
	return b
}

// another returns an empty piece. It may have to wait for one.
func (b *batch) another() *piece {
	if b.waiting == maxPieces {
		b.take()
	}
	if last := len(b.unused) - 1; last >= 0 {
		p := b.unused[last]
		b.unused = b.unused[:last]
		return p
	}
	return &piece{changes: make([]ipvs.Change, 0, maxPending), lines: make([]int, 0, maxPending)}
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

// end ends what send has begun.
func (b *batch) end() {
	if b.unsent != nil {
		close(b.unsent)
	}
}

// send begins to make the collected changes.
func (b *batch) send(ctx context.Context) {
	if len(b.kept.changes) == 0 {
		return
	}
	if err := b.open(ctx); err != nil {
		b.status = b.report(inLine(b.kept.lines[0], err))
		b.kept.empty()
		return
	}
	if b.unsent == nil {
		b.unsent, b.answered = make(chan *piece, maxPieces), make(chan *piece, maxPieces)
		go func() {
			for p := range b.unsent {
				p.err = b.client.Apply(ctx, p.changes...)
				b.answered <- p
			}
		}()
	}
	b.unsent <- b.kept
	b.waiting++
	b.kept = b.another()
}

// wait waits for the changes that were sent and reports those refused.
func (b *batch) wait() {
	for b.waiting > 0 {
		b.take()
	}
}

// take waits for the first piece that was sent. It reports each change that was
// refused, or of which it is not known whether it was made.
func (b *batch) take() {
	p := <-b.answered
	b.waiting--
	var refused ipvs.ChangeErrors
	tried, failed := 0, p.err
	var ended *ipvs.ApplyError
	if errors.As(p.err, &ended) {
		refused, tried, failed = ended.Refused, ended.Tried, ended.Err
	} else if errors.As(p.err, &refused) {
		failed = nil
	}
	for i, line := range p.lines {
		b.status = statusOK
		switch {
		case len(refused) > 0 && refused[0].Index == i:
			b.status = b.report(inLine(line, changeFailure(refused[0].Change.Op, refused[0])))
			refused = refused[1:]
		case failed != nil && i >= tried:
			b.status = b.report(inLine(line, changeFailure(0, failed)))
		}
	}
	p.empty()
	b.unused = append(b.unused, p)
}

func (p *piece) empty() { p.changes, p.lines, p.err = p.changes[:0], p.lines[:0], nil }
