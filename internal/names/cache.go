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

// start returns the result for key, and starts the lookup if it is the first
// caller.
func (c *cache[K, V]) start(ctx context.Context, key K, lookup func(context.Context, K) (V, error)) *result[V] {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, found := c.results[key]
	if !found {
		if c.results == nil {
			c.results = map[K]*result[V]{}
		}
		r = &result[V]{done: make(chan struct{})}
		c.results[key] = r
		go func() {
			defer close(r.done)
			r.value, r.err = lookup(ctx, key)
		}()
	}
	return r
}

// get waits for the result for key. The lookup continues after ctx is
// canceled, since callers with other contexts may be waiting for it.
func (c *cache[K, V]) get(ctx context.Context, key K, lookup func(context.Context, K) (V, error)) (none V, err error) {
	if err := ctx.Err(); err != nil {
		return none, err
	}
	r := c.start(context.WithoutCancel(ctx), key, lookup)
	select {
	case <-r.done:
		return r.value, r.err
	case <-ctx.Done():
		return none, ctx.Err()
	}
}
