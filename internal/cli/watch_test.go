// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/internal/test/terminal"
	"github.com/ipvsadm-go/ipvsadm/internal/watch"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

func TestWatchNeedsATerminal(t *testing.T) {
	slave := terminal.New(t, 80, 24).Slave
	for _, c := range []struct {
		in, out any
		term    string
		want    string
	}{
		{nil, slave, "xterm", "the 'watch' command needs a terminal\n"},
		{slave, nil, "xterm", "the 'watch' command needs a terminal\n"},
		{slave, slave, "dumb", "the 'watch' command needs a terminal that can move its cursor, TERM is `dumb'\n"},
		{slave, slave, "", "the 'watch' command needs a terminal that can move its cursor, TERM is `'\n"},
	} {
		t.Setenv("TERM", c.term)
		k := newFakeKernel(t, web)
		var errs bytes.Buffer
		p := k.session(Process{Args: []string{"ipvsadm", "--watch"}, Stdin: strings.NewReader(""), Stdout: new(bytes.Buffer), Stderr: &errs})
		if c.in != nil {
			p.Stdin = slave
		}
		if c.out != nil {
			p.Stdout = slave
		}
		if status := p.start(t.Context()); status != statusUsage || errs.String() != c.want || k.dials > 0 {
			t.Errorf("status %d, %q, want %q", status, errs.String(), c.want)
		}
	}
}

func TestDisplayOf(t *testing.T) {
	for _, c := range []struct {
		env  string
		want watch.Display
	}{
		{"TERM=xterm", watch.Display{Color: true}},
		{"TERM=xterm LANG=de_DE.UTF-8", watch.Display{Color: true, UTF8: true}},
		{"TERM=xterm LANG=en_US.utf8 NO_COLOR=1", watch.Display{UTF8: true}},
		{"TERM=xterm LANG=C.UTF-8 LC_ALL=C", watch.Display{Color: true}},
		{"TERM=xterm LANG=C LC_CTYPE=C.UTF-8", watch.Display{Color: true, UTF8: true}},
		{"TERM=linux LANG=C.UTF-8", watch.Display{Color: true}},
	} {
		got := displayOf(func(name string) string {
			for word := range strings.FieldsSeq(c.env) {
				if value, found := strings.CutPrefix(word, name+"="); found {
					return value
				}
			}
			return ""
		})
		if got != c.want {
			t.Errorf("%s: %+v, want %+v", c.env, got, c.want)
		}
	}
}

// watched is a run of --watch in this process.
type watched struct {
	*testing.T
	*terminal.Terminal
	kernel *fakeKernel
	before unix.Termios
	status chan int
	errs   *bytes.Buffer
}

func startWatch(t *testing.T, k *fakeKernel, prepare func(*session)) *watched {
	t.Helper()
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "1")
	t.Setenv("LC_ALL", "C.UTF-8")
	on := terminal.New(t, 80, 24)
	w := &watched{t, on, k, on.Settings(t), make(chan int, 1), new(bytes.Buffer)}
	fmt.Fprint(on.Slave, "# ipvsadm --watch 1\r\n")
	p := k.session(Process{Args: []string{"ipvsadm", "--watch", "1", "--netns", "blue"}, Stdin: on.Slave, Stdout: on.Slave, Stderr: w.errs})
	if prepare != nil {
		prepare(p)
	}
	go func() {
		defer func() {
			if p := recover(); p != nil {
				fmt.Fprint(w.errs, "panic: ", p)
				w.status <- 2
			}
		}()
		w.status <- p.start(t.Context())
	}()
	return w
}

func (w *watched) shows(texts ...string) {
	w.Helper()
	for _, text := range texts {
		w.Await(w.T, text, func(all string) bool { return strings.Contains(all, text) })
	}
}

// awaitExit waits for the exit and checks that the terminal is restored.
func (w *watched) awaitExit(status int) {
	w.Helper()
	select {
	case got := <-w.status:
		if got != status {
			w.Errorf("status %d, want %d: %s", got, status, w.errs)
		}
	case <-time.After(must.Patience):
		w.Fatalf("it does not end:\n%s", w.Text())
	}
	if got := w.Settings(w.T); got != w.before {
		w.Errorf("the terminal is set to %+v, before to %+v", got, w.before)
	}
	w.Await(w.T, "what was there before", func(text string) bool { return strings.HasPrefix(text, "# ipvsadm --watch 1\n\n") })
	w.Look(func(s *terminal.Screen) {
		if s.Other || s.CursorHidden {
			w.Errorf("second screen %v, hidden cursor %v", s.Other, s.CursorHidden)
		}
	})
}

func (w *watched) press(keys string) {
	w.Helper()
	must.OK(w.T, w.Type(keys))
}

func TestWatchShowsTheTable(t *testing.T) {
	k := newFakeKernel(t, web+web10+web20+dns)
	w := startWatch(t, k, nil)
	w.shows("every 1 s, netns blue  2 services, 2 servers", " TCP 12.0.0.1:80", "   192.168.168.10:80", " UDP 12.0.0.1:53")
	if s := w.Settings(t); s.Lflag&(unix.ICANON|unix.ECHO) != 0 || s.Lflag&unix.ISIG == 0 {
		t.Errorf("the terminal is set to %+v", s)
	}
	k.run(t, "-e -t 12.0.0.1:80 -r 192.168.168.10:80 -m -w 9\n-D -u 12.0.0.1:53\n")
	w.shows("*  192.168.168.10:80", "-UDP 12.0.0.1:53")
	w.shows("   192.168.168.10:80", "1-3 of 3")
	w.press("f10:80\r")
	w.shows("filter: 10:80", "1-2 of 2")
	w.press("\x1b") // Escape, alone
	w.shows("1-3 of 3")
	must.OK(t, w.Resize(120, 10))
	w.shows("out/s")
	w.press("p")
	w.shows("paused")
	k.run(t, dns)
	time.Sleep(1200 * time.Millisecond)
	if text := w.Text(); strings.Contains(text, "UDP") {
		t.Errorf("paused, it shows\n%s", text)
	}
	w.press("p")
	w.shows("+UDP")
	w.press("\x0cq")
	w.awaitExit(statusOK)
}

// The terminal is restored, however the program ends.
func TestWatchLeavesTheTerminalAsItWas(t *testing.T) {
	for _, sig := range []unix.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT} {
		t.Run(sig.String(), func(t *testing.T) {
			w := startWatch(t, newFakeKernel(t, web), nil)
			w.shows("TCP")
			must.OK(t, unix.Kill(os.Getpid(), sig))
			w.awaitExit(128 + int(sig))
		})
	}
	t.Run("panic", func(t *testing.T) {
		k := newFakeKernel(t, web)
		reads := 0
		k.Before = func(method string) error {
			if method == "ServicesWithDestinations" {
				if reads++; reads == 2 {
					panic("broken")
				}
			}
			return nil
		}
		w := startWatch(t, k, nil)
		w.shows("TCP")
		w.awaitExit(2)
		if w.errs.String() != "panic: broken" {
			t.Errorf("%s", w.errs)
		}
	})
	t.Run("no table at first", func(t *testing.T) {
		k := newFakeKernel(t, web)
		k.tableErr = unix.EPERM
		w := startWatch(t, k, nil)
		w.awaitExit(statusUsage)
	})
}

func TestWatchWaitsForATableThatHasGone(t *testing.T) {
	k := newFakeKernel(t, web+web10)
	gone := make(chan bool, 100)
	k.Before = func(method string) error {
		select {
		case <-gone:
			return unix.ENOENT
		default:
			return nil
		}
	}
	w := startWatch(t, k, nil)
	w.shows("TCP")
	gone <- true
	w.shows("can't read the table: No such file or directory; retrying", "192.168.168.10:80")
	w.shows("every 1 s, netns blue  1 service, 1 server")
	k.edit(func(t *ipvs.Table) { t.Services = t.Services[:0] })
	w.shows("-TCP")
	w.press("q")
	w.awaitExit(statusOK)
}
