// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/internal/test/guest/guesttest"
)

// world is the network: the director, in whose namespace the test runs, on one
// wire with the servers, which share a namespace.
type world map[string]*http.Server

const servers = "servers"

// addresses are the web servers'.
var addresses = map[string]string{
	"web1": "192.0.2.11:8080",
	"web2": "192.0.2.12:8080",
	"six":  "[2001:db8::11]:8080",
}

// newWorld moves the test into a new namespace, the director's.
func newWorld(t *testing.T) world {
	t.Helper()
	guesttest.Namespace(t)
	run(t, "ip", "netns", "add", servers)
	t.Cleanup(func() { run(t, "ip", "netns", "del", servers) })
	for _, args := range []string{
		"link add eth0 type veth peer name eth0 netns servers",
		"addr add 192.0.2.1/24 dev eth0",
		"addr add 2001:db8::1/64 dev eth0 nodad",
		"link set eth0 up",
		"-n servers addr add 192.0.2.11/24 dev eth0",
		"-n servers addr add 192.0.2.12/24 dev eth0",
		"-n servers addr add 2001:db8::11/64 dev eth0 nodad",
		"-n servers link set eth0 up",
	} {
		run(t, "ip", strings.Fields(args)...)
	}
	return world{}
}

// start starts a web server that answers yes to everything.
func (w world) start(t *testing.T, name string) {
	t.Helper()
	listener, err := listen(addresses[name])
	if err != nil {
		t.Fatal(err)
	}
	w[name] = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "yes") })}
	go w[name].Serve(listener)
	t.Cleanup(func() { w.stop(name) })
}

func (w world) stop(name string) { w[name].Close() }

// listen opens a listener in the servers' namespace.
func listen(address string) (listener net.Listener, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // without end: the thread does not leave the namespace
		namespace, e := os.Open("/run/netns/" + servers)
		if e != nil {
			err = e
			return
		}
		defer namespace.Close()
		if err = unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET); err == nil {
			listener, err = net.Listen("tcp", address)
		}
	}()
	<-done
	return listener, err
}
