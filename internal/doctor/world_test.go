// SPDX-License-Identifier: Apache-2.0

package doctor_test

import (
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/internal/test/network"
	"github.com/ipvsadm-go/ipvsadm/internal/test/program"
	"github.com/ipvsadm-go/ipvsadm/internal/test/session"
)

// world is a network with web servers.
type world struct {
	*testing.T
	hosts []network.Host
}

func build(t *testing.T, text string) world {
	w := world{t, network.Parse(text)}
	if err := network.Build(w.hosts); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := network.Remove(w.hosts); err != nil {
			t.Error(err)
		}
	})
	for _, h := range w.hosts {
		if strings.HasPrefix(h.Name, "nginx") {
			w.serve(h, ":80")
			w.serve(h, ":8080")
		}
	}
	return w
}

// serve answers with what it is told, until the test ends.
func (w world) serve(h network.Host, address string) {
	err := h.Do(func() error {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			return err
		}
		w.Cleanup(func() { listener.Close() })
		go func() {
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				go func() {
					defer conn.Close()
					io.Copy(conn, conn)
				}()
			}
		}()
		return nil
	})
	if err != nil {
		w.Fatal(err)
	}
}

// ask makes a connection from the client to a service, on which it sends
// messages of a size and gets them back.
func (w world) ask(service string, messages, size int) error {
	const patience, pause = 500 * time.Millisecond, 100 * time.Millisecond
	return network.Host{Name: "client"}.Do(func() error {
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

// run plays a session whose commands have to succeed. On the host lab, "ask"
// is a connection of the client that has to pass, and "talk" a long one that need
// not; "vrrp" is a program that speaks VRRP on the director.
func (w world) run(typed string) {
	w.Helper()
	steps, err := session.Parse(session.Host, typed)
	if err != nil {
		w.Fatal(err)
	}
	for _, step := range steps {
		if service, ok := strings.CutPrefix(step.Command, "ask "); ok && step.Host == "lab" {
			w.passes(service)
			continue
		}
		if step.Host == "lab" && step.Command == "vrrp" {
			w.vrrp()
			continue
		}
		if service, ok := strings.CutPrefix(step.Command, "talk "); ok && step.Host == "lab" {
			_ = w.ask(service, 15, 256<<10)
			continue
		}
		var out []byte
		err := network.Host{Name: step.Host}.Do(func() (err error) {
			out, err = exec.Command("sh", "-c", step.Command).CombinedOutput()
			return err
		})
		if err != nil {
			w.Fatalf("%s %s: %v\n%s", step.Prompt(), step.Command, err, out)
		}
	}
}

// vrrp listens as keepalived does.
func (w world) vrrp() {
	err := network.Host{Name: "director"}.Do(func() error {
		conn, err := net.ListenPacket("ip4:112", "0.0.0.0")
		if err == nil {
			w.Cleanup(func() { conn.Close() })
		}
		return err
	})
	if err != nil {
		w.Fatal(err)
	}
}

// doctor examines the director and returns what is not ok.
func (w world) doctor(words ...string) (found string, status int) {
	w.Helper()
	var a program.Answer
	err := network.Host{Name: "director"}.Do(func() error {
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
