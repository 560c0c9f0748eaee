// SPDX-License-Identifier: Apache-2.0

package main

import "golang.org/x/sys/unix"

// stdoutAtStart is what fcntl(2) said of standard output before Go's runtime
// began: that opens /dev/null where a descriptor is closed, in the same way as
// programs do that want no output, so nothing in Go can tell the two apart.
// ipvsadm_start asks, in assembly. It is where a program begins that the
// Makefile links for amd64 or arm64; in others stdoutAtStart stays 0, and what
// is written to a closed output is lost without a word.
var stdoutAtStart int64

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
