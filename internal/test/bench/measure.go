// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/test/guest"
)

// column is one of the programs to compare.
type column int

const (
	original column = iota // ipvsadm 1.31
	ours
	floor
	library // pkg/ipvs alone
	moby
	emptyC
	emptyGo
	columns
)

// empty returns the column of the empty process to subtract.
func (c column) empty() column {
	if c == original {
		return emptyC
	}
	return emptyGo
}

// program is a command line and its input file.
type program struct {
	args  []string
	stdin string // input file, "" for none
}

// row is a task that each program performs under the same conditions.
type row struct {
	name  string
	timed string // the program that measures the others
	// fresh gives each run a new namespace; otherwise all runs share one.
	fresh bool
	// table is the program that fills the namespace first, if any.
	table    program
	programs map[column]program
	// serve starts servers that the programs need in the shared
	// namespace. stop may be nil.
	serve func() (stop func() error, err error)
	// alike requires the same output from the original and ours.
	alike bool
	// first ends the time at the first byte of output.
	first bool
	// interval is the interval of a live screen in seconds. If it is set,
	// the time is the CPU time of one interval.
	interval int
	// quick is the number of runs per round, except for the original and
	// moby/ipvs, of programs that take little longer than an empty
	// process; 0 means 1.
	quick int
	// counting means that the libraries print their number of
	// allocations.
	counting bool
}

// result is the outcome of a program in a row.
type result struct {
	time   time.Duration // the median
	memory int64         // the highest peak in KiB
	allocs int           // allocations, if the library counts them
}

// sample is one run.
type sample struct {
	time   time.Duration
	memory int64
}

// measure runs the programs of a row in rounds, one at a time.
func (r *row) measure(count int) (results [columns]result, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread may have left its namespace
		results, err = r.inTurns(count)
	}()
	<-done
	return results, err
}

func (r *row) inTurns(count int) (results [columns]result, err error) {
	samples := [columns][]sample{}
	run := func(c column) error {
		var s sample
		var err error
		if r.interval > 0 {
			s, err = r.programs[c].interval(r.interval)
		} else {
			s, err = r.programs[c].run(r.timed, r.first)
		}
		samples[c] = append(samples[c], s)
		return err
	}
	if r.fresh {
		err = r.rounds(count, &samples, func(c column) error {
			return r.inNamespace(func() error { return run(c) })
		})
	} else {
		err = r.inNamespace(func() (err error) {
			if r.serve != nil {
				stop, err := r.serve()
				if err != nil {
					return err
				}
				if stop != nil {
					defer stop()
				}
			}
			return errors.Join(r.compare(), r.rounds(count, &samples, run), r.countAllocs(&results))
		})
	}
	for c, list := range samples {
		if len(list) > 0 {
			results[c].summarize(list)
		}
	}
	return results, err
}

// rounds runs the programs count times, after a warm-up that reads the files
// from disk. A single round, which takes minutes, has no warm-up.
func (r *row) rounds(count int, samples *[columns][]sample, run func(column) error) error {
	// The order changes in each round: on a machine that throttles under
	// load some positions would be faster.
	order := rand.New(rand.NewPCG(1, 1))
	for i := range count + 1 {
		for _, n := range order.Perm(int(columns)) {
			c := column(n)
			if r.programs[c].args == nil || i == 0 && count == 1 {
				continue
			}
			times := 1
			if c != original && c != moby {
				times = max(times, r.quick)
			}
			for range times {
				if err := run(c); err != nil {
					return err
				}
			}
			if i == 0 {
				samples[c] = samples[c][:0]
			}
		}
	}
	return nil
}

// countAllocs runs the libraries that count their allocations.
func (r *row) countAllocs(results *[columns]result) error {
	for _, c := range []column{library, moby} {
		if !r.counting {
			continue
		}
		var out bytes.Buffer
		if err := r.programs[c].start(r.programs[c].args, &out); err != nil {
			return err
		}
		if _, err := fmt.Sscan(out.String(), &results[c].allocs); err != nil {
			return err
		}
	}
	return nil
}

// summarize sets the median time and the peak memory.
func (r *result) summarize(list []sample) {
	slices.SortFunc(list, func(a, b sample) int { return cmp.Compare(a.time, b.time) })
	r.time = list[len(list)/2].time
	for _, s := range list {
		r.memory = max(r.memory, s.memory)
	}
}

// inNamespace calls f in a new namespace with the row's table.
func (r *row) inNamespace(f func() error) error {
	leave, err := guest.EnterNamespace()
	if err != nil {
		return err
	}
	if r.table.args != nil {
		_, err = r.table.text()
	}
	if err == nil {
		err = f()
	}
	err = errors.Join(err, leave())
	if r.serve == nil { // such rows may mount over /proc, and have small tables
		err = errors.Join(err, calm())
	}
	return err
}

// calm waits until the kernel has freed the previous namespace, which it does
// in the background.
func calm() error {
	for range 100 {
		before, err := idle()
		if err != nil {
			return err
		}
		time.Sleep(100 * time.Millisecond)
		after, err := idle()
		if err != nil {
			return err
		}
		if after-before >= 9 {
			return nil
		}
	}
	return errors.New("the guest does not come to rest")
}

// idle returns the guest's idle time in ticks of 10 ms.
func idle() (int64, error) {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	var user, nice, system, idle int64
	_, err = fmt.Sscanf(string(stat), "cpu %d %d %d %d", &user, &nice, &system, &idle)
	return idle, err
}

// run measures the whole program, or with first the time to its first output.
// timed is the path of the measuring program.
func (p program) run(timed string, first bool) (s sample, err error) {
	until := "whole"
	if first {
		until = "first"
	}
	r, w, err := os.Pipe()
	if err != nil {
		return s, err
	}
	defer r.Close()
	err = p.start(append([]string{timed, until}, p.args...), nil, w)
	w.Close()
	if err != nil {
		return s, err
	}
	_, err = fmt.Fscan(r, &s.time, &s.memory)
	return s, err
}

// text returns a digest of the program's output.
func (p program) text() (sum []byte, err error) {
	digest := sha256.New()
	err = p.start(p.args, digest)
	return digest.Sum(nil), err
}

// start runs a command with the program's input.
func (p program) start(args []string, stdout io.Writer, files ...*os.File) error {
	cmd := exec.Command(args[0], args[1:]...)
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = stdout, &stderr, files
	if p.stdin != "" {
		in, err := os.Open(p.stdin)
		if err != nil {
			return err
		}
		defer in.Close()
		cmd.Stdin = in
	}
	err := cmd.Run()
	if err == nil && stderr.Len() > 0 {
		err = errors.New("it complains")
	}
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, stderr.String())
	}
	return nil
}

// compare checks that the original and ours have the same output.
func (r *row) compare() error {
	if !r.alike {
		return nil
	}
	want, err := r.programs[original].text()
	if err != nil {
		return err
	}
	have, err := r.programs[ours].text()
	if err == nil && !bytes.Equal(have, want) {
		err = errors.New("ours does not write what the original does")
	}
	return err
}
