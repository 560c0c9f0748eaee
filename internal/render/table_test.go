// SPDX-License-Identifier: Apache-2.0

package render

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/names"
	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// sample returns a table with every kind of entry and attribute.
func sample() []ipvs.ServiceEntry {
	service := func(id ipvs.ServiceID, scheduler string, flags ipvs.ServiceFlags, destinations ...ipvs.Destination) ipvs.ServiceEntry {
		s := ipvs.ServiceEntry{Service: ipvs.Service{ServiceID: id, Scheduler: scheduler, Flags: flags, Netmask: ipvs.FullNetmask(id.Family())}}
		for _, d := range destinations {
			s.Destinations = append(s.Destinations, ipvs.DestinationEntry{Destination: d})
		}
		return s
	}
	id := func(p ipvs.Protocol, addr string) ipvs.ServiceID {
		ap := netip.MustParseAddrPort(addr)
		return ipvs.AddrID(p, ap.Addr(), ap.Port())
	}
	dst := func(addr string, f ipvs.ForwardingMethod, weight int32) ipvs.Destination {
		ap := netip.MustParseAddrPort(addr)
		return ipvs.Destination{Addr: ap.Addr(), Port: ap.Port(), Forward: f, Weight: weight}
	}
	tunnel := func(addr string, i ipvs.TunnelInfo) ipvs.Destination {
		d := dst(addr, ipvs.Tunnel, 1)
		d.Tunnel = i
		return d
	}
	limited := func(d ipvs.Destination, upper, lower uint32) ipvs.Destination {
		d.UpperThreshold, d.LowerThreshold = upper, lower
		return d
	}
	persistent := func(s ipvs.ServiceEntry, timeout time.Duration, mask ipvs.Netmask, pe string) ipvs.ServiceEntry {
		s.Flags |= ipvs.FlagPersistent
		s.Timeout, s.Netmask, s.PersistenceEngine = timeout, mask, pe
		return s
	}
	const sched1, sched2, sched3 = ipvs.FlagSched1, ipvs.FlagSched2, ipvs.FlagSched3
	noTimeout := persistent(service(id(ipvs.UDP, "12.0.0.3:5060"), "wrr", sched2), 0, 0xffffffff, "sip")
	noTimeout.Flags &^= ipvs.FlagPersistent
	return []ipvs.ServiceEntry{
		service(ipvs.MarkID(4000000000, ipvs.IPv4), "rr", 0, dst("192.168.168.10:0", ipvs.Route, 1)),
		persistent(service(ipvs.MarkID(78, ipvs.IPv6), "wlc", 0,
			dst("[2001:db8::20]:80", ipvs.Masquerade, 0),
			tunnel("192.168.168.10:80", ipvs.TunnelInfo{})), 50*time.Second, 64, ""),
		service(ipvs.MarkID(77, ipvs.IPv4), "rr", sched3, dst("192.168.168.20:80", ipvs.Masquerade, 1)),
		service(id(ipvs.TCP, "[2001:db8:1111:2222:3333:4444:5555:6666]:80"), "lblc", 0,
			limited(dst("[2001:db8::20]:80", ipvs.Masquerade, 100), 2147483647, 2147483646),
			dst("[2001:db8::10]:8080", ipvs.Masquerade, 1)),
		service(id(ipvs.TCP, "[2001:db8::2]:8080"), "rr", sched1),
		service(id(ipvs.TCP, "[::1.2.3.4]:80"), "mh", sched1|sched2|sched3),
		service(id(ipvs.SCTP, "12.0.0.2:5060"), "sh", sched3),
		noTimeout,
		persistent(service(id(ipvs.UDP, "12.0.0.2:5060"), "wrr", sched1|sched2|sched3|ipvs.FlagOnePacket),
			2678400*time.Second, 0xffff00ff, "sip"),
		service(id(ipvs.UDP, "12.0.0.1:53"), "sh", sched1|sched2|ipvs.FlagOnePacket,
			dst("192.168.168.10:53", ipvs.Route, 2147483647)),
		service(id(ipvs.TCP, "12.0.0.4:80"), "rr", 0, dst("192.168.168.30:80", ipvs.Masquerade, 1)),
		service(id(ipvs.TCP, "12.0.0.3:80"), "rr", 0),
		service(id(ipvs.TCP, "12.0.0.1:80"), "rr", 0,
			limited(dst("192.168.168.20:8080", ipvs.Masquerade, 2), 20, 10),
			dst("192.168.168.10:80", ipvs.Masquerade, 1)),
		persistent(service(id(ipvs.TCP, "12.0.0.1:0"), "mh", sched2,
			tunnel("10.0.0.5:0", ipvs.TunnelInfo{}),
			tunnel("10.0.0.4:0", ipvs.TunnelInfo{Type: ipvs.TunnelGUE, Port: 1}),
			tunnel("10.0.0.3:0", ipvs.TunnelInfo{Type: ipvs.TunnelGUE, Port: 65535, Flags: ipvs.TunnelRemoteChecksum}),
			tunnel("10.0.0.2:0", ipvs.TunnelInfo{Type: ipvs.TunnelGUE, Port: 6080, Flags: ipvs.TunnelChecksum}),
			tunnel("10.0.0.1:0", ipvs.TunnelInfo{Type: ipvs.TunnelGRE, Flags: ipvs.TunnelChecksum}),
			tunnel("10.0.0.6:0", ipvs.TunnelInfo{Type: ipvs.TunnelGRE}),
			dst("127.0.0.1:0", ipvs.LocalNode, 1)), 360*time.Second, 0xffff0000, ""),
	}
}

const hostsText = `
127.0.0.1 localhost
12.0.0.1 vip
12.0.0.2 a-name-just-as-long-as-the-column.example
12.0.0.3 exactly28bytes.example
12.0.0.4 this-name-is-of-more-than-59-bytes-altogether.in-the-very-long-domain.example.com
10.1.0.2 the-client.example.com
10.2.0.2 rs.example
192.168.168.10 real-server-number-one.in-some-rack.example.com
192.168.168.20 web2
192.168.168.30 this-real-server-has-more-than-59-bytes.in-the-very-long-domain.example.com
2001:db8::2 a-name-of-ipv6-that-is-quite-long.and-goes-past-59-bytes.example.com
2001:db8::10 real6
2001:db8::20 real6-with-a-name-that-goes-on-and-on-and-on-for-more-than-59.example
`

const servicesText = `
domain   53/tcp
domain   53/udp
http     80/tcp
sip      5060/tcp
sip      5060/udp
http-alt 8080/tcp
`

// fakeDNS is a name server without names, which replies after a delay.
type fakeDNS struct{ delay time.Duration }

func (f fakeDNS) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return nil, errors.New("a listing must not look up addresses")
}

func (f fakeDNS) LookupAddr(context.Context, string) ([]string, error) {
	time.Sleep(f.delay)
	return nil, errors.New("no such host")
}

func resolver(t *testing.T, dns names.DNS) *names.Resolver {
	t.Helper()
	dir := t.TempDir()
	hosts, services := filepath.Join(dir, "hosts"), filepath.Join(dir, "services")
	for path, text := range map[string]string{hosts: hostsText, services: servicesText} {
		must.OK(t, os.WriteFile(path, []byte(text), 0o600))
	}
	return names.NewFrom(hosts, services, dns)
}

// listings are the formats of a table.
var listings = []struct {
	name string
	o    Options
}{
	{"plain", Options{Numeric: true}},
	{"stats", Options{Numeric: true, Format: Stats}},
	{"rate", Options{Numeric: true, Format: Rate}},
	{"thresholds", Options{Numeric: true, Format: Thresholds}},
	{"persistent-conn", Options{Numeric: true, Format: PersistentConn}},
	{"tun-info", Options{Numeric: true, Format: TunnelInfo}},
	{"exact", Options{Numeric: true, Format: Stats, Exact: true}},
	{"plain-names", Options{}},
	{"stats-names", Options{Format: Stats}},
}

var info = ipvs.Info{Version: 0x010201, ConnTableSize: 4096}

// TestCounters expects rows as 1.31 lists them for these numbers, except that
// 1.31 truncates connections, packets and rates of a destination to 32 bits.
// differs: wide-counters
func TestCounters(t *testing.T) {
	services := []ipvs.ServiceEntry{{
		Service: ipvs.Service{ServiceID: ipvs.AddrID(ipvs.TCP, netip.MustParseAddr("12.0.0.1"), 80)},
		Stats: ipvs.Stats{Conns: 0, InPkts: 9, OutPkts: 99999999, InBytes: 100000000, OutBytes: 123456789,
			Rates: ipvs.Rates{CPS: 999999999, InPPS: 1000000000, OutPPS: 4294967295, InBPS: 99999999999, OutBPS: 100000000000}},
		Destinations: []ipvs.DestinationEntry{{
			Destination: ipvs.Destination{Addr: netip.MustParseAddr("192.168.168.10"), Port: 80},
			Stats: ipvs.Stats{Conns: 808967295, InPkts: 1306967295, OutPkts: 1804967295, InBytes: 99999999999999, OutBytes: 100000000000000,
				Rates: ipvs.Rates{CPS: 2302967295, InPPS: 2800967295, OutPPS: 3298967295, InBPS: 3796967295, OutBPS: 4294967295}},
		}, {
			Destination: ipvs.Destination{Addr: netip.MustParseAddr("192.168.168.20"), Port: 80},
			Stats: ipvs.Stats{Conns: 1 << 32, InPkts: 1<<64 - 1,
				Rates: ipvs.Rates{CPS: 1 << 32, OutPPS: 12345678}},
		}},
	}}
	for _, c := range []struct {
		name string
		o    Options
		want []string
	}{
		{"stats", Options{Format: Stats}, []string{
			"TCP  12.0.0.1:80                         0        9 99999999  100000K  123456K",
			"  -> 192.168.168.10:80             808967K    1306M    1804M   99999G     100T",
			"  -> 192.168.168.20:80               4294M18446744T        0        0        0",
		}},
		{"rate", Options{Format: Rate}, []string{
			"TCP  12.0.0.1:80                   999999K    1000M    4294M   99999M     100G",
			"  -> 192.168.168.10:80            2302967295 2800967295 3298967295    3796M    4294M",
			"  -> 192.168.168.20:80            4294967296        0 12345678        0        0",
		}},
		{"stats --exact", Options{Format: Stats, Exact: true}, []string{
			"TCP  12.0.0.1:80                         0        9 99999999 100000000 123456789",
			"  -> 192.168.168.10:80            808967295 1306967295 1804967295 99999999999999 100000000000000",
			"  -> 192.168.168.20:80            4294967296 18446744073709551615        0        0        0",
		}},
		{"rate --exact", Options{Format: Rate, Exact: true}, []string{
			"TCP  12.0.0.1:80                  999999999 1000000000 4294967295 99999999999 100000000000",
			"  -> 192.168.168.10:80            2302967295 2800967295 3298967295 3796967295 4294967295",
			"  -> 192.168.168.20:80            4294967296        0 12345678        0        0",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.o.Numeric, c.o.Named = true, true
			got := output(t, nil, c.o, func(p Writer) error { return p.Table(t.Context(), info, services) })
			compare(t, got, titles[c.o.Format]+"\n"+strings.Join(c.want, "\n")+"\n")
		})
	}
}

func TestConnectionCounts(t *testing.T) {
	services := []ipvs.ServiceEntry{{
		Service: ipvs.Service{ServiceID: ipvs.MarkID(77, ipvs.IPv4), Scheduler: "rr"},
		Destinations: []ipvs.DestinationEntry{{
			Destination: ipvs.Destination{Addr: netip.MustParseAddr("10.2.0.3"), Weight: 3},
			Conns:       ipvs.ConnCounts{Active: 4, Inactive: 1<<32 - 1, Persistent: 1},
		}},
	}}
	for _, c := range []struct {
		format Format
		want   string
	}{
		{Default, "  -> 10.2.0.3:0                   Masq    3      4          4294967295\n"},
		{Thresholds, "  -> 10.2.0.3:0                   0          0          4          4294967295\n"},
		{PersistentConn, "  -> 10.2.0.3:0                   3         1           4          4294967295\n"},
		{TunnelInfo, "  -> 10.2.0.3:0                   Masq    n/a           3      4          4294967295\n"},
	} {
		got := output(t, nil, Options{Named: true, Numeric: true, Format: c.format}, func(p Writer) error {
			return p.Table(t.Context(), info, services)
		})
		compare(t, got, titles[c.format]+"\nFWM  77 rr\n"+c.want)
	}
}

func TestNamesOfATableAreLookedUpTogether(t *testing.T) {
	r := resolver(t, fakeDNS{delay: time.Second})
	services := []ipvs.ServiceEntry{large(1, 20)[0]}
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		output(t, r, Options{}, func(p Writer) error { return p.Table(t.Context(), info, services) })
		if elapsed := time.Since(start); elapsed != time.Second {
			t.Errorf("21 lookups of 1 s took %v, want 1 s", elapsed)
		}
	})
}

// full is a writer that accepts a limited number of bytes, like a file on a
// full disk.
type full struct{ free int }

var errFull = errors.New("no space left")

func (f *full) Write(b []byte) (int, error) {
	n := min(len(b), f.free)
	f.free -= n
	if n < len(b) {
		return n, errFull
	}
	return n, nil
}

func TestAFullDiskIsAnError(t *testing.T) {
	for _, free := range []int{0, bufferSize / 2, 5 * bufferSize / 2} {
		p := Text(&full{free}, nil, Options{Numeric: true})
		err := p.Table(t.Context(), info, large(1000, 10))
		if flush := p.Flush(); err == nil || !errors.Is(flush, errFull) {
			t.Errorf("%d bytes free: Table = %v, Flush = %v", free, err, flush)
		}
	}
	p := Text(&full{10}, nil, Options{Numeric: true})
	if err := p.Table(t.Context(), info, nil); err != nil {
		t.Errorf("Table of a listing smaller than the buffer = %v", err)
	}
	if err := p.Flush(); !errors.Is(err, errFull) {
		t.Errorf("Flush = %v, want %v", err, errFull)
	}
}

// large returns a table of n services with m destinations each, in descending
// order.
func large(n, m int) []ipvs.ServiceEntry {
	services := make([]ipvs.ServiceEntry, n)
	for i := range services {
		s := &services[n-1-i]
		s.ServiceID = ipvs.AddrID(ipvs.TCP, netip.AddrFrom4([4]byte{12, 0, byte(i >> 8), byte(i)}), 80)
		s.Scheduler, s.Netmask = "rr", 0xffffffff
		s.Destinations = make([]ipvs.DestinationEntry, m)
		for j := range s.Destinations {
			s.Destinations[m-1-j].Destination = ipvs.Destination{
				Addr: netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), byte(j)}), Port: 80, Weight: 1,
			}
		}
	}
	return services
}

func output(t *testing.T, r *names.Resolver, o Options, print func(Writer) error) string {
	t.Helper()
	var out bytes.Buffer
	p := Text(&out, r, o)
	must.OK(t, errors.Join(print(p), p.Flush()))
	return out.String()
}

// compare fails with the lines that differ, unless got is want.
func compare(t *testing.T, got, want string) {
	t.Helper()
	if got == want {
		return
	}
	t.Errorf("%d bytes, want %d", len(got), len(want))
	g, w := strings.SplitAfter(got, "\n"), strings.SplitAfter(want, "\n")
	for i := range max(len(g), len(w)) {
		line := func(lines []string) string {
			if i < len(lines) {
				return fmt.Sprintf("%q", lines[i])
			}
			return "nothing"
		}
		if line(g) != line(w) {
			t.Errorf("line %d is\n%s, want\n%s", i+1, line(g), line(w))
		}
	}
}
