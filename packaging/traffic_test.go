// SPDX-License-Identifier: Apache-2.0

package packaging

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/test/cluster"
	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/internal/test/program"
)

// directorHosts is a NAT cluster whose director is the guest itself.
var directorHosts = cluster.Parse(`
here    ens36 outside 12.0.0.1/24
here    ens33 inside  192.168.168.50/24
servers ens33 inside  192.168.168.10/24 192.168.168.20/24 via 192.168.168.50
client  ens36 outside 12.0.0.10/24
`)

const liveRules = "-A -t 12.0.0.1:80 -s rr\n" +
	"-a -t 12.0.0.1:80 -r 192.168.168.10:80 -m -w 1\n-a -t 12.0.0.1:80 -r 192.168.168.20:80 -m -w 1\n"

// buildDirector makes the guest a director, with servers that echo on port 80.
func buildDirector(t *testing.T) {
	t.Helper()
	must.OK(t, cluster.Build(directorHosts))
	program.Run(t, "sysctl", "-qw", "net.ipv4.ip_forward=1")
	must.OK(t, directorHosts[2].Do(func() error {
		program.Run(t, "sysctl", "-qw", "net.ipv4.ip_local_port_range=1024 65535")
		return nil
	}))
	directorHosts[1].Echo(t, "tcp", "192.168.168.10:80", "192.168.168.20:80")
}

// traffic sends requests to 12.0.0.1:80, each over a new connection. The
// pause between them leaves the guest's processor to the program under test.
type traffic struct {
	group sync.WaitGroup
	ended atomic.Bool

	mu          sync.Mutex
	count, lost int
	first, last time.Time // of the lost requests
	why         string
}

func startTraffic() *traffic {
	w := new(traffic)
	for range 2 {
		w.group.Go(func() {
			err := directorHosts[2].Do(func() error {
				for !w.ended.Load() {
					w.add(ask("12.0.0.1:80"))
					time.Sleep(20 * time.Millisecond)
				}
				return nil
			})
			if err != nil {
				w.add(err)
			}
		})
	}
	return w
}

// ask makes one request. The timeout is long, because a guest on a busy
// machine pauses for seconds.
func ask(address string) error {
	c, err := net.DialTimeout("tcp", address, time.Minute)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	const request = "yes?"
	if _, err := io.WriteString(c, request); err != nil {
		return err
	}
	b := make([]byte, len(request))
	_, err = io.ReadFull(c, b)
	if err == nil && string(b) != request {
		err = fmt.Errorf("the answer is %q", b)
	}
	return err
}

func (w *traffic) add(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.count++
	if err == nil {
		return
	}
	if w.lost++; w.lost == 1 {
		w.first, w.why = time.Now(), err.Error()
	}
	w.last = time.Now()
}

// none ends the requests and checks that none was lost. If each was a
// connection of the service, the service has existed all the time.
func (w *traffic) none(t *testing.T, during string) {
	t.Helper()
	if lost := w.end(t, during); lost > 0 {
		t.Errorf("%s: %d requests are lost", during, lost)
	}
	// The kernel updates its counters every two seconds.
	if !must.Soon(func() bool { return connections(t) >= w.count }) {
		t.Errorf("%s: the service had %d connections of %d", during, connections(t), w.count)
	}
}

// end ends the requests and returns how many were lost.
func (w *traffic) end(t *testing.T, during string) int {
	t.Helper()
	w.ended.Store(true)
	w.group.Wait()
	t.Logf("%s: %d of %d requests lost, within %.1f s %s", during, w.lost, w.count, w.last.Sub(w.first).Seconds(), w.why)
	if w.count < 50 {
		t.Errorf("%s: %d requests show nothing", during, w.count)
	}
	return w.lost
}

// connections returns the number of connections to the service since it was
// added.
func connections(t *testing.T) (n int) {
	t.Helper()
	out := program.Run(t, "ipvsadm", "-Ln", "--stats", "--exact", "-t", "12.0.0.1:80")
	_, line, _ := strings.Cut(out, "12.0.0.1:80")
	_, err := fmt.Sscan(line, &n)
	must.OK(t, err)
	return n
}
