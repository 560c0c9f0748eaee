// SPDX-License-Identifier: Apache-2.0

package names

import (
	"context"
	"errors"
	"net/netip"
)

// ErrPending is the error for a host name whose lookup is still running.
var ErrPending = errors.New("lookup in progress")

// Async is a Resolver that does not block. It resolves host names that need
// DNS in the background, many at once, and returns ErrPending until the
// result is known. To wait for the result, call the Resolver: both share
// their lookups.
type Async struct {
	resolver *Resolver
	limit    chan struct{} // contains an element for each running lookup
}

// Async returns an Async that shares the cache of the resolver.
func (r *Resolver) Async() *Async { return &Async{r, make(chan struct{}, maxLookups)} }

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
	if !isHostName(q.name) {
		return netip.Addr{}, noSuchHost(q.name)
	}
	if addr, found := a.resolver.lookupHosts(q); found {
		return addr, nil
	}
	r := a.resolver.addresses.start(ctx, q, a.resolve)
	select {
	case <-r.done:
		return r.value, r.err
	default:
		return netip.Addr{}, ErrPending
	}
}

// resolve waits until fewer than maxLookups are running. A lookup that runs
// continues after ctx is canceled.
func (a *Async) resolve(ctx context.Context, q question) (netip.Addr, error) {
	a.limit <- struct{}{}
	defer func() { <-a.limit }()
	if err := ctx.Err(); err != nil {
		return netip.Addr{}, err
	}
	return a.resolver.resolveAddr(context.WithoutCancel(ctx), q)
}
