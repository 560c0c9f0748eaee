// SPDX-License-Identifier: Apache-2.0

package names

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
)

func bookResolver(t *testing.T, dns DNS) *Resolver {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"hosts": "192.168.168.50 test5\n12.0.0.1 test5\n" + // a director with two addresses
			"12.0.0.2 vip alias\n10.0.0.9 10\n2001:db8::1 both\n10.0.0.3 both\n2001:db8::2 test5\n2001:db8::3 six\n2001:db8::4 six\n",
		"services": "http 80/tcp\nwww 81/tcp http\nhttp 82/tcp\n443 444/tcp\ndomain 53/udp\nhttp 80/udp\n",
	} {
		must.OK(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	return NewFrom(filepath.Join(dir, "hosts"), filepath.Join(dir, "services"), dns)
}

func TestBookHasOnlyNamesThatResolveToTheSameAddress(t *testing.T) {
	dns := &fakeDNS{
		names: map[string][]string{"192.0.2.1": {"back.example."}, "192.0.2.2": {"away.example."}, "192.0.2.3": {"unknown.example."},
			"2001:db8::9": {"back6.example."}, "192.0.2.5": {"several.example."}},
		addrs: map[string][]netip.Addr{"back.example": {netip.MustParseAddr("192.0.2.1")}, "away.example": {netip.MustParseAddr("192.0.2.99")},
			"back6.example": {netip.MustParseAddr("2001:db8::9")}, "several.example": {netip.MustParseAddr("192.0.2.4"), netip.MustParseAddr("192.0.2.5")}},
	}
	r := bookResolver(t, dns)
	for _, c := range []struct{ name, addr, proto, want string }{
		{"the first address of a name", "192.168.168.50:80", "tcp", "test5:http"},
		{"the second address of a name", "12.0.0.1:80", "tcp", "12.0.0.1:http"},
		{"a name with an alias", "12.0.0.2:80", "tcp", "vip:http"},
		{"a name that reads as an address", "10.0.0.9:80", "tcp", "10.0.0.9:http"},
		{"a name of both families, IPv4", "10.0.0.3:80", "tcp", "both:http"},
		{"a name of both families, IPv6", "[2001:db8::1]:80", "tcp", "[both]:http"},
		{"a name of an IPv6 and two IPv4 addresses", "[2001:db8::2]:80", "tcp", "[test5]:http"},
		{"the second IPv6 address of a name", "[2001:db8::4]:80", "tcp", "[2001:db8::4]:http"},
		{"a DNS name of the same address", "192.0.2.1:80", "tcp", "back.example:http"},
		{"a DNS name of the same IPv6 address", "[2001:db8::9]:80", "tcp", "[back6.example]:http"},
		{"a DNS name of a different address", "192.0.2.2:80", "tcp", "192.0.2.2:http"},
		{"a DNS name without an address", "192.0.2.3:80", "tcp", "192.0.2.3:http"},
		{"the second address of a DNS name", "192.0.2.5:80", "tcp", "192.0.2.5:http"},
		{"no name of address or port", "192.0.2.9:1", "tcp", "192.0.2.9:1"},
		{"the second port of a name", "12.0.0.2:82", "tcp", "vip:82"},
		{"the only port of a name", "12.0.0.2:81", "tcp", "vip:www"},
		{"a name that reads as a port", "12.0.0.2:444", "tcp", "vip:444"},
		{"a name for another protocol", "12.0.0.2:53", "tcp", "vip:53"},
		{"a name for this protocol", "12.0.0.2:53", "udp", "vip:domain"},
		{"no protocol", "12.0.0.2:80", "", "vip:80"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ap := netip.MustParseAddrPort(c.addr)
			b := r.Book(t.Context(), []netip.Addr{ap.Addr()})
			if got := string(b.AppendAddrPort(nil, ap, c.proto)); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			if got := string((*Book)(nil).AppendAddrPort(nil, ap, c.proto)); got != ap.String() {
				t.Errorf("a nil Book: %s, want %s", got, ap)
			}
		})
	}
}

func TestBookHasATimeout(t *testing.T) {
	r := bookResolver(t, &slowForward{})
	synctest.Test(t, func(t *testing.T) {
		var addrs []netip.Addr
		for i := range 1000 {
			addrs = append(addrs, netip.AddrFrom4([4]byte{192, 0, 2 + byte(i>>8), byte(i)}))
		}
		start := time.Now()
		b := r.Book(t.Context(), append(addrs, netip.MustParseAddr("12.0.0.2")))
		if elapsed := time.Since(start); elapsed > bookTimeout {
			t.Errorf("Book took %v", elapsed)
		}
		if got := string(b.AppendAddrPort(nil, netip.MustParseAddrPort("192.0.2.1:80"), "tcp")); got != "192.0.2.1:http" {
			t.Errorf("got %s", got)
		}
		time.Sleep(time.Hour) // until the abandoned lookups end
	})
}

// slowForward is a DNS with a name for each address, which takes a minute to
// resolve a name.
type slowForward struct{}

func (slowForward) LookupAddr(context.Context, string) ([]string, error) {
	return []string{"host.example."}, nil
}

func (slowForward) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	time.Sleep(time.Minute)
	return nil, noSuchHost("host.example")
}
