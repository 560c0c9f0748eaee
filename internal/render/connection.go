// SPDX-License-Identifier: Apache-2.0

// This file formats the connection table.

package render

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"net/netip"
	"strings"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// prefetchRows is the number of connections in a batch, whose names are
// looked up together.
const prefetchRows = 1024

// Connections writes the titles and all rows. With the format PersistentConn
// it adds the persistence engine of connections that have one.
func (p *text) Connections(ctx context.Context, rows iter.Seq2[ipvs.Connection, error]) error {
	p.connectionTitles()
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
	return cmp.Or(p.connections(ctx, batch), firstErr)
}

func (p *text) connectionTitles() {
	p.row("IPVS connection entries")
	titles := "pro expire state       source             virtual            destination"
	var engine []string
	if p.o.Format == PersistentConn {
		engine = []string{"        pe name          ", "pe_data"}
	}
	if p.o.Wide {
		p.row(append(strings.Fields(titles), engine...)...)
	} else {
		p.row(titles + strings.Join(engine, ""))
	}
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
		p.row(p.connection(ctx, &rows[i])...)
	}
	return p.err()
}

func (p *text) connection(ctx context.Context, c *ipvs.Connection) []string {
	proto := c.Protocol.Network()
	expires := seconds(c.Expires)
	cells := []string{
		left(c.Protocol.String(), 3),
		column(fmt.Sprintf("%02d:%02d", expires/60, expires%60), 6),
		column(c.State, 11),
		column(p.addr(ctx, c.Client, proto), 18),
		column(p.addr(ctx, c.Virtual, proto), 18),
	}
	destination := p.addr(ctx, c.Destination, proto)
	if p.o.Format != PersistentConn || c.PersistenceEngine == "" {
		return append(cells, column(destination, 0))
	}
	return append(cells, column(destination, 16), column(c.PersistenceEngine, 18), column(c.PersistenceData, 0))
}
