// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/internal/test/terminal"
)

// watch returns the command line of a live screen with an interval in
// seconds.
func (s suite) watch(seconds int) program {
	return program{args: []string{filepath.Join(s.bin, "ipvsadm"), "--watch", strconv.Itoa(seconds)}}
}

// interval returns the CPU time of a live screen for one interval, and its
// peak memory. The interval must be long enough to read the table.
func (p program) interval(seconds int) (s sample, err error) {
	length := time.Duration(seconds) * time.Second
	on, err := terminal.Make(80, 24)
	if err != nil {
		return s, err
	}
	defer on.Hangup()
	cmd := exec.Command(p.args[0], p.args[1:]...)
	cmd.Env = append(os.Environ(), "TERM=xterm")
	on.Control(cmd)
	if err := cmd.Start(); err != nil {
		return s, err
	}
	for begin := time.Now(); !strings.Contains(on.Text(), " servers "); time.Sleep(20 * time.Millisecond) {
		if time.Since(begin) > 30*time.Second+length {
			return s, errors.Join(errors.New("it shows nothing"), cmd.Process.Kill(), cmd.Wait())
		}
	}
	// The first intervals take longer, until the memory stops growing.
	// Measure from and to the middle of an interval, far from any read of
	// the table.
	const warm, intervals = 2, 2
	time.Sleep(warm*length + length/2)
	before := processorTime(cmd.Process.Pid, &err)
	time.Sleep(intervals * length)
	s.time = (processorTime(cmd.Process.Pid, &err) - before) / intervals
	s.memory = peak(cmd.Process.Pid, &err)
	if s.time >= length && err == nil {
		err = fmt.Errorf("it takes %v of an interval of %v: that may be too short to read the table", s.time, length)
	}
	return s, errors.Join(err, on.Type("q"), cmd.Wait())
}

// processorTime returns the CPU time of another process, all threads
// included.
func processorTime(pid int, err *error) time.Duration {
	const wholeProcess = 2 // CPUCLOCK_SCHED
	var t unix.Timespec
	*err = errors.Join(*err, unix.ClockGettime(int32(^pid<<3|wholeProcess), &t))
	return time.Duration(t.Nano())
}

// peak returns the peak memory of another process in KiB.
func peak(pid int, err *error) (kib int64) {
	status, readErr := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, line, _ := strings.Cut(string(status), "VmHWM:")
	_, scanErr := fmt.Sscan(line, &kib)
	*err = errors.Join(*err, readErr, scanErr)
	return kib
}
