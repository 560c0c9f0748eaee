// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/names"
	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
)

// slowDNS replies after a delay. It has the hosts vip and web, and the errors
// of other lookups.
type slowDNS struct {
	noDNS
	delay time.Duration
	err   map[string]error // nil: the server does not answer
}

func (d slowDNS) LookupNetIP(ctx context.Context, _, host string) ([]netip.Addr, error) {
	select {
	case <-time.After(d.delay):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	switch host {
	case "vip":
		return []netip.Addr{netip.MustParseAddr("12.0.0.1")}, nil
	case "web":
		return []netip.Addr{netip.MustParseAddr("10.0.0.1")}, nil
	}
	if err := d.err[host]; err != nil {
		return nil, err
	}
	return nil, &net.DNSError{Err: "i/o timeout", Name: host, IsTimeout: true, IsTemporary: true}
}

// withDNS runs the program with a name server.
func (k *fakeKernel) withDNS(t *testing.T, dns names.DNS, stdin string, argv ...string) (a answer) {
	t.Helper()
	services := filepath.Join(t.TempDir(), "services")
	must.OK(t, os.WriteFile(services, []byte("http 80/tcp\n"), 0o600))
	p, done := k.process(&a, stdin, argv...)
	p.names = names.NewFrom("/dev/null", services, dns)
	a.status = p.start(t.Context())
	done()
	return a
}

// -R ends at a name that is not found. Each name that is found is looked up
// once.
func TestLinesOfARestoreWaitForANameOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, start := newFakeKernel(t, ""), time.Now()
		a := k.withDNS(t, slowDNS{delay: time.Second}, "-A -t vip:80\n-a -t vip:80 -r web:80\n-a -t vip:80 -r web:81 -m\n-A -t nohost:80\n-A -t [nohost]:80\n", "ipvsadm", "-R")
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("it took %v", took)
		}
		if a.errors != "line 4: illegal virtual server address[:port] specified\n" || len(k.changes()) != 3 {
			t.Errorf("%+v, %v", a, k.changes())
		}
	})
}

// Messages of ipvsadm-restore contain the name that was not found; those of a
// command line and of -R are the same as 1.31's.
// differs: names-not-found
func TestNamesThatAreNotFoundAreNamed(t *testing.T) {
	dns := slowDNS{err: map[string]error{
		"gone":    &net.DNSError{Err: "no such host", Name: "gone", IsNotFound: true},
		"other":   errors.New("unknown to another resolver"),
		"refused": &net.DNSError{Err: "read udp 127.0.0.1:33333->127.0.0.1:53: read: connection refused", IsTemporary: true},
		"failing": &net.DNSError{Err: "server misbehaving", IsTemporary: true},
	}}
	const virtual, server, mask = "illegal virtual server address[:port] specified", "illegal real server address[:port] specified", "illegal virtual server persistent mask specified"
	for _, c := range []struct{ line, original, ours string }{
		{"-A -t gone:80", virtual, "host gone not found"},
		{"-A -t other:80", virtual, "host other not found"},
		{"-a -t 12.0.0.1:80 -r gone", server, "host gone not found"},
		{"-A -t 12.0.0.1:80 -p -M gone", mask, "host gone not found"},
		{"-A -t silent:80", virtual, "can't look up host silent: no answer from the name server"},
		{"-A -t refused:80", virtual, "can't look up host refused: connection refused"},
		{"-A -t failing:80", virtual, "can't look up host failing: server misbehaving"},
		{"-A -t vip:htpp", virtual, "service htpp/tcp not found"},
		{"-a -u 12.0.0.1:53 -r web:htpp", server, "service htpp/udp not found"},
		{"-A -t 12.0.0.300:80", virtual, virtual},
		{"-A -t vip:70000", virtual, virtual},
		{"-A -t \x1bvip:80", virtual, virtual},
		{"-A -t [gone]:80", virtual, "host gone not found"},
		{"-A -t 12.0.0.1x:80", virtual, "can't look up host 12.0.0.1x: no answer from the name server"},
		{"-A -t gone:nosuch", virtual, "host gone not found"},
		{"-A -t [2001:db8::1]:nosuch", virtual, "service nosuch/tcp not found"},
		{"-A -t vip:80,443", virtual, virtual},
		{"-A -t a:b:80", virtual, virtual},
		{"-a -r web:http -t vip:80", server, server}, // the protocol follows later
		{"-A -t 2001:db8::g", virtual, virtual},
		{"-A -t http://12.0.0.1:80", virtual, virtual},
		{"-A -t vip:80 -p -M 1.2.3.*", mask, mask},
	} {
		k := newFakeKernel(t, "")
		for _, run := range []struct {
			stdin, want string
			argv        []string
		}{
			{c.line, "<stdin>: line 1: " + c.ours, restoreArgs(t)},
			{c.line, "line 1: " + c.original, []string{"ipvsadm", "-R"}},
			{"", c.original, append([]string{"ipvsadm"}, strings.Fields(c.line)...)},
		} {
			if a := k.withDNS(t, dns, run.stdin, run.argv...); a.status != statusUsage || a.errors != run.want+"\n" {
				t.Errorf("%s, %v: %+v, want %q", c.line, run.argv, a, run.want)
			}
		}
	}
}
