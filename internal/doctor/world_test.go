// SPDX-License-Identifier: Apache-2.0

package doctor_test

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/test/cluster"
	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/internal/test/program"
)

// world is a network with web servers.
type world struct{ *testing.T }

func build(t *testing.T, text string) world {
	for _, h := range cluster.New(t, text) {
		if strings.HasPrefix(h.Name, "nginx") {
			h.Echo(t, "tcp", ":80", ":8080")
		}
	}
	return world{t}
}

// ask makes a connection from the client to a service, on which it sends
// messages of a size and gets them back.
func (w world) ask(service string, messages, size int) error {
	const patience, pause = 500 * time.Millisecond, 100 * time.Millisecond
	return cluster.Host{Name: "client"}.Do(func() error {
		conn, err := net.DialTimeout("tcp", service, patience)
		if err != nil {
			return err
		}
		defer conn.Close()
		message := make([]byte, size)
		for i := range messages {
			if i > 0 {
				time.Sleep(pause)
			}
			conn.SetDeadline(time.Now().Add(patience))
			go conn.Write(message)
			if _, err := io.CopyN(io.Discard, conn, int64(size)); err != nil {
				return err
			}
		}
		return nil
	})
}

// passes wants a service to answer, though the network may need a moment.
func (w world) passes(service string) {
	w.Helper()
	var err error
	if !must.Soon(func() bool { err = w.ask(service, 1, 16); return err == nil }) {
		w.Fatalf("%s: %v", service, err)
	}
}

func (w world) fails(service string) {
	w.Helper()
	if w.ask(service, 1, 16) == nil {
		w.Fatalf("%s answers in spite of the fault", service)
	}
}

// run plays a session. On the host lab, "ask" is a connection of the client that
// has to pass, and "talk" a long one that need not; "vrrp" is a program that
// speaks VRRP on the director.
func (w world) run(typed string) {
	w.Helper()
	must.OK(w, cluster.Player{Verb: func(name, args string) (string, error) {
		switch name {
		case "ask":
			w.passes(args)
		case "vrrp":
			w.vrrp()
		case "talk":
			_ = w.ask(args, 15, 256<<10)
		}
		return "", nil
	}}.Play(typed))
}

// vrrp listens as keepalived does.
func (w world) vrrp() {
	must.OK(w, cluster.Host{Name: "director"}.Do(func() error {
		conn, err := net.ListenPacket("ip4:112", "0.0.0.0")
		if err == nil {
			w.Cleanup(func() { conn.Close() })
		}
		return err
	}))
}

// doctor examines the director and returns what is not ok.
func (w world) doctor(words ...string) (found string, status int) {
	w.Helper()
	var a program.Answer
	err := cluster.Host{Name: "director"}.Do(func() error {
		a = program.Here("", append([]string{"ipvsadm", "--doctor"}, words...)...)
		return nil
	})
	if err != nil || a.Stderr != "" {
		w.Fatal(err, a.Stderr)
	}
	for line := range strings.Lines(a.Stdout) {
		if !strings.HasPrefix(line, "ok: ") {
			found += line
		}
	}
	return found, a.Status
}
