// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// scales are the tables on the page about large tables. The growth of the
// second is relative to the first.
var scales = []struct {
	shape
	name  string
	watch int // interval in seconds, longer than a read of the table
}{
	{shape{1000, servers}, "1,000 services with 10 servers each", 2},
	{shape{10_000, servers}, "10,000 services with 10 servers each", 20},
}

// measureScale measures the tables whose names match only, and prints a
// section of the page.
func measureScale(bin, tmp string, count int, only string) error {
	wanted, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	s, release, err := newSuite(bin, tmp)
	if err != nil {
		return err
	}
	fmt.Printf("## Linux %s\n", release)
	small := map[string][columns]result{}
	for i, of := range scales {
		if !wanted.MatchString(of.name) {
			continue
		}
		fmt.Printf("\n| %s | 1.31 | ours | floor | ours, peak memory |", of.name)
		if i == 1 {
			fmt.Print(" growth: 1.31, ours, floor |")
		}
		fmt.Print("\n|---|--:|--:|--:|--:|")
		if i == 1 {
			fmt.Print("--:|")
		}
		fmt.Println()
		rounds := count
		if i > 0 {
			rounds = 1 // it takes minutes
		}
		t, err := s.table(of.shape)
		if err != nil {
			return err
		}
		for _, r := range s.scaleRows(t, of.watch) {
			r.timed = s.tool("timed").args[0]
			took, err := r.measure(rounds)
			if err != nil {
				return fmt.Errorf("%s: %s: %w", of.name, r.name, err)
			}
			for c := range columns {
				if r.interval == 0 && took[c].time > 0 && c < emptyC {
					took[c].time -= took[c.empty()].time
				}
			}
			fmt.Printf("| %s | %s | %s | %s | %s |", r.name, seconds(took[original]), seconds(took[ours]), seconds(took[floor]), peakMemory(took[ours]))
			if i == 0 {
				small[r.name] = took
			} else {
				was := small[r.name]
				fmt.Printf(" %s, %s, %s |", growth(was[original], took[original]), growth(was[ours], took[ours]), growth(was[floor], took[floor]))
			}
			fmt.Println()
		}
	}
	return nil
}

// seconds returns the time with two significant digits, or "" if it was not
// measured.
func seconds(r result) string {
	if r == (result{}) {
		return ""
	}
	digits := 2
	for t := r.time; t >= 995*time.Millisecond && digits > 0; t /= 10 { // 995 ms is 1.0 s
		digits--
	}
	return strconv.FormatFloat(r.time.Seconds(), 'f', digits, 64) + " s"
}

func peakMemory(r result) string {
	if r == (result{}) {
		return ""
	}
	return fmt.Sprintf("%.0f MB", mb(r.memory))
}

// growth returns the time of the larger table divided by that of the smaller.
func growth(small, large result) string {
	if small.time == 0 || large.time == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f", float64(large.time)/float64(small.time))
}

// scaleRows returns the rows of a table.
func (s suite) scaleRows(t table, watch int) []row {
	restore := s.both(t.rules, "ipvsadm-restore")
	delete(restore, ours)
	return []row{
		{name: "`-R` into an empty table", fresh: true, programs: with(s.both(t.rules, "ipvsadm", "-R"), map[column]program{floor: t.fill})},
		{name: "`-Ln`", table: t.fill, programs: with(s.both("", "ipvsadm", "-Ln"), map[column]program{floor: t.floor(s)})},
		{name: "`-Sn`", table: t.fill, programs: s.both("", "ipvsadm", "-Sn")},
		{name: "`ipvsadm-restore --diff`, no difference", table: t.fill, programs: s.alone(t.rules, "ipvsadm-restore", "--diff")},
		{name: "`ipvsadm-restore`, no change", table: t.fill, programs: s.alone(t.rules, "ipvsadm-restore")},
		{name: "`--watch`, processor time of one interval", table: t.fill, interval: watch, programs: map[column]program{ours: s.watch(watch)}},
		{name: "`ipvsadm-restore` of 1.31", table: t.fill, programs: restore},
	}
}
