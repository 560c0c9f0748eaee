// SPDX-License-Identifier: Apache-2.0

package names

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
)

const hostsText = `# the hosts of the tests
::1	six only6
127.0.0.1	four localhost
10.0.0.1	Web.Example.com web Alias1 # web9
10.0.0.2	web web2#glued
10.0.0.1	second
   10.0.0.3	indented
10.0.0.4
10.0.0.4	after-a-nameless-line
10.0.0.5#glued	hidden
10.0.0.010	octal
10.6	short
fe80::1%lo	scoped
::ffff:10.0.0.7	mapped
10.0.0.7	later
10.0.0.8	plain
::ffff:10.0.0.8	mapped8
2001:DB8::1	Upper6 lower6
10.0.0.9	spaced` + "\r\n" + `10.0.0.10	123 a.b.
10.0.0.11	unended`

const servicesText = `# the services of the tests
http	80/tcp	www web	# WorldWideWeb
http	80/udp
http-alt	80/tcp	later
Case	81/tcp	ALIAS
upper	82/TCP
glued	83/tcp#comment
   indented	84/tcp
spaced	85 /tcp
comma	86,tcp
nothing	87
protoless	88/
double	89//tcp
octal	0100/tcp
hex	0x5A/tcp
www	92/tcp
zero	0/tcp
wide	65536/tcp
negative	-1/tcp
sip	5060/sctp
ended	93/tcp	cr` + "\r\n" + `unended	94/tcp`

// fakeDNS resolves the names and addresses in its maps, and no others. It
// counts the queries, and how many run at once.
type fakeDNS struct {
	addrs map[string][]netip.Addr
	names map[string][]string
	err   error         // returned by LookupAddr along with the names
	delay time.Duration // of every reply

	mu            sync.Mutex
	queries       map[string]int
	running, peak int // concurrent queries: now, and the maximum
}

func (f *fakeDNS) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	if err := f.wait(ctx, network+" "+host); err != nil {
		return nil, err
	}
	if addrs, found := f.addrs[host]; found {
		return addrs, nil
	}
	return nil, noSuchHost(host)
}

func (f *fakeDNS) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	if err := f.wait(ctx, addr); err != nil {
		return nil, err
	}
	if names, found := f.names[addr]; found {
		return names, f.err
	}
	return nil, noSuchHost(addr)
}

func (f *fakeDNS) wait(ctx context.Context, question string) error {
	f.mu.Lock()
	if f.queries == nil {
		f.queries = make(map[string]int)
	}
	f.queries[question]++
	f.running++
	f.peak = max(f.peak, f.running)
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		f.running--
		f.mu.Unlock()
	}()
	select {
	case <-time.After(f.delay):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func newResolver(t *testing.T, dns DNS) *Resolver {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		must.OK(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	return NewFrom(write("hosts", hostsText), write("services", servicesText), dns)
}

// The parsing of the files is compared with that of the C library in
// testdata/conformance/names.txt.
func TestHost4(t *testing.T) {
	dns := &fakeDNS{addrs: map[string][]netip.Addr{
		"www.example.net": {netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("192.0.2.1")},
		"wide.example":    {netip.MustParseAddr("::ffff:192.0.2.3")},
		"web2":            {netip.MustParseAddr("192.0.2.4")},
		"web.":            {netip.MustParseAddr("192.0.2.5")},
		"256.":            {netip.MustParseAddr("192.0.2.6")},
		"none.example":    {},
		"1.2.3.256":       {netip.MustParseAddr("192.0.2.7")},
		"a:b":             {netip.MustParseAddr("192.0.2.8")},
		"":                {netip.MustParseAddr("192.0.2.9")},
	}}
	r := newResolver(t, dns)
	for _, c := range []struct{ name, host, want string }{
		{"an address is not looked up", "123", "0.0.0.123"},
		{"an address in inet_aton's notation is not looked up", "0x0a.1", "10.0.0.1"},
		{"the hosts file comes before DNS", "web2", "10.0.0.2"},
		{"a name with a final dot is looked up in DNS", "web.", "192.0.2.5"},
		{"the first address from DNS is used", "www.example.net", "192.0.2.2"},
		{"an IPv4-mapped address from DNS is unmapped", "wide.example", "192.0.2.3"},
		{"DNS has no address for the name", "none.example", ""},
		{"DNS does not have the name", "absent.example", ""},
		{"an invalid address is not looked up", "1.2.3.256", ""},
		{"digits with a final dot are a domain name", "256.", "192.0.2.6"},
		{"text with a colon is not looked up", "a:b", ""},
		{"empty text is not looked up", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			addr, err := r.Host4(t.Context(), c.host)
			if c.want != "" {
				if err != nil || addr.String() != c.want {
					t.Errorf("Host4(%q) = %v, %v, want %s", c.host, addr, err, c.want)
				}
				return
			}
			var notFound *net.DNSError
			if !errors.As(err, &notFound) || !notFound.IsNotFound || notFound.Name != c.host {
				t.Errorf("Host4(%q) = %v, %v, want no such host", c.host, addr, err)
			}
		})
	}
}

func TestHostName(t *testing.T) {
	dns := &fakeDNS{names: map[string][]string{
		"10.0.0.5":          {"Five.example.", "other.example."},
		"10.0.0.6":          {"dotless.example"},
		"192.0.2.1":         {},
		"192.0.2.2":         {"."},
		"2001:db8::2":       {"two6.example."},
		"::ffff:192.0.2.33": {"mapped33.example."},
	}}
	r := newResolver(t, dns)
	for _, c := range []struct{ name, addr, want string }{
		{"a line without a name, of which the C library makes an empty one", "10.0.0.4", "after-a-nameless-line"},
		{"the first name from DNS, without the final dot", "10.0.0.5", "Five.example"},
		{"a name from DNS may lack the final dot", "10.0.0.6", "dotless.example"},
		{"an IPv6 address is looked up in DNS", "2001:db8::2", "two6.example"},
		{"a mapped address is looked up in DNS", "::ffff:192.0.2.33", "mapped33.example"},
		{"DNS has no name for the address", "192.0.2.1", ""},
		{"the root domain is not a name", "192.0.2.2", ""},
		{"DNS does not have the address", "192.0.2.3", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			name, ok := r.HostName(t.Context(), netip.MustParseAddr(c.addr))
			if name != c.want || ok != (c.want != "") {
				t.Errorf("HostName(%s) = %q, %v, want %q", c.addr, name, ok, c.want)
			}
		})
	}
}

func TestHostNameUsesANameThatDNSReturnsWithAnError(t *testing.T) {
	dns := &fakeDNS{
		names: map[string][]string{"192.0.2.1": {"good.example."}},
		err:   &net.DNSError{Err: "DNS response contained records which contain invalid names"},
	}
	name, ok := newResolver(t, dns).HostName(t.Context(), netip.MustParseAddr("192.0.2.1"))
	if name != "good.example" || !ok {
		t.Errorf("HostName = %q, %v, want good.example", name, ok)
	}
}

func TestAMissingFileIsAnEmptyFile(t *testing.T) {
	absent := filepath.Join(t.TempDir(), "absent")
	dns := &fakeDNS{names: map[string][]string{"127.0.0.1": {"from-dns."}}}
	r := NewFrom(absent, absent, dns)
	if name, _ := r.HostName(t.Context(), netip.MustParseAddr("127.0.0.1")); name != "from-dns" {
		t.Errorf("HostName without a hosts file = %q, want the DNS name", name)
	}
	if port, ok := r.Port("http", "tcp"); ok {
		t.Errorf("Port without a services file = %d", port)
	}
}

func TestAFileIsReadOnceOnFirstUse(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "services")
	r := NewFrom(filepath.Join(dir, "hosts"), path, &fakeDNS{})
	must.OK(t, os.WriteFile(path, []byte("first 1/tcp\n"), 0o600))
	if name, _ := r.ServiceName(1, "tcp"); name != "first" {
		t.Errorf("ServiceName of a file written after NewFrom = %q, want first", name)
	}
	must.OK(t, os.Remove(path))
	if name, _ := r.ServiceName(1, "tcp"); name != "first" {
		t.Errorf("ServiceName after the file is deleted = %q, want first", name)
	}
}

func TestAReverseLookupTimesOutAfterFiveSeconds(t *testing.T) {
	addr := netip.MustParseAddr("192.0.2.1")
	for _, c := range []struct {
		name        string
		delay, want time.Duration
		found       bool
	}{
		{"a reply after 4.9 s is in time", 4900 * time.Millisecond, 4900 * time.Millisecond, true},
		{"a reply after a minute is too late", time.Minute, 5 * time.Second, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			dns := &fakeDNS{names: map[string][]string{"192.0.2.1": {"slow.example."}}, delay: c.delay}
			r := newResolver(t, dns)
			synctest.Test(t, func(t *testing.T) {
				for _, want := range []time.Duration{c.want, 0} {
					start := time.Now()
					if name, ok := r.HostName(t.Context(), addr); ok != c.found {
						t.Errorf("HostName = %q, %v, want found %v", name, ok, c.found)
					}
					if got := time.Since(start); got != want {
						t.Errorf("HostName took %v, want %v", got, want)
					}
				}
			})
			if n := dns.queries["192.0.2.1"]; n != 1 {
				t.Errorf("%d DNS queries, want 1", n)
			}
		})
	}
}

func TestConcurrentCallersShareALookup(t *testing.T) {
	addr := netip.MustParseAddr("192.0.2.1")
	dns := &fakeDNS{
		names: map[string][]string{"192.0.2.1": {"www.example."}},
		addrs: map[string][]netip.Addr{"www.example": {addr}},
		delay: time.Second,
	}
	r := newResolver(t, dns)
	synctest.Test(t, func(t *testing.T) {
		var callers sync.WaitGroup
		for range 10 {
			callers.Go(func() {
				if name, _ := r.HostName(t.Context(), addr); name != "www.example" {
					t.Errorf("HostName = %q", name)
				}
				if got, err := r.Host4(t.Context(), "www.example"); got != addr {
					t.Errorf("Host4 = %v, %v", got, err)
				}
				if name, ok := r.HostName(t.Context(), addr.Next()); ok {
					t.Errorf("HostName of an unknown address = %q", name)
				}
				if _, err := r.Host4(t.Context(), "absent.example"); err == nil {
					t.Error("Host4 of an unknown name returned an address")
				}
			})
		}
		callers.Wait()
	})
	for _, q := range []string{"192.0.2.1", "192.0.2.2", "ip4 www.example", "ip4 absent.example"} {
		if n := dns.queries[q]; n != 1 {
			t.Errorf("%q: %d queries, want 1", q, n)
		}
	}
}

func TestPrefetch(t *testing.T) {
	var addrs []netip.Addr
	for addr := netip.MustParseAddr("192.0.2.1"); len(addrs) < 400; addr = addr.Next() {
		addrs = append(addrs, addr, addr)
	}
	dns := &fakeDNS{names: map[string][]string{"192.0.2.100": {"hundred.example."}}, delay: time.Second}
	r := newResolver(t, dns)
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		r.Prefetch(t.Context(), addrs)
		if got := time.Since(start); got != 4*time.Second {
			t.Errorf("200 lookups of 1 s took %v, want 4 s with %d at once", got, maxLookups)
		}
		for _, addr := range addrs {
			name, _ := r.HostName(t.Context(), addr)
			if is100 := addr == netip.MustParseAddr("192.0.2.100"); is100 != (name == "hundred.example") {
				t.Errorf("HostName(%v) = %q", addr, name)
			}
		}
		if got := time.Since(start); got != 4*time.Second {
			t.Errorf("HostName after Prefetch blocked: %v in total, want 4 s", got)
		}
	})
	if dns.peak != maxLookups {
		t.Errorf("at most %d lookups ran at once, want %d", dns.peak, maxLookups)
	}
	if len(dns.queries) != 200 {
		t.Errorf("queries for %d addresses, want 200", len(dns.queries))
	}
	for addr, n := range dns.queries {
		if n != 1 {
			t.Errorf("%s: %d queries, want 1", addr, n)
		}
	}
}

func TestALookupContinuesWhenItsCallerIsCanceled(t *testing.T) {
	addrs := []netip.Addr{netip.MustParseAddr("192.0.2.1")}
	for len(addrs) < 100 {
		addrs = append(addrs, addrs[len(addrs)-1].Next())
	}
	dns := &fakeDNS{names: map[string][]string{"192.0.2.1": {"one.example."}}, delay: 2 * time.Second}
	r := newResolver(t, dns)
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		r.Prefetch(ctx, addrs)
		if got := time.Since(start); got != time.Second {
			t.Errorf("Prefetch took %v, want 1 s as its context allows", got)
		}
		if _, err := r.Host4(ctx, "www.example"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Host4 after the deadline of its context: %v", err)
		}
		if name, _ := r.HostName(t.Context(), addrs[0]); name != "one.example" {
			t.Errorf("HostName for another caller = %q, want one.example", name)
		}
		if got := time.Since(start); got != 2*time.Second {
			t.Errorf("the running lookup returned after %v, want 2 s", got)
		}
	})
	if len(dns.queries) != maxLookups {
		t.Errorf("queries for %d addresses, want only the %d lookups that ran when the context was canceled", len(dns.queries), maxLookups)
	}
}
