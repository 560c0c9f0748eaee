// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"fmt"
	"net"
	"net/http"
	"testing"

	"github.com/ipvsadm-go/ipvsadm/internal/test/guest/guesttest"
	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/internal/test/network"
)

// world is a network: the director, in whose namespace the test runs, and the
// servers, which share a namespace.
type world map[string]*http.Server

var worldHosts = network.Parse(`
here    eth0 lan 192.0.2.1/24 2001:db8::1/64
servers eth0 lan 192.0.2.11/24 192.0.2.12/24 2001:db8::11/64
`)

// addresses are those of the web servers.
var addresses = map[string]string{
	"web1": "192.0.2.11:8080",
	"web2": "192.0.2.12:8080",
	"six":  "[2001:db8::11]:8080",
}

// newWorld moves the test into a new director's namespace.
func newWorld(t *testing.T) world {
	t.Helper()
	guesttest.Namespace(t)
	must.OK(t, network.Build(worldHosts))
	t.Cleanup(func() {
		if err := network.Remove(worldHosts); err != nil {
			t.Error(err)
		}
	})
	return world{}
}

// start starts a web server that answers yes to everything.
func (w world) start(t *testing.T, name string) {
	t.Helper()
	err := worldHosts[1].Do(func() error {
		listener, err := net.Listen("tcp", addresses[name])
		if err != nil {
			return err
		}
		w[name] = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "yes") })}
		go w[name].Serve(listener)
		return nil
	})
	must.OK(t, err)
	t.Cleanup(func() { w.stop(name) })
}

func (w world) stop(name string) { w[name].Close() }
