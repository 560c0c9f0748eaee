// SPDX-License-Identifier: Apache-2.0

// Package render writes tables, connections, timeouts and daemons for the
// list command. Each Writer has a form of its own.
package render

import (
	"context"
	"iter"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// Writer writes listings in one form. It is buffered, so Flush has to be
// called last. Each method returns the first write error, after which nothing
// more is written.
type Writer interface {
	// Table writes a whole table. It may sort the services in place.
	Table(ctx context.Context, info ipvs.Info, services []ipvs.ServiceEntry) error
	// Services writes services without the rest of the table, as for a
	// command that names one. It may sort them in place.
	Services(ctx context.Context, info ipvs.Info, services []ipvs.ServiceEntry) error
	// Connections writes connections. Rows that could not be read are
	// skipped; the first error of the sequence is returned at the end,
	// unless a write fails.
	Connections(ctx context.Context, rows iter.Seq2[ipvs.Connection, error]) error
	Timeouts(t ipvs.Timeouts) error
	Daemons(daemons []ipvs.Daemon) error
	Flush() error
}

// Options are the options of the list command that affect the output.
type Options struct {
	Format  Format
	Numeric bool // -n: no names of hosts and ports
	Exact   bool // --exact: every digit of a counter
	NoSort  bool // --nosort: the order of the kernel
	Wide    bool // --wide: columns as wide as what stands in them
}

// Format is what a listing shows of services and destinations.
type Format uint8

// The formats, each with its option of the list command.
const (
	Plain          Format = iota // none: forwarding method, weight, connections
	Stats                        // --stats: counters
	Rate                         // --rate: estimates of the last seconds
	Thresholds                   // --thresholds: thresholds and connections
	PersistentConn               // --persistent-conn: persistence templates; of a connection, its persistence engine
	TunnelInfo                   // --tun-info: as Plain, with the encapsulation
)
