// SPDX-License-Identifier: Apache-2.0

// This file formats the connection table.

package render

import (
	"context"
	"iter"
	"net/netip"
	"strings"
	"time"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// prefetchRows is the number of connections in a batch, whose names are
// looked up together.
const prefetchRows = 1024

// Connections writes the titles and all rows. With the format PersistentConn
// it adds the persistence engine of connections that have one.
func (p *text) Connections(ctx context.Context, rows iter.Seq2[ipvs.Connection, error]) error {
	if err := p.connectionTitles(); err != nil {
		return err
	}
	var firstErr error
	var batch []ipvs.Connection
	for c, err := range rows {
		if err != nil {
			if firstErr == nil {
				firstErr = err
			}
			continue
		}
		batch = append(batch, c)
		if p.o.Numeric || len(batch) == prefetchRows {
			if err := p.connections(ctx, batch); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	if err := p.connections(ctx, batch); err != nil {
		return err
	}
	return firstErr
}

func (p *text) connectionTitles() error {
	const caption = "IPVS connection entries"
	title, engine := "pro expire state       source             virtual            destination", ""
	if p.o.Format == PersistentConn {
		engine = "        pe name          pe_data"
	}
	if p.wide != nil {
		p.wide.endLine([]byte(caption))
		columns := strings.Fields(title)
		if engine != "" {
			columns = append(columns, "pe name", "pe_data")
		}
		p.wide.addLine(columns...)
		return nil
	}
	return p.line(append(p.w.AvailableBuffer(), caption+"\n"+title+engine...))
}

func (p *text) connections(ctx context.Context, rows []ipvs.Connection) error {
	if !p.o.Numeric {
		addrs := make([]netip.Addr, 0, 3*len(rows))
		for i := range rows {
			addrs = append(addrs, rows[i].Client.Addr(), rows[i].Virtual.Addr(), rows[i].Destination.Addr())
		}
		p.names.Prefetch(ctx, addrs)
	}
	for i := range rows {
		if err := p.connection(ctx, &rows[i]); err != nil {
			return err
		}
	}
	return nil
}

func (p *text) connection(ctx context.Context, c *ipvs.Connection) error {
	proto := c.Protocol.Network()
	column := func(b []byte, ap netip.AddrPort, width int) []byte {
		b = p.gap(b)
		start := len(b)
		return p.endColumn(p.appendAddr(ctx, b, ap, proto), start, width)
	}
	b := p.endColumn(append(p.w.AvailableBuffer(), c.Protocol.String()...), 0, 3)
	b = p.gap(b)
	start := len(b)
	b = p.endColumn(appendExpiry(b, c.Expires), start, 6)
	b = p.column(b, c.State, 11)
	b = column(b, c.Client, 18)
	b = column(b, c.Virtual, 18)
	if p.o.Format != PersistentConn || c.PersistenceEngine == "" {
		return p.line(column(b, c.Destination, 0))
	}
	b = column(b, c.Destination, 16)
	b = p.column(b, c.PersistenceEngine, 18)
	return p.line(append(p.gap(b), c.PersistenceData...))
}

// appendExpiry appends minutes and seconds, each with at least two digits.
func appendExpiry(b []byte, d time.Duration) []byte {
	seconds := uint64(d / time.Second)
	b = appendTwoDigits(b, seconds/60)
	return appendTwoDigits(append(b, ':'), seconds%60)
}

func appendTwoDigits(b []byte, n uint64) []byte {
	if n < 10 {
		b = append(b, '0')
	}
	return appendRight(b, n, 0)
}
