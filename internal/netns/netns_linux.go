// SPDX-License-Identifier: Apache-2.0

// Package netns calls functions in network namespaces.
package netns

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

// dir is the directory of the named network namespaces of "ip netns".
const dir = "/var/run/netns"

// Do calls f on a thread in a network namespace: a name of "ip netns", a
// path, or a process ID; empty for that of the calling thread. It returns an
// error if the namespace cannot be entered.
//
// The sockets that f opens belong to the namespace, and so do the files below
// /proc/thread-self/net and /proc/sys/net. Goroutines that f starts may run in
// other namespaces.
func Do(name string, f func()) error {
	if name == "" {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		f()
		return nil
	}
	ns, err := open(name)
	if err != nil {
		return err
	}
	defer ns.Close()
	return Within(ns, f)
}

func open(name string) (*os.File, error) {
	if strings.Contains(name, "/") {
		return openFile(name)
	}
	f, err := openFile(filepath.Join(dir, name))
	pid, parseErr := strconv.ParseUint(name, 10, 31)
	if errors.Is(err, fs.ErrNotExist) && parseErr == nil {
		return openFile(fmt.Sprintf("/proc/%d/ns/net", pid))
	}
	return f, err
}

// openFile opens the file of a namespace. Its errors do not contain the path,
// since the caller knows the namespace by its name.
func openFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) // a FIFO would block
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return nil, pathErr.Err
	}
	return f, err
}

// Within calls f on a thread in a network namespace: the current thread if it
// is in that namespace, or a new one.
func Within(ns *os.File, f func()) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	want, err := ns.Stat()
	if err != nil {
		return err
	}
	// Without /proc the current namespace is unknown, and a new thread enters
	// the other one in any case.
	if current, err := os.Stat("/proc/thread-self/ns/net"); err == nil && os.SameFile(current, want) {
		f()
		return nil
	}
	done := make(chan error)
	go func() {
		// The thread is never unlocked, so that it exits with the
		// goroutine: no other goroutine may run in this namespace.
		runtime.LockOSThread()
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- err
			return
		}
		f()
		done <- nil
	}()
	return <-done
}

// OfSocket opens the network namespace of a socket.
func OfSocket(socket syscall.RawConn) (*os.File, error) {
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

// Inode returns the inode number of a network namespace.
func Inode(ns *os.File) (uint64, error) {
	var st unix.Stat_t
	err := unix.Fstat(int(ns.Fd()), &st)
	return st.Ino, err
}
