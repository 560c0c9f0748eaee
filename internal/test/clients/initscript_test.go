// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"testing"

	"github.com/ipvsadm-go/ipvsadm/internal/test/program"
)

const (
	initScript  = "/etc/init.d/ipvsadm"
	initConfig  = "/etc/default/ipvsadm"
	initRules   = "/etc/ipvsadm.rules"
	rulesAtBoot = `-A -t 192.0.2.1:80 -s wlc -p 600 -M 255.255.255.0
-a -t 192.0.2.1:80 -r 192.0.2.11:8080 -m -w 3
-a -t 192.0.2.1:80 -r 192.0.2.12:8080 -m -w 1
-A -u 192.0.2.1:53 -s sh -b sh-fallback,sh-port
-a -u 192.0.2.1:53 -r 192.0.2.11:53 -i -w 1 --tun-type gue --tun-port 6080 --tun-csum
-A -f 7 -s rr -o
-a -f 7 -r 192.0.2.12:0 -g -w 1
-A -f 8 -6 -s wrr -p 360 -M 64
-a -f 8 -6 -r [2001:db8::11]:80 -g -w 1
`
)

// testInitScript runs the package's script: start, save, load and stop. Its
// output must be the same, as must the table, the daemons and the rule file
// after each step.
func (p programs) testInitScript(t *testing.T) {
	p.inTurnAfresh(t, func(t *testing.T) (result string) {
		newWorld(t)
		do := func(command string) {
			t.Helper()
			result += answer(t, initScript, command) + p.judge(t, "-Sn") + p.judge(t, "-L", "--daemon") + program.Read(t, initRules)
		}
		check := func(table string) {
			t.Helper()
			if got := p.judge(t, "-Sn"); got != table {
				t.Errorf("the table is\n%swant\n%s", got, table)
			}
		}
		program.Write(t, initRules, "# rules\n"+rulesAtBoot)
		program.Write(t, initConfig, "AUTO=true\nDAEMON=both\nIFACE=eth0\nSYNCID=3\n")
		do("start")
		check(rulesAtBoot)
		do("start") // the daemons already run
		do("status")
		do("rate")
		p.judge(t, "-D", "-f", "7")
		do("save")
		p.judge(t, "-C")
		do("load")
		do("restart")
		do("stop")
		check("")
		do("stop") // no daemons
		program.Write(t, initConfig, "AUTO=true\nDAEMON=master\nIFACE=nosuch0\n")
		do("start")
		return result
	})
}
