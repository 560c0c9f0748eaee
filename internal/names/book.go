// SPDX-License-Identifier: Apache-2.0

package names

import (
	"context"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"
)

// bookTimeout limits the time for all look-ups of a book.
const bookTimeout = 10 * time.Second

// Book has names that can replace addresses and ports in a save: only those
// that a Resolver turns back into the same address or port. A hosts file may
// have one name for two addresses, and reverse DNS may return a name that DNS
// does not resolve.
type Book struct {
	resolver *Resolver
	hosts    map[netip.Addr]string
}

// Book looks up the names of all addrs, and then the addresses of these
// names, many at once. An address whose look-ups have not ended after 10
// seconds, or when ctx ends, has no name in the book.
func (r *Resolver) Book(ctx context.Context, addrs []netip.Addr) *Book {
	ctx, cancel := context.WithTimeout(ctx, bookTimeout)
	defer cancel()
	b := &Book{r, map[netip.Addr]string{}}
	var mu sync.Mutex
	r.forAll(addrs, func(addr netip.Addr) {
		name, found := r.HostName(ctx, addr)
		if !found {
			return
		}
		ask := r.Host4
		if addr.Is6() {
			ask = r.Host6
		}
		if back, err := ask(ctx, name); err == nil && back == addr {
			mu.Lock()
			defer mu.Unlock()
			b.hosts[addr] = name
		}
	})
	return b
}

// forAll calls do for each address, many at once.
func (r *Resolver) forAll(addrs []netip.Addr, do func(netip.Addr)) {
	distinct := slices.Compact(slices.SortedFunc(slices.Values(addrs), netip.Addr.Compare))
	queue := make(chan netip.Addr)
	var workers sync.WaitGroup
	for range min(lookUpLimit, len(distinct)) {
		workers.Go(func() {
			for addr := range queue {
				do(addr)
			}
		})
	}
	for _, addr := range distinct {
		queue <- addr
	}
	close(queue)
	workers.Wait()
}

// port returns the name of a port that leads back to it.
func (b *Book) port(port uint16, proto string) string {
	name, _ := b.resolver.ServiceName(port, proto)
	if _, err := strconv.Atoi(name); err == nil {
		return "" // it would be read back as another number
	}
	if back, found := b.resolver.Port(name, proto); !found || back != port {
		return ""
	}
	return name
}

// AppendAddrPort appends an address and port as a save has them: like
// Resolver.AppendAddrPort, but with the names of the book. A nil book has
// none.
func (b *Book) AppendAddrPort(text []byte, ap netip.AddrPort, proto string) []byte {
	if b == nil {
		return appendAddrPort(text, ap, "", "")
	}
	return appendAddrPort(text, ap, b.hosts[ap.Addr()], b.port(ap.Port(), proto))
}
