// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"fmt"
	"net"
	"net/http"
	"testing"

	"github.com/ipvsadm-go/ipvsadm/internal/test/cluster"
	"github.com/ipvsadm-go/ipvsadm/internal/test/guest/guesttest"
	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
)

// world is a network: the director, in whose namespace the test runs, and the
// servers, which share a namespace.
type world struct {
	servers cluster.Host
	web     map[string]*http.Server
}

// addresses are those of the web servers.
var addresses = map[string]string{
	"web1": "192.0.2.11:8080",
	"web2": "192.0.2.12:8080",
	"six":  "[2001:db8::11]:8080",
}

// newWorld moves the test into the namespace of a new director.
func newWorld(t *testing.T) world {
	t.Helper()
	guesttest.Namespace(t)
	hosts := cluster.New(t, `
here    eth0 lan 192.0.2.1/24 2001:db8::1/64
servers eth0 lan 192.0.2.11/24 192.0.2.12/24 2001:db8::11/64
`)
	return world{hosts.Host("servers"), map[string]*http.Server{}}
}

// start starts a web server that answers yes to everything.
func (w world) start(t *testing.T, name string) {
	t.Helper()
	must.OK(t, w.servers.Do(func() error {
		listener, err := net.Listen("tcp", addresses[name])
		if err != nil {
			return err
		}
		w.web[name] = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "yes") })}
		go w.web[name].Serve(listener)
		return nil
	}))
	t.Cleanup(func() { w.stop(name) })
}

func (w world) stop(name string) { w.web[name].Close() }
