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

// batchCommand implements -R: it runs each line of standard input as a command
// line. After a refused change or an unreadable word it reports the line and
// continues; any other fault ends the run. Changes are sent in batches, while
// the next lines are read. All changes are sent and their results reported
// before it waits for more input.
type batchCommand struct {
	*session
	find   func(*session, *args.Command) runner // returns the command of a line
	next   batch                                // the changes to send next
	sent   *batch                               // nil if the kernel has replied
	spare  batch                                // the memory of the last one
	status int                                  // exit status of the last line
}

// batch is a list of changes that are sent together.
type batch struct {
	changes []ipvs.Change
	lines   []int // the line of each change
	result  chan error
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
			if last := b.runLine(ctx, n, words); last {
				return exit(b.status)
			}
		}
		if err == io.EOF {
			b.finish(ctx)
			return exit(b.status)
		}
	}
}

// maxBatch is the maximum number of changes that are sent together.
const maxBatch = 256

// runLine runs one line and reports whether it ends the run.
func (b *batchCommand) runLine(ctx context.Context, n int, words []string) (end bool) {
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
		b.next.changes, b.next.lines = append(b.next.changes, c), append(b.next.lines, n)
		if len(b.next.changes) == maxBatch {
			b.send(ctx)
		}
		return false
	}
	b.finish(ctx)
	err = b.find(b.session, &cmd).Run(ctx)
	b.status = b.report(inLine(n, err))
	if b.status == statusRefused && cmd.Given.HasAny(spec.Existing) {
		return false // like any other refused change
	}
	return err != nil || cmd.ID == spec.Help || cmd.ID == spec.Version // 1.31 exits after these
}

// send waits for the result of the previous batch and sends the next.
func (b *batchCommand) send(ctx context.Context) {
	b.wait()
	if len(b.next.changes) == 0 {
		return
	}
	p := b.next
	p.result = make(chan error, 1)
	go func() { p.result <- b.client.Apply(ctx, p.changes...) }()
	b.sent, b.next = &p, b.spare
}

// finish makes all changes read so far.
func (b *batchCommand) finish(ctx context.Context) {
	b.send(ctx)
	b.wait()
}

// wait waits for the result of the batch that was sent and reports each change
// that was refused or may not have been made.
func (b *batchCommand) wait() {
	if b.sent == nil {
		return
	}
	p := b.sent
	b.sent = nil
	err := <-p.result
	b.spare = batch{changes: p.changes[:0], lines: p.lines[:0]}
	var refused ipvs.ChangeErrors
	tried, failed := 0, err
	var partly *ipvs.ApplyError
	if errors.As(err, &partly) {
		refused, tried, failed = partly.Refused, partly.Tried, partly.Err
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
