// SPDX-License-Identifier: Apache-2.0

package ipvs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// testExamples runs the examples on a real kernel, with a server at
// 127.0.0.1:81 of the service 127.0.0.1:80, and services of other programs.
func testExamples(t *testing.T) {
	c := inNamespace(t)
	listener, err := net.Listen("tcp", "127.0.0.1:81")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	web, others := tcp("127.0.0.1:80"), tcp("12.0.0.9:25")
	local := dest("127.0.0.1:81", ipvs.Masquerade)
	if err := errors.Join(c.AddService(t.Context(), ipvs.NewService(others, "rr")), c.AddDestination(t.Context(), others, dest("10.9.9.9:25", ipvs.Masquerade))); err != nil {
		t.Fatal(err)
	}

	owned := func(id ipvs.ServiceID) bool { return id.Addr == web.Addr }
	want := []ipvs.ServiceEntry{{Service: ipvs.NewService(web, "wlc"), Destinations: []ipvs.DestinationEntry{{Destination: local}}}}
	for _, changes := range []int{2, 0} {
		if made, err := c.Reconcile(t.Context(), want, owned); err != nil || len(made) != changes {
			t.Fatalf("reconcile: %v, %v, want %d changes", made, err, changes)
		}
	}

	var out bytes.Buffer
	collecting := collector{kernel: c}
	if err := collecting.collect(t.Context(), &out); err != nil || out.String() != "TCP 127.0.0.1:80 127.0.0.1:81 0 0\nTCP 12.0.0.9:25 10.9.9.9:25 0 0\n" &&
		out.String() != "TCP 12.0.0.9:25 10.9.9.9:25 0 0\nTCP 127.0.0.1:80 127.0.0.1:81 0 0\n" {
		t.Errorf("collect: %v\n%s", err, out.String())
	}
	conn, err := net.Dial("tcp", "127.0.0.1:80")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		out.Reset()
		if err := collecting.collect(t.Context(), &out); err != nil {
			t.Fatal(err)
		}
		var in, reply int
		for line := range strings.Lines(out.String()) {
			if _, err := fmt.Sscanf(line, "TCP 127.0.0.1:80 127.0.0.1:81 %d %d", &in, &reply); err == nil {
				break
			}
		}
		if in > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("a connection is not counted:\n%s", out.String())
		}
	}

	short, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := retire(short, c, web, local.AddrPort(), 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("retire a server that is in use: %v", err)
	}
	if list, err := c.Destinations(t.Context(), web); err != nil || len(list) != 1 || list[0].Destination != local || list[0].Conns.Active != 1 {
		t.Errorf("afterwards: %v, %v", list, err)
	}
	time.AfterFunc(100*time.Millisecond, func() { conn.Close() })
	go func() {
		if served, err := listener.Accept(); err == nil {
			buf := make([]byte, 1)
			_, _ = served.Read(buf)
			served.Close()
		}
	}()
	long, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := retire(long, c, web, local.AddrPort(), 1); err != nil {
		t.Error(err)
	}
	if err := retire(long, c, web, local.AddrPort(), 1); !errors.Is(err, ipvs.ErrNoDestination) {
		t.Errorf("retire nothing: %v", err)
	}

	if made, err := c.Reconcile(t.Context(), nil, owned); err != nil || len(made) != 1 {
		t.Errorf("reconcile to nothing: %v, %v", made, err)
	}
	if list, err := c.ServicesWithDestinations(t.Context()); err != nil || len(list) != 1 || list[0].ServiceID != others || len(list[0].Destinations) != 1 {
		t.Errorf("what others own became %v, %v", list, err)
	}
}
