// SPDX-License-Identifier: Apache-2.0

package names

import (
	"context"
	"sync"
)

// cache asks each question once and keeps the answer, errors included. The
// zero value is ready to use.
type cache[K comparable, V any] struct {
	mu      sync.Mutex
	answers map[K]*answer[V]
}

// answer holds its value and error once done is closed.
type answer[V any] struct {
	done  chan struct{}
	value V
	err   error
}

// get returns the answer to key. The first caller asks for it, and those that
// come meanwhile wait for the same answer. The look-up continues when ctx
// ends, since its answer also serves callers with another context.
func (c *cache[K, V]) get(ctx context.Context, key K, ask func(context.Context, K) (V, error)) (V, error) {
	var none V
	if err := ctx.Err(); err != nil {
		return none, err
	}
	a, first := c.claim(key)
	if first {
		go func() {
			defer close(a.done)
			a.value, a.err = ask(context.WithoutCancel(ctx), key)
		}()
	}
	select {
	case <-a.done:
		return a.value, a.err
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

// known returns the answer to key if there is one by now.
func (c *cache[K, V]) known(key K) (a *answer[V], known bool) {
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

// claim returns the place for key's answer, and reports whether the caller is
// the first, which fills it in.
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
