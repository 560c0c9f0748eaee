// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bufio"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// maxText limits how many bytes of rules are read: a million rules fit.
const maxText = 256 << 20

// isClosed reports whether a standard stream was closed when the program
// started: Go opens /dev/null for it, for reading and writing.
func isClosed(stream any) bool {
	f, ok := stream.(*os.File)
	var st unix.Stat_t
	if !ok || unix.Fstat(int(f.Fd()), &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFCHR || st.Rdev != unix.Mkdev(1, 3) {
		return false
	}
	flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0)
	return err == nil && flags&unix.O_ACCMODE == unix.O_RDWR
}

// readLine appends a line with its end to line, or what stands before an
// error.
func readLine(in *bufio.Reader, line []byte) ([]byte, error) {
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		if err != bufio.ErrBufferFull {
			return line, err
		}
	}
}

// flusher calls before ahead of each read of r.
type flusher struct {
	r      io.Reader
	before func()
}

func (f *flusher) Read(p []byte) (int, error) {
	f.before()
	return f.r.Read(p)
}
