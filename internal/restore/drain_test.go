// SPDX-License-Identifier: Apache-2.0

package restore_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/model"
	"github.com/ipvsadm-go/ipvsadm/internal/restore"
	"github.com/ipvsadm-go/ipvsadm/internal/test/change"
	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs/ipvstest"
)

// withConnections gives each server of a table an active connection.
func withConnections(table *ipvs.Table) *ipvs.Table {
	for i := range table.Services {
		for j := range table.Services[i].Destinations {
			table.Services[i].Destinations[j].Conns.Active = 1
		}
	}
	return table
}

// A server in use is not removed before its connections have ended, whatever
// its weight, and whether it is removed alone, with its service, or moved to
// another service.
func TestServersInUseAreWaitedFor(t *testing.T) {
	for name, c := range map[string]struct {
		have, file []string
		merge      bool
	}{
		"a server":                          {[]string{"add 80 rr", "server 80 1 5"}, []string{"add 80 rr"}, false},
		"of weight 0":                       {[]string{"add 80 rr", "server 80 1 0"}, []string{"add 80 rr"}, false},
		"of a service that goes":            {[]string{"add 80 rr", "server 80 1 5"}, nil, false},
		"of weight 0, of one that goes":     {[]string{"add 80 rr", "server 80 1 0"}, nil, false},
		"of a service that moves":           {[]string{"add 80 rr", "server 80 1 5"}, []string{"add 81 rr", "server 81 1 5"}, false},
		"of dh, which goes":                 {[]string{"add 80 dh", "server 80 1 5"}, nil, false},
		"of a service that a merge deletes": {[]string{"add 80 rr", "server 80 1 5", "add 81 rr"}, []string{"delete! 80"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			k := ipvstest.New(withConnections(kernel(t, c.have...).Now()))
			have, looks := k.Now(), 0
			k.Before = func(method string) error {
				if method != "Destinations" {
					return nil
				}
				s := k.Now().Lookup(web(80))
				if s == nil || s.Lookup(server(1).AddrPort()) == nil {
					t.Error("removed while in use")
				} else if w := s.Lookup(server(1).AddrPort()).Weight; w != 0 {
					t.Errorf("draining with weight %d", w)
				}
				if looks++; looks == 3 { // the connections become inactive
					table := k.Now()
					for i := range table.Services {
						for j := range table.Services[i].Destinations {
							table.Services[i].Destinations[j].Conns = ipvs.ConnCounts{Inactive: 1}
						}
					}
					k.Set(table)
				}
				return nil
			}
			f, _ := read(t, c.file...)
			o := options
			o.Drain = time.Minute
			end := f.Wanted(have, c.merge).Run(t.Context(), k, have, o)
			if end.How != restore.Finished || looks != 3 {
				t.Errorf("%+v, looked %d times", end, looks)
			}
			if s := k.Now().Lookup(web(80)); s != nil && len(s.Destinations) > 0 {
				t.Errorf("%v is left", s)
			}
		})
	}
}

// An undo waits for the connections of servers that the run has added.
func TestUndoDrainsServers(t *testing.T) {
	k := kernel(t, "add 80 rr", "server 80 2 1")
	k.Refuse = refuseNosuch
	looks := 0
	k.Before = func(method string) error {
		switch method {
		case "Table": // the run has ended
			k.Set(withConnections(k.Now()))
		case "Destinations":
			d := k.Now().Lookup(web(80)).Lookup(server(1).AddrPort())
			if looks++; d == nil || d.Weight != 0 {
				t.Errorf("%v is not draining", d)
			}
			if looks == 3 {
				table := k.Now()
				table.Services[0].Destinations[1].Conns = ipvs.ConnCounts{}
				k.Set(table)
			}
		}
		return nil
	}
	have := k.Now()
	f, _ := read(t, "add 80 rr", "server 80 1 1", "server 80 2 1", "start nosuch")
	end := run(t, f, k, have, restore.Options{Strict: true, Drain: time.Minute, Stopped: options.Stopped, Progress: options.Progress})
	if d := model.Diff(k.Now(), have); end.Undo != restore.Undone || looks != 3 || len(d) > 0 {
		t.Errorf("%+v, looked %d times, the table lacks %v", end, looks, d)
	}
}

// A drain waits only a short time for connections that no server has
// answered.
func TestDrainWaitsForEstablishedConnections(t *testing.T) {
	a := netip.MustParseAddrPort
	row := ipvs.Connection{Protocol: ipvs.TCP, Client: a("10.1.0.2:4000"), Virtual: a("12.0.0.1:80"), Destination: server(1).AddrPort(), State: "SYN_RECV"}
	established := row
	established.State = "ESTABLISHED"
	for name, c := range map[string]struct {
		rows  []ipvs.Connection
		least time.Duration
	}{
		"none established": {[]ipvs.Connection{row}, restore.HandshakeTime},
		"one established":  {[]ipvs.Connection{row, established}, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := ipvstest.New(withConnections(kernel(t, "add 80 rr", "server 80 1 5").Now()))
				k.Rows = c.rows
				f, _ := read(t, "add 80 rr")
				o, begin := options, time.Now()
				o.Drain = time.Minute
				end := run(t, f, k, k.Now(), o)
				if took := time.Since(begin); end.How != restore.Finished || took < c.least || took > c.least+time.Second {
					t.Errorf("%+v after %v, want %v", end, took, c.least)
				}
			})
		})
	}
}

// A run that is killed while it waits leaves servers with weight 0. The next
// run waits for them again.
func TestRunAfterAKillWaitsAgain(t *testing.T) {
	k := ipvstest.New(withConnections(kernel(t, "add 80 rr", "server 80 1 5", "add 81 rr", "server 81 1 5").Now()))
	f, _ := read(t, "add 80 rr")
	o := options
	o.Drain = time.Minute
	asked := 0
	k.Before = func(method string) error {
		if method == "Destinations" {
			asked++
		}
		return nil
	}
	o.Stopped = func() bool { return asked > 0 }
	for range 2 {
		asked = 0
		if end := run(t, f, k, k.Now(), o); end.How != restore.Interrupted || asked == 0 {
			t.Errorf("%+v, asked %d times", end, asked)
		}
		if n := len(k.Now().Services); n != 2 {
			t.Errorf("%d services are left", n)
		}
	}
}

// The kernel starts no daemon while any server and its service differ in
// address family, so a daemon starts after all removals, draining ones too.
func TestDaemonsStartAfterRemovals(t *testing.T) {
	six := ipvs.Service{ServiceID: ipvs.AddrID(ipvs.TCP, netip.MustParseAddr("2001:db8::1"), 80), Scheduler: "rr", Netmask: 128}
	tunnel := ipvs.Destination{Addr: server(1).Addr, Port: 80, Forward: ipvs.Tunnel, Weight: 1}
	for _, strict := range []bool{false, true} {
		k := ipvstest.New(nil)
		must.OK(t, k.Do(change.AddService(six), change.AddDestination(six.ServiceID, tunnel)))
		have := withConnections(k.Now())
		f, err := restore.Read(t.Context(), strings.NewReader(
			"-A -t [2001:db8::1]:80 -s rr\n-a -t [2001:db8::1]:80 -r [2001:db8::a]:80 -i\n--start-daemon master --mcast-interface lo\n"), 1<<20, rules, nil)
		must.OK(t, err)
		w := f.Wanted(have, false)
		changed(t, "the plan", have, w.Plan(have, strict, true))
		o := options
		o.Strict, o.Drain = strict, time.Millisecond
		end := w.Run(t.Context(), k, have, o)
		if d := model.Diff(k.Now(), w.Table); end.How != restore.Finished || len(d) > 0 || list(end.Wanted) != "" || len(k.Now().Daemons) != 1 {
			t.Errorf("strict %v: %+v, %s, the table lacks %v", strict, end, list(end.Wanted), d)
		}
	}
}

// A daemon keeps running if its only line is refused.
func TestDaemonOfARefusedLineStays(t *testing.T) {
	k := ipvstest.New(nil)
	must.OK(t, k.Do(change.StartDaemon(ipvs.Daemon{State: ipvs.Backup, Interface: "lo"})))
	have := k.Now()
	f, err := restore.Read(t.Context(), strings.NewReader(
		"-A -t [2001:db8::1]:80 -s rr\n-a -t [2001:db8::1]:80 -r 10.0.0.1:80 -i\n--start-daemon backup --mcast-interface lo\n"), 1<<20, rules, nil)
	must.OK(t, err)
	end := run(t, f, k, have, options)
	if now := k.Now(); end.How != restore.Finished || list(end.Wanted) != "2:invalid argument" || !slices.Equal(now.Daemons, have.Daemons) {
		t.Errorf("%+v, %s, %v", end, list(end.Wanted), now)
	}
}

// A daemon that the run started is stopped again if its line turns out to be
// refused: here servers of another family are valid once the first daemon has
// been refused.
func TestDaemonThatMustNotStart(t *testing.T) {
	const servers = "-A -t [2001:db8::1]:80 -s rr\n-a -t [2001:db8::1]:80 -r 10.0.0.1:80 -i\n"
	k := ipvstest.New(fileOf(t, servers).Wanted(nil, false).Table)
	k.Refuse = refuseNosuch
	f := fileOf(t, "--start-daemon backup --mcast-interface nosuch\n"+servers+"--start-daemon master --mcast-interface lo\n")
	end := run(t, f, k, k.Now(), options)
	if now := k.Now(); end.How != restore.Finished || list(end.Wanted) != "1:no such device 4:invalid argument" || len(now.Daemons) > 0 || !model.MixedFamilies(now) {
		t.Errorf("%+v, %s, %v", end, list(end.Wanted), now)
	}
}

// While a daemon runs that the file does not mention, servers of another
// family are refused, so the other daemon can start.
func TestDaemonThatTheFileDoesNotMentionCounts(t *testing.T) {
	k := ipvstest.New(nil)
	must.OK(t, k.Do(change.StartDaemon(ipvs.Daemon{State: ipvs.Backup, Interface: "lo"})))
	f := fileOf(t, "-A -t [2001:db8::1]:80 -s rr\n-a -t [2001:db8::1]:80 -r 10.0.0.1:80 -i\n--start-daemon master --mcast-interface lo\n-C\n")
	if w := f.Wanted(k.Now(), false); list(w) != "2:invalid argument" {
		t.Errorf("before the run: %s", list(w))
	}
	end := run(t, f, k, k.Now(), options)
	if end.How != restore.Finished || list(end.Wanted) != "2:invalid argument" || len(k.Now().Daemons) != 2 {
		t.Errorf("%+v, %s, %v", end, list(end.Wanted), k.Now())
	}
}

// If the new daemon does not start, the old one keeps running, unless the file
// stops it.
func TestDaemonThatDoesNotStart(t *testing.T) {
	for file, stays := range map[string]bool{"stop,start nosuch": false, "start nosuch": true} {
		k := kernel(t, "start eth1")
		k.Refuse = refuseNosuch
		f, _ := read(t, strings.Split(file, ",")...)
		end := run(t, f, k, k.Now(), options)
		if now := k.Now(); end.How != restore.Finished || len(end.Wanted.Complaints.List) != 1 || (len(now.Daemons) == 1) != stays {
			t.Errorf("%s: %+v, %s, %v", file, end, list(end.Wanted), now.Daemons)
		}
	}
}

// Only changes that were made are counted.
func TestChangesAreCounted(t *testing.T) {
	for _, c := range []struct {
		have, file              []string
		added, removed, changed int
	}{
		{nil, []string{"add 80 nosuch", "server 80 1 1"}, 0, 0, 0},
		{nil, []string{"add 80 rr", "server 80 1 1", "server 80 9 1"}, 2, 0, 0},
		{[]string{"add 80 rr", "server 80 1 1", "server 80 2 1", "add 81 rr"}, []string{"add 80 wlc", "server 80 1 7"}, 0, 2, 2},
		{[]string{"add 80 rr"}, []string{"add 80 rr"}, 0, 0, 0},
	} {
		k := ipvstest.New(withConnections(kernel(t, c.have...).Now()))
		k.Refuse = refuseNosuch
		f, _ := read(t, c.file...)
		o := options
		o.Drain = time.Millisecond
		end := run(t, f, k, k.Now(), o)
		got, want := fmt.Sprint(end.Added, end.Removed, end.Changed), fmt.Sprint(c.added, c.removed, c.changed)
		if got != want {
			t.Errorf("%v on %v: %s, want %s", c.file, c.have, got, want)
		}
	}
}

// Repeated refusals of the same line do not repeat rounds forever.
func TestRefusalsEnd(t *testing.T) {
	k := kernel(t, "add 80 rr", "server 80 1 1")
	k.Refuse = refuseEdits
	f, _ := read(t, "add 80 rr", "server 80 1 1", "server! 80 1 2", "server! 80 1 3")
	end := run(t, f, k, k.Now(), options)
	if lines := list(end.Wanted); !strings.HasPrefix(lines, "4:") || slices.Contains([]restore.Ending{restore.Failed, restore.Interrupted}, end.How) {
		t.Errorf("%+v, %s", end, lines)
	}
}
