// SPDX-License-Identifier: Apache-2.0

package cli

import "golang.org/x/sys/unix"

// mostFiles is the maximum number of files that the program has open: three
// standard files, two of Go's runtime, a socket, a lock, and another.
const mostFiles = 8

// roomForFiles raises the limit of open files if it is too low, as far as the
// process may.
func roomForFiles() {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) == nil && limit.Cur < mostFiles {
		_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: mostFiles, Max: max(limit.Max, mostFiles)})
	}
}

// checkFiles returns the error of opening as many files as a socket takes.
// Go's runtime opens two with the first socket, and ends the program if it
// cannot.
func checkFiles() error {
	for range 3 {
		fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
	}
	return nil
}
