// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// pair has two directors, of which one has the addresses: that of the service and
// that of the servers' gateway. keepalived moves them, and the sync daemons tell
// each director of the other's connections.
var pair = cluster{
	name: "pair",
	hosts: []host{
		first, second,
		{name: "nginx1", cards: []card{{"ens33", "inside", "192.168.168.10/24"}}, gateway: "192.168.168.50", page: "this is nginx1"},
		{name: "nginx2", cards: []card{{"ens33", "inside", "192.168.168.20/24"}}, gateway: "192.168.168.50", page: "this is nginx2"},
		{name: "client", cards: []card{{"ens33", "outside", "12.0.0.10/24"}}},
	},
	files: []file{
		{first.name, "keepalived.conf", keepalivedConf(150)},
		{second.name, "keepalived.conf", keepalivedConf(100)},
	},
	typed: eachDirector(`
director1# sysctl -w net.ipv4.ip_forward=1
director1# ipvsadm -A -t 12.0.0.1:80 -s rr
director1# ipvsadm -a -t 12.0.0.1:80 -r 192.168.168.10:80 -m
director1# ipvsadm -a -t 12.0.0.1:80 -r 192.168.168.20:80 -m
director1# ipvsadm --start-daemon master --mcast-interface ens33 --syncid 7
director1# ipvsadm --start-daemon backup --mcast-interface ens33 --syncid 7
director1# keepalived --vrrp --use-file keepalived.conf --pid keepalived.pid --vrrp_pid vrrp.pid
`),
	scenarios: []scenario{
		{
			name: "take-over", expected: "2 downloads whole, 0 of 4 lost, out <[0-5]\\.\\d> and <[0-5]\\.\\d> s",
			count: cluster.takeOver,
		},
		{
			name: "sync-group", expected: "4 of 4 known to the second",
			typed: syncDaemons("--mcast-group 239.1.2.3 --mcast-port 8849 --mcast-ttl 2"),
			count: cluster.known,
		},
		{
			name: "sync-ipv6", expected: "4 of 4 known to the second",
			typed: syncDaemons("--mcast-group ff02::82"),
			count: cluster.known,
		},
	},
}

var (
	first = host{name: "director1", cards: []card{
		{"ens33", "inside", "192.168.168.51/24 fd00:168::51/64"},
		{"ens36", "outside", "12.0.0.2/24"},
	}}
	second = host{name: "director2", cards: []card{
		{"ens33", "inside", "192.168.168.52/24 fd00:168::52/64"},
		{"ens36", "outside", "12.0.0.3/24"},
	}}
)

// keepalivedConf takes the addresses over from a director that has been silent
// for a second, or for a while has less priority.
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

// eachDirector repeats what is typed on the first for the second.
func eachDirector(lines string) string {
	return lines + strings.ReplaceAll(lines, "director1#", "director2#")
}

// syncDaemons starts the daemons anew, with these options.
func syncDaemons(options string) string {
	return eachDirector(strings.ReplaceAll(`
director1# ipvsadm --stop-daemon master
director1# ipvsadm --stop-daemon backup
director1# ipvsadm --start-daemon master --mcast-interface ens33 --syncid 8 OPTIONS
director1# ipvsadm --start-daemon backup --mcast-interface ens33 --syncid 8 OPTIONS
`, "OPTIONS", options))
}

// has waits until the director has the service's address, or has it no more.
func (h host) has(address bool) error {
	return soon(fmt.Sprintf("the address on %s: %t", h.name, address), func() (bool, error) {
		list, err := h.shell("ip -o addr")
		return strings.Contains(list, " 12.0.0.1/") == address, err
	})
}

// takeOver pulls the plugs of the first director while connections are open, and
// puts them in again while more are. It counts downloads that came to their last
// byte, connections lost, and how long there was no service each time.
func (c cluster) takeOver() (string, error) {
	if err := first.has(true); err != nil {
		return "", err
	}
	h := held{}
	defer h.close()
	if err := h.hold(repeat(4, call{address: natService})); err != nil {
		return "", err
	}
	var downloads downloads
	downloads.start()
	if err := soon("the second director knows the connections", knows(second, 5)); err != nil {
		return "", err
	}
	there, err := outage(func() error {
		return errors.Join(first.plug(false), second.has(true), first.has(false))
	})
	if err != nil {
		return "", err
	}
	keptThere := h.answering()
	downloads.start()
	back, err := outage(func() error {
		return errors.Join(first.plug(true), first.has(true), second.has(false))
	})
	if err != nil {
		return "", err
	}
	kept := min(keptThere, h.answering())
	whole, err := downloads.wait()
	return fmt.Sprintf("%d downloads whole, %d of 4 lost, out %.1f and %.1f s",
		whole, 4-kept, there.Seconds(), back.Seconds()), err
}

// known opens connections and counts which the second director has heard of.
func (c cluster) known() (string, error) {
	if err := first.has(true); err != nil {
		return "", err
	}
	h := held{}
	defer h.close()
	if err := h.hold(repeat(4, call{address: natService})); err != nil {
		return "", err
	}
	h.answering()
	known := 0
	err := soon("the second director knows all", func() (bool, error) {
		list, err := second.shell("ipvsadm -Lnc")
		known = 0
		for _, visits := range h {
			for _, v := range visits {
				if strings.Contains(list, " "+v.conn.LocalAddr().String()+" ") {
					known++
				}
			}
		}
		return known == 4, err
	})
	return fmt.Sprintf("%d of 4 known to the second", known), err
}

// knows reports whether a director has so many established connections.
func knows(h host, n int) func() (bool, error) {
	return func() (bool, error) {
		list, err := h.shell("ipvsadm -Lnc")
		return strings.Count(list, " ESTABLISHED ") >= n, err
	}
}

// downloads are long ones, at the same time.
type downloads struct {
	group sync.WaitGroup
	mu    sync.Mutex // of all that follows
	whole int
	err   error
}

func (d *downloads) start() {
	d.group.Go(func() {
		err := client.do(func() error {
			v, err := call{address: natService}.dial()
			if err != nil {
				return err
			}
			defer v.conn.Close()
			body, err := v.getWithin("/slow", time.Minute)
			d.mu.Lock()
			defer d.mu.Unlock()
			if len(body) == bigFile {
				d.whole++
			}
			return err
		})
		d.mu.Lock()
		defer d.mu.Unlock()
		d.err = errors.Join(d.err, err)
	})
}

// wait returns how many came to their last byte.
func (d *downloads) wait() (whole int, err error) {
	d.group.Wait()
	return d.whole, d.err
}

// outage is the longest time between two answers, from before something happens
// until service is there after it.
func outage(happens func() error) (longest time.Duration, err error) {
	const (
		settle = 2 * time.Second
		try    = 300 * time.Millisecond
	)
	done := make(chan struct{})
	var probes sync.WaitGroup
	var failed error
	probes.Go(func() {
		failed = client.do(func() error {
			last := time.Now()
			for {
				if request(natService, try) == "" {
					longest = max(longest, time.Since(last))
					last = time.Now()
					select {
					case <-done:
						return nil
					default:
					}
				} else if time.Since(last) > patience {
					return fmt.Errorf("no service for %v", patience)
				}
				time.Sleep(pause / 10)
			}
		})
	})
	err = happens()
	time.Sleep(settle)
	close(done)
	probes.Wait()
	return longest, errors.Join(err, failed)
}
