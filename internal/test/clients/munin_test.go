// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/internal/test/program"
)

const cps = "/usr/share/munin/plugins/cps_"

// muninTable has the service with connections, and lines that the plugin
// reads partly or skips.
const muninTable = `-A -t 192.0.2.1:80 -s rr
-a -t 192.0.2.1:80 -r 192.0.2.11:8080 -m
-a -t 192.0.2.1:80 -r 192.0.2.12:8080 -m
-A -t 192.0.2.99:80 -s wlc -p 360
-a -t 192.0.2.99:80 -r 192.0.2.11:8080 -m
-A -u 192.0.2.1:53
-a -u 192.0.2.1:53 -r 192.0.2.11 -i
-A -t [2001:db8::1]:80 -s sh -b sh-port
-a -t [2001:db8::1]:80 -r [2001:db8::11]:8080 -m
-A -f 7
-a -f 7 -r 192.0.2.12:80
`

// testMunin makes the plugin count connections.
func (p programs) testMunin(t *testing.T) {
	w := newWorld(t)
	w.start(t, "web1")
	w.start(t, "web2")
	p.restore(t, muninTable)
	for range 6 {
		connection, err := net.Dial("tcp", "192.0.2.1:80")
		must.OK(t, err)
		connection.Close()
	}
	// The plugin reads the service from the name under which it runs.
	links := t.TempDir()
	named, all := filepath.Join(links, "cps_192.0.2.1_80"), filepath.Join(links, "cps_80")
	for _, link := range []string{named, all} {
		must.OK(t, os.Symlink(cps, link))
	}
	p.original.put(t)
	const counted = "192_0_2_11.value 3\n192_0_2_12.value 3\n"
	// The kernel updates its counters every two seconds.
	if !must.Soon(func() bool { return program.Run(t, named) == counted }) {
		t.Fatalf("the plugin does not count 3 connections each:\n%s", p.judge(t, "-Ln", "--stats"))
	}
	p.inTurn(t, func(t *testing.T, _ version) string {
		return answer(t, named, "config") + answer(t, named) + answer(t, all, "config") + answer(t, all) +
			answer(t, all, "autoconf") + answer(t, all, "suggest")
	})
}
