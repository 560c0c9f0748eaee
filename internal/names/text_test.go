// SPDX-License-Identifier: Apache-2.0

package names

import (
	"net/netip"
	"testing"
)

// TestAppendAddr expects IPv6 addresses as 1.31 lists them.
func TestAppendAddr(t *testing.T) {
	for _, c := range []struct{ name, addr, want string }{
		{"IPv4", "12.0.0.1", "12.0.0.1"},
		{"IPv4-mapped", "::ffff:102:304", "::ffff:1.2.3.4"},
		{"IPv4-compatible", "::102:304", "::1.2.3.4"},
		{"six leading groups of zeros and a last one", "::1:0", "::0.1.0.0"},
		{"seven groups of zeros", "::1234", "::1234"},
		{"the unspecified address", "::", "::"},
		{"loopback", "::1", "::1"},
		{"almost IPv4-mapped", "::fffe:102:304", "::fffe:102:304"},
		{"a single group of zeros is kept", "2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
		{"the longer run of zeros is elided", "2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},
		{"the first of equal runs is elided", "1:0:0:1:0:0:1:1", "1::1:0:0:1:1"},
		{"zeros at the end", "1::", "1::"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := string(AppendAddr([]byte(">"), netip.MustParseAddr(c.addr))); got != ">"+c.want {
				t.Errorf("AppendAddr(%s) = %q, want %q", c.addr, got, ">"+c.want)
			}
		})
	}
}

func TestAppendAddrPort(t *testing.T) {
	dns := &fakeDNS{names: map[string][]string{"2001:db8::2": {"two6.example."}}}
	r := newResolver(t, dns)
	for _, c := range []struct {
		name, addr, proto string
		numeric           bool
		want              string
	}{
		{"names of host and port", "10.0.0.1:80", "tcp", false, "Web.Example.com:http"},
		{"a port without a name for this protocol", "10.0.0.1:80", "sctp", false, "Web.Example.com:80"},
		{"no protocol", "10.0.0.1:80", "", false, "Web.Example.com:80"},
		{"an IPv6 host keeps its brackets", "[2001:db8::2]:80", "tcp", false, "[two6.example]:http"},
		{"no names", "192.0.2.1:65535", "tcp", false, "192.0.2.1:65535"},
		{"no IPv6 name", "[2001:db8::3]:65535", "tcp", false, "[2001:db8::3]:65535"},
		{"numeric", "10.0.0.1:80", "tcp", true, "10.0.0.1:80"},
		{"numeric IPv6", "[::102:304]:0", "tcp", true, "[::1.2.3.4]:0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ap := netip.MustParseAddrPort(c.addr)
			if got := string(r.AppendAddrPort(t.Context(), []byte(">"), ap, c.proto, c.numeric)); got != ">"+c.want {
				t.Errorf("AppendAddrPort(%s) = %q, want %q", c.addr, got, ">"+c.want)
			}
		})
	}
}

func TestNumericTextNeedsNoResolver(t *testing.T) {
	var r *Resolver
	if got := string(r.AppendAddrPort(t.Context(), nil, netip.MustParseAddrPort("[::1]:80"), "tcp", true)); got != "[::1]:80" {
		t.Errorf("AppendAddrPort without a resolver = %q", got)
	}
}
