// SPDX-License-Identifier: Apache-2.0

package names

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

func TestAsyncDoesNotBlock(t *testing.T) {
	known := netip.MustParseAddr("192.0.2.7")
	dns := &fakeDNS{addrs: map[string][]netip.Addr{"host7.example": {known}}, delay: time.Second}
	r := newResolver(t, dns)
	const hosts = 200
	name := func(i int) string { return fmt.Sprintf("host%d.example", i) }
	synctest.Test(t, func(t *testing.T) {
		a, start := r.Async(), time.Now()
		for range 2 {
			for i := range hosts {
				if _, err := a.Host4(t.Context(), name(i)); !errors.Is(err, ErrPending) {
					t.Errorf("%s: %v", name(i), err)
				}
			}
		}
		if elapsed := time.Since(start); elapsed != 0 {
			t.Errorf("Host4 blocked for %v", elapsed)
		}
		for i := range hosts {
			if addr, err := r.Host4(t.Context(), name(i)); (err == nil) != (i == 7) || i == 7 && addr != known {
				t.Errorf("%s: %v, %v", name(i), addr, err)
			}
		}
		if elapsed := time.Since(start); elapsed != 4*time.Second {
			t.Errorf("%d lookups of 1 s took %v, want 4 s with %d at once", hosts, elapsed, maxLookups)
		}
		for i := range hosts {
			if addr, err := a.Host4(t.Context(), name(i)); errors.Is(err, ErrPending) || i == 7 && addr != known {
				t.Errorf("%s after its lookup: %v, %v", name(i), addr, err)
			}
		}
	})
	if dns.peak > maxLookups+1 { // plus the one of r.Host4
		t.Errorf("%d lookups at once, want at most %d", dns.peak, maxLookups+1)
	}
	for question, n := range dns.queries {
		if n != 1 {
			t.Errorf("%s: %d queries, want 1", question, n)
		}
	}
	if len(dns.queries) != hosts {
		t.Errorf("queries for %d names, want %d", len(dns.queries), hosts)
	}
}

func TestAsyncReturnsResultsWithoutDNS(t *testing.T) {
	dns := &fakeDNS{}
	r := newResolver(t, dns)
	a := r.Async()
	for _, s := range []string{"192.0.2.1", "10.1", "1.2.3.400", "a:b", "localhost", "localhost"} {
		want, wantErr := r.Host4(t.Context(), s)
		if addr, err := a.Host4(t.Context(), s); addr != want || fmt.Sprint(err) != fmt.Sprint(wantErr) {
			t.Errorf("Host4(%q) = %v, %v, want %v, %v", s, addr, err, want, wantErr)
		}
	}
	if addr, err := newResolver(t, dns).Async().Host4(t.Context(), "localhost"); err != nil || !addr.IsLoopback() {
		t.Errorf("Host4 of a name in the hosts file = %v, %v", addr, err)
	}
	if port, found := a.Port("http", "tcp"); port != 80 || !found {
		t.Errorf("Port = %d, %v", port, found)
	}
	if len(dns.queries) != 0 {
		t.Errorf("DNS queries: %v", dns.queries)
	}
}

func TestAsyncStopsWhenItsContextIsCanceled(t *testing.T) {
	dns := &fakeDNS{delay: 2 * time.Second}
	r := newResolver(t, dns)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		a := r.Async()
		for i := range 1000 {
			_, _ = a.Host6(ctx, fmt.Sprintf("host%d.example", i))
		}
		time.Sleep(time.Second)
		cancel()
		time.Sleep(time.Hour) // until the running lookups end
	})
	if len(dns.queries) != maxLookups {
		t.Errorf("queries for %d names, want only the %d lookups that ran when the context was canceled", len(dns.queries), maxLookups)
	}
}
