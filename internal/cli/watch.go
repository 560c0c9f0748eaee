// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/internal/args"
	"github.com/ipvsadm-go/ipvsadm/internal/doctor"
	"github.com/ipvsadm-go/ipvsadm/internal/render"
	"github.com/ipvsadm-go/ipvsadm/internal/watch"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// escapeDelay is how long to wait for the rest of an escape sequence.
const escapeDelay = 100 * time.Millisecond

// watchCommand is the live screen: it shows the table until the user quits or
// a signal ends it. It passes readings of the table and typed keys to a
// watch.Browser, and writes the screens that this draws to the terminal.
type watchCommand struct {
	*session
	cmd *args.Command
	*fullScreen
	browser *watch.Browser
	have    *ipvs.Table   // last reading
	shown   *watch.Screen // on the terminal; nil if unknown

	clock   *time.Ticker
	typed   chan typing
	rest    []byte           // start of an incomplete key sequence
	lone    <-chan time.Time // fires when rest must be complete: see escapeDelay
	ending  *signals
	signals chan os.Signal // SIGWINCH, SIGTSTP and SIGCONT
}

// typing is terminal input, or the error that ended it.
type typing struct {
	keys []byte
	err  error
}

func (w *watchCommand) Run(ctx context.Context) (err error) {
	if w.fullScreen, err = fullScreenOf(w.Stdin, w.Stdout); err != nil {
		return err
	}
	if err := w.open(ctx); err != nil {
		return err
	}
	w.browser = watch.NewBrowser(watchTitle(escape(w.config.NetNS), w.cmd.Interval), displayOf(os.Getenv))
	w.have, w.typed, w.signals = &ipvs.Table{}, make(chan typing), make(chan os.Signal, 8)
	first, err := w.read(ctx)
	if err = cmp.Or(err, noServiceError(w.cmd, first.Services)); err != nil && !errors.Is(err, ipvs.ErrChanging) {
		return listFailure(err)
	}
	w.show(first, err)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w.ending = catchSignals()
	defer w.ending.release()
	signal.Notify(w.signals, unix.SIGWINCH, unix.SIGTSTP, unix.SIGCONT)
	defer signal.Stop(w.signals)
	w.clock = time.NewTicker(w.cmd.Interval)
	defer w.clock.Stop()
	defer w.leave() // before the other deferred calls
	if err := w.enter(); err != nil {
		return output(err)
	}
	go w.listen(ctx)
	for {
		if err := w.draw(); err != nil {
			return lostTerminalFailure(err)
		}
		if quit, err := w.await(ctx); quit || err != nil {
			return err
		}
	}
}

// await waits for the next event and handles it. It reports whether the user
// wants to quit; its error is a *failure.
func (w *watchCommand) await(ctx context.Context) (quit bool, err error) {
	select {
	case <-ctx.Done():
		return true, nil
	case sig := <-w.ending.ending:
		return true, exit(signalStatus(sig))
	case <-w.clock.C:
		if !w.browser.Paused() {
			w.show(w.read(ctx))
		}
	case in := <-w.typed:
		w.rest = append(w.rest, in.keys...)
		paused := w.browser.Paused()
		if err = in.err; err == nil && w.press(false) {
			return true, nil
		}
		if w.lone = nil; len(w.rest) > 0 {
			w.lone = time.After(escapeDelay)
		}
		if paused && !w.browser.Paused() {
			w.resume(ctx)
		}
	case <-w.lone:
		w.press(true)
	case sig := <-w.signals:
		switch sig {
		case unix.SIGWINCH: // draw queries the size
			return false, nil
		case unix.SIGTSTP:
			err = w.suspend()
		default:
			err = w.setLine() // after SIGSTOP, which no process can catch
		}
		w.shown = nil
		w.resume(ctx)
	}
	if err != nil {
		return false, lostTerminalFailure(err)
	}
	return false, nil
}

// resume reads the table after a pause.
func (w *watchCommand) resume(ctx context.Context) {
	if w.browser.ResetRates(); !w.browser.Paused() {
		w.show(w.read(ctx))
	}
	w.clock.Reset(w.cmd.Interval)
}

// draw writes the changes of the screen.
func (w *watchCommand) draw() error {
	next := w.browser.Draw(w.size())
	_, err := w.out.Write(next.AppendDiff(nil, w.shown, w.browser.Display))
	w.shown = next
	return err
}

// press handles the keys that were typed; final means that the last one is
// complete. It reports whether the user wants to quit.
func (w *watchCommand) press(final bool) (quit bool) {
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

// listen sends the terminal input to typed.
func (w *watchCommand) listen(ctx context.Context) {
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

// read reads the table as a list does.
func (w *watchCommand) read(ctx context.Context) (watch.Reading, error) {
	r := watch.Reading{At: time.Now()}
	t, err := w.readAgain(ctx, w.cmd, services, w.have)
	if t != nil {
		render.Sort(t.Services)
		w.have, r.Services = t, t.Services
	}
	return r, err
}

// show passes a reading, or its error, to the browser.
func (w *watchCommand) show(r watch.Reading, err error) {
	w.browser.Message = ""
	switch {
	case errors.Is(err, ipvs.ErrChanging):
		w.browser.Message = refusalText(0, err)
	case err != nil:
		w.browser.Message = escape(fmt.Sprintf(unreadableText, refusalText(0, err)))
		w.browser.ResetRates()
		return
	case doctor.ReadSetting(w.config.NetNS, "net.ipv4.vs.run_estimation") == "0":
		w.browser.Message = estimationOffText
	}
	w.browser.Update(r)
}
