// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// ldirectordAllUp is the table while all servers live.
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

// ldirectordPhases are what happens to the servers, and the table that
// ldirectord makes of it.
var ldirectordPhases = []struct {
	name  string
	start []string // servers that come up
	stop  []string // servers that die
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

// testLdirectord runs ldirectord through the death and the return of servers.
// The command lines that it runs have to be the same too: with a listing that it
// misread it would write again what is there.
func (p programs) testLdirectord(t *testing.T) {
	p.inTurnAfresh(t, func(t *testing.T) (result string) {
		w := newWorld(t)
		config, err := filepath.Abs("testdata/ldirectord.cf") // it forgets where it was started
		if err != nil {
			t.Fatal(err)
		}
		// A service to change, with a server to purge.
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
			// Thresholds are not in the table that the original saves.
			_, thresholds, _ := strings.Cut(p.judge(t, "-Ln", "--thresholds"), "\n")
			result += phase.name + ":\n" + writes(log) + thresholds
		}
		// It takes its services away, but which servers first, or whether it takes
		// one for dead, depends on the check that the signal interrupts.
		ldirectord.stop(t)
		p.await(t, "")
		return result
	})
}

// writes are the command lines that ldirectord ran, which of them failed, and
// what it could not read in a listing. They are sorted since which service comes
// first depends on when in ldirectord's round a server dies.
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
