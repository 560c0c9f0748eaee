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

// bookTimeout limits the time for all lookups of a Book.
const bookTimeout = 10 * time.Second

// Book contains the names that a save writes instead of addresses and ports.
// It only has names that resolve to the same address or port again: a hosts
// file may have one name for two addresses, and reverse DNS may return a name
// that DNS does not resolve.
type Book struct {
	resolver *Resolver
	hosts    map[netip.Addr]string
}

// Book looks up the names of addrs, and checks each by resolving it again. It
// runs many lookups at once. An address whose lookups take longer than 10
// seconds, or are interrupted by ctx, has no name in the Book.
func (r *Resolver) Book(ctx context.Context, addrs []netip.Addr) *Book {
	ctx, cancel := context.WithTimeout(ctx, bookTimeout)
	defer cancel()
	b := &Book{r, map[netip.Addr]string{}}
	var mu sync.Mutex
	r.forEach(addrs, func(addr netip.Addr) {
		name, found := r.HostName(ctx, addr)
		if !found {
			return
		}
		resolve := r.Host4
		if addr.Is6() {
			resolve = r.Host6
		}
		if resolved, err := resolve(ctx, name); err == nil && resolved == addr {
			mu.Lock()
			defer mu.Unlock()
			b.hosts[addr] = name
		}
	})
	return b
}

// forEach calls f once for each distinct address, maxLookups at a time.
func (r *Resolver) forEach(addrs []netip.Addr, f func(netip.Addr)) {
	distinct := slices.Compact(slices.SortedFunc(slices.Values(addrs), netip.Addr.Compare))
	limit := make(chan struct{}, maxLookups)
	var lookups sync.WaitGroup
	for _, addr := range distinct {
		limit <- struct{}{}
		lookups.Go(func() {
			f(addr)
			<-limit
		})
	}
	lookups.Wait()
}

// serviceName returns the name of a port, or "" if the name does not resolve
// to the port again.
func (b *Book) serviceName(port uint16, proto string) string {
	name, _ := b.resolver.ServiceName(port, proto)
	if _, err := strconv.Atoi(name); err == nil {
		return "" // a restore would take it for a port number
	}
	if resolved, found := b.resolver.Port(name, proto); !found || resolved != port {
		return ""
	}
	return name
}

// AppendAddrPort is like Resolver.AppendAddrPort, but uses the names of the
// Book, so that a restore resolves them to the same address and port. A nil
// Book has no names.
func (b *Book) AppendAddrPort(text []byte, ap netip.AddrPort, proto string) []byte {
	if b == nil {
		return appendAddrPort(text, ap, "", "")
	}
	return appendAddrPort(text, ap, b.hosts[ap.Addr()], b.serviceName(ap.Port(), proto))
}
