// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
)

// ldirectordAllUp is the table while all servers are up.
const ldirectordAllUp = `-A -t 192.0.2.1:80 -s wlc -p 600 -M 255.255.255.0
-a -t 192.0.2.1:80 -r 192.0.2.11:8080 -m -w 3
-a -t 192.0.2.1:80 -r 192.0.2.12:8080 -m -w 1
-A -t 192.0.2.1:443 -s rr -p 360
-a -t 192.0.2.1:443 -r 192.0.2.11:443 -g -w 2
-A -t [2001:db8::1]:80 -s wrr
-a -t [2001:db8::1]:80 -r [2001:db8::11]:8080 -m -w 4
-A -f 7 -s sh -b sh-port
-a -f 7 -r 192.0.2.11:8080 -i -w 9 --tun-type ipip
-A -f 8 -6 -s wrr -p 360 -M 64
-a -f 8 -6 -r [2001:db8::11]:80 -g -w 1
`

// ldirectordPhases are events, each with the resulting table.
var ldirectordPhases = []struct {
	name  string
	start []string // servers that come up
	stop  []string // servers that go down
	want  string
}{
	{
		name:  "all servers live, ldirectord starts",
		start: []string{"web1", "web2", "six"},
		want:  ldirectordAllUp,
	},
	{
		name: "two servers die",
		stop: []string{"web1", "six"},
		want: `-A -t 192.0.2.1:80 -s wlc -p 600 -M 255.255.255.0
-a -t 192.0.2.1:80 -r 192.0.2.11:8080 -m -w 0
-a -t 192.0.2.1:80 -r 192.0.2.12:8080 -m -w 1
-A -t 192.0.2.1:443 -s rr -p 360
-a -t 192.0.2.1:443 -r 127.0.0.1:443 -g -w 1
-A -t [2001:db8::1]:80 -s wrr
-A -f 7 -s sh -b sh-port
-a -f 7 -r 192.0.2.11:8080 -i -w 0 --tun-type ipip
-A -f 8 -6 -s wrr -p 360 -M 64
-a -f 8 -6 -r [2001:db8::11]:80 -g -w 0
`,
	},
	{
		name:  "they come back",
		start: []string{"web1", "six"},
		want:  ldirectordAllUp,
	},
}

// testLdirectord runs ldirectord while servers go down and come back. Its
// command lines must be the same too: if it misread a listing, it would write
// entries again.
func (p programs) testLdirectord(t *testing.T) {
	p.inTurnAfresh(t, func(t *testing.T) (result string) {
		w := newWorld(t)
		config, err := filepath.Abs("testdata/ldirectord.cf") // ldirectord changes its working directory
		must.OK(t, err)
		// ldirectord changes this service and purges its server.
		p.restore(t, "-A -t 192.0.2.1:80 -s rr\n-a -t 192.0.2.1:80 -r 192.0.2.99:8080 -m\n")
		var ldirectord *daemon
		var seen int
		for _, phase := range ldirectordPhases {
			for _, name := range phase.start {
				w.start(t, name)
			}
			for _, name := range phase.stop {
				w.stop(name)
			}
			if ldirectord == nil {
				ldirectord = startDaemon(t, "ldirectord", "-d", config, "start")
			}
			p.await(t, phase.want)
			var log string
			log, seen = ldirectord.said(seen)
			// The original does not save thresholds.
			_, thresholds, _ := strings.Cut(p.judge(t, "-Ln", "--thresholds"), "\n")
			result += phase.name + ":\n" + writes(log) + thresholds
		}
		// It removes its services, but the order, and whether it
		// considers a server down, depend on the check that the
		// signal interrupts.
		ldirectord.stop(t)
		p.await(t, "")
		return result
	})
}

// writes returns the command lines that ldirectord ran, those that failed,
// and the listing lines that it could not parse. They are sorted, because the
// order depends on when during its checks a server goes down.
func writes(log string) string {
	var lines []string
	for line := range strings.Lines(log) {
		if strings.HasPrefix(line, "Running system(") || strings.HasPrefix(line, "system(") || strings.HasPrefix(line, "DEBUG2: Unknown line") {
			lines = append(lines, line)
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}
