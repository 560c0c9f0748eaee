// SPDX-License-Identifier: Apache-2.0

// Timed runs a command and writes its elapsed time in nanoseconds and its peak
// memory in KiB to file descriptor 3. It is small because the kernel
// counts the parent's memory at the fork towards the child's peak.
//
//	timed whole|first COMMAND...
//
// With first the time ends at the command's first byte of output.
package main

import (
	"fmt"
	"os"
	"syscall"
	"time"
)

func main() {
	if err := run(os.Args[1], os.Args[2:]); err != nil {
		os.Stderr.WriteString("timed: " + err.Error() + "\n")
		os.Exit(1)
	}
}

func run(until string, args []string) error {
	attr := syscall.ProcAttr{Env: syscall.Environ(), Files: []uintptr{0, 1, 2}}
	var out [2]int
	if until == "first" {
		if err := syscall.Pipe2(out[:], syscall.O_CLOEXEC); err != nil {
			return err
		}
		attr.Files[1] = uintptr(out[1])
	}
	start := time.Now()
	pid, err := syscall.ForkExec(args[0], args, &attr)
	if err != nil {
		return err
	}
	var took time.Duration
	if until == "first" {
		syscall.Close(out[1])
		b := make([]byte, 64<<10)
		for n := 1; n > 0 && err == nil; {
			if n, err = syscall.Read(out[0], b); took == 0 {
				took = time.Since(start)
			}
		}
		if err != nil {
			return err
		}
	}
	var status syscall.WaitStatus
	var usage syscall.Rusage
	if _, err := syscall.Wait4(pid, &status, 0, &usage); err != nil {
		return err
	}
	if took == 0 {
		took = time.Since(start)
	}
	if status.ExitStatus() != 0 {
		return fmt.Errorf("%s: wait status %#x", args[0], uint32(status))
	}
	_, err = fmt.Fprintln(os.NewFile(3, "result"), took.Nanoseconds(), usage.Maxrss)
	return err
}
