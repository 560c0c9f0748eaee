// SPDX-License-Identifier: Apache-2.0

package rule

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/names"
	"github.com/ipvsadm-go/ipvsadm/internal/test/change"
	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

func TestWords(t *testing.T) {
	for _, c := range []struct {
		name, line string
		want       []string
	}{
		{"blanks and tabs separate", " -A  -t\t12.0.0.1:80 \t", []string{"-A", "-t", "12.0.0.1:80"}},
		{"CR and LF separate", "-A\r-t\r\n12.0.0.1:80\n", []string{"-A", "-t", "12.0.0.1:80"}},
		{"other white space does not", "a\vb\fc\u00a0d\u2003e", []string{"a\vb\fc\u00a0d\u2003e"}},
		{"quotes have no meaning", `'a b' "c" d\ e`, []string{"'a", "b'", `"c"`, `d\`, "e"}},
		{"the program's name is dropped anywhere", "ipvsadm -A ipvsadm -s ipvsadm", []string{"-A", "-s"}},
		{"a word that contains the name is kept", "ipvsadmx /sbin/ipvsadm IPVSADM", []string{"ipvsadmx", "/sbin/ipvsadm", "IPVSADM"}},
		{"a zero byte ends a word", "-A\x00x \x00 ipvsadm\x00-s", []string{"-A", ""}},
		{"a word is split at 4096 bytes", strings.Repeat("a", 4096) + "b", []string{strings.Repeat("a", 4096), "b"}},
		{"a comment has no meaning", "# -C", []string{"#", "-C"}},
		{"an empty line", "", nil},
		{"only blanks and the name", " \t ipvsadm \r\n", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := AppendWords([]string{"before"}, []byte(c.line))
			if want := append([]string{"before"}, c.want...); !slices.Equal(got, want) {
				t.Errorf("%q has the words %q, want %q", c.line, got, want)
			}
		})
	}
}

// TestWordsAfterAnotherLine checks the reuse of the previous line's words.
// addr returns a service with an address and port.
func addr(p ipvs.Protocol, ap string) ipvs.Service {
	a := netip.MustParseAddrPort(ap)
	s := ipvs.Service{ServiceID: ipvs.AddrID(p, a.Addr(), a.Port()), Scheduler: "rr"}
	s.Netmask = ipvs.FullNetmask(s.Family())
	return s
}

// mark returns a service with a firewall mark.
func mark(n uint32, f ipvs.Family) ipvs.Service {
	return ipvs.Service{ServiceID: ipvs.MarkID(n, f), Scheduler: "rr", Netmask: ipvs.FullNetmask(f)}
}

type aChange struct{ ipvs.Change }

// edit returns the change after f has modified its service and server.
func (c aChange) edit(f func(*ipvs.Service, *ipvs.Destination)) aChange {
	f(&c.Service, &c.Destination)
	return c
}

// svcOp returns a change of a service.
func svcOp(op ipvs.Op, s ipvs.Service) aChange { return aChange{ipvs.Change{Op: op, Service: s}} }

// dstOp returns a change of a real server.
func dstOp(op ipvs.Op, s ipvs.Service, ap string, f ipvs.ForwardingMethod) aChange {
	a := netip.MustParseAddrPort(ap)
	return aChange{ipvs.Change{Op: op, Service: ipvs.Service{ServiceID: s.ServiceID},
		Destination: ipvs.Destination{Addr: a.Addr(), Port: a.Port(), Forward: f, Weight: 1}}}
}

func daemonOp(op ipvs.Op, d ipvs.Daemon) aChange { return aChange{ipvs.Change{Op: op, Daemon: d}} }

func TestChangesAreWrittenAsCommands(t *testing.T) {
	type (
		svc = ipvs.Service
		dst = ipvs.Destination
	)
	web, udp := addr(ipvs.TCP, "12.0.0.1:80"), addr(ipvs.UDP, "12.0.0.1:53")
	persistent := func(s *svc, mask ipvs.Netmask) {
		s.Flags, s.Timeout, s.Netmask = ipvs.FlagPersistent, 360*time.Second, mask
	}
	flags := func(scheduler string, f ipvs.ServiceFlags) aChange {
		return svcOp(ipvs.OpAddService, web).edit(func(s *svc, _ *dst) { s.Scheduler, s.Flags = scheduler, f })
	}
	tunnel := func(i ipvs.TunnelInfo) aChange {
		return dstOp(ipvs.OpAddDestination, web, "10.0.0.1:80", ipvs.Tunnel).edit(func(_ *svc, d *dst) { d.Tunnel = i })
	}
	const all = ipvs.FlagSched1 | ipvs.FlagSched2 | ipvs.FlagSched3
	for want, c := range map[string]aChange{
		"-A -t 12.0.0.1:80 -s rr":                       svcOp(ipvs.OpAddService, web),
		"-A -u 12.0.0.1:53 -s rr":                       svcOp(ipvs.OpAddService, udp),
		"-A --sctp-service [2001:db8::1]:0 -s rr":       svcOp(ipvs.OpAddService, addr(ipvs.SCTP, "[2001:db8::1]:0")),
		"-A -f 4294967295 -s rr":                        svcOp(ipvs.OpAddService, mark(1<<32-1, ipvs.IPv4)),
		"-E -f 5 -6 -s rr":                              svcOp(ipvs.OpEditService, mark(5, ipvs.IPv6)),
		"-A -t 12.0.0.1:80 -s rr -p 360":                svcOp(ipvs.OpAddService, web).edit(func(s *svc, _ *dst) { persistent(s, 0xffffffff) }),
		"-A -t 12.0.0.1:80 -s rr -p 360 -M 255.0.255.0": svcOp(ipvs.OpAddService, web).edit(func(s *svc, _ *dst) { persistent(s, 0xff00ff00) }),
		"-A -f 5 -6 -s rr -p 360 -M 64":                 svcOp(ipvs.OpAddService, mark(5, ipvs.IPv6)).edit(func(s *svc, _ *dst) { persistent(s, 64) }),
		"-A -f 6 -6 -s rr -p 360":                       svcOp(ipvs.OpAddService, mark(6, ipvs.IPv6)).edit(func(s *svc, _ *dst) { persistent(s, 128) }),
		"-E -u 12.0.0.1:53 -s sh -p 60 -M 255.255.0.0 --pe sip -o -b sh-port": svcOp(ipvs.OpEditService, udp).edit(func(s *svc, _ *dst) {
			s.Scheduler, s.PersistenceEngine, s.Timeout, s.Netmask = "sh", "sip", time.Minute, 0xffff0000
			s.Flags = ipvs.FlagPersistent | ipvs.FlagOnePacket | ipvs.FlagSched2
		}),
		"-A -t 12.0.0.1:80 -s sh -b sh-fallback,sh-port,flag-3": flags("sh", all),
		"-A -t 12.0.0.1:80 -s mh -b mh-fallback,mh-port,flag-3": flags("mh", all),
		"-A -t 12.0.0.1:80 -s mh -b flag-3":                     flags("mh", ipvs.FlagSched3),
		"-A -t 12.0.0.1:80 -s wlc -b flag-1,flag-2,flag-3":      flags("wlc", all),
		"-D -t 12.0.0.1:80":                          svcOp(ipvs.OpDeleteService, web),
		"-a -t 12.0.0.1:80 -r 10.0.0.1:8080 -m -w 1": dstOp(ipvs.OpAddDestination, web, "10.0.0.1:8080", ipvs.Masquerade),
		"-a -t 12.0.0.1:80 -r 10.0.0.1:80 -g -w 1":   dstOp(ipvs.OpAddDestination, web, "10.0.0.1:80", ipvs.Route),
		// The kernel reports LocalNode for a server on the director
		// itself.
		"-a -t 12.0.0.1:80 -r 127.0.0.1:80 -g -w 1": dstOp(ipvs.OpAddDestination, web, "127.0.0.1:80", ipvs.LocalNode),
		"-e -f 5 -6 -r [2001:db8::a]:0 -m -w 2147483647 -x 20 -y 10": dstOp(ipvs.OpEditDestination, mark(5, ipvs.IPv6), "[2001:db8::a]:0", ipvs.Masquerade).edit(
			func(_ *svc, d *dst) { d.Weight, d.UpperThreshold, d.LowerThreshold = 2147483647, 20, 10 }),
		"-a -t 12.0.0.1:80 -r 10.0.0.1:80 -i -w 1 --tun-type ipip":                               tunnel(ipvs.TunnelInfo{}),
		"-a -t 12.0.0.1:80 -r 10.0.0.1:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-nocsum":   tunnel(ipvs.TunnelInfo{Type: ipvs.TunnelGUE, Port: 6080}),
		"-a -t 12.0.0.1:80 -r 10.0.0.1:80 -i -w 1 --tun-type gue --tun-port 1 --tun-csum":        tunnel(ipvs.TunnelInfo{Type: ipvs.TunnelGUE, Port: 1, Flags: ipvs.TunnelChecksum}),
		"-a -t 12.0.0.1:80 -r 10.0.0.1:80 -i -w 1 --tun-type gue --tun-port 65535 --tun-remcsum": tunnel(ipvs.TunnelInfo{Type: ipvs.TunnelGUE, Port: 65535, Flags: ipvs.TunnelRemoteChecksum}),
		"-a -t 12.0.0.1:80 -r 10.0.0.1:80 -i -w 1 --tun-type gre --tun-nocsum":                   tunnel(ipvs.TunnelInfo{Type: ipvs.TunnelGRE}),
		"-a -t 12.0.0.1:80 -r 10.0.0.1:80 -i -w 1 --tun-type gre --tun-csum":                     tunnel(ipvs.TunnelInfo{Type: ipvs.TunnelGRE, Flags: ipvs.TunnelChecksum}),
		"-d -u 12.0.0.1:53 -r 10.0.0.1:53":                                                       dstOp(ipvs.OpDeleteDestination, udp, "10.0.0.1:53", 0),
		"-C":                                                                                     svcOp(ipvs.OpFlush, ipvs.Service{}),
		"-Z":                                                                                     svcOp(ipvs.OpZero, ipvs.Service{}),
		"-Z -u 12.0.0.1:53":                                                                      svcOp(ipvs.OpZeroService, udp),
		"--set 900 0 300":                                                                        {ipvs.Change{Op: ipvs.OpSetTimeouts, Timeouts: ipvs.Timeouts{TCP: 15 * time.Minute, UDP: 5 * time.Minute}}},
		"--start-daemon master --mcast-interface eth0 --syncid 0":                                daemonOp(ipvs.OpStartDaemon, ipvs.Daemon{State: ipvs.Master, Interface: "eth0"}),
		"--start-daemon backup --mcast-interface lo --syncid 255 --sync-maxlen 1472 --mcast-group 224.0.0.81 --mcast-port 8848 --mcast-ttl 1": daemonOp(ipvs.OpStartDaemon, ipvs.Daemon{
			State: ipvs.Backup, Interface: "lo", SyncID: 255, MaxLen: 1472, Group: netip.MustParseAddr("224.0.0.81"), Port: 8848, TTL: 1}),
		"--stop-daemon master": daemonOp(ipvs.OpStopDaemon, ipvs.Daemon{State: ipvs.Master}),
	} {
		t.Run(want, func(t *testing.T) {
			got := string(Writer{}.Append([]byte("before "), c.Change))
			if got != "before "+want {
				t.Errorf("got %s", got)
			}
		})
	}
}

type noDNS struct{}

func (noDNS) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return nil, errors.New("no such host")
}
func (noDNS) LookupAddr(context.Context, string) ([]string, error) {
	return nil, errors.New("no such address")
}

func TestNamesAreWrittenForNumbers(t *testing.T) {
	dir := t.TempDir()
	hosts, services := filepath.Join(dir, "hosts"), filepath.Join(dir, "services")
	long := "a-name-of-more-than-59-bytes-which-a-listing-cuts.in-the-long-domain.example.com"
	for file, text := range map[string]string{hosts: "12.0.0.1 vip\n2001:db8::a " + long + "\n", services: "http 80/tcp\n"} {
		must.OK(t, os.WriteFile(file, []byte(text), 0o600))
	}
	w := Writer{Names: names.NewFrom(hosts, services, noDNS{}).Book(t.Context(), []netip.Addr{netip.MustParseAddr("12.0.0.1"), netip.MustParseAddr("2001:db8::a")})}
	for want, c := range map[string]aChange{
		"-A -t vip:http -s rr": svcOp(ipvs.OpAddService, addr(ipvs.TCP, "12.0.0.1:80")),
		"-A -u vip:80 -s rr":   svcOp(ipvs.OpAddService, addr(ipvs.UDP, "12.0.0.1:80")),
		"-a -t [2001:db8::1]:http -r [" + long + "]:81 -m -w 1": dstOp(ipvs.OpAddDestination, addr(ipvs.TCP, "[2001:db8::1]:80"), "[2001:db8::a]:81", ipvs.Masquerade),
		"-d -f 5 -r 12.0.0.9:80":                                dstOp(ipvs.OpDeleteDestination, mark(5, ipvs.IPv4), "12.0.0.9:80", 0),
	} {
		if got := string(w.Append(nil, c.Change)); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// TestAValueEqualToTheProgramsNameIsKept checks a round trip: as a word of its
// own, such a value would be dropped when it is read.
func TestAValueEqualToTheProgramsNameIsKept(t *testing.T) {
	for _, c := range []ipvs.Change{
		change.StartDaemon(ipvs.Daemon{State: ipvs.Master, Interface: "ipvsadm"}),
		change.AddService(ipvs.Service{ServiceID: mark(5, ipvs.IPv4).ServiceID, Scheduler: "ipvsadm", PersistenceEngine: "ipvsadm", Netmask: 1<<32 - 1}),
	} {
		line := Writer{}.Append(nil, c)
		if got := strings.Join(AppendWords(nil, line), " "); got != string(line) {
			t.Errorf("%s is read as %s", line, got)
		}
	}
}

func TestSchedulerFlagsInListings(t *testing.T) {
	const all = ipvs.FlagSched1 | ipvs.FlagSched2 | ipvs.FlagSched3
	for _, c := range []struct {
		scheduler string
		flags     ipvs.ServiceFlags
		want      []string
	}{
		{"sh", all, []string{"sh-fallback", "sh-port"}},
		{"mh", ipvs.FlagSched2, []string{"mh-port"}},
		{"mh", ipvs.FlagSched3, nil},
		{"rr", all, []string{"flag-1", "flag-2", "flag-3"}},
		{"rr", ipvs.FlagPersistent | ipvs.FlagOnePacket, nil},
	} {
		s := ipvs.Service{Scheduler: c.scheduler, Flags: c.flags}
		if got := ListedFlags(&s); !slices.Equal(got, c.want) {
			t.Errorf("ListedFlags(%s, %v) = %q, want %q", c.scheduler, c.flags, got, c.want)
		}
	}
}
