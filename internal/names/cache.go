// SPDX-License-Identifier: Apache-2.0

package names

import (
	"context"
	"sync"
)

// cache runs one lookup for each key and keeps the result, errors included.
// The zero value is ready to use.
type cache[K comparable, V any] struct {
	mu      sync.Mutex
	results map[K]*result[V]
}

// result is the result of a lookup. Its value and error are set when done is
// closed.
type result[V any] struct {
	done  chan struct{}
	value V
	err   error
}

// get returns the result for key. The first caller starts the lookup, and
// later callers wait for the same result. The lookup continues after ctx is
// canceled, since callers with other contexts may be waiting for it.
func (c *cache[K, V]) get(ctx context.Context, key K, lookup func(context.Context, K) (V, error)) (V, error) {
	var none V
	if err := ctx.Err(); err != nil {
		return none, err
	}
	a, first := c.claim(key)
	if first {
		go func() {
			defer close(a.done)
			a.value, a.err = lookup(context.WithoutCancel(ctx), key)
		}()
	}
	select {
	case <-a.done:
		return a.value, a.err
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

// cached returns the result for key if its lookup has finished.
func (c *cache[K, V]) cached(key K) (a *result[V], ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a = c.results[key]; a == nil {
		return nil, false
	}
	select {
	case <-a.done:
		return a, true
	default:
		return nil, false
	}
}

// claim returns the result for key, and reports whether the caller is the
// first to claim it and has to fill it in.
func (c *cache[K, V]) claim(key K) (a *result[V], first bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a, found := c.results[key]; found {
		return a, false
	}
	if c.results == nil {
		c.results = make(map[K]*result[V])
	}
	a = &result[V]{done: make(chan struct{})}
	c.results[key] = a
	return a, true
}
