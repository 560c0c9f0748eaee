// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/internal/args"
	"github.com/ipvsadm-go/ipvsadm/internal/spec"
)

const (
	lockFile      = "/run/ipvsadm.lock"
	otherLockFile = "/run/ipvsadm-%d.lock"
)

// lockPath returns the lock file that serializes restores in the client's
// network namespace. The namespace of process 1 has the plain name, others
// have their inode number in it.
func (s *session) lockPath(cmd args.Command) string {
	if cmd.Given.Has(spec.OptLock) {
		return cmd.Lock
	}
	inode, err := s.client.NetNS()
	first, statErr := os.Stat("/proc/1/ns/net")
	if err != nil || statErr != nil || first.Sys().(*syscall.Stat_t).Ino == inode {
		return lockFile // which more share than have to, where that cannot be told
	}
	return fmt.Sprintf(otherLockFile, inode)
}

// lock waits for the lock and holds it until unlock is called.
func (s *session) lock(cmd args.Command) (unlock func(), err error) {
	path := s.lockPath(cmd)
	l, err := openLock(path)
	if err != nil {
		return nil, fileFailure("lock", path, err)
	}
	start, said := time.Now(), false
	for {
		err := l.try()
		switch waited := time.Since(start); {
		case err == nil:
			return l.unlock, nil
		case err != unix.EWOULDBLOCK && err != unix.EINTR:
			l.unlock()
			return nil, fileFailure("lock", path, err)
		case waited > s.lockSilence && !said:
			said = true
			fmt.Fprintln(s.Stderr, waitingText(path))
		case waited > s.lockWait:
			l.unlock()
			return nil, lockFailure(path)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// lock is a lock file.
type lock struct{ f *os.File }

func openLock(path string) (lock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	return lock{f}, err
}

// try takes the lock; its error is EWOULDBLOCK if another process has it.
func (l lock) try() error { return unix.Flock(int(l.f.Fd()), unix.LOCK_EX|unix.LOCK_NB) }

func (l lock) unlock() { l.f.Close() }
