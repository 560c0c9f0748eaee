// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
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
// network namespace. It is lockFile in the namespace of process 1; the names
// in others contain the inode number.
func lockPath(s *session, cmd *args.Command) string {
	if cmd.Given.Has(spec.OptLock) {
		return cmd.Lock
	}
	inode, err := s.client.NetNS()
	first, statErr := os.Stat("/proc/1/ns/net")
	if err != nil || statErr != nil || first.Sys().(*syscall.Stat_t).Ino == inode {
		return lockFile // if the namespace is unknown, share one lock
	}
	return fmt.Sprintf(otherLockFile, inode)
}

// takeLock waits while another process holds the lock, takes it, and holds it
// until unlock is called. If the default lock file cannot be created, restores
// are not serialized.
func takeLock(ctx context.Context, s *session, cmd *args.Command) (unlock func(), err error) {
	path := lockPath(s, cmd)
	for start, reported := time.Now(), false; ; {
		f, err := tryLock(path)
		switch {
		case err == nil:
			return func() { f.Close() }, nil
		case err == unix.EWOULDBLOCK:
		case !cmd.Given.Has(spec.OptLock) && isUncreatable(err):
			fmt.Fprintf(s.Stderr, unlockedText, path, reason(err))
			return func() {}, nil
		default:
			return nil, fileFailure("lock", path, err)
		}
		if !reported && time.Since(start) >= s.lockSilence {
			reported = true
			fmt.Fprintln(s.Stderr, waitingText(path, lockHolder(path)))
		}
		select {
		case <-ctx.Done():
			return nil, fileFailure("lock", path, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// tryLock locks a file until it is closed. Its error is EWOULDBLOCK if another
// process holds the lock.
func tryLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lockNamed(f, path); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// lockNamed locks an open file that the path must still refer to: if it was
// removed, another process may have locked a new one.
func lockNamed(f *os.File, path string) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err != nil && err != unix.EINTR {
		return err
	}
	locked, _ := f.Stat()
	if named, statErr := os.Stat(path); err != nil || statErr != nil || !os.SameFile(locked, named) {
		return unix.EWOULDBLOCK
	}
	return nil
}

// isUncreatable reports whether a file cannot be created because of missing
// privilege or a missing or read-only directory.
func isUncreatable(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.EROFS)
}

// lockHolder returns the process that holds a lock file, such as
// "ipvsadm-restore (process 7)", or "" if it is unknown.
func lockHolder(path string) string {
	var st unix.Stat_t
	locks, err := os.Open("/proc/locks")
	if err != nil || unix.Stat(path, &st) != nil {
		return ""
	}
	defer locks.Close()
	file := fmt.Sprintf("%02x:%02x:%d", unix.Major(st.Dev), unix.Minor(st.Dev), st.Ino)
	for lines := bufio.NewScanner(locks); lines.Scan(); {
		if f := strings.Fields(lines.Text()); len(f) > 5 && f[1] == "FLOCK" && f[5] == file {
			name, _ := os.ReadFile("/proc/" + f[4] + "/comm")
			return fmt.Sprintf("%s (process %s)", strings.TrimSpace(string(name)), f[4])
		}
	}
	return ""
}
