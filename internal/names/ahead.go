// SPDX-License-Identifier: Apache-2.0

package names

import (
	"context"
	"errors"
	"net/netip"
	"sync"
)

// ErrPending is the error of a host name that is being looked up.
var ErrPending = errors.New("the look-up has not ended")

// Ahead is a Resolver that does not wait: what DNS has to be asked is looked up in the background,
// many names at once, and the answer is ErrPending until then. Whoever has to have an answer asks
// the Resolver, which waits for the same look-up. It is safe for concurrent use.
type Ahead struct {
	resolver *Resolver

	mu      sync.Mutex
	pending map[question]bool // waiting in the queue, or under way
	queue   []question
	workers int
}

// Ahead returns an Ahead of the resolver, with whom it shares the answers.
func (r *Resolver) Ahead() *Ahead {
	return &Ahead{resolver: r, pending: map[question]bool{}}
}

// Host4 is as that of a Resolver. A look-up that it begins ends with ctx.
func (a *Ahead) Host4(ctx context.Context, s string) (netip.Addr, error) {
	if addr, ok := ParseIPv4(s); ok {
		return addr, nil
	}
	return a.ask(ctx, question{"ip4", s})
}

// Host6 is as that of a Resolver. A look-up that it begins ends with ctx.
func (a *Ahead) Host6(ctx context.Context, s string) (netip.Addr, error) {
	return a.ask(ctx, question{"ip6", s})
}

// Port is that of the Resolver.
func (a *Ahead) Port(name, proto string) (uint16, bool) { return a.resolver.Port(name, proto) }

func (a *Ahead) ask(ctx context.Context, q question) (netip.Addr, error) {
	if answer, known := a.resolver.addresses.known(q); known {
		return answer.value, answer.err
	}
	if !askable(q.name) {
		return a.resolver.ask(ctx, q)
	}
	if _, found := a.resolver.inHosts(q); found {
		return a.resolver.ask(ctx, q)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.pending[q] {
		a.pending[q] = true
		a.queue = append(a.queue, q)
		if a.workers < lookUpLimit {
			a.workers++
			go a.work(ctx)
		}
	}
	return netip.Addr{}, ErrPending
}

// work looks up what is in the queue.
func (a *Ahead) work(ctx context.Context) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.queue) > 0 {
		q := a.queue[0]
		a.queue = a.queue[1:]
		a.mu.Unlock()
		_, _ = a.resolver.ask(ctx, q) // the answer is kept
		a.mu.Lock()
		delete(a.pending, q)
	}
	a.workers--
}
