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
// many at a time. None is kept back while the program waits for more input.
type batchCommand struct {
	*session
	find    func(*session, *args.Command) runner // returns the command of a line
	changes []ipvs.Change
	lines   []int // the line of each change
	status  int   // of the last line
}

func (b *batchCommand) Run(ctx context.Context) error {
	r := b.Stdin
	if err := b.probe(ctx); err != nil {
		return err
	}
	if isTerminal(r) {
		b.say(restoreHint)
	}
	in := bufio.NewReaderSize(&flusher{r, func() { b.send(ctx) }}, 64<<10)
	var words []string
	var line []byte
	for n := 1; ; n++ {
		var err error
		line, err = readLine(in, line[:0])
		if err != nil && err != io.EOF {
			b.send(ctx)
			return inputFailure(err)
		}
		if words = rule.AppendWords(words[:0], line); len(words) > 0 {
			if end := b.line(ctx, n, words); end {
				return exit(b.status)
			}
		}
		if err == io.EOF {
			b.send(ctx)
			return exit(b.status)
		}
	}
}

// maxPending is the most changes that are sent together.
const maxPending = 1024

// line runs one line and reports whether it was the last to run.
func (b *batchCommand) line(ctx context.Context, n int, words []string) (end bool) {
	cmd, err := b.parser.ParseRule(ctx, words)
	if err == nil && spec.FindCommand(cmd.ID).CommandLine {
		err = &args.Fault{Kind: args.NotACommand}
	}
	if err != nil {
		b.send(ctx)
		b.status = b.report(inLine(n, parseFailure(err, b.program())))
		var f *args.Fault
		return !errors.As(err, &f) || !f.Unreadable()
	}
	if c, ok := cmd.Change(); ok && !cmd.Given.Has(spec.OptExist) {
		b.changes, b.lines = append(b.changes, c), append(b.lines, n)
		if len(b.changes) == maxPending {
			b.send(ctx)
		}
		return false
	}
	b.send(ctx)
	err = b.find(b.session, &cmd).Run(ctx)
	b.status = b.report(inLine(n, err))
	if b.status == statusRefused && cmd.Given.HasAny(spec.Existing) {
		return false // as any other change that is refused
	}
	return err != nil || cmd.ID == spec.Help || cmd.ID == spec.Version // 1.31 exits with these
}

// send makes the collected changes and reports each one that was refused, or
// that may not have been made.
func (b *batchCommand) send(ctx context.Context) {
	if len(b.changes) == 0 {
		return
	}
	err := b.client.Apply(ctx, b.changes...)
	var refused ipvs.ChangeErrors
	tried, failed := 0, err
	var ended *ipvs.ApplyError
	if errors.As(err, &ended) {
		refused, tried, failed = ended.Refused, ended.Tried, ended.Err
	} else if errors.As(err, &refused) {
		failed = nil
	}
	for i, line := range b.lines {
		b.status = statusOK
		switch {
		case len(refused) > 0 && refused[0].Index == i:
			b.status = b.report(inLine(line, changeFailure(refused[0].Change.Op, refused[0])))
			refused = refused[1:]
		case failed != nil && i >= tried:
			b.status = b.report(inLine(line, changeFailure(0, failed)))
		}
	}
	b.changes, b.lines = b.changes[:0], b.lines[:0]
}
