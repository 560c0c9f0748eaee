// SPDX-License-Identifier: Apache-2.0

package names

import (
	"context"
	"sync"
)

// cache runs one lookup for each key and keeps the answer, errors included.
// The zero value is ready to use.
type cache[K comparable, V any] struct {
	mu      sync.Mutex
	answers map[K]*answer[V]
}

// answer is the result of a lookup. The value and error are set when done is
// closed.
type answer[V any] struct {
	done  chan struct{}
	value V
	err   error
}

// get returns the answer for key. The first caller starts the lookup, and
// later callers wait for the same answer. The lookup continues after ctx is
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

// cached returns the answer for key if its lookup has finished.
func (c *cache[K, V]) cached(key K) (a *answer[V], ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a = c.answers[key]; a == nil {
		return nil, false
	}
	select {
	case <-a.done:
		return a, true
	default:
		return nil, false
	}
}

// claim returns the answer for key, and reports whether the caller is the
// first to claim it and has to fill it in.
func (c *cache[K, V]) claim(key K) (a *answer[V], first bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a, found := c.answers[key]; found {
		return a, false
	}
	if c.answers == nil {
		c.answers = make(map[K]*answer[V])
	}
	a = &answer[V]{done: make(chan struct{})}
	c.answers[key] = a
	return a, true
}
