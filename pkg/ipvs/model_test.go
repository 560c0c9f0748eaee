// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"errors"
	"net/netip"
	"reflect"
	"runtime"
	"slices"
	"syscall"
	"testing"

	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
)

func web(port uint16) ServiceID { return AddrID(TCP, netip.MustParseAddr("12.0.0.1"), port) }

func server(i int) Destination {
	return Destination{Addr: netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), Port: 80, Weight: 1}
}

// mustApply makes changes that a model does not refuse.
func mustApply(t testing.TB, m *Model, changes ...Change) {
	t.Helper()
	for _, c := range changes {
		must.OK(t, m.Apply(c))
	}
}

func TestModelSharesNothing(t *testing.T) {
	mine := &Table{Services: []ServiceEntry{{Service: NewService(web(1), "rr"), Destinations: []DestinationEntry{{Destination: server(1)}}}},
		Daemons: []Daemon{{State: Master, Interface: "lo"}}}
	before := mine.Clone()
	m := NewModel(mine)
	one, _ := m.Service(web(1))
	first := m.Table()
	mustApply(t, m, EditService(NewService(web(1), "wlc")), AddDestination(web(1), server(2)), DeleteDestination(web(1), server(1).AddrPort()),
		AddService(NewService(web(2), "rr")), StopDaemon(Master))
	if !reflect.DeepEqual(mine, before) {
		t.Errorf("the table that it began with became %+v", mine)
	}
	if !reflect.DeepEqual(first, before) || !reflect.DeepEqual(one, before.Services[0]) {
		t.Errorf("what it returned became %+v, %+v", first, one)
	}
	after := m.Table()
	after.Services[0].Destinations[0].Weight = 9
	after.Services[0].ServiceID = web(3)
	if again := m.Table(); again.Services[0].Destinations[0].Weight != 1 || again.Services[0].ServiceID != web(1) {
		t.Errorf("a change of what it returned reached the model: %+v", again)
	}
}

func TestZeroModelIsAnEmptyTable(t *testing.T) {
	var m Model
	empty := &Table{Services: []ServiceEntry{}, Daemons: []Daemon{}}
	if got := m.Table(); !reflect.DeepEqual(got, empty) {
		t.Errorf("%#v, want parts that are empty, not absent", got)
	}
	if _, found := m.Service(web(1)); found {
		t.Error("it has a service")
	}
	mustApply(t, &m, Flush(), AddService(NewService(web(1), "rr")))
	if s, found := m.Service(web(1)); !found || s.Destinations == nil {
		t.Errorf("%+v, %v", s, found)
	}
	if got := m.Table().Services; len(got) != 1 || got[0].Destinations == nil {
		t.Errorf("%+v", got)
	}
	mustApply(t, &m, Flush(), AddService(NewService(web(1), "rr")))
	err := m.Apply(DeleteService(web(2)))
	var refused *ChangeError
	if !errors.As(err, &refused) || !errors.Is(err, ErrNoService) || !errors.Is(err, syscall.ESRCH) || refused.Change != DeleteService(web(2)) {
		t.Errorf("%v", err)
	}
}

// TestArenaKeepsListsApart lets lists grow in any order, side by side.
func TestArenaKeepsListsApart(t *testing.T) {
	var a arena
	lists, want := make([][]Destination, 40), make([][]Destination, 40)
	check := func() {
		t.Helper()
		for i := range lists {
			if !slices.Equal(lists[i], want[i]) {
				t.Fatalf("list %d is %v, want %v", i, lists[i], want[i])
			}
		}
	}
	for n := range 3000 {
		i := n % 7 * (n / 100) % len(lists)
		e := server(n)
		lists[i], want[i] = a.append(lists[i], e), append(want[i], e)
		if n%50 == 0 {
			check()
		}
	}
	check()
	// Neither a caller's own append nor a deletion may reach another list.
	for i := range lists {
		lists[i], want[i] = append(lists[i], server(i)), append(want[i], server(i))
		lists[i], want[i] = slices.Delete(lists[i], 0, 1), slices.Delete(want[i], 0, 1)
		lists[i], want[i] = a.append(lists[i], Destination{}), append(want[i], Destination{})
	}
	check()
}

func TestArenaTakesNoMoreThanTheEntries(t *testing.T) {
	var a arena
	allocs := testing.AllocsPerRun(5, func() {
		for range blockSize {
			var list []Destination
			for range 8 {
				list = a.append(list, Destination{})
			}
		}
	})
	if allocs > 9 {
		t.Errorf("%v allocations for %d lists that fill 8 blocks", allocs, blockSize)
	}
}

func BenchmarkModel(b *testing.B) {
	changes := Diff(&Table{}, bigTable(manyServices))
	b.ReportAllocs()
	for b.Loop() {
		var m Model
		for i := range changes {
			if err := m.Apply(changes[i]); err != nil {
				b.Fatal(err)
			}
		}
	}
	perRule(b, len(changes))
}

func TestWhatIsShownIsWhole(t *testing.T) {
	persistent := NewService(web(80), "wlc")
	persistent.Flags, persistent.Timeout, persistent.Netmask, persistent.PersistenceEngine = FlagPersistent|FlagOnePacket, 360e9, 0xffff0000, "sip"
	tunnel := server(1)
	tunnel.Forward, tunnel.UpperThreshold, tunnel.LowerThreshold = Tunnel, 100, 50
	tunnel.Tunnel = TunnelInfo{Type: TunnelGUE, Port: 6080, Flags: TunnelChecksum}
	six := NewService(MarkID(7, IPv6), "rr")
	six.Netmask = 64
	entry := ServiceEntry{Service: NewService(web(80), "rr"), Stats: Stats{Conns: 5}, Destinations: []DestinationEntry{{Destination: server(1), Conns: ConnCounts{Active: 3}}}}
	daemon := Daemon{State: Master, Interface: "eth0", SyncID: 1, MaxLen: 1472, Group: netip.MustParseAddr("224.0.0.81"), Port: 8848, TTL: 1}
	for _, c := range []struct {
		shown interface{ String() string }
		want  string
	}{
		{NewService(web(80), "rr"), "TCP 12.0.0.1:80 rr"},
		{persistent, "TCP 12.0.0.1:80 wlc persistent|one-packet timeout 6m0s mask 255.255.0.0 pe sip"},
		{six, "FWM 7 IPv6 rr mask 64"},
		{server(1), "10.0.0.1:80 Masq weight 1"},
		{tunnel, "10.0.0.1:80 Tunnel weight 1 upper 100 lower 50 gue 6080 csum"},
		{daemon, "master eth0 syncid 1 maxlen 1472 group 224.0.0.81 port 8848 ttl 1"},
		{Daemon{State: Backup, Interface: "lo"}, "backup lo syncid 0"},
		{Timeouts{TCP: 900e9, UDP: 300e9}, "tcp 15m0s tcp-fin 0s udp 5m0s"},
		{entry, "TCP 12.0.0.1:80 rr {Conns:5 InPkts:0 OutPkts:0 InBytes:0 OutBytes:0 Rates:{CPS:0 InPPS:0 OutPPS:0 InBPS:0 OutBPS:0}} " +
			"[10.0.0.1:80 Masq weight 1 {Active:3 Inactive:0 Persistent:0} " +
			"{Conns:0 InPkts:0 OutPkts:0 InBytes:0 OutBytes:0 Rates:{CPS:0 InPPS:0 OutPPS:0 InBPS:0 OutBPS:0}}]"},
		{AddService(persistent), "add service " + persistent.String()},
		{EditService(persistent), "edit service " + persistent.String()},
		{DeleteService(web(80)), "delete service TCP 12.0.0.1:80"},
		{ZeroService(web(80)), "zero service TCP 12.0.0.1:80"},
		{AddDestination(web(80), tunnel), "add destination " + tunnel.String() + " of TCP 12.0.0.1:80"},
		{EditDestination(web(80), tunnel), "edit destination " + tunnel.String() + " of TCP 12.0.0.1:80"},
		{DeleteDestination(web(80), tunnel.AddrPort()), "delete destination 10.0.0.1:80 of TCP 12.0.0.1:80"},
		{SetTimeouts(Timeouts{TCP: 1e9}), "set timeouts tcp 1s tcp-fin 0s udp 0s"},
		{StartDaemon(daemon), "start daemon " + daemon.String()},
		{StopDaemon(Backup), "stop daemon backup"},
		{Flush(), "flush"},
		{Zero(), "zero"},
	} {
		if got := c.shown.String(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// The constructors leave zero what does not count, so that changes compare.
func TestChangesCompare(t *testing.T) {
	if got, want := DeleteDestination(web(80), server(1).AddrPort()), (Change{Op: OpDeleteDestination, Service: Service{ServiceID: web(80)},
		Destination: Destination{Addr: server(1).Addr, Port: 80}}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if NewService(web(80), "rr").Netmask != 0xffffffff || NewService(MarkID(1, IPv6), "rr").Netmask != 128 {
		t.Error("a new service does not tell clients apart")
	}
}

// A long list takes memory for its entries and an index, and as much again while
// it grows.
func TestModelOfManyServicesTakesLittleMemory(t *testing.T) {
	const services = 100_000
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var m Model
	for i := range services {
		id := AddrID(TCP, netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 80)
		must.OK(t, m.Apply(AddService(NewService(id, "rr"))))
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / services; each > 750 {
		t.Errorf("%d bytes a service", each)
	}
	runtime.KeepAlive(&m)
}
