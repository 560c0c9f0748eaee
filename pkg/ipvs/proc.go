// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"bytes"
	"context"
	"io"
	"os"
	"strconv"

	"github.com/ipvsadm-go/ipvsadm/internal/netns"
)

// proc opens a file of /proc/net in the client's network namespace.
func (c *Client) proc(ctx context.Context, name string) (f *os.File, err error) {
	ns, err := c.openNetNS(ctx)
	if err != nil {
		return nil, err
	}
	defer ns.Close()
	if e := netns.Within(ns, func() { f, err = os.Open("/proc/thread-self/net/" + name) }); e != nil {
		return nil, e
	}
	return f, err
}

// Totals returns the kernel's counters of all services of the client's
// network namespace, from /proc/net/ip_vs_stats. Unlike a sum over the
// services it does not fall when one is deleted. Zero resets it.
func (c *Client) Totals(ctx context.Context) (Stats, error) {
	s, err := c.totals(ctx)
	if err != nil {
		return s, &QueryError{Query: "get totals", Err: err}
	}
	return s, nil
}

func (c *Client) totals(ctx context.Context) (Stats, error) {
	f, err := c.proc(ctx, "ip_vs_stats")
	if err != nil {
		return Stats{}, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 4096))
	if err != nil {
		return Stats{}, err
	}
	return parseTotals(text)
}

// parseTotals reads the counters below two title lines, and the rates below a
// blank line and a third.
func parseTotals(text []byte) (s Stats, err error) {
	lines := bytes.Split(text, []byte("\n"))
	if len(lines) < 6 {
		return s, malformed("the totals have %d lines", len(lines))
	}
	words := append(bytes.Fields(lines[2]), bytes.Fields(lines[5])...)
	values := s.values()
	if len(words) != len(values) {
		return s, malformed("the totals have %d numbers, want %d", len(words), len(values))
	}
	for i, v := range values {
		if *v, err = strconv.ParseUint(string(words[i]), 16, 64); err != nil {
			return Stats{}, malformed("the totals have the number %q", words[i])
		}
	}
	return s, nil
}
