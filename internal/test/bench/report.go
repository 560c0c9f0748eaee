// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"time"
)

// report prints results as they come, and finally compares them with the
// goals.
type report struct {
	w          io.Writer
	processors int // number in the guest
	rows       map[string][columns]result
}

func newReport(w io.Writer, release string, processors, count int) *report {
	fmt.Fprintf(w, `Linux %s, medians of %d rounds, milliseconds without those of an empty process,
and peak memory in MB. An empty process is /bin/true for 1.31, an empty Go
program for the others. One command is given whole. The floor sends messages
encoded beforehand, 500 to a system call, and for each list asks for the
services and for the servers of each service, decoding nothing; of one command
it is the start with the libraries that ours is built on.

`, release, count)
	fmt.Fprintf(w, "%-28s", "")
	for _, name := range columnNames[:emptyC] {
		fmt.Fprintf(w, "%16s", name)
	}
	fmt.Fprintf(w, "%16s\n", "empty: C, Go")
	return &report{w, processors, map[string][columns]result{}}
}

var columnNames = [...]string{original: "1.31", ours: "ours", floor: "floor", library: "pkg/ipvs", moby: "moby/ipvs", emptyC: "C", emptyGo: "Go"}

func (r *report) add(name string, results [columns]result) {
	r.rows[name] = results
	fmt.Fprintf(r.w, "%-28s", name)
	for c := range emptyC {
		if results[c].time == 0 {
			fmt.Fprintf(r.w, "%16s", "")
			continue
		}
		fmt.Fprintf(r.w, "%9.1f %3.0f MB", ms(r.net(name, c)), mb(results[c].memory))
	}
	fmt.Fprintf(r.w, "%10.1f %5.1f\n", ms(results[emptyC].time), ms(results[emptyGo].time))
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func mb(kib int64) float64 { return float64(kib) * 1024 / 1e6 }

// net returns the time of a program minus that of an empty process.
func (r *report) net(name string, c column) time.Duration {
	results := r.rows[name]
	if name == rowEdit {
		return results[c].time
	}
	return results[c].time - results[c.empty()].time
}

// ratio returns the time of a in rowA divided by that of b in rowB.
func (r *report) ratio(rowA string, a column, rowB string, b column) float64 {
	return float64(r.net(rowA, a)) / float64(r.net(rowB, b))
}

// judge prints the goals of the measured rows and reports whether all are
// met.
func (r *report) judge() bool {
	fmt.Fprintf(r.w, "\n%-62s%10s%12s\n", "", "is", "goal")
	all := true
	judge := func(what string, is float64, sign string, goal float64, unit string, met bool) {
		verdict := "met"
		if !met {
			verdict, all = "MISSED", false
		}
		fmt.Fprintf(r.w, "%-62s%8.2f%-2s%4s%6.2f%-2s  %s\n", what, is, unit, sign, goal, unit, verdict)
	}
	atMost := func(what string, is, goal float64, unit string) { judge(what, is, "<=", goal, unit, is <= goal) }
	ratio := func(what, name string, c, of column, goal float64) {
		if r.has(name) {
			atMost(name+": "+what, r.ratio(name, c, name, of), goal, "x")
		}
	}
	faster := func(name string, slow, fast column, goal float64) {
		if r.has(name) {
			is := r.ratio(name, slow, name, fast)
			judge(fmt.Sprintf("%s: %s is faster than %s", name, columnNames[fast], columnNames[slow]), is, ">=", goal, "x", is >= goal)
		}
	}
	memory := func(name string, goal float64) {
		if r.has(name) {
			atMost(name+": peak memory", mb(r.rows[name][ours].memory), goal, "MB")
		}
	}

	// With one processor the goals are for User Mode Linux, where system
	// calls and page faults are expensive, with more for a stock kernel.
	of := func(uml, stock float64) float64 {
		if r.processors == 1 {
			return uml
		}
		return stock
	}

	faster(rowRestore, original, ours, of(33, 15))
	ratio("takes the floor's time", rowRestore, ours, floor, of(10, 1.7))
	for _, name := range []string{rowList, rowStats, rowSave} {
		ratio("takes the time of the floor's list", name, ours, floor, of(1.1, 1.9))
		if r.processors > 1 {
			faster(name, original, ours, 1.7)
		}
	}
	ratio("takes the time of the floor's list", rowJSON, ours, floor, of(1.7, 2.3))
	faster(rowApply, original, ours, of(16, 9))
	ratio("takes an empty Go program's time, whole", rowEdit, ours, emptyGo, of(1.7, 1.35))
	if r.processors > 1 {
		ratio("takes 1.31's time, whole", rowEdit, ours, original, 1.1)
	}
	if r.has(rowEdit) {
		fmt.Fprintf(r.w, "%-62s%8.2fx\n", rowEdit+": takes the floor's, whole", r.ratio(rowEdit, ours, rowEdit, floor))
	}
	for _, name := range []string{rowRestore, rowList, rowStats, rowJSON, rowSave, rowApply, rowEdit} {
		memory(name, 24)
	}
	for _, size := range [][2]string{{rowRestore, rowLargeRestore}, {rowList, rowLargeList}} {
		small, large := size[0], size[1]
		if r.has(small, large) {
			growth := r.ratio(large, ours, small, ours) / r.ratio(large, floor, small, floor)
			atMost(large+": grows as the floor does", growth, 1, "x")
		}
		memory(large, 110)
	}
	faster(rowNames, original, ours, 9)
	faster(rowConns, original, ours, 3)
	memory(rowConns, 24)
	if r.has(rowFirst, rowConns) {
		atMost(rowFirst+": takes the time of 1.31's whole list", r.ratio(rowFirst, ours, rowConns, original), 0.1, "x")
	}
	if r.has(rowFind, rowConns) {
		atMost(rowFind+": takes the time of the whole list", r.ratio(rowFind, ours, rowConns, ours), 1, "x")
	}
	faster(rowFind, original, ours, 3)
	faster(rowRestore, moby, library, 10)
	faster(rowList, moby, library, 2)
	if r.has(rowList) {
		const destinations = 1000 * servers
		list := r.rows[rowList]
		atMost(rowList+": pkg/ipvs's allocations a destination", float64(list[library].allocs)/destinations, 1, "")
		fmt.Fprintf(r.w, "%-62s%8.2f\n", rowList+": moby/ipvs's", float64(list[moby].allocs)/destinations)
	}
	return all
}

// has reports whether all of these rows were measured.
func (r *report) has(names ...string) bool {
	for _, name := range names {
		if _, measured := r.rows[name]; !measured {
			return false
		}
	}
	return true
}
