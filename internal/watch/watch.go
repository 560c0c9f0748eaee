// SPDX-License-Identifier: Apache-2.0

// Package watch is the live screen without its terminal. Readings of the table
// go into a Browser, and so do the keys that Decode finds in what is typed. It
// draws a Screen, and AppendDiff writes what turns the Screen before into that
// one. Nothing here reads, writes or asks for the time.
package watch

import (
	"time"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// Reading is the table at a time.
type Reading struct {
	At time.Time
	// Services are in the order in which a list has them, and so are the
	// destinations of each. They are kept and must not be altered.
	Services []ipvs.ServiceEntry
	// Partial means that entries may be missing: see ipvs.ErrChanging.
	Partial bool
}

// Look is what a terminal can show.
type Look struct {
	UTF8  bool // else ASCII
	Color bool
}
