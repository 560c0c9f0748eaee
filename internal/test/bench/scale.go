// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/test/guest"
)

// scales are the tables on the page about large tables. The growth of the
// second is relative to the first.
var scales = []struct {
	shape
	name  string
	watch int // interval in seconds, longer than a read of the table
}{
	{shape{1000, servers}, "1,000 services with 10 servers each", watchSeconds},
	{shape{10_000, servers}, "10,000 services with 10 servers each", 20},
}

// task is a row of the page. It works on an existing table, unless it creates
// one.
type task struct {
	name     string
	makes    bool
	interval int // as in row
	programs map[column]program
}

// taken maps columns to the results of a task.
type taken map[column]result

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
	small := map[string]taken{}
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
		err := s.measureTable(of.shape, of.watch, rounds, func(t task, took taken) {
			fmt.Printf("| %s | %s | %s | %s | %s |", t.name, seconds(took, original), seconds(took, ours), seconds(took, floor), peakMemory(took))
			if i == 0 {
				small[t.name] = took
			}
			if i == 1 {
				fmt.Printf(" %s, %s, %s |", growth(small[t.name], took, original), growth(small[t.name], took, ours), growth(small[t.name], took, floor))
			}
			fmt.Println()
		})
		if err != nil {
			return fmt.Errorf("%s: %w", of.name, err)
		}
	}
	return nil
}

// seconds returns the time of a column with two significant digits.
func seconds(took taken, c column) string {
	r, measured := took[c]
	if !measured {
		return ""
	}
	digits := 2
	for t := r.time; t >= 995*time.Millisecond && digits > 0; t /= 10 { // 995 ms is 1.0 s
		digits--
	}
	return strconv.FormatFloat(r.time.Seconds(), 'f', digits, 64) + " s"
}

// peakMemory returns the peak memory of ours.
func peakMemory(took taken) string {
	r, measured := took[ours]
	if !measured {
		return ""
	}
	return fmt.Sprintf("%.0f MB", mb(r.memory))
}

// growth returns the time of the larger table divided by that of the smaller.
func growth(small, large taken, c column) string {
	if small[c].time == 0 || large[c].time == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f", float64(large[c].time)/float64(small[c].time))
}

// tasks returns the rows of a table.
func (s suite) tasks(t table, watch int) []task {
	file := func(name string, args ...string) program {
		return program{args: append([]string{filepath.Join(s.bin, name)}, args...), stdin: t.rules}
	}
	only := func(p program) map[column]program { return map[column]program{ours: p} }
	list := s.both("", "ipvsadm", "-Ln")
	list[floor] = t.floor(s)
	restores := s.both(t.rules, "ipvsadm", "-R")
	restores[floor] = t.fill
	return []task{
		{name: "`-R` into an empty table", makes: true, programs: restores},
		{name: "`-Ln`", programs: list},
		{name: "`-Sn`", programs: s.both("", "ipvsadm", "-Sn")},
		{name: "`ipvsadm-restore --diff`, no difference", programs: only(file("ipvsadm-restore", "--diff"))},
		{name: "`ipvsadm-restore`, no change", programs: only(file("ipvsadm-restore"))},
		{name: "`--watch`, processor time of one interval", interval: watch, programs: only(s.watch(watch))},
		// The original deletes and recreates everything: it comes
		// last.
		{name: "`ipvsadm-restore` of 1.31", programs: map[column]program{original: s.both(t.rules, "ipvsadm-restore")[original]}},
	}
}

// measureTable measures the tasks on a table.
func (s suite) measureTable(of shape, watch, rounds int, done func(task, taken)) error {
	t, err := s.table(of)
	if err != nil {
		return err
	}
	made := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread may have left its namespace
		made <- s.perform(t, rounds, s.tasks(t, watch), done)
	}()
	return <-made
}

func (s suite) perform(t table, rounds int, tasks []task, done func(task, taken)) (err error) {
	filled := row{table: t.fill}
	var leave func() error
	defer func() {
		if leave != nil {
			err = errors.Join(err, leave())
		}
	}()
	empty, err := median(rounds, func() (sample, error) { return s.tool("empty").run(s.tool("timed").args[0], false) })
	if err != nil {
		return err
	}
	for _, k := range tasks {
		if !k.makes && leave == nil {
			if leave, err = filled.enter(); err != nil {
				return err
			}
		}
		took := taken{}
		for _, c := range []column{floor, ours, original} {
			p := k.programs[c]
			if p.args == nil {
				continue
			}
			run := func() (sample, error) { return p.run(s.tool("timed").args[0], false) }
			switch {
			case k.interval > 0:
				run = func() (sample, error) { return p.interval(k.interval) }
			case k.makes:
				run = func() (of sample, err error) {
					leave, err := guest.EnterNamespace()
					if err != nil {
						return of, err
					}
					of, err = p.run(s.tool("timed").args[0], false)
					return of, errors.Join(err, leave(), calm())
				}
			}
			r, err := median(rounds, run)
			if err != nil {
				return fmt.Errorf("%s: %w", k.name, err)
			}
			if k.interval == 0 {
				r.time -= empty.time
			}
			took[c] = r
		}
		done(k, took)
	}
	return nil
}

// median calls run several times and returns the median of the times.
func median(rounds int, run func() (sample, error)) (result, error) {
	var list []sample
	for range rounds {
		one, err := run()
		if err != nil {
			return result{}, err
		}
		list = append(list, one)
	}
	return summary(list), nil
}
