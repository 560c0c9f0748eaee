// SPDX-License-Identifier: Apache-2.0

package watch

// This file makes rates from counters. The kernel does not bring the counters
// of an entry up to date as it counts, but every two seconds, at times that
// differ from entry to entry. A difference of counters over the time between
// two readings would be off by up to two seconds' worth: read every second, a
// steady rate would alternate between zero and twice its value.
//
// What is known exactly is what each update adds: the traffic of two seconds.
// So a difference is divided by the number of updates that it is made of. That
// number is 0 or 1 in a second, 1 or 2 in three seconds, and so forth. Which of
// them it is the kernel's own estimate tells, a moving average that each update
// brings nearer to the rate: it takes a quarter of the difference.

import (
	"math"
	"time"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

const (
	// period is the time between two updates of a counter.
	period = 2 * time.Second
	// slack is how much longer two updates may lie apart, since the kernel's
	// timers are late, and how late a reading may be.
	slack = 100 * time.Millisecond
)

// meter measures the rates of one entry.
type meter struct {
	known bool // there are rates
	// begun means that an update was seen, or that the entry is old enough to
	// have had one: what the first one adds is the traffic of a shorter time.
	begun bool
}

// fell reports whether a counter went back, since the entry was zeroed or
// replaced.
func fell(before, now *ipvs.Stats) bool {
	return now.Conns < before.Conns || now.InPkts < before.InPkts || now.OutPkts < before.OutPkts ||
		now.InBytes < before.InBytes || now.OutBytes < before.OutBytes
}

// next measures the counters of a reading that comes some time after another,
// and sets the rates, unless they are as before.
func (m *meter) next(before, now *ipvs.Stats, elapsed time.Duration, f *figures) {
	idle := now.Conns == before.Conns && now.InPkts == before.InPkts && now.OutPkts == before.OutPkts
	n := 1.0
	switch {
	case idle && now.Rates.InBPS == before.Rates.InBPS && now.Rates.InBPS != 0 && elapsed <= period+slack:
		return // no update, the average would have fallen
	case !idle && !m.begun:
		m.begun = true
		return
	case !idle:
		n = updates(float64(before.Rates.InBPS), float64(now.Rates.InBPS), float64(now.InBytes-before.InBytes), elapsed)
	}
	m.known, m.begun = true, true
	rate := func(before, now uint64) float64 { return float64(now-before) / (n * period.Seconds()) }
	f[connRate] = rate(before.Conns, now.Conns)
	f[inPkts] = rate(before.InPkts, now.InPkts)
	f[outPkts] = rate(before.OutPkts, now.OutPkts)
	f[inBytes] = rate(before.InBytes, now.InBytes)
	f[outBytes] = rate(before.OutBytes, now.OutBytes)
}

// updates returns how many updates have added so much to a counter, if they
// have brought the average of the rate from before to now: the number, of those
// that the time allows, for which a steady rate explains that best.
func updates(before, now, added float64, elapsed time.Duration) float64 {
	periods := elapsed.Seconds() / period.Seconds()
	late := slack.Seconds() / period.Seconds()
	best, least := 1.0, math.Inf(1)
	for n := max(1, math.Ceil(periods-late-1)); n <= max(1, math.Floor(periods+late+1)); n++ {
		rate := added / (n * period.Seconds())
		average := rate + (before-rate)*math.Pow(0.75, n)
		if off := math.Abs(average - now); off < least {
			best, least = n, off
		}
	}
	return best
}
