// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bufio"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// maxText is the maximum size of rule text: enough for a million rules.
const maxText = 256 << 20

// isClosed reports whether a standard stream was closed at the start: Go then
// opens /dev/null for reading and writing in its place.
func isClosed(stream any) bool {
	f, ok := stream.(*os.File)
	var st unix.Stat_t
	if !ok || unix.Fstat(int(f.Fd()), &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFCHR || st.Rdev != unix.Mkdev(1, 3) {
		return false
	}
	flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0)
	return err == nil && flags&unix.O_ACCMODE == unix.O_RDWR
}

// readLine appends the next line, with its newline, to line. It returns the
// partial line with an error.
func readLine(in *bufio.Reader, line []byte) ([]byte, error) {
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		if err != bufio.ErrBufferFull {
			return line, err
		}
	}
}

// flusher calls before() ahead of each read from r.
type flusher struct {
	r      io.Reader
	before func()
}

func (f *flusher) Read(p []byte) (int, error) {
	f.before()
	return f.r.Read(p)
}
