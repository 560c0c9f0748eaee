// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/internal/restore"
	"github.com/ipvsadm-go/ipvsadm/internal/test/cluster"
	"github.com/ipvsadm-go/ipvsadm/internal/test/guest/guesttest"
	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// setConns sets the numbers of connections of all servers.
func setConns(table *ipvs.Table, conns ipvs.ConnCounts) {
	for i := range table.Services {
		for j := range table.Services[i].Destinations {
			table.Services[i].Destinations[j].Conns = conns
		}
	}
}

func TestServerInUseIsDrainedBeforeItIsRemoved(t *testing.T) {
	const (
		tcp  = "-t 10.0.0.1:80"
		udp  = "-u 10.0.0.1:80"
		goes = " -r 10.0.0.3:80 -m -w "
	)
	active, inactive := ipvs.ConnCounts{Active: 1}, ipvs.ConnCounts{Inactive: 1}
	for name, c := range map[string]struct {
		service, scheduler string
		weight             string // weight of the removed server
		conns              ipvs.ConnCounts
		whole              bool // the service is removed too
		drained            bool
	}{
		"with an active connection":                      {tcp, "rr", "5", active, false, true},
		"with one that has just ended":                   {tcp, "wlc", "5", inactive, false, true},
		"with no connection it goes at once":             {tcp, "rr", "5", ipvs.ConnCounts{}, false, false},
		"with weight 0 it is only removed":               {tcp, "rr", "0", active, false, false},
		"of UDP, whose connections have no end, at once": {udp, "rr", "5", active, false, false},
		"of a firewall mark":                             {"-f 7", "rr", "5", active, false, true},
		"of dh, which would turn clients away, at once":  {tcp, "dh", "5", active, false, false},
		"of sh, which would turn clients away, at once":  {tcp, "sh", "5", active, false, false},
		"of mh, which would turn clients away, at once":  {tcp, "mh -b mh-port", "5", active, false, false},
		"of sh that falls back":                          {tcp, "sh -b sh-fallback", "5", active, false, true},
		"of mh that falls back":                          {tcp, "mh -b mh-fallback,mh-port", "5", active, false, true},
		"of a service that goes as well":                 {tcp, "dh", "5", active, true, true},
		"of a service of UDP that goes as well, at once": {udp, "rr", "5", active, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			file := "-A " + c.service + " -s " + c.scheduler + "\n"
			k := newFakeKernel(t, file+"-a "+c.service+goes+c.weight+"\n")
			k.edit(func(t *ipvs.Table) { setConns(t, c.conns) })
			want := "-d " + c.service + " -r 10.0.0.3:80\n"
			if c.whole {
				file, want = "# none\n", "-D "+c.service+"\n"
			}
			if c.drained {
				want = "-e " + c.service + goes + "0\n" + want
			}
			if a := k.restore(t, file, "--dry-run"); a.status != 0 || a.out != want {
				t.Errorf("%+v, want to do\n%s", a, want)
			}
		})
	}
}

const (
	undrained = "-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.0.0.2:80 -m -w 1\n"
	drained   = "-a -t 10.0.0.1:80 -r 10.0.0.3:80 -m -w 5\n-a -t 10.0.0.1:80 -r 10.0.0.4:80 -m -w 5\n"
)

// actsAt is the list of servers, counted from 1, at which drainTwo acts.
const actsAt = 3

// drainTwo restores the rules undrained to a table that also contains those
// in drained.
func drainTwo(t *testing.T, then func(*fakeKernel)) (*fakeKernel, answer) {
	k := newFakeKernel(t, undrained+drained)
	k.edit(func(t *ipvs.Table) { setConns(t, ipvs.ConnCounts{Active: 1}) })
	k.beforeDestinations = func(n int) {
		if n == actsAt {
			then(k)
		}
	}
	return k, k.restore(t, undrained)
}

func TestRemovalsWaitForTheLastConnection(t *testing.T) {
	k, a := drainTwo(t, func(k *fakeKernel) {
		k.edit(func(t *ipvs.Table) { setConns(t, ipvs.ConnCounts{Inactive: 1}) })
	})
	if a != (answer{}) || k.rules() != timeouts+undrained || k.asked != actsAt {
		t.Errorf("%+v, asked %d times, the table is\n%s", a, k.asked, k.rules())
	}
	var ops []ipvs.Op
	for _, c := range k.changes() {
		ops = append(ops, c.Op)
	}
	want := []ipvs.Op{ipvs.OpEditDestination, ipvs.OpEditDestination, ipvs.OpDeleteDestination, ipvs.OpDeleteDestination}
	if len(k.Batches()) != 2 || !slices.Equal(ops, want) {
		t.Errorf("%d batches of %v, want 2 of %v", len(k.Batches()), ops, want)
	}
}

func TestSignalEndsTheWaitForConnections(t *testing.T) {
	k, a := drainTwo(t, func(*fakeKernel) { sendSignal(t, unix.SIGTERM) })
	want := answer{status: 143, errors: "<stdin>: terminated after 2 of 4 changes; run it again to finish\n"}
	if a != want || k.rules() != timeouts+undrained+strings.ReplaceAll(drained, "-w 5", "-w 0") || k.asked != actsAt {
		t.Errorf("%+v, want %+v, asked %d times, the table is\n%s", a, want, k.asked, k.rules())
	}
}

// The commands and the table of a drain, the table after it, and the message
// if it ended early.
const (
	delOne   = "ipvsadm -d -t 10.0.0.1:80 -r 10.0.0.3:80 --drain "
	oneStays = "ipvsadm -e -t 10.0.0.1:80 -r 10.0.0.3:80 --keep -w 0 --drain 60"
	delAll   = "ipvsadm -D -t 10.0.0.1:80 --drain "
	stays    = "-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.0.0.2:80 -m -w 0\n"
	goes     = "-a -t 10.0.0.1:80 -r 10.0.0.3:80 -m -w 5 -x 9 -y 2\n"
	atZero   = "-a -t 10.0.0.1:80 -r 10.0.0.3:80 -m -w 0 -x 9 -y 2\n"
	undrain  = "nothing was deleted, and weights set to 0 were put back\n"
)

// drain runs a command with --drain.
func (k *fakeKernel) drain(t *testing.T, lock, command string) (a answer) {
	t.Helper()
	p, done := k.process(&a, "", strings.Fields(command)...)
	p.drainLock = lock
	a.status = p.start(t.Context())
	done()
	return a
}

func TestDrain(t *testing.T) {
	type step = func(*testing.T, *fakeKernel)
	conns := func(c ipvs.ConnCounts) step {
		return func(_ *testing.T, k *fakeKernel) { k.edit(func(t *ipvs.Table) { setConns(t, c) }) }
	}
	writer := func(rules string) step { return func(t *testing.T, k *fakeKernel) { k.run(t, rules) } }
	mindSignals(unix.SIGINT, unix.SIGHUP)
	signal := func(s syscall.Signal) step { return func(t *testing.T, _ *fakeKernel) { sendSignal(t, s) } }
	const ready = 1 // lists of servers before the drain begins
	for name, c := range map[string]struct {
		command string
		conns   uint32
		at      int // the list of servers, counted from 1, at which then is called
		then    step
		want    answer
		rules   string
		asked   int // lists of servers; 0: any number
	}{
		"a server without connections goes at once":  {command: delOne + "60", rules: stays, asked: ready + 1},
		"a service without connections goes at once": {command: delAll + "60", asked: ready + 1},
		"a server goes after its last active connection": {
			command: delOne + "60", conns: 1, at: ready + 3, then: conns(ipvs.ConnCounts{Inactive: 7}), rules: stays, asked: ready + 3,
		},
		"a service goes after the last of any server": {
			command: delAll + "60", conns: 1, at: ready + 2, then: conns(ipvs.ConnCounts{Inactive: 7}), asked: ready + 2,
		},
		"when the time is over a server goes with its connections": {
			command: delOne + "0", conns: 3, want: answer{status: 1, errors: "the drain time is over, with 3 connections left\n"}, rules: stays, asked: ready + 1,
		},
		"and so does a service with those of all servers": {
			command: delAll + "0", conns: 3, want: answer{status: 1, errors: "the drain time is over, with 6 connections left\n"},
		},
		"the time is as long as was said": {
			command: delOne + "1", conns: 1, at: ready + 2, then: conns(ipvs.ConnCounts{Active: 2}),
			want: answer{status: 1, errors: "the drain time is over, with 2 connections left\n"}, rules: stays,
		},
		"SIGINT puts the weight back": {
			command: delOne + "60", conns: 1, at: ready + 2, then: signal(unix.SIGINT),
			want: answer{status: 130, errors: "interrupt: " + undrain}, rules: stays + goes,
		},
		"so does SIGTERM": {
			command: delOne + "60", conns: 1, at: ready + 2, then: signal(unix.SIGTERM),
			want: answer{status: 143, errors: "terminated: " + undrain}, rules: stays + goes,
		},
		"and SIGHUP": {
			command: delOne + "60", conns: 1, at: ready + 2, then: signal(unix.SIGHUP),
			want: answer{status: 129, errors: "hangup: " + undrain}, rules: stays + goes,
		},
		"of a service, a weight that was 0 before stays 0": {
			command: delAll + "60", conns: 1, at: ready + 2, then: signal(unix.SIGTERM),
			want: answer{status: 143, errors: "terminated: " + undrain}, rules: stays + goes,
		},
		"what else another program has changed is not put back": {
			command: delOne + "60", conns: 1, at: ready + 2, then: func(t *testing.T, k *fakeKernel) {
				k.run(t, "-e -t 10.0.0.1:80 -r 10.0.0.3:80 -g -w 0 -x 20\n")
				sendSignal(t, unix.SIGTERM)
			},
			want:  answer{status: 143, errors: "terminated: " + undrain},
			rules: stays + "-a -t 10.0.0.1:80 -r 10.0.0.3:80 -g -w 5 -x 20\n",
		},
		"a weight that another program gives is left to it": {
			command: delOne + "60", conns: 1, at: ready + 2, then: writer("-e -t 10.0.0.1:80 -r 10.0.0.3:80 -m -w 7\n"),
			want:  answer{status: 1, errors: "another program set the weight of 10.0.0.3:80 in TCP 10.0.0.1:80 to 7\n" + undrain},
			rules: stays + "-a -t 10.0.0.1:80 -r 10.0.0.3:80 -m -w 7\n",
		},
		"so is that of one server of a service, and the others have theirs back": {
			command: delAll + "60", conns: 1, at: ready + 2, then: writer("-e -t 10.0.0.1:80 -r 10.0.0.2:80 -m -w 7\n"),
			want:  answer{status: 1, errors: "another program set the weight of 10.0.0.2:80 in TCP 10.0.0.1:80 to 7\n" + undrain},
			rules: strings.Replace(stays, "-w 0", "-w 7", 1) + goes,
		},
		"another server's weight does not matter": {
			command: delOne + "0", conns: 1, at: ready, then: writer("-e -t 10.0.0.1:80 -r 10.0.0.2:80 -m -w 7\n"),
			want: answer{status: 1, errors: "the drain time is over, with 1 connection left\n"}, rules: strings.Replace(stays, "-w 0", "-w 7", 1),
		},
		"a server that another program deletes is gone": {
			command: delOne + "60", conns: 1, at: ready + 2, then: writer("-d -t 10.0.0.1:80 -r 10.0.0.3:80\n"), rules: stays,
		},
		"and so is its service": {
			command: delOne + "60", conns: 1, at: ready + 2, then: writer("-D -t 10.0.0.1:80\n"),
		},
		"a service that another program deletes is gone": {
			command: delAll + "60", conns: 1, at: ready + 2, then: writer("-D -t 10.0.0.1:80\n"),
		},
		"a kernel that does not delete": {
			command: delOne + "60", at: ready + 1, then: func(_ *testing.T, k *fakeKernel) {
				k.Refuse = func(c ipvs.Change) syscall.Errno {
					if c.Op == ipvs.OpDeleteDestination {
						return unix.ENOMEM
					}
					return 0
				}
			},
			want: answer{status: 255, errors: "Memory allocation problem\n" + undrain}, rules: stays + goes,
		},
		"a server that is not there": {
			command: "ipvsadm -d -t 10.0.0.1:80 -r 10.0.0.9:80 --drain 60", want: answer{status: 255, errors: "No such destination\n"}, rules: stays + goes,
		},
		"a service that is not there": {
			command: "ipvsadm -D -t 10.0.0.9:80 --drain 60", want: answer{status: 255, errors: "No such service\n"}, rules: stays + goes,
		},
		"neither has to be with --exist":  {command: "ipvsadm -d -t 10.0.0.1:80 -r 10.0.0.9:80 --exist --drain 60", rules: stays + goes},
		"nor the service":                 {command: "ipvsadm -D -t 10.0.0.9:80 --exist --drain 60", rules: stays + goes},
		"what is there goes with --exist": {command: delOne + "60 --exist", rules: stays},
		"a server may stay": {
			command: oneStays, conns: 1, at: ready + 3, then: conns(ipvs.ConnCounts{Inactive: 7}), rules: stays + atZero, asked: ready + 3,
		},
		"with other settings": {command: oneStays + " -x 20 -y 0", rules: stays + "-a -t 10.0.0.1:80 -r 10.0.0.3:80 -m -w 0 -x 20\n"},
		"and has its weight back after a signal": {
			command: oneStays, conns: 1, at: ready + 2, then: signal(unix.SIGTERM),
			want: answer{status: 143, errors: "terminated: " + undrain}, rules: stays + goes,
		},
		"a server that stays has to be there": {
			command: "ipvsadm -e -t 10.0.0.1:80 -r 10.0.0.9:80 --keep -w 0 --drain 60",
			want:    answer{status: 255, errors: "No such destination\n"}, rules: stays + goes,
		},
	} {
		t.Run(name, func(t *testing.T) {
			k := newFakeKernel(t, stays+goes)
			k.edit(func(t *ipvs.Table) { setConns(t, ipvs.ConnCounts{Active: c.conns}) })
			k.beforeDestinations = func(n int) {
				if n == c.at {
					c.then(t, k)
				}
			}
			start := time.Now()
			a := k.drain(t, filepath.Join(t.TempDir(), "lock"), c.command)
			if a != c.want || k.rules() != timeouts+c.rules || c.asked > 0 && k.asked != c.asked {
				t.Errorf("%+v, want %+v, asked %d times, the table is\n%s", a, c.want, k.asked, k.rules())
			}
			if took := time.Since(start); strings.Contains(c.command, "--drain 1") && took < time.Second {
				t.Errorf("ended after %v", took)
			}
		})
	}
}

// TestDrainWaitsForEstablishedConnections drains a server with unanswered
// connections, and later an established one.
func TestDrainWaitsForEstablishedConnections(t *testing.T) {
	row := func(state string) ipvs.Connection {
		a := netip.MustParseAddrPort
		return ipvs.Connection{Protocol: ipvs.TCP, Client: a("10.1.0.2:4000"), Virtual: a("10.0.0.1:80"), Destination: a("10.0.0.3:80"), State: state}
	}
	mindSignals(unix.SIGINT, unix.SIGHUP)
	for name, c := range map[string]struct {
		rows        []ipvs.Connection
		least, most time.Duration
		want        answer
	}{
		"unanswered":      {[]ipvs.Connection{row("SYN_RECV"), row("SYN_RECV")}, restore.HandshakeTime, restore.HandshakeTime + time.Second, answer{}},
		"one established": {[]ipvs.Connection{row("SYN_RECV"), row("ESTABLISHED")}, time.Minute, time.Minute + time.Second, answer{1, "", "the drain time is over, with 1 connection left\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			lock := filepath.Join(t.TempDir(), "lock")
			synctest.Test(t, func(t *testing.T) {
				k := newFakeKernel(t, stays+goes)
				k.edit(func(t *ipvs.Table) { setConns(t, ipvs.ConnCounts{Active: 2}) })
				k.Rows = c.rows
				begin := time.Now()
				a := k.drain(t, lock, delOne+"60")
				if took := time.Since(begin); a != c.want || took < c.least || took > c.most || k.rules() != timeouts+stays {
					t.Errorf("%+v after %v, the table is\n%s", a, took, k.rules())
				}
			})
		})
	}
}

// TestServerIsDrainedOnce starts a second drain while the first waits.
func TestServerIsDrainedOnce(t *testing.T) {
	const other = "ipvsadm -d -t 10.0.0.1:80 -r 10.0.0.2:80 --drain 60"
	refused := answer{status: 2, errors: "another ipvsadm is draining 10.0.0.3:80 of TCP 10.0.0.1:80; nothing was changed\n"}
	k := newFakeKernel(t, stays+goes)
	k.edit(func(t *ipvs.Table) { setConns(t, ipvs.ConnCounts{Active: 1}) })
	lock := filepath.Join(t.TempDir(), "lock")
	k.beforeDestinations = func(n int) {
		if n != 3 {
			return
		}
		k.beforeDestinations = nil
		for _, command := range []string{delOne + "0", delAll + "0"} {
			if a := k.drain(t, lock, command); a != refused || k.rules() != timeouts+stays+atZero {
				t.Errorf("%s: %+v, the table is\n%s", command, a, k.rules())
			}
		}
		elsewhere := newFakeKernel(t, stays+goes)
		elsewhere.Inode = k.Inode + 1
		if a := elsewhere.drain(t, lock, delOne+"0"); a != (answer{}) {
			t.Errorf("in another network namespace: %+v", a)
		}
		k.edit(func(t *ipvs.Table) { setConns(t, ipvs.ConnCounts{}) })
		if a := k.drain(t, lock, other); a != (answer{}) {
			t.Errorf("another server: %+v", a)
		}
	}
	if a := k.drain(t, lock, delOne+"60"); a != (answer{}) || k.rules() != timeouts+"-A -t 10.0.0.1:80 -s rr\n" {
		t.Errorf("%+v, the table is\n%s", a, k.rules())
	}
	k.run(t, goes)
	if a := k.drain(t, lock, delOne+"60"); a != (answer{}) {
		t.Errorf("after the first: %+v", a)
	}
}

func TestDrainOnAKernel(t *testing.T) {
	guesttest.InGuest(t, func(t *testing.T) {
		guesttest.Modprobe(t, "ip_vs")
		t.Run("a request under way is answered before its server goes", func(t *testing.T) { testDrain(t, true) })
		t.Run("a connection that does not end keeps its server for a while only", func(t *testing.T) { testDrain(t, false) })
	})
}

// testDrain removes a server with a connection, which either ends when the
// server has weight 0 or stays open.
func testDrain(t *testing.T, ends bool) {
	d := newDirector(t)
	d.ip("addr add 10.5.5.5/32 dev lo")
	must.OK(t, cluster.Echo(t, "tcp", "127.0.0.2:80"))
	const (
		stays = "-A -t 10.5.5.5:80 -s rr\n-a -t 10.5.5.5:80 -r 127.0.0.3:80 -m -w 0\n"
		goes  = "-a -t 10.5.5.5:80 -r 127.0.0.2:80 -m -w 1\n"
	)
	if a := d.restore(stays + goes); a != (answer{}) {
		t.Fatal(a)
	}
	c := d.talk("10.5.5.5:80")
	must.OK(t, c.speak())

	spoken := make(chan error, 1)
	go func() {
		if !ends {
			spoken <- nil
			return
		}
		service := ipvs.AddrID(ipvs.TCP, netip.MustParseAddr("10.5.5.5"), 80)
		weight := int32(1)
		for weight != 0 {
			list, err := d.client.Destinations(context.Background(), service)
			if err != nil {
				spoken <- err
				return
			}
			i := slices.IndexFunc(list, func(e ipvs.DestinationEntry) bool { return e.Addr == netip.MustParseAddr("127.0.0.2") })
			if i < 0 {
				break // removed without draining
			}
			weight = list[i].Weight
		}
		spoken <- c.speak()
		c.Close()
	}()
	start := time.Now()
	if a := d.restore(stays); a != (answer{}) {
		t.Error(a)
	}
	took := time.Since(start)
	must.OK(t, <-spoken)
	if !ends && took < restore.DrainTime {
		t.Errorf("removed after %v, want %v", took, restore.DrainTime)
	}
	if got := d.rules(); !strings.HasSuffix(got, "\n"+stays) {
		t.Errorf("the table is\n%s", got)
	}
}
