// SPDX-License-Identifier: Apache-2.0

package cli

// This file runs the command monitor, which polls the table, since the kernel
// sends no events, and prints the changes.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/internal/args"
	"github.com/ipvsadm-go/ipvsadm/internal/model"
	"github.com/ipvsadm-go/ipvsadm/internal/rule"
	"github.com/ipvsadm-go/ipvsadm/internal/spec"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// monitor prints changes of the table until its reader closes the pipe or ctx
// ends. Its error is a *failure.
func (s *session) monitor(ctx context.Context, cmd args.Command) error {
	signal.Ignore(unix.SIGPIPE)
	defer signal.Reset(unix.SIGPIPE)
	s.config.Patience = monitorPatience
	if err := s.open(ctx); err != nil {
		return err
	}
	return s.follow(ctx, cmd)
}

const (
	// readerPoll is the interval of checks whether the reader has closed
	// the pipe.
	readerPoll = time.Second
	// monitorPatience is the time limit of a list that other writers keep
	// changing. With the usual one, events would be up to seconds late.
	monitorPatience = time.Second
)

// follow is monitor without the signals.
func (s *session) follow(ctx context.Context, cmd args.Command) error {
	have, err := s.readTable(ctx, wholeTable)
	if err != nil && !errors.Is(err, ipvs.ErrChanging) {
		return listFailure(err)
	}
	clock := time.NewTicker(cmd.Interval)
	defer clock.Stop()
	reader := time.NewTicker(readerPoll)
	defer reader.Stop()
	var silent error // why the table can't be read for now
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-reader.C:
			if readerHasGone(s.Stdout) {
				return nil
			}
			continue
		case <-clock.C:
		}
		now, err := s.readAgain(ctx, have)
		switch {
		case err != nil && silent == nil:
			fmt.Fprintln(s.Stderr, unreadableText(err))
		case err == nil && silent != nil:
			fmt.Fprintln(s.Stderr, readableText)
		}
		if silent = err; err != nil {
			continue
		}
		changes := model.Diff(have, now)
		have = now
		if err := s.printEvents(changes, cmd.Given, time.Now()); err != nil {
			if errors.Is(err, unix.EPIPE) {
				return nil
			}
			return outputFailure(err)
		}
	}
}

// readAgain reads the table after have. Entries that another writer hides
// from a reading stay until they are known to be gone.
func (s *session) readAgain(ctx context.Context, have *ipvs.Table) (*ipvs.Table, error) {
	var now *ipvs.Table
	err := s.reconnected(ctx, func() (err error) {
		now, err = s.readTable(ctx, wholeTable)
		if errors.Is(err, ipvs.ErrChanging) && now != nil {
			now, err = s.complete(ctx, have, now)
		}
		return err
	})
	return now, err
}

// complete adds to a table that may lack entries the previous ones that are
// not known to be gone.
func (s *session) complete(ctx context.Context, have, now *ipvs.Table) (*ipvs.Table, error) {
	for i := range have.Services {
		was := &have.Services[i]
		if is := now.Lookup(was.ServiceID); is != nil {
			for _, d := range was.Destinations {
				if is.Lookup(d.AddrPort()) == nil {
					is.Destinations = append(is.Destinations, d)
				}
			}
			continue
		}
		_, err := s.client.Service(ctx, was.ServiceID)
		switch {
		case err == nil:
			now.Services = append(now.Services, *was)
		case !errors.Is(err, ipvs.ErrNoService):
			return nil, err
		}
	}
	return now, nil
}

// readerHasGone reports whether nobody reads a pipe any more.
func readerHasGone(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	fds := []unix.PollFd{{Fd: int32(f.Fd())}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n > 0 && fds[0].Revents&unix.POLLERR != 0
}

// printEvents prints changes in an order in which they can be made.
func (s *session) printEvents(changes []ipvs.Change, given spec.Set, at time.Time) error {
	if len(changes) == 0 {
		return nil
	}
	var b []byte
	for _, c := range changes {
		switch {
		case given.Has(spec.OptJSON):
			b = appendEvent(b, c, at)
		default:
			if given.Has(spec.OptTimestamp) {
				b = at.AppendFormat(b, "[2006-01-02T15:04:05.000000] ")
			}
			b = rule.Writer{}.Append(b, c)
		}
		b = append(b, '\n')
	}
	_, err := s.Stdout.Write(b)
	return err
}

// appendEvent appends a change as a JSON object, with its time.
func appendEvent(b []byte, c ipvs.Change, at time.Time) []byte {
	b = at.UTC().AppendFormat(append(b, `{"time":"`...), "2006-01-02T15:04:05.000Z")
	b = append(b, `",`...)
	brace := len(b)
	b = c.AppendJSON(b)
	return slices.Delete(b, brace, brace+1)
}
