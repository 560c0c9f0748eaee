// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/internal/args"
	"github.com/ipvsadm-go/ipvsadm/internal/model"
	"github.com/ipvsadm-go/ipvsadm/internal/render"
	"github.com/ipvsadm-go/ipvsadm/internal/rule"
	"github.com/ipvsadm-go/ipvsadm/internal/spec"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// monitorCommand prints changes of the table until its reader closes the pipe
// or the context ends. It polls the table, since the kernel sends no events.
type monitorCommand struct {
	*session
	cmd *args.Command
}

func (m monitorCommand) Run(ctx context.Context) error {
	defer ignorePipe()()
	m.config.Patience = monitorPatience
	if err := m.openToRead(ctx); err != nil {
		return err
	}
	return m.follow(ctx)
}

const (
	// readerPoll is the interval of checks whether the reader has closed
	// the pipe.
	readerPoll = time.Second
	// monitorPatience is the time limit of a list that other writers keep
	// changing. With the usual one, events would be up to seconds late.
	monitorPatience = time.Second
)

// follow is Run without the signals.
func (m monitorCommand) follow(ctx context.Context) error {
	have, err := m.readNamed(ctx, m.cmd, wholeTable)
	if err != nil && !errors.Is(err, ipvs.ErrChanging) {
		return listFailure(err)
	}
	_, absent := m.client.(noIPVS) // true until the module is loaded
	if m.cmd.Given.Has(spec.OptSnapshot) {
		if err := m.printEvents(m.snapshot(have), time.Now()); err != nil {
			return output(err)
		}
	}
	clock := time.NewTicker(m.cmd.Interval)
	defer clock.Stop()
	reader := time.NewTicker(readerPoll)
	defer reader.Stop()
	var reported error // the reported error while the table cannot be read
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-reader.C:
			if pipeClosed(m.Stdout) {
				return nil
			}
			continue
		case <-clock.C:
		}
		now, err := m.readAgain(ctx, m.cmd, wholeTable, have)
		if errors.Is(err, ipvs.ErrChanging) {
			err = nil
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case absent && errors.Is(err, ipvs.ErrNoIPVS):
			continue
		case absent && err == nil:
			absent, have.Timeouts = false, now.Timeouts // the module's defaults are no changes
		}
		switch {
		case err != nil && reported == nil:
			fmt.Fprintf(m.Stderr, unreadableText+"\n", refusalText(0, err))
		case err == nil && reported != nil:
			fmt.Fprint(m.Stderr, readableText)
		}
		if reported = err; err != nil {
			continue
		}
		changes := model.Diff(have, now)
		have = now
		if err := m.printEvents(changes, time.Now()); err != nil {
			if errors.Is(err, unix.EPIPE) {
				return nil
			}
			return output(err)
		}
	}
}

// snapshot returns the changes that turn any table into t, or that add the
// followed service. The output is then a journal: its commands up to any line
// restore the table of that moment.
func (m monitorCommand) snapshot(t *ipvs.Table) []ipvs.Change {
	render.Sort(t.Services)
	changes := slices.Collect(rule.Changes(t))
	if m.cmd.Given.HasAny(spec.ServiceAddress) {
		return changes
	}
	return slices.Insert(changes, 0, ipvs.Change{Op: ipvs.OpFlush})
}

// pipeClosed reports whether a pipe has no reader any more.
func pipeClosed(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	fds := []unix.PollFd{{Fd: int32(f.Fd())}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n > 0 && fds[0].Revents&unix.POLLERR != 0
}

// printEvents prints changes in an order in which they can be made.
func (m monitorCommand) printEvents(changes []ipvs.Change, at time.Time) error {
	if len(changes) == 0 {
		return nil
	}
	var b []byte
	for _, c := range changes {
		switch {
		case m.cmd.Given.Has(spec.OptJSON):
			var err error
			if b, err = appendEvent(b, c, at); err != nil {
				return err
			}
		default:
			if m.cmd.Given.Has(spec.OptTimestamp) {
				b = at.AppendFormat(b, "[2006-01-02T15:04:05.000000] ")
			}
			b = rule.Writer{}.Append(b, c)
		}
		b = append(b, '\n')
	}
	_, err := m.Stdout.Write(b)
	return err
}

// appendEvent appends a change as a JSON object, with its time.
func appendEvent(b []byte, c ipvs.Change, at time.Time) ([]byte, error) {
	object, err := c.MarshalJSON()
	if err != nil {
		return b, err
	}
	b = at.UTC().AppendFormat(append(b, `{"time":"`...), "2006-01-02T15:04:05.000Z")
	return append(append(b, `",`...), object[1:]...), nil
}
