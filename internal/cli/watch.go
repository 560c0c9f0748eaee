// SPDX-License-Identifier: Apache-2.0

package cli

// This file runs the command watch: readings of the table and what is typed go
// to a watch.Browser, and what that draws goes to the terminal.

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/internal/args"
	"github.com/ipvsadm-go/ipvsadm/internal/render"
	"github.com/ipvsadm-go/ipvsadm/internal/watch"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// escapeDelay is how long what follows an escape character may take, if it is
// of the same key.
const escapeDelay = 100 * time.Millisecond

// watch shows the table until its user quits or a signal ends it. It returns
// the exit status.
func (s *session) watch(ctx context.Context, cmd args.Command) int {
	terminal, err := s.fullScreen()
	if err != nil {
		return s.report(err)
	}
	if err := s.open(ctx); err != nil {
		return s.report(err)
	}
	w := &watcher{
		session: s, fullScreen: terminal, interval: cmd.Interval,
		browser:  watch.NewBrowser(watchTitle(s.config.NetNS, cmd.Interval), displayOf(os.Getenv)),
		readings: make(chan tableReading, 1),
		typed:    make(chan typing),
		signals:  make(chan os.Signal, 8),
	}
	first := w.read(ctx)
	if first.err != nil {
		return s.report(listFailure(first.err))
	}
	w.take(first)
	return w.run(ctx)
}

// watcher is a live screen.
type watcher struct {
	*session
	*fullScreen
	interval time.Duration
	browser  *watch.Browser
	shown    *watch.Screen // on the terminal; nil if that is not known

	readings chan tableReading
	reading  bool // one is under way
	typed    chan typing
	rest     []byte // typed, and no whole key yet
	signals  chan os.Signal
}

// tableReading is what became of a reading of the table.
type tableReading struct {
	watch.Reading
	err   error
	panic string // what it ended with, if it panicked
}

// typing is what was typed, or why nothing more can be.
type typing struct {
	keys []byte
	err  error
}

// run is watch once the table has been read.
func (w *watcher) run(ctx context.Context) (status int) {
	ctx, cancel := context.WithCancel(ctx)
	defer func() {
		cancel()
		if w.reading { // it uses the client, which is closed next
			<-w.readings
		}
	}()
	ending := catchSignals()
	defer ending.release()
	signal.Notify(w.signals, unix.SIGWINCH, unix.SIGTSTP, unix.SIGCONT)
	defer signal.Stop(w.signals)
	defer w.leave() // whatever happens, before anything else
	if err := w.enter(); err != nil {
		return w.end(outputFailure(err))
	}
	go w.listen(ctx)
	clock := time.NewTicker(w.interval)
	defer clock.Stop()
	resume := func() { // reading after a while without
		w.browser.ResetRates()
		w.startReading(ctx)
		clock.Reset(w.interval)
	}
	var lone <-chan time.Time // when an escape character is a key
	for {
		w.draw()
		var err error
		select {
		case <-ctx.Done():
			return statusOK
		case sig := <-ending.ending:
			return 128 + int(sig.(syscall.Signal))
		case <-clock.C:
			w.startReading(ctx)
		case r := <-w.readings:
			w.reading = false
			w.take(r)
		case in := <-w.typed:
			w.rest = append(w.rest, in.keys...)
			paused := w.browser.Paused()
			if err = in.err; err == nil && w.press(false) {
				return statusOK
			}
			if lone = nil; len(w.rest) > 0 {
				lone = time.After(escapeDelay)
			}
			if paused && !w.browser.Paused() {
				resume()
			}
		case <-lone:
			w.press(true)
		case err = <-w.written:
			w.writing = false
		case sig := <-w.signals:
			if sig == unix.SIGWINCH { // draw looks at the size
				continue
			}
			if sig == unix.SIGTSTP {
				err = w.suspend()
			} else {
				err = w.setLine() // after SIGSTOP, of which nobody is told
			}
			w.shown = nil
			resume()
		}
		if err != nil {
			return w.end(lostTerminalFailure(err))
		}
	}
}

// end leaves the screen, since the message has to stand behind it.
func (w *watcher) end(err error) int {
	w.leave()
	return w.report(err)
}

// draw shows what has changed, unless the terminal still takes what changed
// before.
func (w *watcher) draw() {
	if w.writing {
		return
	}
	next := w.browser.Draw(w.size())
	if b := next.AppendDiff(nil, w.shown, w.browser.Display); len(b) > 0 {
		w.write(b)
	}
	w.shown = next
}

// press obeys the keys that were typed; final means that the last is complete.
// It reports whether the user wants to quit.
func (w *watcher) press(final bool) (quit bool) {
	for len(w.rest) > 0 {
		k, n := watch.Decode(w.rest, final)
		if n == 0 {
			break
		}
		w.rest = w.rest[n:]
		if k == watch.KeyRedraw {
			w.shown = nil
		}
		if w.browser.Press(k) {
			return true
		}
	}
	return false
}

// listen passes on what is typed.
func (w *watcher) listen(ctx context.Context) {
	for {
		b := make([]byte, 256)
		n, err := w.in.Read(b)
		select {
		case w.typed <- typing{b[:n], err}:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// startReading reads the table behind the screen's back, since a large one
// takes longer than its user should wait for a key.
func (w *watcher) startReading(ctx context.Context) {
	if w.reading || w.browser.Paused() {
		return
	}
	w.reading = true
	go func() {
		var r tableReading
		defer func() {
			if p := recover(); p != nil { // the terminal is put in order elsewhere
				r.panic = fmt.Sprintf("%v\n\n%s", p, debug.Stack())
			}
			w.readings <- r
		}()
		r = w.read(ctx)
	}()
}

// read reads the table as a list does.
func (w *watcher) read(ctx context.Context) (r tableReading) {
	r.err = w.reconnected(ctx, func() (err error) {
		r.At = time.Now()
		t, err := w.readTable(ctx, services)
		r.Services = t.Services
		return err
	})
	if errors.Is(r.err, ipvs.ErrChanging) {
		r.Partial, r.err = true, nil
	}
	render.Sort(r.Services)
	return r
}

// take shows a reading, or why there is none.
func (w *watcher) take(r tableReading) {
	w.browser.Message = ""
	switch {
	case r.panic != "":
		panic(r.panic)
	case w.browser.Paused():
		return
	case r.err != nil:
		w.browser.Message = plain(unreadableText(r.err))
		w.browser.ResetRates()
		return
	case r.Partial:
		w.browser.Message = refusalText(0, ipvs.ErrChanging)
	case w.machine(subject{}).setting("net.ipv4.vs.run_estimation") == "0":
		w.browser.Message = estimationOffText
	}
	w.browser.Update(r.Reading)
}
