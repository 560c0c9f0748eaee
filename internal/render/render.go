// SPDX-License-Identifier: Apache-2.0

// Package render writes tables, connections, timeouts and daemons for the
// list command, in a form for each Writer.
package render

import (
	"context"
	"iter"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// Writer writes listings in one form. It gathers what it writes, so Flush has
// to come last. Each method returns the first error of writing, after which
// nothing more is written.
type Writer interface {
	// Table writes a whole table. It may sort the services in place.
	Table(ctx context.Context, info ipvs.Info, services []ipvs.ServiceEntry) error
	// Services writes services by themselves, as a named one is listed. It may
	// sort them in place.
	Services(ctx context.Context, info ipvs.Info, services []ipvs.ServiceEntry) error
	// Connections writes connections. Rows that could not be read are left out;
	// the first error of the sequence is returned at the end, if nothing worse
	// happens.
	Connections(ctx context.Context, rows iter.Seq2[ipvs.Connection, error]) error
	Timeouts(t ipvs.Timeouts) error
	Daemons(daemons []ipvs.Daemon) error
	Flush() error
}

// Options are the options of the list command that bear on what is printed.
type Options struct {
	Format  Format
	Numeric bool // -n: no names of hosts and ports
	Exact   bool // --exact: every digit of a counter
	NoSort  bool // --nosort: the order of the kernel
	Wide    bool // --wide: columns as wide as what stands in them
}

// Format is what a listing tells of services and destinations.
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
