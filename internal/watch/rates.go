// SPDX-License-Identifier: Apache-2.0

package watch

// This file calculates rates from counters. The kernel updates the counters
// that it reports only every two seconds, at a different time for each entry.
// If two readings are a second apart, a difference of counters therefore
// contains the traffic of either zero or two seconds, and dividing it by the
// time between the readings would make a steady rate alternate between zero
// and twice its value.
//
// Each update adds the traffic of exactly two seconds, so the difference is
// divided by the number of updates between the readings. That number is 0 or
// 1 in one second, 1 or 2 in three seconds, and so on. The kernel's own
// estimate of the rate shows which: it is a moving average that each update
// moves by a quarter of its distance from the rate.

import (
	"math"
	"time"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

const (
	// period is the time between two updates of a counter.
	period = 2 * time.Second
	// slack is the maximum delay of an update or a reading: the kernel's
	// timers can be late.
	slack = 100 * time.Millisecond
)

// meter is the state of the measurement of an entry's rates.
type meter struct {
	measured bool // the rates have been measured
	// synced means that the next update will add the traffic of a whole
	// period. The first update of a new entry adds less.
	synced bool
}

// decreased reports whether a counter has decreased, which means that the
// entry was zeroed or replaced.
func decreased(old, stats *ipvs.Stats) bool {
	return stats.Conns < old.Conns || stats.InPkts < old.InPkts || stats.OutPkts < old.OutPkts ||
		stats.InBytes < old.InBytes || stats.OutBytes < old.OutBytes
}

// measure sets the rates from the counters of two readings. It leaves them as
// they are if the kernel has not updated the counters in between.
func (m *meter) measure(old, stats *ipvs.Stats, elapsed time.Duration, f *figures) {
	idle := stats.Conns == old.Conns && stats.InPkts == old.InPkts && stats.OutPkts == old.OutPkts
	n := 1.0
	switch {
	case idle && stats.Rates.InBPS == old.Rates.InBPS && stats.Rates.InBPS != 0 && elapsed <= period+slack:
		return // no update: it would have lowered the average
	case !idle && !m.synced:
		m.synced = true
		return
	case !idle:
		added := float64(stats.InBytes - old.InBytes)
		n = countUpdates(float64(old.Rates.InBPS), float64(stats.Rates.InBPS), added, elapsed)
	}
	m.measured, m.synced = true, true
	rate := func(old, new uint64) float64 { return float64(new-old) / (n * period.Seconds()) }
	f[connRate] = rate(old.Conns, stats.Conns)
	f[inPkts] = rate(old.InPkts, stats.InPkts)
	f[outPkts] = rate(old.OutPkts, stats.OutPkts)
	f[inBytes] = rate(old.InBytes, stats.InBytes)
	f[outBytes] = rate(old.OutBytes, stats.OutBytes)
}

// countUpdates returns the number of updates between two readings, in which
// the kernel's average changed from oldAverage to average and the counter
// increased by added. It tries each number that is possible in the elapsed
// time: at a steady rate, each predicts a different average.
func countUpdates(oldAverage, average, added float64, elapsed time.Duration) float64 {
	periods := elapsed.Seconds() / period.Seconds()
	late := slack.Seconds() / period.Seconds()
	best, minError := 1.0, math.Inf(1)
	for n := max(1, math.Ceil(periods-late-1)); n <= max(1, math.Floor(periods+late+1)); n++ {
		rate := added / (n * period.Seconds())
		predicted := rate + (oldAverage-rate)*math.Pow(0.75, n)
		if e := math.Abs(predicted - average); e < minError {
			best, minError = n, e
		}
	}
	return best
}
