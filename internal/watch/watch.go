// SPDX-License-Identifier: Apache-2.0

// Package watch implements the live screen, independent of the terminal. A
// Browser receives readings of the table and keys, which Decode parses from
// terminal input, and draws a Screen. Screen.AppendDiff writes the changes
// from the previous Screen to the terminal.
//
// The package does no input or output and does not use the clock.
package watch

import (
	"time"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// Reading is the table at one point in time.
type Reading struct {
	At time.Time
	// Services and their destinations are in the order of a listing. They
	// are retained and must not be modified.
	Services []ipvs.ServiceEntry
}

// Display describes the abilities of a terminal.
type Display struct {
	UTF8  bool // it can show UTF-8; otherwise only ASCII
	Color bool
}
