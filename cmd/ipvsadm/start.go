// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// A program that the Makefile links for amd64 or arm64 begins in ipvsadm_start,
// which is in assembly, before Go's runtime does. In others the variables stay
// as they are here: what is written to a closed output is lost without a word,
// and a start takes a fifth longer.

// stdoutAtStart is what fcntl(2) said of standard output: the runtime opens
// /dev/null where a descriptor is closed, in the same way as programs do that
// want no output, so nothing in Go can tell the two apart.
var stdoutAtStart int64

// Most runs of the program change one thing and end, before another processor
// or a huge page could be of use. With one processor the runtime starts fewer
// threads, and to clear two huge pages takes the kernel longer than all faults
// of the pages that are used.
var (
	// oneProcessor is added to the environment. The number is written in a
	// way that tells it from a user's.
	oneProcessor = [...]byte{'G', 'O', 'M', 'A', 'X', 'P', 'R', 'O', 'C', 'S', '=', '0', '1', 0}
	// deniedHugePages is 1 if the kernel was told not to give any.
	deniedHugePages int64
)

// widen makes the program use all its processors, unless the user has said how
// many, and huge pages.
func widen() {
	name, value, _ := strings.Cut(string(oneProcessor[:len(oneProcessor)-1]), "=")
	if os.Getenv(name) == value {
		os.Unsetenv(name)
		runtime.GOMAXPROCS(runtime.NumCPU())
	}
	if deniedHugePages == 1 {
		_ = unix.Prctl(unix.PR_SET_THP_DISABLE, 0, 0, 0, 0)
	}
}

// closeOutput makes a standard output that was closed fail with EBADF, as in
// any other program. The descriptor stays taken: the next file to be opened
// would become the output.
func closeOutput() {
	if stdoutAtStart != -int64(unix.EBADF) {
		return
	}
	if null, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0); err == nil {
		_ = unix.Dup3(null, unix.Stdout, 0)
		_ = unix.Close(null)
	}
}
