// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
)

// pair is an active/standby pair of directors. The active one has two
// addresses: the VIP and the servers' gateway. keepalived moves them, and the
// sync daemons send each director's connections to the other.
var pair = example{
	name: "pair",
	hosts: `
director1 ens33 inside  192.168.168.51/24 fd00:168::51/64
director1 ens36 outside 12.0.0.2/24
director2 ens33 inside  192.168.168.52/24 fd00:168::52/64
director2 ens36 outside 12.0.0.3/24
nginx1    ens33 inside  192.168.168.10/24 via 192.168.168.50
nginx2    ens33 inside  192.168.168.20/24 via 192.168.168.50
client    ens33 outside 12.0.0.10/24
`,
	files: []file{
		{"director1", "keepalived.conf", keepalivedConf(150)},
		{"director2", "keepalived.conf", keepalivedConf(100)},
	},
	typed: eachDirector(`
director1# sysctl -qw net.ipv4.ip_forward=1
director1# ipvsadm -A -t 12.0.0.1:80 -s rr
director1# ipvsadm -a -t 12.0.0.1:80 -r 192.168.168.10:80 -m
director1# ipvsadm -a -t 12.0.0.1:80 -r 192.168.168.20:80 -m
director1# ipvsadm --start-daemon master --mcast-interface ens33 --syncid 7
director1# ipvsadm --start-daemon backup --mcast-interface ens33 --syncid 7
director1# keepalived --vrrp --use-file keepalived.conf --pid keepalived.pid --vrrp_pid vrrp.pid
`),
	scenarios: []scenario{
		// The first director is unplugged with open connections, and
		// plugged in again with more.
		{name: "take-over", typed: hasAddress("director1", true) + hold(4, "2 2") + `
lab# download
lab# until director2 test $(ipvsadm -Lnc | grep -c ' ESTABLISHED ') -ge 5
lab# probe
lab# unplug director1
` + hasAddress("director2", true) + hasAddress("director1", false) + `
lab# gap
<[0-5]\.\d> s
lab# answering
4
lab# download
lab# probe
lab# plug director1
` + hasAddress("director1", true) + hasAddress("director2", false) + `
lab# gap
<[0-5]\.\d> s
lab# answering
4
lab# downloads
2 whole
`},
		{name: "sync-group", typed: syncDaemons("--mcast-group 239.1.2.3 --mcast-port 8849 --mcast-ttl 2")},
		{name: "sync-ipv6", typed: syncDaemons("--mcast-group ff02::82")},
	},
}

// hasAddress waits until a director has the VIP, or no longer has it.
func hasAddress(director string, has bool) string {
	not := map[bool]string{false: "! "}[has]
	return fmt.Sprintf("lab# until %s %sip -o addr | grep ' 12.0.0.1/'\n", director, not)
}

// keepalivedConf takes over the addresses from a director that is silent for
// a second, or has a lower priority for some seconds.
func keepalivedConf(priority int) string {
	return fmt.Sprintf(`global_defs {
	vrrp_version 3
}

vrrp_instance lvs {
	state BACKUP
	interface ens36
	virtual_router_id 51
	priority %d
	advert_int 0.3
	preempt_delay 3
	virtual_ipaddress {
		12.0.0.1/24 dev ens36
		192.168.168.50/24 dev ens33
	}
	track_interface {
		ens33
	}
}
`, priority)
}

// eachDirector repeats the first director's lines for the second.
func eachDirector(lines string) string {
	return lines + strings.ReplaceAll(lines, "director1#", "director2#")
}

// syncDaemons restarts the sync daemons with these options, and opens
// connections that must reach the second director.
func syncDaemons(options string) string {
	return eachDirector(strings.ReplaceAll(`
director1# ipvsadm --stop-daemon master
director1# ipvsadm --stop-daemon backup
director1# ipvsadm --start-daemon master --mcast-interface ens33 --syncid 8 OPTIONS
director1# ipvsadm --start-daemon backup --mcast-interface ens33 --syncid 8 OPTIONS
`, "OPTIONS", options)) + hasAddress("director1", true) + hold(4, "2 2") + `
lab# answering
4
lab# until director2 test $(ipvsadm -Lnc | grep -c ' ESTABLISHED ') -ge 4
`
}

// downloads are concurrent long downloads.
type downloads struct {
	work
	whole int
}

func (d *downloads) add() {
	d.start(func() error {
		v, err := call{address: natService}.dial(answerLimit)
		if err != nil {
			return err
		}
		defer v.conn.Close()
		body, err := v.get("/slow", must.Patience)
		d.mu.Lock()
		defer d.mu.Unlock()
		if len(body) == bigFile {
			d.whole++
		}
		return err
	})
}

// end returns the number of complete downloads since the last call.
func (d *downloads) end() (string, error) {
	err := d.wait()
	whole := d.whole
	d.whole = 0
	return fmt.Sprint(whole, " whole"), err
}

// probe measures the longest time between two answers.
type probe struct {
	work
	ended   atomic.Bool
	longest time.Duration
}

func startProbe() *probe {
	const try = 300 * time.Millisecond
	p := &probe{}
	p.start(func() error {
		for last := time.Now(); ; time.Sleep(pause / 3) {
			if request(natService, try) == "" {
				p.longest = max(p.longest, time.Since(last))
				last = time.Now()
				if p.ended.Load() {
					return nil
				}
			} else if time.Since(last) > must.Patience {
				return fmt.Errorf("no service for %v", must.Patience)
			}
		}
	})
	return p
}

// end stops the probe once service is back.
func (p *probe) end() (string, error) {
	const settle = 2 * time.Second
	time.Sleep(settle)
	p.ended.Store(true)
	err := p.wait()
	return fmt.Sprintf("%.1f s", p.longest.Seconds()), err
}
