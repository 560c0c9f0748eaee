// SPDX-License-Identifier: Apache-2.0

package ipvs_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/internal/test/guest/guesttest"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

func TestMain(m *testing.M) { guesttest.Main(m) }

// TestKernel is what only a real kernel can show. The contract is that a
// Table in memory answers each change as the kernel does.
func TestKernel(t *testing.T) {
	guesttest.InGuest(t, func(t *testing.T) {
		testNoIPVS(t)
		guesttest.Modprobe(t, "ip_vs", "dummy")
		t.Run("contract", testContract)
		t.Run("random contract", testRandomContract)
		t.Run("diff", testDiffOnKernel)
		t.Run("every field comes back as it was sent", testRoundTrip)
		t.Run("info", testInfo)
		t.Run("questions about what is not there", testAbsent)
		t.Run("errors", testErrors)
		t.Run("a large batch of refusals", testLargeBatch)
		t.Run("zero", testZero)
		t.Run("concurrent use", testConcurrentUse)
		t.Run("ended context", testEndedContext)
		t.Run("another namespace", testOtherNamespace)
		t.Run("without privilege", testUnprivileged)
		t.Run("no file descriptor is left", testNoLeak)
	})
}

func dial(t testing.TB) *ipvs.Client {
	t.Helper()
	c, err := ipvs.Dial(t.Context(), ipvs.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// inNamespace gives a client in a fresh network namespace.
func inNamespace(t testing.TB) *ipvs.Client {
	t.Helper()
	guesttest.Namespace(t)
	return dial(t)
}

// testNoIPVS keeps the kernel from loading the module by itself.
func testNoIPVS(t *testing.T) {
	const loader = "/proc/sys/kernel/modprobe"
	was, err := os.ReadFile(loader)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(loader, []byte("/bin/false"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ipvs.Dial(t.Context(), ipvs.Config{}); !errors.Is(err, ipvs.ErrNoIPVS) {
		t.Errorf("Dial before ip_vs is loaded gives %v, want ErrNoIPVS", err)
	}
	if err := os.WriteFile(loader, was, 0o644); err != nil {
		t.Fatal(err)
	}
}

// multicast is an interface of the contract's namespaces that has a route to
// the groups of both families.
const multicast = "mc0"

func addMulticast(t testing.TB) {
	t.Helper()
	ip := exec.Command("ip", "-batch", "-")
	ip.Stdin = strings.NewReader("link add " + multicast + " type dummy\nlink set " + multicast + " up\naddr add 10.9.9.1/24 dev " + multicast + "\n")
	if out, err := ip.CombinedOutput(); err != nil {
		t.Fatalf("ip: %v %s", err, out)
	}
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func tcp(s string) ipvs.ServiceID {
	ap := netip.MustParseAddrPort(s)
	return ipvs.AddrService(ipvs.TCP, ap.Addr(), ap.Port())
}

func service(id ipvs.ServiceID, sched string) ipvs.Service {
	return ipvs.Service{ServiceID: id, Scheduler: sched, Netmask: ipvs.FullNetmask(id.Family())}
}

func dest(s string, f ipvs.ForwardingMethod) ipvs.Destination {
	ap := netip.MustParseAddrPort(s)
	return ipvs.Destination{Addr: ap.Addr(), Port: ap.Port(), Forward: f, Weight: 1}
}

func add(s ipvs.Service) ipvs.Change { return ipvs.Change{Op: ipvs.AddService, Service: s} }

func onDest(op ipvs.Op, id ipvs.ServiceID, d ipvs.Destination) ipvs.Change {
	return ipvs.Change{Op: op, Service: ipvs.Service{ServiceID: id}, Destination: d}
}

func onService(op ipvs.Op, id ipvs.ServiceID) ipvs.Change {
	return ipvs.Change{Op: op, Service: ipvs.Service{ServiceID: id}}
}

// errnoOf is the kernel's answer; 0 for success.
func errnoOf(t testing.TB, err error) syscall.Errno {
	t.Helper()
	var errno syscall.Errno
	if err != nil && !errors.As(err, &errno) {
		t.Fatalf("%v has no errno", err)
	}
	return errno
}

// normal is a table in an order of its own, without what the kernel counts and
// what it chooses for daemons by the interface.
func normal(t *ipvs.Table) *ipvs.Table {
	n := t.Clone()
	slices.SortFunc(n.Services, func(a, b ipvs.ServiceEntry) int {
		return cmpString(a.ServiceID.String(), b.ServiceID.String())
	})
	for i := range n.Services {
		s := &n.Services[i]
		s.Stats = ipvs.Stats{}
		slices.SortFunc(s.Destinations, func(a, b ipvs.DestinationEntry) int { return a.AddrPort().Compare(b.AddrPort()) })
		for j := range s.Destinations {
			s.Destinations[j].Stats = ipvs.Stats{}
		}
		if len(s.Destinations) == 0 {
			s.Destinations = nil
		}
	}
	for i := range n.Daemons {
		n.Daemons[i].MaxLen = 0
	}
	slices.SortFunc(n.Daemons, func(a, b ipvs.Daemon) int { return int(a.State) - int(b.State) })
	return &ipvs.Table{Services: slices.Clip(n.Services), Timeouts: n.Timeouts, Daemons: n.Daemons}
}

func cmpString(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func diffTables(have, want *ipvs.Table) string {
	h, w := normal(have), normal(want)
	if len(h.Services) == 0 {
		h.Services = nil
	}
	if len(w.Services) == 0 {
		w.Services = nil
	}
	if len(h.Daemons) == 0 {
		h.Daemons = nil
	}
	if len(w.Daemons) == 0 {
		w.Daemons = nil
	}
	if reflect.DeepEqual(h, w) {
		return ""
	}
	return fmt.Sprintf("kernel: %+v\nmemory: %+v", h, w)
}

// checkContract makes changes in both and compares each answer, and the table
// at the end.
func checkContract(t *testing.T, changes []ipvs.Change) {
	t.Helper()
	c := inNamespace(t)
	addMulticast(t)
	mem, err := c.Table(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, ch := range changes {
		kernel := errnoOf(t, c.Apply(t.Context(), ch))
		memory := errnoOf(t, mem.Apply(ch))
		if kernel != memory {
			t.Fatalf("change %d of %d, %v (%+v): the kernel says %q, the table %q", i+1, len(changes), ch, ch, kernel, memory)
		}
	}
	have, err := c.Table(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if d := diffTables(have, mem); d != "" {
		t.Errorf("after %v:\n%s", changes, d)
	}
	// Nothing may be left running in a namespace that goes away.
	for _, d := range have.Daemons {
		if err := c.Apply(t.Context(), ipvs.Change{Op: ipvs.StopDaemon, Daemon: d}); err != nil {
			t.Error(err)
		}
	}
}

func testContract(t *testing.T) {
	web := tcp("12.0.0.1:80")
	web6 := tcp("[2001:db8::1]:80")
	with := func(d ipvs.Destination, f func(*ipvs.Destination)) ipvs.Destination {
		f(&d)
		return d
	}
	svc := func(s ipvs.Service, f func(*ipvs.Service)) ipvs.Service {
		f(&s)
		return s
	}
	a, b := dest("192.168.168.10:80", ipvs.Masquerade), dest("192.168.168.20:80", ipvs.Masquerade)
	daemon := func(op ipvs.Op, state ipvs.DaemonState, ifn string, group netip.Addr) ipvs.Change {
		return ipvs.Change{Op: op, Daemon: ipvs.Daemon{State: state, Interface: ifn, Group: group}}
	}
	for _, c := range []struct {
		name    string
		changes []ipvs.Change
	}{
		{"a service twice", []ipvs.Change{add(service(web, "rr")), add(service(web, "wlc"))}},
		{"an unnamed scheduler", []ipvs.Change{add(service(web, ""))}},
		{"no scheduler at all", []ipvs.Change{add(service(web, "none"))}},
		{"an edit replaces everything", []ipvs.Change{
			add(svc(service(web, "rr"), func(s *ipvs.Service) { s.Flags, s.Timeout = ipvs.FlagPersistent, 60*time.Second })),
			{Op: ipvs.EditService, Service: service(web, "wrr")}}},
		{"an edit of nothing", []ipvs.Change{{Op: ipvs.EditService, Service: service(web, "rr")}}},
		{"a deletion of nothing", []ipvs.Change{onService(ipvs.DeleteService, web), onService(ipvs.ZeroService, web)}},
		{"a deletion takes the servers along", []ipvs.Change{add(service(web, "rr")), onDest(ipvs.AddDestination, web, a),
			onService(ipvs.DeleteService, web), add(service(web, "rr"))}},
		{"a server of nothing", []ipvs.Change{onDest(ipvs.AddDestination, web, a), onDest(ipvs.EditDestination, web, a), onDest(ipvs.DeleteDestination, web, a)}},
		{"a server twice", []ipvs.Change{add(service(web, "rr")), onDest(ipvs.AddDestination, web, a), onDest(ipvs.AddDestination, web, a)}},
		{"an absent server", []ipvs.Change{add(service(web, "rr")), onDest(ipvs.EditDestination, web, a), onDest(ipvs.DeleteDestination, web, a)}},
		{"servers come and go", []ipvs.Change{add(service(web, "rr")), onDest(ipvs.AddDestination, web, a), onDest(ipvs.AddDestination, web, b),
			onDest(ipvs.DeleteDestination, web, a), onDest(ipvs.AddDestination, web, a),
			onDest(ipvs.EditDestination, web, with(b, func(d *ipvs.Destination) { d.Weight, d.UpperThreshold = 0, 9 }))}},
		{"a negative weight", []ipvs.Change{add(service(web, "rr")), onDest(ipvs.AddDestination, web, with(a, func(d *ipvs.Destination) { d.Weight = -1 }))}},
		{"a lower threshold above the upper", []ipvs.Change{add(service(web, "rr")),
			onDest(ipvs.AddDestination, web, with(a, func(d *ipvs.Destination) { d.UpperThreshold, d.LowerThreshold = 5, 6 })),
			onDest(ipvs.AddDestination, web, a),
			onDest(ipvs.EditDestination, web, with(a, func(d *ipvs.Destination) { d.LowerThreshold = 1 }))}},
		{"gue without a port", []ipvs.Change{add(service(web, "rr")),
			onDest(ipvs.AddDestination, web, with(a, func(d *ipvs.Destination) { d.Forward, d.Tunnel.Type = ipvs.Tunnel, ipvs.TunnelGUE })),
			onDest(ipvs.AddDestination, web, with(a, func(d *ipvs.Destination) { d.Tunnel.Type = ipvs.TunnelGUE }))}},
		{"families mixed without a tunnel", []ipvs.Change{add(service(web, "rr")), onDest(ipvs.AddDestination, web, dest("[2001:db8::5]:80", ipvs.Masquerade)),
			onDest(ipvs.DeleteDestination, web, dest("[2001:db8::5]:80", ipvs.Masquerade))}},
		{"families mixed by a tunnel", []ipvs.Change{add(service(web, "rr")), onDest(ipvs.AddDestination, web, dest("[2001:db8::5]:80", ipvs.Tunnel)),
			daemon(ipvs.StartDaemon, ipvs.Master, multicast, netip.Addr{}),
			onDest(ipvs.DeleteDestination, web, dest("[2001:db8::5]:80", ipvs.Tunnel)),
			daemon(ipvs.StartDaemon, ipvs.Master, multicast, netip.Addr{}),
			onDest(ipvs.AddDestination, web, dest("[2001:db8::5]:80", ipvs.Tunnel))}},
		{"an IPv6 mask out of bounds", []ipvs.Change{
			add(svc(service(web6, "rr"), func(s *ipvs.Service) { s.Netmask = 0 })),
			add(svc(service(web6, "rr"), func(s *ipvs.Service) { s.Netmask = 129 })),
			add(svc(service(web6, "rr"), func(s *ipvs.Service) { s.Netmask = 1 })),
			{Op: ipvs.EditService, Service: svc(service(web6, "rr"), func(s *ipvs.Service) { s.Netmask = 200 })}}},
		{"addresses that no server can have", func() []ipvs.Change {
			changes := []ipvs.Change{add(service(web, "rr")), add(service(web6, "rr"))}
			for _, s := range []string{"0.0.0.0:80", "0.1.2.3:80", "224.0.0.1:80", "239.255.255.255:80", "240.0.0.1:80", "255.255.255.255:80", "127.0.0.1:80", "1.2.3.4:0"} {
				changes = append(changes, onDest(ipvs.AddDestination, web, dest(s, ipvs.Masquerade)))
			}
			for _, s := range []string{"[::]:80", "[::1]:80", "[::2]:80", "[ff02::1]:80", "[fe80::1]:80", "[fec0::1]:80", "[fd00::1]:80",
				"[::ffff:1.2.3.4]:80", "[::1.2.3.4]:80", "[64:ff9b::1]:80", "[100::1]:80", "[e000::1]:80", "[2001:db8::7]:0"} {
				changes = append(changes, onDest(ipvs.AddDestination, web6, dest(s, ipvs.Masquerade)))
			}
			return changes
		}()},
		{"service addresses of every sort", func() []ipvs.Change {
			var changes []ipvs.Change
			for _, s := range []string{"0.0.0.0:80", "224.0.0.1:80", "255.255.255.255:80", "1.2.3.4:0", "[::]:80", "[ff02::1]:80", "[fe80::1]:80", "[::ffff:1.2.3.4]:80"} {
				changes = append(changes, add(service(tcp(s), "rr")))
			}
			return changes
		}()},
		{"protocols are apart", []ipvs.Change{add(service(web, "rr")),
			add(service(ipvs.AddrService(ipvs.UDP, addr("12.0.0.1"), 80), "rr")), add(service(ipvs.AddrService(ipvs.SCTP, addr("12.0.0.1"), 80), "rr"))}},
		{"marks of two families are apart", []ipvs.Change{add(service(ipvs.MarkService(77, ipvs.IPv4), "rr")), add(service(ipvs.MarkService(77, ipvs.IPv6), "rr")),
			add(service(ipvs.MarkService(77, ipvs.IPv6), "rr")), onService(ipvs.DeleteService, ipvs.MarkService(77, ipvs.IPv4)),
			add(service(ipvs.MarkService(4294967295, ipvs.IPv4), "rr")),
			onDest(ipvs.AddDestination, ipvs.MarkService(77, ipvs.IPv6), dest("[2001:db8::5]:0", ipvs.Route))}},
		{"flush", []ipvs.Change{add(service(web, "rr")), onDest(ipvs.AddDestination, web, a), {Op: ipvs.Flush}, {Op: ipvs.Flush}, add(service(web, "rr"))}},
		{"timeouts", []ipvs.Change{{Op: ipvs.SetTimeouts, Timeouts: ipvs.Timeouts{TCP: 10 * time.Second}},
			{Op: ipvs.SetTimeouts, Timeouts: ipvs.Timeouts{TCPFin: 20 * time.Second, UDP: 30 * time.Second}},
			{Op: ipvs.SetTimeouts},
			{Op: ipvs.SetTimeouts, Timeouts: ipvs.Timeouts{UDP: 1 << 31 * time.Second}}}},
		{"daemons", []ipvs.Change{daemon(ipvs.StopDaemon, ipvs.Master, "", netip.Addr{}), daemon(ipvs.StartDaemon, ipvs.Master, multicast, netip.Addr{}),
			daemon(ipvs.StartDaemon, ipvs.Master, multicast, netip.Addr{}), daemon(ipvs.StartDaemon, ipvs.Backup, multicast, addr("224.0.0.5")),
			daemon(ipvs.StopDaemon, ipvs.Master, "", netip.Addr{}), daemon(ipvs.StartDaemon, ipvs.Master, multicast, addr("ff02::5"))}},
		{"daemons that cannot be", []ipvs.Change{daemon(ipvs.StartDaemon, ipvs.Master, "", netip.Addr{}), daemon(ipvs.StartDaemon, 3, multicast, netip.Addr{}),
			daemon(ipvs.StartDaemon, ipvs.Master, multicast, addr("1.2.3.4")), daemon(ipvs.StartDaemon, ipvs.Master, multicast, addr("2001:db8::1")),
			daemon(ipvs.StopDaemon, 3, "", netip.Addr{}), daemon(ipvs.StopDaemon, 0, "", netip.Addr{})}},
	} {
		t.Run(c.name, func(t *testing.T) { checkContract(t, c.changes) })
	}
}

// testRandomContract makes changes from a small world, so that they meet.
func testRandomContract(t *testing.T) {
	cases := 40
	if testing.Short() {
		cases = 10
	}
	const seed = 20
	for i := range cases {
		t.Run(fmt.Sprintf("seed %d case %d", seed, i), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, uint64(i)))
			changes := make([]ipvs.Change, 5+r.IntN(40))
			for j := range changes {
				changes[j] = randomChange(r)
			}
			checkContract(t, changes)
		})
	}
}

func pick[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }

func randomChange(r *rand.Rand) ipvs.Change {
	id := pick(r,
		tcp("12.0.0.1:80"), tcp("12.0.0.1:0"), tcp("[2001:db8::1]:80"),
		ipvs.AddrService(ipvs.UDP, addr("12.0.0.1"), 80), ipvs.AddrService(ipvs.SCTP, addr("12.0.0.1"), 80),
		ipvs.MarkService(7, ipvs.IPv4), ipvs.MarkService(7, ipvs.IPv6), ipvs.MarkService(1<<31, ipvs.IPv4))
	s := service(id, pick(r, "rr", "wrr", "wlc", "sh", "mh", "none", ""))
	s.Flags = ipvs.ServiceFlags(r.UintN(64)) &^ 2
	s.Timeout = time.Duration(r.IntN(1000)) * time.Second
	if r.IntN(3) == 0 {
		s.Netmask = pick(r, ipvs.Netmask(0), 1, 24, 64, 128, 129, 0xffffff00)
	}
	s.PersistenceEngine = pick(r, "", "", "", "sip")
	d := dest(pick(r, "192.168.168.10:80", "192.168.168.20:80", "192.168.168.10:81", "192.168.168.10:0", "127.0.0.1:80", "0.0.0.0:80", "224.0.0.1:80",
		"[2001:db8::10]:80", "[2001:db8::20]:80", "[fe80::1]:80", "[::1]:80"), pick(r, ipvs.Masquerade, ipvs.Tunnel, ipvs.Route, ipvs.LocalNode))
	d.Weight = int32(r.IntN(5)) - 1
	d.UpperThreshold, d.LowerThreshold = uint32(r.UintN(3)), uint32(r.UintN(3))
	if r.IntN(3) == 0 {
		d.Tunnel = ipvs.TunnelInfo{Type: ipvs.TunnelType(r.UintN(3)), Port: uint16(r.UintN(2) * 6080), Flags: ipvs.TunnelFlags(r.UintN(3))}
	}
	op := pick(r, ipvs.AddService, ipvs.AddService, ipvs.EditService, ipvs.DeleteService,
		ipvs.AddDestination, ipvs.AddDestination, ipvs.AddDestination, ipvs.EditDestination, ipvs.DeleteDestination,
		ipvs.ZeroService, ipvs.Zero, ipvs.SetTimeouts, ipvs.StartDaemon, ipvs.StopDaemon, ipvs.Flush)
	switch op {
	case ipvs.AddService, ipvs.EditService:
		return ipvs.Change{Op: op, Service: s}
	case ipvs.DeleteService, ipvs.ZeroService:
		return onService(op, id)
	case ipvs.AddDestination, ipvs.EditDestination:
		return onDest(op, id, d)
	case ipvs.DeleteDestination:
		return onDest(op, id, ipvs.Destination{Addr: d.Addr, Port: d.Port})
	case ipvs.SetTimeouts:
		secs := func() time.Duration { return time.Duration(r.IntN(3)*100) * time.Second }
		return ipvs.Change{Op: op, Timeouts: ipvs.Timeouts{TCP: secs(), TCPFin: secs(), UDP: secs()}}
	case ipvs.StartDaemon:
		return ipvs.Change{Op: op, Daemon: ipvs.Daemon{State: pick(r, ipvs.Master, ipvs.Backup), Interface: multicast, SyncID: uint32(r.UintN(300)),
			Port: uint16(r.UintN(2) * 9000), TTL: uint8(r.UintN(3)), Group: pick(r, netip.Addr{}, addr("224.0.0.9"), addr("ff02::9"), addr("9.9.9.9"))}}
	case ipvs.StopDaemon:
		return ipvs.Change{Op: op, Daemon: ipvs.Daemon{State: pick(r, ipvs.Master, ipvs.Backup)}}
	case ipvs.Flush:
		if r.IntN(3) > 0 {
			return ipvs.Change{Op: ipvs.Zero} // so that tables have time to grow
		}
	}
	return ipvs.Change{Op: op}
}

func testRoundTrip(t *testing.T) {
	c := inNamespace(t)
	want := &ipvs.Table{
		Services: []ipvs.ServiceEntry{
			{Service: ipvs.Service{ServiceID: tcp("12.0.0.1:0"), Scheduler: "mh", Timeout: 360 * time.Second, Netmask: 0xffff0000,
				Flags: ipvs.FlagPersistent | ipvs.FlagSched1 | ipvs.FlagSched2 | ipvs.FlagSched3},
				Destinations: []ipvs.DestinationEntry{
					{Destination: ipvs.Destination{Addr: addr("10.0.0.1"), Forward: ipvs.Tunnel, Weight: 2147483647, UpperThreshold: 1<<31 - 1, LowerThreshold: 1<<31 - 2,
						Tunnel: ipvs.TunnelInfo{Type: ipvs.TunnelGUE, Port: 6080, Flags: ipvs.TunnelRemoteChecksum}}},
					{Destination: ipvs.Destination{Addr: addr("10.0.0.2"), Forward: ipvs.Tunnel, Tunnel: ipvs.TunnelInfo{Type: ipvs.TunnelGRE, Flags: ipvs.TunnelChecksum}}},
					{Destination: ipvs.Destination{Addr: addr("2001:db8::3"), Port: 65535, Forward: ipvs.Tunnel, Weight: 1}},
				}},
			{Service: ipvs.Service{ServiceID: ipvs.AddrService(ipvs.UDP, addr("2001:db8::1"), 5060), Scheduler: "rr", Timeout: 1 * time.Second, Netmask: 64,
				Flags: ipvs.FlagPersistent | ipvs.FlagOnePacket, PersistenceEngine: "sip"},
				Destinations: []ipvs.DestinationEntry{{Destination: dest("[2001:db8::9]:5060", ipvs.Masquerade)}}},
			{Service: service(ipvs.MarkService(1<<32-1, ipvs.IPv6), "wlc")},
		},
		Timeouts: ipvs.Timeouts{TCP: 901 * time.Second, TCPFin: 121 * time.Second, UDP: 301 * time.Second},
	}
	var changes []ipvs.Change
	for _, s := range want.Services {
		changes = append(changes, add(s.Service))
		for _, d := range s.Destinations {
			changes = append(changes, onDest(ipvs.AddDestination, s.ServiceID, d.Destination))
		}
	}
	changes = append(changes, ipvs.Change{Op: ipvs.SetTimeouts, Timeouts: want.Timeouts})
	if err := c.Apply(t.Context(), changes...); err != nil {
		t.Fatal(err)
	}
	have, err := c.Table(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if d := diffTables(have, want); d != "" {
		t.Error(d)
	}
	for _, s := range want.Services {
		if got, err := c.Service(t.Context(), s.ServiceID); err != nil || got.Service != s.Service {
			t.Errorf("Service(%v) = %+v, %v; want %+v", s.ServiceID, got.Service, err, s.Service)
		}
	}
}

func testInfo(t *testing.T) {
	c := inNamespace(t)
	i, err := c.Info(t.Context())
	if err != nil || i.Version.String() != "1.2.1" {
		t.Errorf("Info = %+v, %v", i, err)
	}
	d := ipvs.Daemon{State: ipvs.Backup, Interface: "lo", SyncID: 7, MaxLen: 1400, Group: addr("ff02::5"), Port: 99, TTL: 3}
	if err := c.Apply(t.Context(), ipvs.Change{Op: ipvs.StartDaemon, Daemon: d}); err != nil {
		t.Fatal(err)
	}
	got, err := c.Daemons(t.Context())
	if err != nil || len(got) != 1 || got[0] != d {
		t.Errorf("Daemons = %+v, %v; want %+v", got, err, d)
	}
	if err := c.Apply(t.Context(), ipvs.Change{Op: ipvs.StopDaemon, Daemon: d}); err != nil {
		t.Error(err)
	}
}

func testAbsent(t *testing.T) {
	c := inNamespace(t)
	id := tcp("12.0.0.1:80")
	if _, err := c.Service(t.Context(), id); !errors.Is(err, ipvs.ErrNoService) || !errors.Is(err, unix.ESRCH) {
		t.Errorf("Service of nothing: %v", err)
	}
	if list, err := c.Destinations(t.Context(), id); err != nil || len(list) != 0 {
		t.Errorf("Destinations of nothing: %v, %v", list, err)
	}
	if list, err := c.Daemons(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("Daemons of nothing: %v, %v", list, err)
	}
	for conn, err := range c.Connections(t.Context()) {
		t.Errorf("Connections of nothing: %+v, %v", conn, err)
	}
}

func testErrors(t *testing.T) {
	c := inNamespace(t)
	id, d := tcp("12.0.0.1:80"), dest("192.168.168.10:80", ipvs.Masquerade)
	err := c.Apply(t.Context(),
		add(service(id, "rr")),
		add(service(id, "rr")),
		add(service(tcp("12.0.0.1:81"), "nosuchsched")),
		onDest(ipvs.AddDestination, id, d),
		onDest(ipvs.AddDestination, id, d),
		onDest(ipvs.DeleteDestination, tcp("12.0.0.1:99"), d),
		ipvs.Change{Op: ipvs.StartDaemon, Daemon: ipvs.Daemon{State: ipvs.Master, Interface: "nosuchif"}},
	)
	var refused ipvs.ChangeErrors
	if !errors.As(err, &refused) {
		t.Fatalf("Apply = %v, want ChangeErrors", err)
	}
	want := []struct {
		index int
		err   error
	}{{1, ipvs.ErrServiceExists}, {2, ipvs.ErrNoScheduler}, {4, ipvs.ErrDestinationExists}, {5, ipvs.ErrNoService}, {6, unix.ENODEV}}
	if len(refused) != len(want) {
		t.Fatalf("refused: %v", refused)
	}
	for i, w := range want {
		if refused[i].Index != w.index || !errors.Is(refused[i], w.err) {
			t.Errorf("refusal %d is of change %d: %v; want %d: %v", i, refused[i].Index, refused[i], w.index, w.err)
		}
	}
	if err := c.Apply(t.Context(), add(ipvs.Service{Scheduler: "rr"})); !errors.Is(err, ipvs.ErrInvalid) {
		t.Errorf("a service without an address: %v, want ErrInvalid", err)
	}
}

// testLargeBatch has more refusals than a socket's buffer holds by default.
func testLargeBatch(t *testing.T) {
	c := inNamespace(t)
	const n = 5000
	changes := make([]ipvs.Change, n)
	for i := range changes {
		op := ipvs.AddService
		if i%2 == 1 {
			op = ipvs.EditService // of a service that is not there
		}
		changes[i] = ipvs.Change{Op: op, Service: service(ipvs.AddrService(ipvs.TCP, addr("12.0.0.1"), uint16(i+1)), "rr")}
	}
	err := c.Apply(t.Context(), changes...)
	var refused ipvs.ChangeErrors
	if !errors.As(err, &refused) || len(refused) != n/2 {
		t.Fatalf("%d refusals, want %d", len(refused), n/2)
	}
	for i, r := range refused {
		if r.Index != 2*i+1 || !errors.Is(r, ipvs.ErrNoService) {
			t.Fatalf("refusal %d is of change %d: %v", i, r.Index, r)
		}
	}
	list, err := c.Services(t.Context())
	if err != nil || len(list) != n/2 {
		t.Errorf("%d services, %v; want %d", len(list), err, n/2)
	}
}

func testZero(t *testing.T) {
	c := inNamespace(t)
	id := tcp("127.0.0.1:80")
	if err := c.Apply(t.Context(), add(service(id, "rr")), onDest(ipvs.AddDestination, id, dest("127.0.0.1:81", ipvs.Masquerade))); err != nil {
		t.Fatal(err)
	}
	knock := func() {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		_ = unix.Connect(fd, &unix.SockaddrInet4{Port: 80, Addr: [4]byte{127, 0, 0, 1}}) // refused: nobody listens behind it
	}
	counted := func() (svc, dst ipvs.Stats) {
		list, err := c.ServicesWithDestinations(t.Context())
		if err != nil || len(list) != 1 || len(list[0].Destinations) != 1 {
			t.Fatalf("%+v, %v", list, err)
		}
		return list[0].Stats, list[0].Destinations[0].Stats
	}
	for _, zero := range []ipvs.Change{onService(ipvs.ZeroService, id), {Op: ipvs.Zero}} {
		knock()
		// The kernel sums its counters up every other second.
		for range 50 {
			if svc, _ := counted(); svc.InBytes != 0 {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		if svc, dst := counted(); svc.Conns == 0 || svc.InPkts == 0 || svc.InBytes == 0 || dst.Conns == 0 {
			t.Fatalf("nothing was counted: %+v %+v", svc, dst)
		}
		conns := 0
		for conn, err := range c.Connections(t.Context()) {
			if err != nil || conn.Protocol != ipvs.TCP || conn.Virtual.String() != "127.0.0.1:80" || conn.Destination.String() != "127.0.0.1:81" {
				t.Errorf("connection %+v, %v", conn, err)
			}
			conns++
		}
		if conns == 0 {
			t.Error("no connection is listed")
		}
		if err := c.Apply(t.Context(), zero); err != nil {
			t.Fatal(err)
		}
		if svc, dst := counted(); svc.Conns != 0 || svc.InPkts != 0 || dst.Conns != 0 {
			t.Errorf("after %v: %+v %+v", zero, svc, dst)
		}
	}
}

func testConcurrentUse(t *testing.T) {
	c := inNamespace(t)
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 50 {
				id := ipvs.AddrService(ipvs.TCP, addr("12.0.0.1"), uint16(1000*w+i+1))
				if err := c.Apply(t.Context(), add(service(id, "rr"))); err != nil {
					t.Error(err)
				}
				if got, err := c.Service(t.Context(), id); err != nil || got.ServiceID != id {
					t.Errorf("%+v, %v", got, err)
				}
			}
		})
	}
	wg.Wait()
	if list, err := c.Services(t.Context()); err != nil || len(list) != 400 {
		t.Errorf("%d services, %v", len(list), err)
	}
}

func testEndedContext(t *testing.T) {
	c := inNamespace(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Services(ctx); !errors.Is(err, ctx.Err()) {
		t.Errorf("Services with an ended context: %v", err)
	}
	if _, err := c.Services(t.Context()); err != nil {
		t.Errorf("the client is of no more use: %v", err)
	}
}

func testOtherNamespace(t *testing.T) {
	c := inNamespace(t)
	if err := c.Apply(t.Context(), add(service(tcp("12.0.0.1:80"), "rr"))); err != nil {
		t.Fatal(err)
	}
	here, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	// From a goroutine, which is not in this namespace.
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			t.Error(err)
			return
		}
		other, err := ipvs.Dial(t.Context(), ipvs.Config{NetNS: int(here.Fd())})
		if err != nil {
			t.Error(err)
			return
		}
		defer other.Close()
		if list, err := other.Services(t.Context()); err != nil || len(list) != 1 {
			t.Errorf("services of the other namespace: %v, %v", list, err)
		}
		for _, err := range other.Connections(t.Context()) {
			t.Errorf("connections of the other namespace: %v", err)
		}
		own, err := ipvs.Dial(t.Context(), ipvs.Config{})
		if err != nil {
			t.Error(err)
			return
		}
		defer own.Close()
		if list, err := own.Services(t.Context()); err != nil || len(list) != 0 {
			t.Errorf("services of the own namespace: %v, %v", list, err)
		}
	}()
	<-done
}

func testUnprivileged(t *testing.T) {
	guesttest.Namespace(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // ends with its thread, which is nobody from here on
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, 65534, 65534, 65534); errno != 0 {
			t.Error(errno)
			return
		}
		c, err := ipvs.Dial(t.Context(), ipvs.Config{})
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		if _, err := c.Info(t.Context()); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("Info: %v, want a lack of permission", err)
		}
		if err := c.Apply(t.Context(), ipvs.Change{Op: ipvs.Flush}, ipvs.Change{Op: ipvs.Zero}); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("Apply: %v, want a lack of permission", err)
		}
	}()
	<-done
}

func testNoLeak(t *testing.T) {
	guesttest.Namespace(t)
	count := func() int {
		list, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	open := func() {
		c, err := ipvs.Dial(t.Context(), ipvs.Config{})
		if err != nil {
			t.Fatal(err)
		}
		for range c.Connections(t.Context()) {
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	open() // the runtime's poller takes its descriptors once
	before := count()
	for range 20 {
		open()
	}
	if after := count(); after != before {
		t.Errorf("%d file descriptors before, %d after", before, after)
	}
}
