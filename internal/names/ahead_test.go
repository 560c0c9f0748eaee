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

func TestAheadDoesNotWait(t *testing.T) {
	known := netip.MustParseAddr("192.0.2.7")
	dns := &fakeDNS{addrs: map[string][]netip.Addr{"host7.example": {known}}, delay: time.Second}
	r := newResolver(t, dns)
	const hosts = 200
	name := func(i int) string { return fmt.Sprintf("host%d.example", i) }
	synctest.Test(t, func(t *testing.T) {
		a, start := r.Ahead(), time.Now()
		for range 2 {
			for i := range hosts {
				if _, err := a.Host4(t.Context(), name(i)); !errors.Is(err, ErrPending) {
					t.Errorf("%s: %v", name(i), err)
				}
			}
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("it waited %v", took)
		}
		for i := range hosts {
			if addr, err := r.Host4(t.Context(), name(i)); (err == nil) != (i == 7) || i == 7 && addr != known {
				t.Errorf("%s: %v, %v", name(i), addr, err)
			}
		}
		if took := time.Since(start); took != 4*time.Second {
			t.Errorf("%d look-ups of 1 s took %v, want 4 s with %d at once", hosts, took, lookUpLimit)
		}
		for i := range hosts {
			if addr, err := a.Host4(t.Context(), name(i)); errors.Is(err, ErrPending) || i == 7 && addr != known {
				t.Errorf("%s has been looked up: %v, %v", name(i), addr, err)
			}
		}
	})
	if dns.atMost > lookUpLimit+1 { // the one that is waited for
		t.Errorf("at most %d look-ups were under way at once, want %d", dns.atMost, lookUpLimit)
	}
	for question, n := range dns.asked {
		if n != 1 {
			t.Errorf("DNS was asked %s %d times", question, n)
		}
	}
	if len(dns.asked) != hosts {
		t.Errorf("DNS was asked %d questions, want %d", len(dns.asked), hosts)
	}
}

func TestAheadAnswersAtOnceWhatTakesNoLookUp(t *testing.T) {
	dns := &fakeDNS{}
	r := newResolver(t, dns)
	a := r.Ahead()
	for _, s := range []string{"192.0.2.1", "10.1", "1.2.3.400", "a:b", "localhost", "localhost"} {
		want, wantErr := r.Host4(t.Context(), s)
		if addr, err := a.Host4(t.Context(), s); addr != want || fmt.Sprint(err) != fmt.Sprint(wantErr) {
			t.Errorf("Host4(%q) = %v, %v, want %v, %v", s, addr, err, want, wantErr)
		}
	}
	if addr, err := newResolver(t, dns).Ahead().Host4(t.Context(), "localhost"); err != nil || !addr.IsLoopback() {
		t.Errorf("a name of the hosts file is %v, %v", addr, err)
	}
	if port, found := a.Port("http", "tcp"); port != 80 || !found {
		t.Errorf("Port is %d, %v", port, found)
	}
	if len(dns.asked) != 0 {
		t.Errorf("DNS was asked %v", dns.asked)
	}
}

func TestAheadEndsWithItsContext(t *testing.T) {
	dns := &fakeDNS{delay: 2 * time.Second}
	r := newResolver(t, dns)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		a := r.Ahead()
		for i := range 1000 {
			_, _ = a.Host6(ctx, fmt.Sprintf("host%d.example", i))
		}
		time.Sleep(time.Second)
		cancel()
		synctest.Wait()
		if a.workers != 0 || len(a.queue) != 0 {
			t.Errorf("%d workers go on with %d names", a.workers, len(a.queue))
		}
		time.Sleep(time.Hour) // what was under way ends
	})
	if len(dns.asked) != lookUpLimit {
		t.Errorf("DNS was asked %d questions, want only the %d under way when the context ended", len(dns.asked), lookUpLimit)
	}
}
