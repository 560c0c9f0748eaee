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

// batchCommand is -R: it runs each line of standard input as a command line. A
// line that the kernel refuses, or that has a word that cannot be read, is
// reported and the rest goes on; any other fault ends the run. Changes are sent
// many at a time, while the next lines are read. None is kept back while the
// program waits for more input.
type batchCommand struct {
	*session
	find   func(*session, *args.Command) runner // returns the command of a line
	kept   piece
	sent   *piece // nil if the kernel has answered
	status int    // of the last line
}

// piece is changes that are sent together.
type piece struct {
	changes []ipvs.Change
	lines   []int // the line of each change
	answer  chan error
}

func (b *batchCommand) Run(ctx context.Context) error {
	r := b.Stdin
	if err := b.probe(ctx); err != nil {
		return err
	}
	if isTerminal(r) {
		b.say(restoreHint)
	}
	in := bufio.NewReaderSize(&flusher{r, func() { b.finish(ctx) }}, 64<<10)
	var words []string
	var line []byte
	for n := 1; ; n++ {
		var err error
		line, err = readLine(in, line[:0])
		if err != nil && err != io.EOF {
			b.finish(ctx)
			return inputFailure(err)
		}
		if words = rule.AppendWords(words[:0], line); len(words) > 0 {
			if end := b.line(ctx, n, words); end {
				return exit(b.status)
			}
		}
		if err == io.EOF {
			b.finish(ctx)
			return exit(b.status)
		}
	}
}

// maxPending is the most changes that are sent together.
const maxPending = 256

// line runs one line and reports whether it was the last to run.
func (b *batchCommand) line(ctx context.Context, n int, words []string) (end bool) {
	cmd, err := b.parser.ParseRule(ctx, words)
	if err == nil && spec.FindCommand(cmd.ID).CommandLine {
		err = &args.Fault{Kind: args.NotACommand}
	}
	if err != nil {
		b.finish(ctx)
		b.status = b.report(inLine(n, parseFailure(err, b.program())))
		var f *args.Fault
		return !errors.As(err, &f) || !f.Unreadable()
	}
	if c, ok := cmd.Change(); ok && !cmd.Given.Has(spec.OptExist) {
		b.kept.changes, b.kept.lines = append(b.kept.changes, c), append(b.kept.lines, n)
		if len(b.kept.changes) == maxPending {
			b.send(ctx)
		}
		return false
	}
	b.finish(ctx)
	err = b.find(b.session, &cmd).Run(ctx)
	b.status = b.report(inLine(n, err))
	if b.status == statusRefused && cmd.Given.HasAny(spec.Existing) {
		return false // as any other change that is refused
	}
	return err != nil || cmd.ID == spec.Help || cmd.ID == spec.Version // 1.31 exits with these
}

// send sends the collected changes, after the answer to those before.
func (b *batchCommand) send(ctx context.Context) {
	b.wait()
	if len(b.kept.changes) == 0 {
		return
	}
	p := b.kept
	p.answer = make(chan error, 1)
	go func() { p.answer <- b.client.Apply(ctx, p.changes...) }()
	b.sent, b.kept = &p, piece{}
}

// finish makes all changes so far.
func (b *batchCommand) finish(ctx context.Context) {
	b.send(ctx)
	b.wait()
}

// wait waits for the changes that were sent and reports each one that was
// refused, or that may not have been made.
func (b *batchCommand) wait() {
	if b.sent == nil {
		return
	}
	p := b.sent
	b.sent = nil
	err := <-p.answer
	var refused ipvs.ChangeErrors
	tried, failed := 0, err
	var ended *ipvs.ApplyError
	if errors.As(err, &ended) {
		refused, tried, failed = ended.Refused, ended.Tried, ended.Err
	} else if errors.As(err, &refused) {
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
}
