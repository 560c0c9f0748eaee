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
func (c *cache[K, V]) get(ctx context.Context, key K, lookup func(context.Context, K) (V, error)) (none V, err error) {
	if err := ctx.Err(); err != nil {
		return none, err
	}
	c.mu.Lock()
	r, found := c.results[key]
	if !found {
		if c.results == nil {
			c.results = map[K]*result[V]{}
		}
		r = &result[V]{done: make(chan struct{})}
		c.results[key] = r
		go func() {
			defer close(r.done)
			r.value, r.err = lookup(context.WithoutCancel(ctx), key)
		}()
	}
	c.mu.Unlock()
	select {
	case <-r.done:
		return r.value, r.err
	case <-ctx.Done():
		return none, ctx.Err()
	}
}
