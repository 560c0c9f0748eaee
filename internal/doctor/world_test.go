// SPDX-License-Identifier: Apache-2.0

package doctor_test

import (
	"io"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/test/cluster"
	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/internal/test/program"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// world is a network of hosts with echo servers.
type world struct{ *testing.T }

func build(t *testing.T, text string) world {
	for _, h := range cluster.New(t, text) {
		if strings.HasPrefix(h.Name, "nginx") {
			h.Echo(t, "tcp", ":80", ":8080")
		}
	}
	return world{t}
}

// ask connects from a host to a service, sends messages of a size and reads
// them back.
func (w world) ask(from, service string, messages, size int) error {
	const patience, pause = 500 * time.Millisecond, 100 * time.Millisecond
	return cluster.Host{Name: from}.Do(func() error {
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

// passes requires that a service answers, perhaps after a moment.
func (w world) passes(from, service string, size int) {
	w.Helper()
	var err error
	if !must.Soon(func() bool { err = w.ask(from, service, 1, size); return err == nil }) {
		w.Fatalf("%s: %v", service, err)
	}
}

// run plays a session whose commands must succeed. Those on the host lab are
// method lab's.
func (w world) run(typed string) {
	w.Helper()
	must.OK(w, cluster.Player{Verb: func(name, args string) (string, error) {
		w.lab(append([]string{name}, strings.Fields(args)...))
		return "", nil
	}}.Play(typed))
}

// lab runs a command without an external program. ask, try and talk connect
// the client, or the named host, to a service: ask must succeed, try need
// not, talk is long. serve listens on a host; vrrp uses VRRP on the director;
// add adds a server with direct routing and a port of its own, as other
// programs can; carrier, duplicate and settled wait for a state of the
// director.
func (w world) lab(words []string) {
	w.Helper()
	from := "client"
	if len(words) == 3 {
		from = words[2]
	}
	director := cluster.Host{Name: "director"}
	sees := func(want string, is bool, command ...string) {
		w.Helper()
		if !must.Soon(func() bool {
			var out []byte
			_ = director.Do(func() (err error) { out, err = exec.Command(command[0], command[1:]...).Output(); return err })
			return strings.Contains(string(out), want) == is
		}) {
			w.Fatalf("the director does not notice: %v", words)
		}
	}
	switch words[0] {
	case "ask":
		w.passes(from, words[1], 16)
	case "try":
		_ = w.ask(from, words[1], 1, 16)
	case "talk":
		_ = w.ask(from, words[1], 15, 256<<10)
	case "serve":
		cluster.Host{Name: words[1]}.Echo(w, "tcp", words[2])
	case "vrrp":
		w.vrrp()
	case "carrier":
		sees("NO-CARRIER", true, "ip", "link", "show", words[1])
	case "duplicate":
		sees("dadfailed", true, "ip", "addr", "show")
	case "settled":
		sees("tentative", false, "ip", "addr", "show")
	case "add":
		err := director.Do(func() error {
			client, err := ipvs.Dial(w.Context(), ipvs.Config{})
			if err != nil {
				return err
			}
			defer client.Close()
			service, server := netip.MustParseAddrPort(words[1]), netip.MustParseAddrPort(words[2])
			return client.Apply(w.Context(), ipvs.Change{
				Op:          ipvs.OpAddDestination,
				Service:     ipvs.Service{ServiceID: ipvs.AddrID(ipvs.TCP, service.Addr(), service.Port())},
				Destination: ipvs.Destination{Addr: server.Addr(), Port: server.Port(), Forward: ipvs.Route, Weight: 1},
			})
		})
		if err != nil {
			w.Fatal(err)
		}
	default:
		w.Fatalf("lab: %v", words)
	}
}

// vrrp opens a VRRP socket on the director, like keepalived.
func (w world) vrrp() {
	err := cluster.Host{Name: "director"}.Do(func() error {
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

// doctor examines the director and returns the findings and status.
func (w world) doctor(words ...string) (found string, status int) {
	w.Helper()
	var a program.Answer
	if !must.Soon(func() bool { // an emulator may exceed its time limit
		must.OK(w, cluster.Host{Name: "director"}.Do(func() error {
			a = program.Here("", append([]string{"ipvsadm", "--doctor"}, words...)...)
			return nil
		}))
		return a.Stderr == ""
	}) {
		w.Fatal(a.Stderr)
	}
	lines := strings.SplitAfter(a.Stdout, "\n")
	last := len(lines) - 2
	if last < 0 || !strings.Contains(lines[last], " checks") {
		w.Fatalf("no last line: %q", a.Stdout)
	}
	return strings.Join(lines[:last], ""), a.Status
}
