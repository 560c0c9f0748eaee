// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// netNSDir is the directory of the named network namespaces of "ip netns".
const netNSDir = "/var/run/netns"

// openNetNS opens a network namespace by name, path or process ID: see
// Config.NetNS.
func openNetNS(netNS string) (*os.File, error) {
	if strings.Contains(netNS, "/") {
		return openNS(netNS)
	}
	f, err := openNS(filepath.Join(netNSDir, netNS))
	pid, parseErr := strconv.ParseUint(netNS, 10, 31)
	if errors.Is(err, fs.ErrNotExist) && parseErr == nil {
		return openNS(fmt.Sprintf("/proc/%d/ns/net", pid))
	}
	return f, err
}

// openNS opens the file of a namespace. Its errors do not contain the path,
// since NetNSError names the namespace as the caller did.
func openNS(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) // a FIFO would block
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return nil, pathErr.Err
	}
	return f, err
}

// openProc opens a file of /proc/net in a network namespace, which need not
// be that of the calling thread.
func openProc(ns *os.File, name string) (f *os.File, err error) {
	err = within(ns, func() error {
		f, err = os.Open("/proc/thread-self/net/" + name)
		return err
	})
	return f, err
}

// within calls f on a thread in a network namespace: the current thread if it
// is in that namespace, or a new one.
func within(ns *os.File, f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// Without /proc the current namespace is unknown, and a new thread enters
	// the other one in any case.
	if inside, err := inNetNS(ns); err == nil && inside {
		return f()
	}
	done := make(chan error)
	go func() {
		// The thread is never unlocked, so that it exits with the
		// goroutine: no other goroutine may run in this namespace.
		runtime.LockOSThread()
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("enter the network namespace: %w", err)
			return
		}
		done <- f()
	}()
	return <-done
}

// netNSOf opens the network namespace of a socket.
func netNSOf(socket syscall.RawConn) (*os.File, error) {
	var ns int
	var err error
	if e := socket.Control(func(fd uintptr) { ns, err = unix.IoctlRetInt(int(fd), unix.SIOCGSKNS) }); e != nil {
		return nil, e
	}
	if err != nil {
		return nil, fmt.Errorf("network namespace of the socket: %w", err)
	}
	return os.NewFile(uintptr(ns), "netns"), nil
}

// inNetNS reports whether the calling thread is in a network namespace.
func inNetNS(ns *os.File) (bool, error) {
	want, err := ns.Stat()
	if err != nil {
		return false, err
	}
	current, err := os.Stat("/proc/thread-self/ns/net")
	if err != nil {
		return false, err
	}
	return os.SameFile(current, want), nil
}

// inode returns the inode number of a file.
func inode(f *os.File) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return 0, err
	}
	return st.Ino, nil
}

// InNetNS calls f on a thread in a network namespace, which is named as in
// [Config].NetNS; an empty name means the namespace of the calling thread.
// The sockets that f opens belong to the namespace, and so do the files below
// /proc/thread-self/net and /proc/sys/net. Goroutines that f starts may run
// in other namespaces.
//
// The error is a *[NetNSError] if the namespace cannot be entered, and
// otherwise the error of f.
func InNetNS(netNS string, f func() error) error {
	if netNS == "" {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		return f()
	}
	ns, err := openNetNS(netNS)
	if err != nil {
		return &NetNSError{netNS, err}
	}
	defer ns.Close()
	var ferr error
	if err := within(ns, func() error { ferr = f(); return nil }); err != nil {
		return &NetNSError{netNS, err}
	}
	return ferr
}
