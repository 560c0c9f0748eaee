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

// netNSDir is where "ip netns" keeps the names of network namespaces.
const netNSDir = "/var/run/netns"

// openNetNS opens a network namespace by name, path or process: see
// Config.NetNS.
func openNetNS(where string) (*os.File, error) {
	if strings.Contains(where, "/") {
		return openNS(where)
	}
	f, err := openNS(filepath.Join(netNSDir, where))
	pid, notNumber := strconv.ParseUint(where, 10, 31)
	if errors.Is(err, fs.ErrNotExist) && notNumber == nil {
		return openNS(fmt.Sprintf("/proc/%d/ns/net", pid))
	}
	return f, err
}

// openNS has errors without the path, which NetNSError names as the caller did.
func openNS(path string) (*os.File, error) {
	f, err := os.Open(path)
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return nil, pathErr.Err
	}
	return f, err
}

// openProc opens a file of /proc/net as it is in a network namespace, whatever
// that of the calling thread is.
func openProc(ns *os.File, name string) (f *os.File, err error) {
	err = within(ns, func() error {
		f, err = os.Open("/proc/thread-self/net/" + name)
		return err
	})
	return f, err
}

// within calls f on a thread that is in a network namespace.
func within(ns *os.File, f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if here, err := inNetNS(ns); err != nil {
		return err
	} else if here {
		return f()
	}
	done := make(chan error)
	go func() {
		// The thread stays locked and so ends with the goroutine: it is of
		// no use to others once it is in another namespace.
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
	that, err := ns.Stat()
	if err != nil {
		return false, err
	}
	this, err := os.Stat("/proc/thread-self/ns/net")
	if err != nil {
		return false, err
	}
	return os.SameFile(this, that), nil
}

// inode returns the inode number of a file.
func inode(f *os.File) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return 0, err
	}
	return st.Ino, nil
}

// InNetNS calls f on a thread in the network namespace that is named as in
// [Config].NetNS. The files below /proc/thread-self/net and /proc/sys/net are
// that namespace's there, and so are sockets that f opens; goroutines that it
// starts may be elsewhere. Without a name it is the namespace of the calling
// thread. The error is a *[NetNSError] where the namespace cannot be entered,
// else that of f.
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
	var failed error
	if err := within(ns, func() error { failed = f(); return nil }); err != nil {
		return &NetNSError{netNS, err}
	}
	return failed
}
