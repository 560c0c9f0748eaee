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
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/internal/model"
	"github.com/ipvsadm-go/ipvsadm/internal/netns"
	"github.com/ipvsadm-go/ipvsadm/internal/test/change"
	"github.com/ipvsadm-go/ipvsadm/internal/test/guest/guesttest"
	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs/ipvstest"
)

func TestMain(m *testing.M) { guesttest.Main(m) }

// TestKernel runs the tests that need a real kernel. The contract is that a
// Model, here in a kernel in memory, gives the same reply to each change as
// the kernel.
func TestKernel(t *testing.T) {
	guesttest.InGuest(t, func(t *testing.T) {
		testNoIPVS(t)
		guesttest.Modprobe(t, "ip_vs", "dummy")
		testReload(t)
		t.Run("contract", testContract)
		t.Run("random contract", testRandomContract)
		t.Run("diff", testDiffOnKernel)
		t.Run("info", testInfo)
		t.Run("questions about what is not there", testAbsent)
		t.Run("errors", testErrors)
		t.Run("a large batch of refusals", testLargeBatch)
		t.Run("zero", testZero)
		t.Run("the programs of the examples", testExamples)
		t.Run("cancels and deadlines", testCancels)
		t.Run("another namespace", testOtherNamespace)
		t.Run("namespaces by name, path and process", testNamespaces)
		t.Run("without privilege", testUnprivileged)
		t.Run("closed clients", testClosed)
		t.Run("no file descriptor is left", testNoLeak)
	})
}

func dial(t testing.TB) *ipvs.Client {
	t.Helper()
	c, err := ipvs.Dial(t.Context(), ipvs.Config{})
	must.OK(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// inNamespace returns a client in a new network namespace.
func inNamespace(t testing.TB) *ipvs.Client {
	t.Helper()
	guesttest.Namespace(t)
	return dial(t)
}

// testNoIPVS prevents the kernel from loading the module.
func testNoIPVS(t *testing.T) {
	const loader = "/proc/sys/kernel/modprobe"
	was, err := os.ReadFile(loader)
	must.OK(t, err)
	must.OK(t, os.WriteFile(loader, []byte("/bin/false"), 0o644))
	if _, err := ipvs.Dial(t.Context(), ipvs.Config{}); !errors.Is(err, ipvs.ErrNoIPVS) {
		t.Errorf("Dial before ip_vs is loaded gives %v, want ErrNoIPVS", err)
	}
	must.OK(t, os.WriteFile(loader, was, 0o644))
}

// testReload unloads and loads the module, which changes the number of the
// family, while a client is open.
func testReload(t *testing.T) {
	c, ctx := dial(t), t.Context()
	if out, err := exec.Command("modprobe", "-r", "ip_vs").CombinedOutput(); err != nil {
		t.Fatalf("modprobe -r: %v %s", err, out)
	}
	_, asked := c.Services(ctx)
	for _, err := range []error{asked, c.Flush(ctx)} {
		if !errors.Is(err, ipvs.ErrNoIPVS) {
			t.Errorf("without the module: %v, want ErrNoIPVS", err)
		}
	}
	if _, err := os.Stat("/proc/net/ip_vs"); err == nil {
		t.Error("the client has loaded the module")
	}
	guesttest.Modprobe(t, "ip_vs")
	must.OK(t, c.AddService(ctx, ipvs.NewService(tcp("12.0.0.1:80"), "rr")))
	list, err := c.Services(ctx)
	if err != nil || len(list) != 1 {
		t.Errorf("with the module again: %v, %v", list, err)
	}
	must.OK(t, c.Flush(ctx))
}

func addMulticast(t testing.TB) {
	t.Helper()
	ip := exec.Command("ip", "-batch", "-")
	ip.Stdin = strings.NewReader("link add " + multicast + " type dummy\nlink set " + multicast + " up\naddr add 10.9.9.1/24 dev " + multicast + "\n")
	if out, err := ip.CombinedOutput(); err != nil {
		t.Fatalf("ip: %v %s", err, out)
	}
}

// errnoOf returns the errno of an error, 0 for success.
func errnoOf(t testing.TB, err error) syscall.Errno {
	t.Helper()
	var errno syscall.Errno
	if errors.Is(err, ipvs.ErrInvalid) {
		return syscall.EINVAL
	}
	if err != nil && !errors.As(err, &errno) {
		t.Fatalf("%v has no errno", err)
	}
	return errno
}

// checkContract makes changes in both and compares each reply, and the final
// tables.
func checkContract(t *testing.T, changes []ipvs.Change) {
	t.Helper()
	c := inNamespace(t)
	addMulticast(t)
	before, err := c.Table(t.Context())
	must.OK(t, err)
	model := ipvstest.New(before)
	for i, ch := range changes {
		kernel := errnoOf(t, c.Apply(t.Context(), ch))
		memory := errnoOf(t, model.Apply(t.Context(), ch))
		if kernel != memory {
			t.Fatalf("change %d of %d, %v (%v): the kernel says %q, the model %q", i+1, len(changes), ch, ch.Op, kernel, memory)
		}
	}
	have, err := c.Table(t.Context())
	must.OK(t, err)
	if d := diffTables(have, model.Now()); d != "" {
		t.Errorf("after %v:\n%s", changes, d)
	}
	for _, s := range have.Services {
		if got, err := c.Service(t.Context(), s.ServiceID); err != nil || got.Service != s.Service {
			t.Errorf("Service(%v) = %+v, %v; want %+v", s.ServiceID, got.Service, err, s.Service)
		}
	}
	// Daemons must not keep running in a deleted namespace.
	for _, d := range have.Daemons {
		if err := c.Apply(t.Context(), change.StopDaemon(d.State)); err != nil {
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
	start := func(state ipvs.DaemonState, ifn string, group netip.Addr) ipvs.Change {
		return change.StartDaemon(ipvs.Daemon{State: state, Interface: ifn, Group: group})
	}
	for _, c := range []struct {
		name    string
		changes []ipvs.Change
	}{
		{"a service twice", []ipvs.Change{change.AddService(ipvs.NewService(web, "rr")), change.AddService(ipvs.NewService(web, "wlc"))}},
		{"an unnamed scheduler", []ipvs.Change{change.AddService(ipvs.NewService(web, ""))}},
		{"no scheduler at all", []ipvs.Change{change.AddService(ipvs.NewService(web, "none"))}},
		{"an edit replaces everything", []ipvs.Change{
			change.AddService(svc(ipvs.NewService(web, "rr"), func(s *ipvs.Service) { s.Flags, s.Timeout = ipvs.FlagPersistent, 60*time.Second })),
			change.EditService(ipvs.NewService(web, "wrr"))}},
		{"an edit of nothing", []ipvs.Change{change.EditService(ipvs.NewService(web, "rr"))}},
		{"a deletion of nothing", []ipvs.Change{change.DeleteService(web), change.ZeroService(web)}},
		{"a deletion takes the servers along", []ipvs.Change{change.AddService(ipvs.NewService(web, "rr")), change.AddDestination(web, a),
			change.DeleteService(web), change.AddService(ipvs.NewService(web, "rr"))}},
		{"a server of nothing", []ipvs.Change{change.AddDestination(web, a), change.EditDestination(web, a), change.DeleteDestination(web, a.AddrPort())}},
		{"a server twice", []ipvs.Change{change.AddService(ipvs.NewService(web, "rr")), change.AddDestination(web, a), change.AddDestination(web, a)}},
		{"an absent server", []ipvs.Change{change.AddService(ipvs.NewService(web, "rr")), change.EditDestination(web, a), change.DeleteDestination(web, a.AddrPort())}},
		{"servers come and go", []ipvs.Change{change.AddService(ipvs.NewService(web, "rr")), change.AddDestination(web, a), change.AddDestination(web, b),
			change.DeleteDestination(web, a.AddrPort()), change.AddDestination(web, a),
			change.EditDestination(web, with(b, func(d *ipvs.Destination) { d.Weight, d.UpperThreshold = 0, 9 }))}},
		{"a negative weight", []ipvs.Change{change.AddService(ipvs.NewService(web, "rr")), change.AddDestination(web, with(a, func(d *ipvs.Destination) { d.Weight = -1 }))}},
		{"a lower threshold above the upper", []ipvs.Change{change.AddService(ipvs.NewService(web, "rr")),
			change.AddDestination(web, with(a, func(d *ipvs.Destination) { d.UpperThreshold, d.LowerThreshold = 5, 6 })),
			change.AddDestination(web, a),
			change.EditDestination(web, with(a, func(d *ipvs.Destination) { d.LowerThreshold = 1 }))}},
		{"gue without a port", []ipvs.Change{change.AddService(ipvs.NewService(web, "rr")),
			change.AddDestination(web, with(a, func(d *ipvs.Destination) { d.Forward, d.Tunnel.Type = ipvs.Tunnel, ipvs.TunnelGUE })),
			change.AddDestination(web, with(a, func(d *ipvs.Destination) { d.Tunnel.Type = ipvs.TunnelGUE }))}},
		{"families mixed without a tunnel", []ipvs.Change{change.AddService(ipvs.NewService(web, "rr")), change.AddDestination(web, dest("[2001:db8::5]:80", ipvs.Masquerade)),
			change.DeleteDestination(web, netip.MustParseAddrPort("[2001:db8::5]:80"))}},
		{"families mixed by a tunnel", []ipvs.Change{change.AddService(ipvs.NewService(web, "rr")), change.AddDestination(web, dest("[2001:db8::5]:80", ipvs.Tunnel)),
			start(ipvs.Master, multicast, netip.Addr{}),
			change.DeleteDestination(web, netip.MustParseAddrPort("[2001:db8::5]:80")),
			start(ipvs.Master, multicast, netip.Addr{}),
			change.AddDestination(web, dest("[2001:db8::5]:80", ipvs.Tunnel))}},
		{"an IPv6 mask out of bounds", []ipvs.Change{
			change.AddService(svc(ipvs.NewService(web6, "rr"), func(s *ipvs.Service) { s.Netmask = 0 })),
			change.AddService(svc(ipvs.NewService(web6, "rr"), func(s *ipvs.Service) { s.Netmask = 129 })),
			change.AddService(svc(ipvs.NewService(web6, "rr"), func(s *ipvs.Service) { s.Netmask = 1 })),
			change.EditService(svc(ipvs.NewService(web6, "rr"), func(s *ipvs.Service) { s.Netmask = 200 }))}},
		{"addresses that no server can have", func() []ipvs.Change {
			changes := []ipvs.Change{change.AddService(ipvs.NewService(web, "rr")), change.AddService(ipvs.NewService(web6, "rr"))}
			for _, s := range []string{"0.0.0.0:80", "0.1.2.3:80", "224.0.0.1:80", "239.255.255.255:80", "240.0.0.1:80", "255.255.255.255:80", "127.0.0.1:80", "1.2.3.4:0"} {
				changes = append(changes, change.AddDestination(web, dest(s, ipvs.Masquerade)))
			}
			for _, s := range []string{"[::]:80", "[::1]:80", "[::2]:80", "[ff02::1]:80", "[fe80::1]:80", "[fec0::1]:80", "[fd00::1]:80",
				"[::ffff:1.2.3.4]:80", "[::1.2.3.4]:80", "[64:ff9b::1]:80", "[100::1]:80", "[e000::1]:80", "[2001:db8::7]:0"} {
				changes = append(changes, change.AddDestination(web6, dest(s, ipvs.Masquerade)))
			}
			return changes
		}()},
		{"service addresses of every sort", func() []ipvs.Change {
			var changes []ipvs.Change
			for _, s := range []string{"0.0.0.0:80", "224.0.0.1:80", "255.255.255.255:80", "1.2.3.4:0", "[::]:80", "[ff02::1]:80", "[fe80::1]:80", "[::ffff:1.2.3.4]:80"} {
				changes = append(changes, change.AddService(ipvs.NewService(tcp(s), "rr")))
			}
			return changes
		}()},
		{"protocols are apart", []ipvs.Change{change.AddService(ipvs.NewService(web, "rr")),
			change.AddService(ipvs.NewService(ipvs.AddrID(ipvs.UDP, addr("12.0.0.1"), 80), "rr")), change.AddService(ipvs.NewService(ipvs.AddrID(ipvs.SCTP, addr("12.0.0.1"), 80), "rr"))}},
		{"marks of two families are apart", []ipvs.Change{change.AddService(ipvs.NewService(ipvs.MarkID(77, ipvs.IPv4), "rr")), change.AddService(ipvs.NewService(ipvs.MarkID(77, ipvs.IPv6), "rr")),
			change.AddService(ipvs.NewService(ipvs.MarkID(77, ipvs.IPv6), "rr")), change.DeleteService(ipvs.MarkID(77, ipvs.IPv4)),
			change.AddService(ipvs.NewService(ipvs.MarkID(4294967295, ipvs.IPv4), "rr")),
			change.AddDestination(ipvs.MarkID(77, ipvs.IPv6), dest("[2001:db8::5]:0", ipvs.Route))}},
		{"flush", []ipvs.Change{change.AddService(ipvs.NewService(web, "rr")), change.AddDestination(web, a), change.Flush(), change.Flush(), change.AddService(ipvs.NewService(web, "rr"))}},
		{"timeouts", []ipvs.Change{change.SetTimeouts(ipvs.Timeouts{TCP: 10 * time.Second}),
			change.SetTimeouts(ipvs.Timeouts{TCPFin: 20 * time.Second, UDP: 30 * time.Second}),
			change.SetTimeouts(ipvs.Timeouts{}),
			change.SetTimeouts(ipvs.Timeouts{UDP: 1 << 31 * time.Second})}},
		{"daemons", []ipvs.Change{change.StopDaemon(ipvs.Master), start(ipvs.Master, multicast, netip.Addr{}),
			start(ipvs.Master, multicast, netip.Addr{}), start(ipvs.Backup, multicast, addr("224.0.0.5")),
			change.StopDaemon(ipvs.Master), start(ipvs.Master, multicast, addr("ff02::5"))}},
		{"daemons that cannot be", []ipvs.Change{start(ipvs.Master, "", netip.Addr{}), start(3, multicast, netip.Addr{}),
			start(0, "", netip.Addr{}), start(ipvs.Master, multicast, addr("::ffff:224.0.0.5")),
			start(ipvs.Master, multicast, addr("1.2.3.4")), start(ipvs.Master, multicast, addr("2001:db8::1")),
			change.StopDaemon(3), change.StopDaemon(0)}},
		{"the largest values", []ipvs.Change{
			change.AddService(svc(ipvs.NewService(tcp("12.0.0.1:0"), "mh"), func(s *ipvs.Service) {
				s.Flags, s.Timeout, s.Netmask = ipvs.FlagPersistent|ipvs.FlagSched1|ipvs.FlagSched2|ipvs.FlagSched3, 360*time.Second, 0xffff0000
			})),
			change.AddDestination(tcp("12.0.0.1:0"), ipvs.Destination{Addr: addr("10.0.0.1"), Forward: ipvs.Tunnel, Weight: 2147483647, UpperThreshold: 1<<31 - 1, LowerThreshold: 1<<31 - 2,
				Tunnel: ipvs.TunnelInfo{Type: ipvs.TunnelGUE, Port: 6080, Flags: ipvs.TunnelRemoteChecksum}}),
			change.AddDestination(tcp("12.0.0.1:0"), ipvs.Destination{Addr: addr("10.0.0.2"), Forward: ipvs.Tunnel, Tunnel: ipvs.TunnelInfo{Type: ipvs.TunnelGRE, Flags: ipvs.TunnelChecksum}}),
			change.AddDestination(tcp("12.0.0.1:0"), ipvs.Destination{Addr: addr("2001:db8::3"), Port: 65535, Forward: ipvs.Tunnel, Weight: 1}),
			change.AddService(svc(ipvs.NewService(ipvs.AddrID(ipvs.UDP, addr("2001:db8::1"), 5060), "rr"), func(s *ipvs.Service) {
				s.Flags, s.Timeout, s.Netmask, s.PersistenceEngine = ipvs.FlagPersistent|ipvs.FlagOnePacket, time.Second, 64, "sip"
			})),
			change.AddService(ipvs.NewService(ipvs.MarkID(1<<32-1, ipvs.IPv6), "wlc")),
			change.SetTimeouts(ipvs.Timeouts{TCP: 901 * time.Second, TCPFin: 121 * time.Second, UDP: 301 * time.Second})}},
	} {
		t.Run(c.name, func(t *testing.T) { checkContract(t, c.changes) })
	}
}

// testRandomContract makes random changes to a few entries, so that many
// concern the same entry.
func testRandomContract(t *testing.T) {
	cases := must.Count(10, 40)
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

func testInfo(t *testing.T) {
	c := inNamespace(t)
	i, err := c.Info(t.Context())
	if err != nil || i.Version.String() != "1.2.1" {
		t.Errorf("Info = %+v, %v", i, err)
	}
	d := ipvs.Daemon{State: ipvs.Backup, Interface: "lo", SyncID: 7, MaxLen: 1400, Group: addr("ff02::5"), Port: 99, TTL: 3}
	must.OK(t, c.Apply(t.Context(), change.StartDaemon(d)))
	got, err := c.Daemons(t.Context())
	if err != nil || len(got) != 1 || got[0] != d {
		t.Errorf("Daemons = %+v, %v; want %+v", got, err, d)
	}
	if err := c.Apply(t.Context(), change.StopDaemon(d.State)); err != nil {
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
	for conn, err := range c.Connections(t.Context(), ipvs.ConnectionFilter{}) {
		t.Errorf("Connections of nothing: %+v, %v", conn, err)
	}
}

func testErrors(t *testing.T) {
	c := inNamespace(t)
	id, d := tcp("12.0.0.1:80"), dest("192.168.168.10:80", ipvs.Masquerade)
	err := c.Apply(t.Context(),
		change.AddService(ipvs.NewService(id, "rr")),
		change.AddService(ipvs.NewService(id, "rr")),
		change.AddService(ipvs.NewService(tcp("12.0.0.1:81"), "nosuchsched")),
		change.AddDestination(id, d),
		change.AddDestination(id, d),
		change.DeleteDestination(tcp("12.0.0.1:99"), d.AddrPort()),
		ipvs.Change{Op: ipvs.OpStartDaemon, Daemon: ipvs.Daemon{State: ipvs.Master, Interface: "nosuchif"}},
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
	if err := c.Apply(t.Context(), change.AddService(ipvs.Service{Scheduler: "rr"})); !errors.Is(err, ipvs.ErrInvalid) {
		t.Errorf("a service without an address: %v, want ErrInvalid", err)
	}
}

// testLargeBatch has more refusals than a socket's buffer holds by default.
func testLargeBatch(t *testing.T) {
	c := inNamespace(t)
	const n = 5000
	changes := make([]ipvs.Change, n)
	for i := range changes {
		op := ipvs.OpAddService
		if i%2 == 1 {
			op = ipvs.OpEditService // of a service that does not exist
		}
		changes[i] = ipvs.Change{Op: op, Service: ipvs.NewService(ipvs.AddrID(ipvs.TCP, addr("12.0.0.1"), uint16(i+1)), "rr")}
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
	must.OK(t, c.Apply(t.Context(), change.AddService(ipvs.NewService(id, "rr")), change.AddDestination(id, dest("127.0.0.1:81", ipvs.Masquerade))))
	counted := func() (svc, dst ipvs.Stats) {
		list, err := c.ServicesWithDestinations(t.Context())
		if err != nil || len(list) != 1 || len(list[0].Destinations) != 1 {
			t.Fatalf("%+v, %v", list, err)
		}
		return list[0].Stats, list[0].Destinations[0].Stats
	}
	for _, zero := range []ipvs.Change{change.ZeroService(id), change.Zero()} {
		connect(t)
		// The kernel updates its counters every two seconds.
		must.Soon(func() bool { svc, _ := counted(); return svc.InBytes != 0 })
		if svc, dst := counted(); svc.Conns == 0 || svc.InPkts == 0 || svc.InBytes == 0 || dst.Conns == 0 {
			t.Fatalf("nothing was counted: %+v %+v", svc, dst)
		}
		conns := 0
		for conn, err := range c.Connections(t.Context(), ipvs.ConnectionFilter{}) {
			if err != nil || conn.Protocol != ipvs.TCP || conn.Virtual.String() != "127.0.0.1:80" || conn.Destination.String() != "127.0.0.1:81" {
				t.Errorf("connection %+v, %v", conn, err)
			}
			conns++
		}
		if conns == 0 {
			t.Error("no connection is listed")
		}
		must.OK(t, c.Apply(t.Context(), zero))
		if svc, dst := counted(); svc.Conns != 0 || svc.InPkts != 0 || dst.Conns != 0 {
			t.Errorf("after %v: %+v %+v", zero, svc, dst)
		}
	}
}

// testCancels uses one client from many goroutines, with contexts that end at
// random, while another client changes the table, and checks for leaks.
func testCancels(t *testing.T) {
	c := inNamespace(t)
	writer := dial(t)
	large := tcp("12.0.0.1:80")
	changes := []ipvs.Change{change.AddService(ipvs.NewService(large, "rr"))}
	for i := range 2000 {
		d := ipvs.Destination{Addr: netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), Port: 80, Weight: 1}
		changes = append(changes, change.AddDestination(large, d), change.AddService(ipvs.NewService(ipvs.AddrID(ipvs.TCP, addr("12.0.0.2"), uint16(i+1)), "rr")))
	}
	must.OK(t, c.Apply(t.Context(), changes...))
	length := time.Duration(must.Count(1, 60)) * time.Second
	lists := func() { // the same lists before and after, so that both counts include their caches
		if list, err := c.Destinations(t.Context(), large); err != nil || len(list) != 2000 {
			t.Errorf("%d destinations, %v", len(list), err)
		}
		if list, err := c.Services(t.Context()); err != nil || len(list) != 2001 {
			t.Errorf("%d services, %v", len(list), err)
		}
	}
	lists()
	before := heldNow(t)
	over, stop := context.WithTimeout(t.Context(), length)
	defer stop()
	var calls, ended, late atomic.Int64
	var longest atomic.Int64
	try := func(r *rand.Rand, w int) error {
		ctx, cancel := context.WithCancel(over)
		limit := time.Hour
		switch r.IntN(3) {
		case 0:
			limit = time.Duration(r.IntN(3000)) * time.Microsecond
			ctx, cancel = context.WithTimeout(over, limit)
		case 1:
			time.AfterFunc(time.Duration(r.IntN(3000))*time.Microsecond, cancel)
		}
		defer cancel()
		start := time.Now()
		var err error
		switch r.IntN(5) {
		case 0:
			_, err = c.Services(ctx)
		case 1:
			_, err = c.Destinations(ctx, large)
		case 2:
			_, err = c.Info(ctx)
		case 3:
			_, err = c.Service(ctx, large)
		case 4:
			id := ipvs.AddrID(ipvs.UDP, addr("12.0.0.3"), uint16(w+1))
			err = c.Apply(ctx, change.AddService(ipvs.NewService(id, "rr")), change.DeleteService(id))
		}
		calls.Add(1)
		if ctx.Err() == nil || err == nil {
			return err
		}
		ended.Add(1)
		if over := time.Since(start) - limit; over > 0 {
			late.Add(1)
			longest.Store(max(longest.Load(), int64(over)))
		}
		if !errors.Is(err, ctx.Err()) {
			return err
		}
		return nil
	}
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(11, uint64(w)))
			for over.Err() == nil {
				if err := try(r, w); err != nil && !errors.Is(err, ipvs.ErrChanging) && !errors.Is(err, ipvs.ErrServiceExists) && !errors.Is(err, ipvs.ErrNoService) {
					t.Errorf("%v", err)
					stop()
				}
			}
		})
	}
	wg.Go(func() { // adds and deletes services, so that the kernel moves entries
		for n := 0; over.Err() == nil; n++ {
			id := ipvs.AddrID(ipvs.SCTP, addr("12.0.0.4"), uint16(n%200+1))
			if err := writer.Apply(t.Context(), change.AddService(ipvs.NewService(id, "rr")), change.DeleteService(id)); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	lists()
	time.Sleep(10 * time.Millisecond)
	after := heldNow(t)
	if after.files != before.files || after.goroutines > before.goroutines || after.heap > before.heap+1<<20 {
		t.Errorf("before %+v, after %+v", before, after)
	}
	t.Logf("%d calls in %v; %d ended by their context, %d of them after their deadline, by %v at the most; before %+v, after %+v",
		calls.Load(), length, ended.Load(), late.Load(), time.Duration(longest.Load()), before, after)
	if ended.Load() == 0 || ended.Load() == calls.Load() {
		t.Error("this shows nothing")
	}
}

// held contains the resources that the process uses.
type held struct {
	files, goroutines int
	heap              uint64 // bytes in use
}

func heldNow(t testing.TB) held {
	t.Helper()
	var m runtime.MemStats
	for range 2 { // the second frees objects that the first finalized
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return held{openFiles(t), runtime.NumGoroutine(), m.HeapAlloc}
}

func openFiles(t testing.TB) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	must.OK(t, err)
	return len(list)
}

// elsewhere runs f in a new network namespace.
func elsewhere(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // ends with its thread
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			t.Error(err)
			return
		}
		f()
	}()
	<-done
}

// connect makes a connection through the service at 127.0.0.1:80 of the
// thread's namespace.
func connect(t *testing.T) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	must.OK(t, err)
	defer unix.Close(fd)
	_ = unix.Connect(fd, &unix.SockaddrInet4{Port: 80, Addr: [4]byte{127, 0, 0, 1}}) // refused: no server listens there
}

// count returns the numbers of services and connections of a client's
// namespace.
func count(t *testing.T, c *ipvs.Client) (services, connections int) {
	t.Helper()
	list, err := c.Services(t.Context())
	if err != nil {
		t.Error(err)
	}
	for _, err := range c.Connections(t.Context(), ipvs.ConnectionFilter{}) {
		if err != nil {
			t.Error(err)
		}
		connections++
	}
	return len(list), connections
}

// testOtherNamespace checks that a client stays in the namespace of its Dial,
// whatever the caller's namespace is.
func testOtherNamespace(t *testing.T) {
	c := inNamespace(t)
	web := tcp("127.0.0.1:80")
	must.OK(t, c.Apply(t.Context(), change.AddService(ipvs.NewService(web, "rr")), change.AddDestination(web, dest("127.0.0.1:81", ipvs.Masquerade))))
	connect(t)
	here, err := os.Open("/proc/thread-self/ns/net")
	must.OK(t, err)
	defer here.Close()
	elsewhere(t, func() {
		if services, connections := count(t, c); services != 1 || connections != 1 {
			t.Errorf("from elsewhere, a client that was dialled here sees %d services and %d connections", services, connections)
		}
		other, err := ipvs.Dial(t.Context(), ipvs.Config{NetNS: fmt.Sprintf("/proc/self/fd/%d", here.Fd())})
		if err != nil {
			t.Error(err)
			return
		}
		defer other.Close()
		if services, connections := count(t, other); services != 1 || connections != 1 {
			t.Errorf("a client of the other namespace sees %d services and %d connections", services, connections)
		}
		own, err := ipvs.Dial(t.Context(), ipvs.Config{})
		if err != nil {
			t.Error(err)
			return
		}
		defer own.Close()
		if services, connections := count(t, own); services != 0 || connections != 0 {
			t.Errorf("a client of the own namespace sees %d services and %d connections", services, connections)
		}
	})
}

func readlink(t *testing.T, path string) string {
	t.Helper()
	target, err := os.Readlink(path)
	if err != nil {
		t.Error(err)
	}
	return target
}

// testNamespaces opens namespaces by name, path and process ID. One of them
// has the ID of a process in another as its name.
func testNamespaces(t *testing.T) {
	c := inNamespace(t)
	must.OK(t, c.Apply(t.Context(), change.AddService(ipvs.NewService(tcp("12.0.0.1:80"), "rr"))))
	sleep := exec.Command("sleep", "100")
	must.OK(t, sleep.Start())
	defer func() { _ = sleep.Process.Kill(); _ = sleep.Wait() }()
	pid := fmt.Sprint(sleep.Process.Pid)
	ip := func(args ...string) {
		if out, err := exec.Command("ip", append([]string{"netns"}, args...)...).CombinedOutput(); err != nil {
			t.Errorf("ip netns %v: %v %s", args, err, out)
		}
	}
	ip("attach", "one", pid)
	defer ip("delete", "one")
	elsewhere(t, func() {
		if inode, err := c.NetNS(); err != nil || fmt.Sprintf("net:[%d]", inode) != readlink(t, "/proc/"+pid+"/ns/net") {
			t.Errorf("NetNS = %d, %v, want that of %s", inode, err, readlink(t, "/proc/"+pid+"/ns/net"))
		}
		services := func(where string) int {
			c, err := ipvs.Dial(t.Context(), ipvs.Config{NetNS: where})
			if err != nil {
				t.Error(err)
				return -1
			}
			defer c.Close()
			n, _ := count(t, c)
			return n
		}
		for _, where := range []string{"one", "/run/netns/one", "/proc/" + pid + "/ns/net", pid} {
			if n := services(where); n != 1 {
				t.Errorf("%s has %d services", where, n)
			}
			if got, want := threadNamespace(t, where), readlink(t, "/proc/"+pid+"/ns/net"); got != want {
				t.Errorf("netns.Do of %s is in %s, want %s", where, got, want)
			}
		}
		if got, want := threadNamespace(t, ""), readlink(t, "/proc/thread-self/ns/net"); got != want {
			t.Errorf("netns.Do without a name is in %s, want %s", got, want)
		}
		ip("add", pid)
		defer ip("delete", pid)
		if n := services(pid); n != 0 {
			t.Errorf("a name that is a number as well has %d services: it is not taken for the name", n)
		}
		for where, want := range map[string]struct {
			is   error
			text string
		}{
			"nosuch":           {fs.ErrNotExist, "open IPVS: network namespace nosuch: no such file or directory"},
			"/nosuch":          {fs.ErrNotExist, "open IPVS: network namespace /nosuch: no such file or directory"},
			"4194000":          {fs.ErrNotExist, "open IPVS: network namespace 4194000: no such file or directory"},
			"/etc/passwd":      {unix.EINVAL, "open IPVS: network namespace /etc/passwd: not a network namespace"},
			"/proc/1/ns/mnt":   {unix.EINVAL, "open IPVS: network namespace /proc/1/ns/mnt: not a network namespace"},
			"99999999999999":   {fs.ErrNotExist, "open IPVS: network namespace 99999999999999: no such file or directory"},
			"..":               {unix.EINVAL, "open IPVS: network namespace ..: not a network namespace"},
			"name\x00of zeros": {unix.EINVAL, "open IPVS: network namespace name\x00of zeros: not a network namespace"},
		} {
			c, err := ipvs.Dial(t.Context(), ipvs.Config{NetNS: where})
			if err == nil {
				c.Close()
			}
			if !errors.Is(err, want.is) || err.Error() != want.text {
				t.Errorf("%q: %v, want %q", where, err, want.text)
			}
		}
	})
}

// threadNamespace returns the namespace in which netns.Do calls.
func threadNamespace(t *testing.T, where string) (target string) {
	t.Helper()
	if err := netns.Do(where, func() { target = readlink(t, "/proc/thread-self/ns/net") }); err != nil {
		t.Error(err)
	}
	return target
}

func testUnprivileged(t *testing.T) {
	guesttest.Namespace(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // the thread, without privilege from here on, ends with its goroutine
		if _, _, errno := unix.Syscall(unix.SYS_SETRESUID, 65534, 65534, 65534); errno != 0 {
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
		if err := c.Apply(t.Context(), change.Flush(), change.Zero()); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("Apply: %v, want a lack of permission", err)
		}
	}()
	<-done
}

// testClosed uses closed clients and the zero Client.
func testClosed(t *testing.T) {
	c := inNamespace(t)
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	for name, c := range map[string]*ipvs.Client{"closed": c, "never open": {}} {
		id := tcp("12.0.0.1:80")
		_, services := c.Services(t.Context())
		_, service := c.Service(t.Context(), id)
		_, destinations := c.Destinations(t.Context(), id)
		var connections error
		for _, err := range c.Connections(t.Context(), ipvs.ConnectionFilter{}) {
			connections = err
		}
		_, namespace := c.NetNS()
		for _, err := range []error{services, service, destinations, connections, namespace, c.Apply(t.Context(), change.Zero())} {
			if !errors.Is(err, fs.ErrClosed) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := c.Close(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func testNoLeak(t *testing.T) {
	guesttest.Namespace(t)
	open := func() {
		c, err := ipvs.Dial(t.Context(), ipvs.Config{})
		must.OK(t, err)
		for range c.Connections(t.Context(), ipvs.ConnectionFilter{}) {
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	open() // the runtime's poller opens its descriptors once
	before := openFiles(t)
	for range 20 {
		open()
	}
	if after := openFiles(t); after != before {
		t.Errorf("%d file descriptors before, %d after", before, after)
	}
}

func testDiffOnKernel(t *testing.T) {
	cases := must.Count(10, 40)
	for i := range cases {
		t.Run(fmt.Sprintf("case %d", i), func(t *testing.T) {
			r := rand.New(rand.NewPCG(5, uint64(i)))
			a, b := randomTable(r), randomTable(r)
			a.Daemons, b.Daemons = nil, nil
			c := inNamespace(t)
			for _, want := range []*ipvs.Table{a, b, a} {
				have, err := c.Table(t.Context())
				must.OK(t, err)
				must.OK(t, c.Apply(t.Context(), model.Diff(have, want)...))
				have, err = c.Table(t.Context())
				must.OK(t, err)
				if d := model.Diff(have, want); len(d) != 0 {
					t.Fatalf("still to do: %v", d)
				}
				if d := diffTables(plainTable(have), plainTable(want)); d != "" {
					t.Fatal(d)
				}
			}
		})
	}
}
