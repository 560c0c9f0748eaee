// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// outFile takes the place of a file once all of it is written, and not before.
// It keeps mode and owner of the file that it replaces.
type outFile struct {
	*os.File
	target string // where it goes
	beside string // a name next to target for as long as it takes to move there
	direct bool   // the target is a device or a pipe and is written to as it is
	named  bool   // the new file has the name beside already
}

// createOut begins a file. Where the file system can, it has no name until it
// is whole, so that nothing is left of it whatever happens.
func createOut(path string) (*outFile, error) {
	target := path
	old, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		old = nil
		if link, err := os.Readlink(path); err == nil { // to where nothing is yet
			if !filepath.IsAbs(link) {
				link = filepath.Join(filepath.Dir(path), link)
			}
			return createOut(link)
		}
	case err != nil:
		return nil, err
	case !old.Mode().IsRegular():
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		return &outFile{File: f, direct: true}, err
	default:
		if target, err = filepath.EvalSymlinks(path); err != nil {
			return nil, err
		}
	}
	dir, name := filepath.Dir(target), filepath.Base(target)
	removeStale(dir, name)
	o := &outFile{target: target, beside: filepath.Join(dir, besideName(name, strconv.Itoa(os.Getpid())))}
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_WRONLY|unix.O_CLOEXEC, 0o666)
	if err == nil {
		o.File = os.NewFile(uintptr(fd), o.beside)
	} else if o.File, err = os.OpenFile(o.beside, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666); err != nil {
		return nil, err
	} else {
		o.named = true
	}
	if old != nil {
		if err := o.resemble(old); err != nil {
			o.discard()
			return nil, err
		}
	}
	return o, nil
}

// besideName is the name that a process gives a new file. It is its own, so
// that two saves into one file do not meet.
func besideName(name, pid string) string { return "." + name + "." + pid + ".new" }

// removeStale removes what processes left that were killed while they saved.
func removeStale(dir, name string) {
	prefix, suffix, _ := strings.Cut(besideName(name, "/"), "/")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return // a folder that cannot be listed can be written to all the same
	}
	for _, e := range entries {
		rest, begins := strings.CutPrefix(e.Name(), prefix)
		pid, err := strconv.Atoi(strings.TrimSuffix(rest, suffix))
		if begins && err == nil && strings.HasSuffix(rest, suffix) && (pid == os.Getpid() || unix.Kill(pid, 0) == unix.ESRCH) {
			_ = os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}

// resemble takes over mode and owner; the owner first, since a change of it
// may take mode bits away.
func (o *outFile) resemble(old fs.FileInfo) error {
	now, err := o.Stat()
	if err != nil {
		return err
	}
	was, mine := old.Sys().(*syscall.Stat_t), now.Sys().(*syscall.Stat_t)
	if mine.Uid != was.Uid || mine.Gid != was.Gid {
		if err := o.Chown(int(was.Uid), int(was.Gid)); err != nil {
			return err
		}
	}
	return o.Chmod(old.Mode().Perm())
}

// commit puts the file in its place.
func (o *outFile) commit() error {
	if o.direct {
		return o.Close()
	}
	err := o.Sync()
	if err == nil && !o.named {
		err = unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", o.Fd()), unix.AT_FDCWD, o.beside, unix.AT_SYMLINK_FOLLOW)
		o.named = err == nil
	}
	if err == nil {
		err = o.Close()
	}
	if err == nil {
		err = os.Rename(o.beside, o.target)
	}
	if err != nil {
		o.discard()
		return err
	}
	return syncDir(filepath.Dir(o.target))
}

// syncDir makes the new name last through a loss of power.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, unix.EINVAL) { // some file systems have no such thing
		return err
	}
	return nil
}

// discard leaves the target as it was.
func (o *outFile) discard() {
	o.Close()
	if o.named {
		_ = os.Remove(o.beside)
	}
}
