// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"io"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/internal/restore"
	"github.com/ipvsadm-go/ipvsadm/internal/test/guest/guesttest"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// inUse gives every server of the table connections.
func inUse(table *ipvs.Table, conns ipvs.ConnCounts) {
	for i := range table.Services {
		for j := range table.Services[i].Destinations {
			table.Services[i].Destinations[j].Conns = conns
		}
	}
}

func TestServerInUseIsDrainedBeforeItIsRemoved(t *testing.T) {
	const (
		tcp  = " -t 10.0.0.1:80"
		stay = " -r 10.0.0.2:80 -m -w 1\n"
		goes = " -r 10.0.0.3:80 -m"
	)
	active, inactive := ipvs.ConnCounts{Active: 1}, ipvs.ConnCounts{Inactive: 1}
	for name, c := range map[string]struct {
		service   string
		options   string // of the server that goes, and of the service
		scheduler string
		conns     ipvs.ConnCounts
		drained   bool
	}{
		"with an active connection":                          {tcp, " -w 5 -x 9 -y 2", "rr", active, true},
		"with one that has just ended":                       {tcp, " -w 5", "wlc", inactive, true},
		"with no connection it goes at once":                 {tcp, " -w 5", "rr", ipvs.ConnCounts{}, false},
		"with weight 0 it has had its time":                  {tcp, " -w 0", "rr", active, false},
		"of UDP, whose connections have no end, at once":     {" -u 10.0.0.1:80", " -w 5", "rr", active, false},
		"of a firewall mark":                                 {" -f 7", " -w 5", "rr", active, true},
		"of dh, which would turn clients away, at once":      {tcp, " -w 5", "dh", active, false},
		"of sh, which would turn clients away, at once":      {tcp, " -w 5", "sh", active, false},
		"of mh, which would turn clients away, at once":      {tcp, " -w 5", "mh -b mh-port", active, false},
		"of sh that falls back":                              {tcp, " -w 5", "sh -b sh-fallback", active, true},
		"of mh that falls back":                              {tcp, " -w 5", "mh -b mh-fallback,mh-port", active, true},
		"of a service that goes as well it needs no thought": {"", " -w 5", "rr", active, false},
	} {
		t.Run(name, func(t *testing.T) {
			service := c.service
			if service == "" {
				service = tcp
			}
			head := "-A" + service + " -s " + c.scheduler + "\n"
			k := newFakeKernel(t, head+"-a"+service+stay+"-a"+service+goes+c.options+"\n")
			k.edit(func(t *ipvs.Table) { inUse(t, c.conns) })
			wanted := head + "-a" + service + stay
			if c.service == "" {
				wanted = ""
			}
			a := k.restore(t, wanted, "--dry-run")
			remove := "-d" + service + " -r 10.0.0.3:80\n"
			want := remove
			switch {
			case c.drained:
				options := strings.Replace(c.options, " -w 5", " -w 0", 1)
				want = "-e" + service + goes + options + "\n" + remove
			case c.service == "":
				want = "-D" + service + "\n"
			}
			warning := ""
			if wanted == "" {
				warning = "<stdin>: warning: no command in it\n"
			}
			if a != (answer{out: want, errors: warning}) {
				t.Errorf("%+v, want to do\n%s", a, want)
			}
		})
	}
}

const (
	undrained = "-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.0.0.2:80 -m -w 1\n"
	drained   = "-a -t 10.0.0.1:80 -r 10.0.0.3:80 -m -w 5\n-a -t 10.0.0.1:80 -r 10.0.0.4:80 -m -w 5\n"
)

// enough is how often drainTwo has servers asked for before it does something.
const enough = 3

// drainTwo restores undrained on a kernel that has drained as well.
func drainTwo(t *testing.T, then func(*fakeKernel)) (*fakeKernel, answer) {
	k := newFakeKernel(t, undrained+drained)
	k.edit(func(t *ipvs.Table) { inUse(t, ipvs.ConnCounts{Active: 1}) })
	k.beforeDestinations = func(n int) {
		if n == enough {
			then(k)
		}
	}
	return k, k.restore(t, undrained)
}

func TestRemovalsWaitForTheLastConnection(t *testing.T) {
	k, a := drainTwo(t, func(k *fakeKernel) { k.edit(func(t *ipvs.Table) { inUse(t, ipvs.ConnCounts{Inactive: 1}) }) })
	if a != (answer{}) || k.rules() != timeouts+undrained || k.asked != enough {
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
	want := answer{status: 143, errors: "<stdin>: terminated after 2 of 4 changes; restore again to finish\n"}
	if a != want || k.rules() != timeouts+undrained+strings.ReplaceAll(drained, "-w 5", "-w 0") || k.asked != enough {
		t.Errorf("%+v, want %+v, asked %d times, the table is\n%s", a, want, k.asked, k.rules())
	}
}

func TestDrainOnAKernel(t *testing.T) {
	guesttest.InGuest(t, func(t *testing.T) {
		guesttest.Modprobe(t, "ip_vs")
		t.Run("a request under way is answered before its server goes", func(t *testing.T) { testDrain(t, true) })
		t.Run("a connection that does not end keeps its server for a while only", func(t *testing.T) { testDrain(t, false) })
	})
}

// testDrain removes a server that has a connection, which goes on, and ends,
// while the server has weight 0; or stays.
func testDrain(t *testing.T, ends bool) {
	d := newDirector(t)
	if out, err := exec.Command("ip", "addr", "add", "10.5.5.5/32", "dev", "lo").CombinedOutput(); err != nil {
		t.Fatalf("ip: %v %s", err, out)
	}
	l, err := net.Listen("tcp", "127.0.0.2:80")
	must(t, err)
	defer l.Close()
	go echo(l)
	const (
		stays = "-A -t 10.5.5.5:80 -s rr\n-a -t 10.5.5.5:80 -r 127.0.0.3:80 -m -w 0\n"
		goes  = "-a -t 10.5.5.5:80 -r 127.0.0.2:80 -m -w 1\n"
	)
	if a := d.restore(stays + goes); a != (answer{}) {
		t.Fatal(a)
	}
	c, err := net.Dial("tcp", "10.5.5.5:80")
	must(t, err)
	defer c.Close()
	must(t, c.SetDeadline(time.Now().Add(30*time.Second)))
	speak := func() error {
		if _, err := c.Write([]byte("hello")); err != nil {
			return err
		}
		_, err := io.ReadFull(c, make([]byte, 5))
		return err
	}
	must(t, speak())

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
				break // removed without having been drained
			}
			weight = list[i].Weight
		}
		spoken <- speak()
		c.Close()
	}()
	start := time.Now()
	if a := d.restore(stays); a != (answer{}) {
		t.Error(a)
	}
	took := time.Since(start)
	must(t, <-spoken)
	if !ends && took < restore.DrainTime {
		t.Errorf("removed after %v, want %v", took, restore.DrainTime)
	}
	if got := d.rules(); !strings.HasSuffix(got, "\n"+stays) {
		t.Errorf("the table is\n%s", got)
	}
}
