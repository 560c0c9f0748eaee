// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
	"time"
)

// TestGoalsAreThoseOfTheGuest uses a list time of 1.3 times the floor's,
// which meets the goal of one kind of guest only.
func TestGoalsAreThoseOfTheGuest(t *testing.T) {
	for _, c := range []struct {
		processors int
		verdict    string
		met        bool
	}{{1, "1.30x   <=  1.10x   MISSED", false}, {2, "1.30x   <=  1.90x   met", true}} {
		var out strings.Builder
		r := newReport(&out, "6.1.0", c.processors, 5)
		r.add(rowStats, [columns]result{
			original: {time: 5 * time.Second}, emptyC: {time: time.Second},
			ours: {time: 2300 * time.Millisecond}, floor: {time: 2 * time.Second}, emptyGo: {time: time.Second},
		})
		if met := r.judge(); met != c.met || !strings.Contains(out.String(), c.verdict) {
			t.Errorf("%d processors: met is %v, want %v and %s in\n%s", c.processors, met, c.met, c.verdict, out.String())
		}
	}
}
