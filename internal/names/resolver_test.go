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
10.0.0.4	nameless-line-passed-over
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

// fakeDNS answers from its tables and counts the questions, in total and
// concurrent ones. A name or address that is in neither table does not exist.
type fakeDNS struct {
	addrs map[string][]netip.Addr
	names map[string][]string
	err   error         // comes with every answer about an address
	delay time.Duration // before every answer

	mu             sync.Mutex
	asked          map[string]int
	atOnce, atMost int
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
	if f.asked == nil {
		f.asked = make(map[string]int)
	}
	f.asked[question]++
	f.atOnce++
	f.atMost = max(f.atMost, f.atOnce)
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		f.atOnce--
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
	return With(write("hosts", hostsText), write("services", servicesText), dns)
}

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
		{"the text of an address is no name", "123", "0.0.0.123"},
		{"inet_aton's forms are addresses", "0x0a.1", "10.0.0.1"},
		{"a name takes the first line that has it", "web", "10.0.0.1"},
		{"case does not count in a host name", "WEB.example.COM", "10.0.0.1"},
		{"an alias is as good as the name", "alias1", "10.0.0.1"},
		{"a second line for an address counts", "second", "10.0.0.1"},
		{"the hosts file comes before DNS", "web2", "10.0.0.2"},
		{"a comment ends the line", "web9", ""},
		{"::1 stands for 127.0.0.1", "only6", "127.0.0.1"},
		{"an IPv4-mapped line is an IPv4 one", "mapped", "10.0.0.7"},
		{"an IPv6 line is none", "lower6", ""},
		{"an indented line counts", "indented", "10.0.0.3"},
		{"a line may end in CR LF", "spaced", "10.0.0.9"},
		{"the last line needs no end", "unended", "10.0.0.11"},
		{"the hosts file takes no octal address", "octal", ""},
		{"the hosts file takes no short address", "short", ""},
		{"a final dot counts in the hosts file", "a.b.", "10.0.0.10"},
		{"a name with a final dot is for DNS", "web.", "192.0.2.5"},
		{"of many addresses DNS's first", "www.example.net", "192.0.2.2"},
		{"an IPv4-mapped answer is unwrapped", "wide.example", "192.0.2.3"},
		{"an empty answer is none", "none.example", ""},
		{"DNS does not know the name", "absent.example", ""},
		{"a failed address is not looked up", "1.2.3.256", ""},
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
		"10.0.0.1":          {"not-asked.example."},
		"10.0.0.5":          {"Five.example.", "other.example."},
		"10.0.0.6":          {"dotless.example"},
		"192.0.2.1":         {},
		"192.0.2.2":         {"."},
		"2001:db8::2":       {"two6.example."},
		"::ffff:127.0.0.1":  {"mapped-loopback.example."},
		"10.0.0.10":         {"not-asked.example."},
		"::ffff:192.0.2.33": {"mapped33.example."},
	}}
	r := newResolver(t, dns)
	for _, c := range []struct{ name, addr, want string }{
		{"the first name of the first line", "10.0.0.1", "Web.Example.com"},
		{"a later line's name can be the first of its address", "10.0.0.2", "web"},
		{"::1 answers for 127.0.0.1", "127.0.0.1", "six"},
		{"::1 answers for itself", "::1", "six"},
		{"127.0.0.1 does not answer for its mapped form", "::ffff:127.0.0.1", "mapped-loopback.example"},
		{"an IPv4-mapped line answers for IPv4", "10.0.0.7", "mapped"},
		{"an earlier plain line wins for IPv4", "10.0.0.8", "plain"},
		{"a plain line does not answer for the mapped form", "::ffff:10.0.0.8", "mapped8"},
		{"IPv6 text of any case is the same address", "2001:db8::1", "Upper6"},
		{"a scoped line is none", "fe80::1", ""},
		{"a line without a name is passed over", "10.0.0.4", "nameless-line-passed-over"},
		{"a name of digits is a name", "10.0.0.10", "123"},
		{"CR LF is no part of the name", "10.0.0.9", "spaced"},
		{"DNS's first name, without the final dot", "10.0.0.5", "Five.example"},
		{"DNS's name may come without the dot", "10.0.0.6", "dotless.example"},
		{"DNS knows IPv6 addresses", "2001:db8::2", "two6.example"},
		{"DNS is asked about mapped addresses", "::ffff:192.0.2.33", "mapped33.example"},
		{"no name in the answer", "192.0.2.1", ""},
		{"the root is no name", "192.0.2.2", ""},
		{"DNS does not know the address", "192.0.2.3", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			name, ok := r.HostName(t.Context(), netip.MustParseAddr(c.addr))
			if name != c.want || ok != (c.want != "") {
				t.Errorf("HostName(%s) = %q, %v, want %q", c.addr, name, ok, c.want)
			}
		})
	}
}

func TestHostNameKeepsAGoodNameBesideAnError(t *testing.T) {
	dns := &fakeDNS{
		names: map[string][]string{"192.0.2.1": {"good.example."}},
		err:   &net.DNSError{Err: "DNS response contained records which contain invalid names"},
	}
	name, ok := newResolver(t, dns).HostName(t.Context(), netip.MustParseAddr("192.0.2.1"))
	if name != "good.example" || !ok {
		t.Errorf("HostName = %q, %v, want good.example", name, ok)
	}
}

func TestPort(t *testing.T) {
	r := newResolver(t, &fakeDNS{})
	for _, c := range []struct {
		name, service, proto string
		want                 uint16
		found                bool
	}{
		{"the name", "http", "tcp", 80, true},
		{"the name for another protocol", "http", "udp", 80, true},
		{"an alias", "web", "tcp", 80, true},
		{"an alias on an earlier line wins over a name", "www", "tcp", 80, true},
		{"an alias belongs to its protocol", "www", "udp", 0, false},
		{"an alias of a later line for the port", "later", "tcp", 80, true},
		{"case counts in a name", "case", "tcp", 0, false},
		{"case counts in an alias", "alias", "tcp", 0, false},
		{"case counts in a protocol", "upper", "tcp", 0, false},
		{"a comment may touch the entry", "glued", "tcp", 83, true},
		{"an indented line counts", "indented", "tcp", 84, true},
		{"a blank before the slash spoils the line", "spaced", "tcp", 0, false},
		{"a comma is no slash", "comma", "tcp", 0, false},
		{"a line without a protocol is none", "nothing", "tcp", 0, false},
		{"a line with an empty protocol is none", "protoless", "", 0, false},
		{"more than one slash passes", "double", "tcp", 89, true},
		{"an octal port", "octal", "tcp", 64, true},
		{"a hexadecimal port", "hex", "tcp", 90, true},
		{"port 0", "zero", "tcp", 0, true},
		{"a port beyond 65535 is none", "wide", "tcp", 0, false},
		{"a negative port is none", "negative", "tcp", 0, false},
		{"SCTP has its own entries", "sip", "sctp", 5060, true},
		{"SCTP does not borrow TCP's", "http", "sctp", 0, false},
		{"a line may end in CR LF", "cr", "tcp", 93, true},
		{"the last line needs no end", "unended", "tcp", 94, true},
		{"a comment's word is no name", "WorldWideWeb", "tcp", 0, false},
		{"the empty name", "", "tcp", 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			port, ok := r.Port(c.service, c.proto)
			if port != c.want || ok != c.found {
				t.Errorf("Port(%q, %q) = %d, %v, want %d, %v", c.service, c.proto, port, ok, c.want, c.found)
			}
		})
	}
}

func TestServiceName(t *testing.T) {
	r := newResolver(t, &fakeDNS{})
	for _, c := range []struct {
		name  string
		port  uint16
		proto string
		want  string
	}{
		{"the first line for the port", 80, "tcp", "http"},
		{"another protocol", 80, "udp", "http"},
		{"a protocol without the port", 80, "sctp", ""},
		{"the name as it is written", 81, "tcp", "Case"},
		{"a name that is an alias elsewhere", 92, "tcp", "www"},
		{"port 0", 0, "tcp", "zero"},
		{"SCTP", 5060, "sctp", "sip"},
		{"an unknown port", 65535, "tcp", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			name, ok := r.ServiceName(c.port, c.proto)
			if name != c.want || ok != (c.want != "") {
				t.Errorf("ServiceName(%d, %q) = %q, %v, want %q", c.port, c.proto, name, ok, c.want)
			}
		})
	}
}

func TestMissingFilesHoldNoNames(t *testing.T) {
	absent := filepath.Join(t.TempDir(), "absent")
	dns := &fakeDNS{names: map[string][]string{"127.0.0.1": {"from-dns."}}}
	r := With(absent, absent, dns)
	if name, _ := r.HostName(t.Context(), netip.MustParseAddr("127.0.0.1")); name != "from-dns" {
		t.Errorf("HostName without a hosts file = %q, want the DNS name", name)
	}
	if port, ok := r.Port("http", "tcp"); ok {
		t.Errorf("Port without a services file = %d", port)
	}
}

func TestAFileIsReadAtItsFirstUseAndNeverAgain(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "services")
	r := With(filepath.Join(dir, "hosts"), path, &fakeDNS{})
	must.OK(t, os.WriteFile(path, []byte("first 1/tcp\n"), 0o600))
	if name, _ := r.ServiceName(1, "tcp"); name != "first" {
		t.Errorf("a file written after With gives %q, want first", name)
	}
	must.OK(t, os.Remove(path))
	if name, _ := r.ServiceName(1, "tcp"); name != "first" {
		t.Errorf("after the file is gone: %q, want first", name)
	}
}

func TestASlowReverseLookUpGivesUpAfterFiveSeconds(t *testing.T) {
	addr := netip.MustParseAddr("192.0.2.1")
	for _, c := range []struct {
		name        string
		delay, took time.Duration
		found       bool
	}{
		{"an answer after 4.9 s is in time", 4900 * time.Millisecond, 4900 * time.Millisecond, true},
		{"an answer after a minute is not awaited", time.Minute, 5 * time.Second, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			dns := &fakeDNS{names: map[string][]string{"192.0.2.1": {"slow.example."}}, delay: c.delay}
			r := newResolver(t, dns)
			synctest.Test(t, func(t *testing.T) {
				for _, took := range []time.Duration{c.took, 0} {
					start := time.Now()
					if name, ok := r.HostName(t.Context(), addr); ok != c.found {
						t.Errorf("HostName = %q, %v, want found %v", name, ok, c.found)
					}
					if got := time.Since(start); got != took {
						t.Errorf("HostName took %v, want %v", got, took)
					}
				}
			})
			if n := dns.asked["192.0.2.1"]; n != 1 {
				t.Errorf("DNS was asked %d times, want once", n)
			}
		})
	}
}

func TestOneLookUpForEachQuestion(t *testing.T) {
	addr := netip.MustParseAddr("192.0.2.1")
	dns := &fakeDNS{
		names: map[string][]string{"192.0.2.1": {"www.example."}},
		addrs: map[string][]netip.Addr{"www.example": {addr}},
		delay: time.Second,
	}
	r := newResolver(t, dns)
	synctest.Test(t, func(t *testing.T) {
		var askers sync.WaitGroup
		for range 10 {
			askers.Go(func() {
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
					t.Error("Host4 of an unknown name gave an address")
				}
			})
		}
		askers.Wait()
	})
	for _, q := range []string{"192.0.2.1", "192.0.2.2", "ip4 www.example", "ip4 absent.example"} {
		if n := dns.asked[q]; n != 1 {
			t.Errorf("DNS was asked %q %d times, want once", q, n)
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
			t.Errorf("200 look-ups of 1 s took %v, want 4 s with %d at once", got, lookUpLimit)
		}
		for _, addr := range addrs {
			name, _ := r.HostName(t.Context(), addr)
			if is100 := addr == netip.MustParseAddr("192.0.2.100"); is100 != (name == "hundred.example") {
				t.Errorf("HostName(%v) = %q", addr, name)
			}
		}
		if got := time.Since(start); got != 4*time.Second {
			t.Errorf("after Prefetch, HostName waited: %v in all, want 4 s", got)
		}
	})
	if dns.atMost != lookUpLimit {
		t.Errorf("at most %d look-ups were under way at once, want %d", dns.atMost, lookUpLimit)
	}
	if len(dns.asked) != 200 {
		t.Errorf("DNS was asked about %d addresses, want 200", len(dns.asked))
	}
	for addr, n := range dns.asked {
		if n != 1 {
			t.Errorf("DNS was asked about %s %d times, want once", addr, n)
		}
	}
}

func TestAnEndedContextEndsTheWaitAndNotTheLookUp(t *testing.T) {
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
			t.Errorf("Prefetch took %v beyond its context's second", got)
		}
		if _, err := r.Host4(ctx, "www.example"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Host4 with an ended context: %v", err)
		}
		if name, _ := r.HostName(t.Context(), addrs[0]); name != "one.example" {
			t.Errorf("HostName for another asker = %q, want one.example", name)
		}
		if got := time.Since(start); got != 2*time.Second {
			t.Errorf("the look-up under way answered after %v, want 2 s", got)
		}
	})
	if len(dns.asked) != lookUpLimit {
		t.Errorf("DNS was asked %d questions, want only the %d under way when the context ended", len(dns.asked), lookUpLimit)
	}
}
