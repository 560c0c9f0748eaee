// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"bytes"
	"context"
	"io"
	"os"
	"strconv"
)

// proc opens a file of /proc/net as it is in the client's network namespace.
func (c *Client) proc(ctx context.Context, name string) (*os.File, error) {
	ns, err := c.openNetNS(ctx)
	if err != nil {
		return nil, err
	}
	defer ns.Close()
	return openProc(ns, name)
}

// Totals returns what the kernel counts of all services together in the
// client's network namespace, /proc/net/ip_vs_stats. Unlike a sum over the
// services it does not fall when one is deleted. [Zero] resets it.
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
	for _, row := range []struct {
		line   int
		fields [5]*uint64
	}{
		{2, [...]*uint64{&s.Conns, &s.InPkts, &s.OutPkts, &s.InBytes, &s.OutBytes}},
		{5, [...]*uint64{&s.Rates.CPS, &s.Rates.InPPS, &s.Rates.OutPPS, &s.Rates.InBPS, &s.Rates.OutBPS}},
	} {
		if row.line >= len(lines) {
			return Stats{}, malformed("the totals have %d lines", len(lines))
		}
		rest := lines[row.line]
		for _, field := range row.fields {
			var word []byte
			word, rest = cutField(rest)
			if *field, err = strconv.ParseUint(string(word), 16, 64); err != nil {
				return Stats{}, malformed("the totals have the line %q", lines[row.line])
			}
		}
	}
	return s, nil
}
