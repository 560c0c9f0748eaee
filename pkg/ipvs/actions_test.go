// SPDX-License-Identifier: Apache-2.0

package ipvs_test

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/test/change"
	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs/ipvstest"
)

func TestMethodsAct(t *testing.T) {
	ctx, k := t.Context(), ipvstest.New(nil)
	web, s := tcp("12.0.0.1:80"), dest("10.0.0.1:80", ipvs.Masquerade)
	edited, heavy := ipvs.NewService(web, "wlc"), s
	heavy.Weight = 9
	timeouts := ipvs.Timeouts{TCP: time.Second, TCPFin: time.Second, UDP: time.Second}
	daemon := ipvs.Daemon{State: ipvs.Backup, Interface: "lo"}
	for _, err := range []error{
		k.AddService(ctx, ipvs.NewService(web, "rr")), k.EditService(ctx, edited), k.AddDestination(ctx, web, s), k.EditDestination(ctx, web, heavy),
		k.SetTimeouts(ctx, timeouts), k.StartDaemon(ctx, daemon), k.Zero(ctx), k.ZeroService(ctx, web), k.SetWeight(ctx, web, s.AddrPort(), 7),
	} {
		must.OK(t, err)
	}
	now := k.Now()
	if e := now.Lookup(web); e == nil || e.Service != edited || len(e.Destinations) != 1 || e.Destinations[0].Weight != 7 {
		t.Errorf("%v", e)
	}
	if now.Timeouts != timeouts || len(now.Daemons) != 1 {
		t.Errorf("%v, %v", now.Timeouts, now.Daemons)
	}
	for err, want := range map[error]error{
		k.AddService(ctx, edited):                                       ipvs.ErrServiceExists,
		k.AddDestination(ctx, web, s):                                   ipvs.ErrDestinationExists,
		k.DeleteService(ctx, tcp("12.0.0.9:80")):                        ipvs.ErrNoService,
		k.SetWeight(ctx, web, netip.MustParseAddrPort("1.2.3.4:80"), 1): ipvs.ErrNoDestination,
		k.StartDaemon(ctx, daemon):                                      ipvs.ErrDaemonRunning,
	} {
		if single := (*ipvs.ChangeError)(nil); !errors.Is(err, want) || !errors.As(err, &single) {
			t.Errorf("%v, want %v", err, want)
		}
	}
	for _, err := range []error{k.DeleteDestination(ctx, web, s.AddrPort()), k.DeleteService(ctx, web), k.StopDaemon(ctx, ipvs.Backup), k.Flush(ctx)} {
		must.OK(t, err)
	}
	if now := k.Now(); len(now.Services) != 0 || len(now.Daemons) != 0 {
		t.Errorf("%v", now)
	}
	if err := new(ipvs.Client).Flush(ctx); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("a client that was never open: %v", err)
	}
	if _, err := new(ipvs.Client).Reconcile(ctx, nil, nil); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("a client that was never open: %v", err)
	}
}

func TestReconcile(t *testing.T) {
	mine := func(id ipvs.ServiceID) bool { return id.Addr == anyAddr }
	others := ipvs.ServiceEntry{Service: ipvs.NewService(tcp("12.0.0.9:25"), "rr")}
	table := func(s ...ipvs.ServiceEntry) *ipvs.Table { return &ipvs.Table{Services: append(s, others)} }
	odd := aService(81)
	odd.Scheduler = "nosuch"
	for name, c := range map[string]struct {
		have   *ipvs.Table
		want   []ipvs.ServiceEntry
		owns   func(ipvs.ServiceID) bool
		writer func(k *ipvstest.Kernel, method string) error // before each call
		made   int
		err    error
		left   int // number of services
	}{
		"nothing to do": {have: table(aService(80, "10.0.0.1:80")), want: []ipvs.ServiceEntry{aService(80, "10.0.0.1:80")}, owns: mine, left: 2},
		"all services":  {have: table(aService(80)), made: 2},
		"those owned":   {have: table(aService(80)), owns: mine, made: 1, left: 1},
		"another writer is faster": {have: table(), want: []ipvs.ServiceEntry{aService(80, "10.0.0.1:80")}, owns: mine, left: 2, made: 1,
			writer: func(k *ipvstest.Kernel, method string) error {
				if method == "Apply" && len(k.Batches()) == 0 {
					return k.Do(change.AddService(aService(80).Service))
				}
				return nil
			}},
		"another writer never pauses": {have: table(), want: []ipvs.ServiceEntry{aService(80)}, owns: mine, err: ipvs.ErrChanging, made: 5, left: 2,
			writer: func(k *ipvstest.Kernel, method string) error {
				if method != "Apply" && len(k.Batches()) > 0 {
					return k.Do(change.DeleteService(aService(80).ServiceID))
				}
				return nil
			}},
		"a refusal":                   {have: table(), want: []ipvs.ServiceEntry{odd, aService(80)}, owns: mine, err: ipvs.ErrNoScheduler, made: 1, left: 2},
		"a service that is not owned": {have: table(), want: []ipvs.ServiceEntry{others}, owns: mine, err: ipvs.ErrInvalid, left: 1},
	} {
		t.Run(name, func(t *testing.T) {
			k := ipvstest.New(c.have)
			if c.writer != nil {
				k.Before = func(method string) error { return c.writer(k, method) }
			}
			made, err := k.Reconcile(t.Context(), c.want, c.owns)
			if !errors.Is(err, c.err) || len(made) != c.made || len(k.Now().Services) != c.left {
				t.Errorf("%v, %v, %d services; want %d changes, %v, %d services", made, err, len(k.Now().Services), c.made, c.err, c.left)
			}
		})
	}
}

func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		web := aService(80, "10.0.0.1:80")
		server := web.Destinations[0].AddrPort()
		k := ipvstest.New(&ipvs.Table{Services: []ipvs.ServiceEntry{web}})
		must.OK(t, k.SetConns(web.ServiceID, server, ipvs.ConnCounts{Active: 1, Inactive: 4}))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := k.Drain(ctx, web.ServiceID, server); !errors.Is(err, context.DeadlineExceeded) || k.Now().Services[0].Destinations[0].Weight != 0 {
			t.Errorf("%v, %v", err, k.Now())
		}
		time.AfterFunc(time.Minute, func() { _ = k.SetConns(web.ServiceID, server, ipvs.ConnCounts{Inactive: 5}) })
		start := time.Now()
		if err := k.Drain(t.Context(), web.ServiceID, server); err != nil || time.Since(start) < time.Minute || time.Since(start) > time.Minute+time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
	k := ipvstest.New(nil)
	server := netip.MustParseAddrPort("10.0.0.1:80")
	for _, err := range []error{k.Drain(t.Context(), tcp("12.0.0.1:80"), server), k.SetConns(tcp("12.0.0.1:80"), server, ipvs.ConnCounts{})} {
		if !errors.Is(err, ipvs.ErrNoDestination) {
			t.Errorf("%v", err)
		}
	}
}

func TestALiteralTellsClientsApart(t *testing.T) {
	k := ipvstest.New(nil)
	web := ipvs.Service{ServiceID: tcp("12.0.0.1:80"), Scheduler: "rr", Flags: ipvs.FlagPersistent, Timeout: time.Minute}
	must.OK(t, k.AddService(t.Context(), web))
	if got := k.Now().Services[0].Netmask; got != ipvs.FullNetmask(ipvs.IPv4) {
		t.Errorf("the netmask is %#x", got)
	}
	if d := ipvs.Diff(k.Now().Services, []ipvs.ServiceEntry{{Service: web}}); len(d) != 0 {
		t.Errorf("%v", d)
	}
	web.Netmask = ipvs.NetmaskFrom4(netip.IPv4Unspecified())
	if d := ipvs.Diff(k.Now().Services, []ipvs.ServiceEntry{{Service: web}}); len(d) != 1 || web.Netmask.Addr4() != netip.IPv4Unspecified() {
		t.Errorf("%v of 0.0.0.0", d)
	}
}

func TestIPv4MappedAddressesAreNotStored(t *testing.T) {
	ctx, k := t.Context(), ipvstest.New(nil)
	mapped, _ := netip.AddrFromSlice(net.ParseIP("12.0.0.1"))
	plain := netip.MustParseAddr("12.0.0.1")
	if id := ipvs.AddrID(ipvs.TCP, mapped, 80); id.Addr != plain {
		t.Errorf("%v", id)
	}
	if d := ipvs.NewDestination(netip.AddrPortFrom(mapped, 80)); d.Addr != plain {
		t.Errorf("%v", d)
	}
	literal := ipvs.NewService(ipvs.ServiceID{Protocol: ipvs.TCP, Addr: mapped, Port: 80}, "rr")
	if err := k.AddService(ctx, literal); !errors.Is(err, ipvs.ErrInvalid) || !strings.Contains(err.Error(), "use 12.0.0.1") {
		t.Errorf("%v", err)
	}
	must.OK(t, k.AddService(ctx, ipvs.NewService(tcp("12.0.0.1:80"), "rr")))
	if err := k.AddDestination(ctx, tcp("12.0.0.1:80"), ipvs.Destination{Addr: mapped, Port: 80}); !errors.Is(err, ipvs.ErrInvalid) {
		t.Errorf("%v", err)
	}
	k.IPv4Mapped = true
	must.OK(t, k.AddService(ctx, literal))
}

func TestWhatFollowsFromARefusalIsCounted(t *testing.T) {
	var b ipvs.Batch
	odd, web := ipvs.NewService(tcp("12.0.0.1:81"), "nosuch"), ipvs.NewService(tcp("12.0.0.1:80"), "rr")
	b.AddService(odd)
	b.AddDestination(odd.ServiceID, dest("10.0.0.1:81", ipvs.Masquerade))
	b.AddDestination(odd.ServiceID, dest("10.0.0.2:81", ipvs.Masquerade))
	b.AddService(ipvs.Service{}) // the other changes are made nevertheless
	b.AddService(web)
	b.DeleteService(tcp("12.0.0.1:82"))
	k := ipvstest.New(nil)
	err := k.Apply(t.Context(), b...)
	var refused ipvs.ChangeErrors
	if want := "add service TCP 12.0.0.1:81 nosuch: scheduler or persistence engine not found\n" +
		"add service IP invalid AddrPort: invalid value: the service has no address\n" +
		"delete service TCP 12.0.0.1:82: no such service\n" +
		"2 changes of these services failed because they were not added"; err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
	if !errors.As(err, &refused) || len(refused) != 5 || len(k.Now().Services) != 1 {
		t.Errorf("%d, %v", len(refused), k.Now())
	}
	if !slices.IsSortedFunc(refused, func(a, b *ipvs.ChangeError) int { return a.Index - b.Index }) {
		t.Errorf("%v", refused)
	}
}
