// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// EnterNamespace moves the calling goroutine, locked to its thread, into a
// new network namespace whose lo is up. It has its own IPVS table, which is
// empty. Commands started by this goroutine run there too; other goroutines
// and, since it shows the main thread's namespace, /proc/net do not follow.
//
// leave moves it back. If that fails the thread stays locked, so that it ends
// with its goroutine instead of running another one in the wrong namespace.
func EnterNamespace() (leave func() error, err error) {
	runtime.LockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		return nil, err
	}
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		home.Close()
		runtime.UnlockOSThread()
		return nil, fmt.Errorf("new network namespace: %w", err)
	}
	leave = func() error {
		defer home.Close()
		if err := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("return from the network namespace: %w", err)
		}
		runtime.UnlockOSThread()
		return nil
	}
	if err := LoopbackUp(); err != nil {
		return nil, errors.Join(err, leave())
	}
	return leave, nil
}

// LoopbackUp brings up lo in the calling thread's network namespace. While it
// is down the kernel considers no address local, and IPVS refuses every
// virtual service with EINVAL.
func LoopbackUp() error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, lo); err != nil {
		return fmt.Errorf("bring up lo: %w", err)
	}
	return nil
}
