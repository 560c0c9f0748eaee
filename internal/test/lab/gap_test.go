// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net"
	"testing"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
)

func TestRequestSaysHowItFailed(t *testing.T) {
	const right = "HTTP/1.1 200 OK\r\nServer: nginx\r\n\r\nthis is nginx3\n"
	for name, c := range map[string]struct {
		serve func(*net.TCPConn)
		want  string
	}{
		"the page is no failure": {answers(right), ""},
		"another page is wrong":  {answers("HTTP/1.1 404 Not Found\r\n\r\nthis is nginx3\n"), "status 404 Not Found for /"},
		"a silent server":        {func(*net.TCPConn) { time.Sleep(time.Second) }, "timed out"},
		"no server":              {nil, "connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			listener, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
			must.OK(t, err)
			if c.serve == nil {
				listener.Close()
			} else {
				defer listener.Close()
				go func() {
					if conn, err := listener.AcceptTCP(); err == nil {
						c.serve(conn)
						conn.Close()
					}
				}()
			}
			limit := answerLimit
			if c.want == "timed out" {
				limit = 300 * time.Millisecond
			}
			if got := request(listener.Addr().String(), limit); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func answers(text string) func(*net.TCPConn) {
	return func(c *net.TCPConn) {
		c.Read(make([]byte, 1<<10))
		c.Write([]byte(text))
	}
}
