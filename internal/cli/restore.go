// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/ipvsadm-go/ipvsadm/internal/args"
	"github.com/ipvsadm-go/ipvsadm/internal/rule"
	"github.com/ipvsadm-go/ipvsadm/internal/spec"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// restore runs each line of r as a command line of its own, as -R does: one
// that the kernel refuses is reported and the rest goes on; a fault ends the
// run. Changes are sent many at a time, but none is kept back while the
// program waits for more input.
func (s *session) restore(ctx context.Context, r io.Reader) int {
	b := batch{session: s}
	in := bufio.NewReaderSize(&flusher{r, func() { b.send(ctx) }}, 64<<10)
	for n := 1; ; n++ {
		line, err := in.ReadString('\n')
		if err != nil && err != io.EOF {
			b.send(ctx)
			return s.report(inputFailure(err))
		}
		if words := rule.Words(line); len(words) > 0 {
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
const maxPending = 1000

// batch runs lines of rule text and keeps changes back to send them together.
type batch struct {
	*session
	changes []ipvs.Change
	lines   []int // where each change stands
	status  int   // of the last line
}

// line runs one line; end tells that it was the last to run.
func (b *batch) line(ctx context.Context, n int, words []string) (end bool) {
	cmd, err := b.parse(ctx, words)
	if err == nil && cmd.ID == spec.Restore {
		err = faultFailure(&args.Fault{Kind: args.NotACommand}, b.program())
	}
	if err != nil {
		b.send(ctx)
		b.status = b.report(inLine(n, err))
		return true
	}
	if c, ok := cmd.Change(); ok {
		b.changes = append(b.changes, c)
		b.lines = append(b.lines, n)
		if len(b.changes) == maxPending {
			b.send(ctx)
		}
		return false
	}
	b.send(ctx)
	err = b.run(ctx, cmd)
	b.status = b.report(inLine(n, err))
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

// inLine says where a failure is from.
func inLine(n int, err error) error {
	var f *failure
	if errors.As(err, &f) {
		return &failure{at(n, f.text), f.status}
	}
	return err
}

// saveCommand is ipvsadm-save: it takes -n and ignores what is no option.
func (s *session) saveCommand(ctx context.Context) int {
	numeric := false
	for _, a := range s.Args[1:] {
		switch {
		case a == "-n":
			numeric = true
		case strings.HasPrefix(a, "-"):
			fmt.Fprintf(s.Stderr, saveUsage, filepath.Base(s.program()))
			return statusList
		}
	}
	return s.report(s.save(ctx, numeric))
}

// restoreCommand is ipvsadm-restore: it reads all of its input before it
// touches anything, and a fault in any line keeps it from doing so. Lines
// that begin with # are comments.
func (s *session) restoreCommand(ctx context.Context) int {
	text, err := io.ReadAll(s.Stdin)
	if err != nil {
		return s.report(inputFailure(err))
	}
	lines := strings.Split(string(text), "\n")
	status := statusOK
	for i, line := range lines {
		if strings.HasPrefix(line, "#") {
			lines[i] = ""
			continue
		}
		if words := rule.Words(line); len(words) > 0 {
			if _, err := s.parse(ctx, words); err != nil {
				status = statusUsage
				s.report(inLine(i+1, err))
			}
		}
	}
	if status != statusOK {
		return status
	}
	if err := s.change(ctx, ipvs.Change{Op: ipvs.Flush}); err != nil {
		return s.report(err)
	}
	return s.restore(ctx, strings.NewReader(strings.Join(lines, "\n")))
}
