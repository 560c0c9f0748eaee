// SPDX-License-Identifier: Apache-2.0

package names

import (
	"context"
	"errors"
	"net/netip"
	"sync"
)

// ErrPending is the error for a host name whose lookup is still running.
var ErrPending = errors.New("lookup in progress")

// Async is a Resolver that does not block. It resolves host names that need
// DNS in the background, many at once, and returns ErrPending until the
// result is cached. To wait for the result, call the Resolver: both share
// their lookups. It is safe for concurrent use.
type Async struct {
	resolver *Resolver

	mu      sync.Mutex
	pending map[question]bool // queued or running
	queue   []question
	workers int
}

// Async returns an Async that shares the cache of the resolver.
func (r *Resolver) Async() *Async {
	return &Async{resolver: r, pending: map[question]bool{}}
}

// Host4 is like Resolver.Host4. A lookup that it starts is canceled with ctx.
func (a *Async) Host4(ctx context.Context, s string) (netip.Addr, error) {
	if addr, ok := ParseIPv4(s); ok {
		return addr, nil
	}
	return a.lookup(ctx, question{"ip4", s})
}

// Host6 is like Resolver.Host6. A lookup that it starts is canceled with ctx.
func (a *Async) Host6(ctx context.Context, s string) (netip.Addr, error) {
	return a.lookup(ctx, question{"ip6", s})
}

// Port is Resolver.Port, which never blocks.
func (a *Async) Port(name, proto string) (uint16, bool) { return a.resolver.Port(name, proto) }

func (a *Async) lookup(ctx context.Context, q question) (netip.Addr, error) {
	if result, ok := a.resolver.addresses.cached(q); ok {
		return result.value, result.err
	}
	if !isHostName(q.name) {
		return a.resolver.lookup(ctx, q)
	}
	if _, found := a.resolver.lookupHosts(q); found {
		return a.resolver.lookup(ctx, q)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.pending[q] {
		a.pending[q] = true
		a.queue = append(a.queue, q)
		if a.workers < maxLookups {
			a.workers++
			go a.work(ctx)
		}
	}
	return netip.Addr{}, ErrPending
}

// work resolves the names in the queue until it is empty.
func (a *Async) work(ctx context.Context) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.queue) > 0 {
		q := a.queue[0]
		a.queue = a.queue[1:]
		a.mu.Unlock()
		_, _ = a.resolver.lookup(ctx, q) // caches the result
		a.mu.Lock()
		delete(a.pending, q)
	}
	a.workers--
}
