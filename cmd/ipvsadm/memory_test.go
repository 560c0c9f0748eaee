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

// TestMemoryOfLargeInput has the most memory that a check may take, measured
// by the kernel: four times the text. A list that grows is in memory twice for
// a moment, which counts where one service has all the servers. The input is
// made while it is read, since a program begins with the memory of the one
// that starts it.
func TestMemoryOfLargeInput(t *testing.T) {
	bin := build(t)
	for name, c := range map[string]struct {
		status int
		write  func(w io.Writer)
		most   func(input int64) int64
	}{
		"mistakes": {2, func(w io.Writer) {
			for range 2_500_000 {
				fmt.Fprintln(w, "a line that is no rule")
			}
		}, func(int64) int64 { return 64 << 20 }},
		"rules": {0, func(w io.Writer) {
			for i := range 40_000 {
				service := fmt.Sprintf("-t 10.%d.%d.%d:80", i>>16, i>>8&0xff, i&0xff)
				fmt.Fprintf(w, "-A %s -s rr\n", service)
				for j := range 10 {
					fmt.Fprintf(w, "-a %s -r 172.16.%d.%d:80 -m -w 1\n", service, i&0xff, j+1)
				}
			}
		}, func(input int64) int64 { return 4 * input }},
		"services without servers": {0, func(w io.Writer) {
			for i := range 500_000 {
				fmt.Fprintf(w, "-A -t 10.%d.%d.%d:80 -s rr\n", i>>16, i>>8&0xff, i&0xff)
			}
		}, func(input int64) int64 { return 9 * input / 2 }},
		"servers of one service": {0, func(w io.Writer) {
			fmt.Fprintln(w, "-A -t 10.0.0.1:80 -s rr")
			for i := range 400_000 {
				fmt.Fprintf(w, "-a -t 10.0.0.1:80 -r 172.%d.%d.%d:80 -m -w 1\n", i>>16, i>>8&0xff, i&0xff)
			}
		}, func(input int64) int64 { return 11 * input / 2 }},
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
			counted := &counter{w, 0}
			c.write(counted)
			if err := errors.Join(w.Flush(), in.Close()); err != nil {
				t.Error(err)
			}
			_ = check.Wait() // the status is compared
			if got := check.ProcessState.ExitCode(); got != c.status {
				t.Fatalf("status %d, want %d", got, c.status)
			}
			peak := check.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10
			t.Logf("%d bytes of memory for %d bytes of input", peak, counted.n)
			if most := c.most(counted.n); peak > most {
				t.Errorf("%d bytes of memory, want at most %d", peak, most)
			}
		})
	}
}

// counter counts the bytes that it passes on.
type counter struct {
	io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return c.Writer.Write(p)
}
