// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// TestMemoryOfLargeInput limits the peak memory of a check. The kernel's
// figure includes the test process before the exec, so the input is written
// while it is read, and the test does not run with the race detector.
func TestMemoryOfLargeInput(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a test without the race detector")
	}
	bin := build(t)
	for name, c := range map[string]struct {
		status int
		write  func(w io.Writer)
		most   int64 // megabytes
	}{
		"mistakes": {2, func(w io.Writer) {
			for range 2_500_000 {
				fmt.Fprintln(w, "a line that is no rule")
			}
		}, 64},
		"1,000 services":  {0, services(1000, 10), 24},
		"10,000 services": {0, services(10_000, 10), 110},
		// Unusual tables, which must not take disproportionate memory.
		"services without servers": {0, services(110_000, 0), 220},
		"servers of one service":   {0, services(1, 110_000), 220},
	} {
		t.Run(name, func(t *testing.T) {
			check := exec.Command(filepath.Join(filepath.Dir(bin), "ipvsadm-restore"), "--check")
			in, err := check.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := check.Start(); err != nil {
				t.Fatal(err)
			}
			w := bufio.NewWriter(in)
			c.write(w)
			if err := errors.Join(w.Flush(), in.Close()); err != nil {
				t.Error(err)
			}
			_ = check.Wait() // the status is compared
			if got := check.ProcessState.ExitCode(); got != c.status {
				t.Fatalf("status %d, want %d", got, c.status)
			}
			peak := check.ProcessState.SysUsage().(*syscall.Rusage).Maxrss >> 10
			t.Logf("%d MB", peak)
			if peak > c.most {
				t.Errorf("%d MB of memory, want at most %d", peak, c.most)
			}
		})
	}
}

// services returns a function that writes rules.
func services(n, servers int) func(io.Writer) {
	return func(w io.Writer) {
		for i := range n {
			service := fmt.Sprintf("-t 10.%d.%d.%d:80", i>>16, i>>8&0xff, i&0xff)
			fmt.Fprintf(w, "-A %s -s rr\n", service)
			for j := range servers {
				fmt.Fprintf(w, "-a %s -r 172.%d.%d.%d:80 -m -w 1\n", service, j>>16, j>>8&0xff, j&0xff)
			}
		}
	}
}
