// SPDX-License-Identifier: Apache-2.0

package cli

// This file reads the table beside a rule file. Each takes some time if it is
// large, and a second processor is seldom busy.

import (
	"context"
	"io"
	"os"
	"runtime"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/args"
	"github.com/ipvsadm-go/ipvsadm/internal/restore"
	"github.com/ipvsadm-go/ipvsadm/internal/spec"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

const (
	// earlySize is the size from which a file takes a while.
	earlySize = 64 << 10
	// earlyWait is how long the lock and the table are kept for a file that
	// takes longer. Meanwhile a server that is to be removed may get its first
	// connection, but the time is no longer than a large table takes to read.
	earlyWait = 100 * time.Millisecond
)

// reading is the table as it is read under the lock, and the lock.
type reading struct {
	table  *ipvs.Table
	unlock func()
}

// early is a reading under way.
type early struct {
	read   chan reading // closed after a reading, and if there is none
	cancel context.CancelFunc
}

// readEarly begins to read the table if that may gain time: a file to apply is
// large and ends, and there is a processor for it. It returns nil otherwise.
// Until end is called nothing else may use the kernel.
func (s *session) readEarly(ctx context.Context, cmd args.Command, in io.Reader) *early {
	if cmd.Given.HasAny(spec.Of(spec.OptCheck, spec.OptDryRun, spec.OptDiff)) || runtime.GOMAXPROCS(0) < 2 {
		return nil
	}
	f, ok := in.(*os.File)
	if !ok {
		return nil
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() || info.Size() < earlySize {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	e := &early{make(chan reading), cancel}
	go func() {
		defer close(e.read)
		r, err := s.tryReading(ctx, cmd)
		if err != nil {
			return
		}
		select {
		case e.read <- r:
		case <-ctx.Done():
			r.unlock()
		case <-time.After(s.earlyWait):
			r.unlock()
		}
	}()
	return e
}

// tryReading reads the table unless it would have to wait for the lock or load
// the module. Whatever its error is, it shows again without haste.
func (s *session) tryReading(ctx context.Context, cmd args.Command) (r reading, err error) {
	if s.client, err = s.redial(ctx, s.config()); err != nil {
		s.client = nil
		return r, err
	}
	l, err := openLock(s.lockPath(cmd))
	if err != nil {
		return r, err
	}
	if err = l.try(); err == nil {
		r.table, err = restore.ReadTable(ctx, s.client)
	}
	if err != nil {
		l.unlock()
	}
	r.unlock = l.unlock
	return r, err
}

// end returns the reading if it is wanted and there is one. Then the caller
// unlocks.
func (e *early) end(wanted bool) (r reading, ok bool) {
	if e == nil {
		return r, false
	}
	defer e.cancel()
	if !wanted {
		e.cancel()
	}
	if r, ok = <-e.read; ok && !wanted {
		r.unlock()
		ok = false
	}
	return r, ok
}
