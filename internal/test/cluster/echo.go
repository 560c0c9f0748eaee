// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"io"
	"net"
	"testing"

	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
)

// Echo starts servers in the host's namespace that send back what they receive,
// until the test ends. The protocol is tcp or udp.
func (h Host) Echo(t testing.TB, protocol string, addresses ...string) {
	t.Helper()
	must.OK(t, h.Do(func() error {
		for _, address := range addresses {
			if err := Echo(t, protocol, address); err != nil {
				return err
			}
		}
		return nil
	}))
}

// Echo starts a server in the calling thread's namespace that sends back what
// it receives, until the test ends. The protocol is tcp or udp.
func Echo(t testing.TB, protocol, address string) error {
	if protocol == "udp" {
		c, err := net.ListenPacket(protocol, address)
		if err != nil {
			return err
		}
		t.Cleanup(func() { c.Close() })
		go func() {
			for b := make([]byte, 2048); ; {
				n, from, err := c.ReadFrom(b)
				if err != nil {
					return
				}
				c.WriteTo(b[:n], from)
			}
		}()
		return nil
	}
	l, err := net.Listen(protocol, address)
	if err != nil {
		return err
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(c, c)
				c.Close()
			}()
		}
	}()
	return nil
}
