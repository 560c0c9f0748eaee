// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
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
	target, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		target, err = path, nil
	}
	if err != nil {
		return nil, err
	}
	old, err := os.Stat(target)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		old = nil
	case err != nil:
		return nil, err
	case !old.Mode().IsRegular():
		f, err := os.OpenFile(target, os.O_WRONLY, 0)
		return &outFile{File: f, direct: true}, err
	}
	dir, name := filepath.Split(target)
	if dir == "" {
		dir = "."
	}
	o := &outFile{target: target, beside: filepath.Join(dir, "."+name+".new")}
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_WRONLY|unix.O_CLOEXEC, 0o666)
	if err == nil {
		o.File = os.NewFile(uintptr(fd), o.beside)
	} else {
		_ = os.Remove(o.beside) // of one that was killed
		if o.File, err = os.OpenFile(o.beside, os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_CLOEXEC, 0o666); err != nil {
			return nil, err
		}
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

// resemble takes over mode and owner; the owner first, since a change of it
// may take mode bits away.
func (o *outFile) resemble(old fs.FileInfo) error {
	st, ok := old.Sys().(*syscall.Stat_t)
	now, err := o.Stat()
	if err != nil {
		return err
	}
	if mine, ok2 := now.Sys().(*syscall.Stat_t); ok && ok2 && (mine.Uid != st.Uid || mine.Gid != st.Gid) {
		if err := o.Chown(int(st.Uid), int(st.Gid)); err != nil {
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
		_ = os.Remove(o.beside) // of one that was killed
		err = unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", o.Fd()), unix.AT_FDCWD, o.beside, unix.AT_SYMLINK_FOLLOW)
		o.named = err == nil
	}
	if err == nil {
		err = os.Rename(o.beside, o.target)
	}
	if err != nil {
		o.discard()
		return err
	}
	o.named = false
	if err := o.Close(); err != nil {
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
		o.named = false
	}
}
