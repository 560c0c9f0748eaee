// SPDX-License-Identifier: Apache-2.0

// Package render formats tables, connections, timeouts and sync daemons for
// the list command, as text and JSON, and tables as metrics.
package render

import (
	"context"
	"iter"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// Writer writes listings in one format. Its output is buffered, so call Flush
// at the end. After a write error, every method returns that error and writes
// nothing.
type Writer interface {
	// Table writes a table. It may sort the services in place.
	Table(ctx context.Context, info ipvs.Info, services []ipvs.ServiceEntry) error
	// Connections writes connections. It skips rows with an error, and
	// returns the first such error at the end, unless a write fails.
	Connections(ctx context.Context, rows iter.Seq2[ipvs.Connection, error]) error
	Timeouts(t ipvs.Timeouts) error
	Daemons(daemons []ipvs.Daemon) error
	Flush() error
}

// Options are the options of the list command that affect the output.
type Options struct {
	Format  Format
	Named   bool   // a named service: text has no header, as in 1.31
	Numeric bool   // -n: addresses and ports without names
	Exact   bool   // --exact: all digits of counters
	NoSort  bool   // --nosort: the order of the kernel
	Wide    bool   // --wide: columns as wide as their contents
	NetNS   string // --netns: a label of metrics
}

// Format selects what a listing shows of services and destinations.
type Format uint8

// The formats, each with its option of the list command.
const (
	Default        Format = iota // forwarding method, weight, connections
	Stats                        // --stats: counters
	Rate                         // --rate: estimates of the current rates
	Thresholds                   // --thresholds: thresholds, connections
	PersistentConn               // --persistent-conn: persistence templates; for connections, the persistence engine
	TunnelInfo                   // --tun-info: as Default, with the encapsulation
)
