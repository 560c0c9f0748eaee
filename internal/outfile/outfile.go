// SPDX-License-Identifier: Apache-2.0

// Package outfile writes the file that a privileged program was told to
// write, in a file system that other users change at the same time.
//
// There are two ways. Replace: an unnamed new file gets the content and all
// other properties of the old file, and takes its place in one step. In
// place: if the file cannot be replaced, or would lose a property. Neither is
// used where another user can decide which file the name leads to.
//
// The kernel resolves paths up to their last component, which is examined
// through the descriptor of its folder.
package outfile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// A Refusal is a reason of this package, not of the kernel, to leave a file
// alone.
type Refusal uint8

// The reasons.
const (
	FolderOwner  Refusal = iota + 1 // another user owns the folder
	FolderShared                    // others can replace what is in the folder
	FileOwner                       // another user owns the file, in a sticky folder
	FileLinked                      // the file has other names, in a sticky folder
	Immutable                       // the file has this attribute
	AppendOnly                      // the file has this attribute
	Changing                        // the name leads to another file each time
)

// Error is for developers; users get a message for the reason.
func (r Refusal) Error() string { return fmt.Sprintf("refused for reason %d", uint8(r)) }

const (
	maxLinks = 40 // as many as the kernel follows
	attempts = 10
)

// Write replaces the content of the file at path, which it creates if
// necessary. After an error the file is as it was, as far as the disk still
// works.
func Write(path string, text []byte) error {
	err := error(Changing)
	for i := 0; i < attempts && err == Changing; i++ {
		err = write(path, text)
	}
	return err
}

func write(path string, text []byte) error {
	p, err := find(path)
	if err != nil {
		return err
	}
	defer p.folder.Close()
	if p.plain() {
		err = p.replace(text)
		if err == nil {
			return p.sync()
		}
		if !p.exists || err == Changing || isFull(err) {
			return err
		}
	}
	return p.writeInPlace(text)
}

// isFull reports whether the disk is at fault, not the privileges of the
// process.
func isFull(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EIO)
}

// place is where a file is or will be.
type place struct {
	folder *os.File
	name   string
	exists bool
	stat   unix.Stat_t // of the file, if it exists
	inProc bool        // the name is a link of /proc that stands for an open file
}

// find returns the place that a path leads to. A link in the last component
// is followed if the rules of fs.protected_symlinks for shared folders allow
// it, in every folder and whatever the setting.
func find(path string) (*place, error) {
	at := unix.AT_FDCWD
	for range maxLinks + 1 {
		p, err := look(at, path)
		if err != nil {
			return nil, err
		}
		if p.inProc || !p.is(unix.S_IFLNK) {
			return p, nil
		}
		defer p.folder.Close() // until the next one is open
		at = int(p.folder.Fd())
		target := make([]byte, unix.PathMax)
		n, err := unix.Readlinkat(at, p.name, target)
		if err != nil {
			return nil, err
		}
		path = string(target[:n])
	}
	return nil, unix.ELOOP
}

// look opens the folder of a path, which is relative to the folder at, and
// examines the file there.
func look(at int, path string) (*place, error) {
	parent, name := filepath.Split(path)
	if parent == "" && name != "" {
		parent = "."
	}
	folder, err := open(at, parent, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	p := &place{folder: folder, name: name}
	if err := p.look(); err != nil {
		folder.Close()
		return nil, err
	}
	return p, nil
}

func (p *place) look() error {
	switch p.name {
	case "", ".", "..":
		return unix.EISDIR
	}
	var dir unix.Stat_t
	if err := unix.Fstat(p.fd(), &dir); err != nil {
		return err
	}
	me := uint32(os.Geteuid())
	shared := dir.Mode&0o022 != 0
	switch {
	case dir.Uid != me && dir.Uid != 0:
		return FolderOwner
	case shared && dir.Mode&unix.S_ISVTX == 0:
		return FolderShared
	}
	switch err := unix.Fstatat(p.fd(), p.name, &p.stat, unix.AT_SYMLINK_NOFOLLOW); {
	case err == unix.ENOENT:
		return nil
	case err != nil:
		return err
	}
	p.exists = true
	switch {
	case shared && p.stat.Uid != me && p.stat.Uid != dir.Uid:
		return FileOwner
	case shared && p.stat.Nlink > 1 && !p.is(unix.S_IFDIR): // where the kernel has fs.protected_hardlinks off
		return FileLinked
	case !p.is(unix.S_IFLNK):
		return nil
	}
	var fs unix.Statfs_t
	if err := unix.Fstatfs(p.fd(), &fs); err != nil {
		return err
	}
	if p.inProc = fs.Type == unix.PROC_SUPER_MAGIC; p.inProc {
		return unix.Fstatat(p.fd(), p.name, &p.stat, 0)
	}
	return nil
}

func (p *place) fd() int { return int(p.folder.Fd()) }

// is reports whether the place has a file of a type.
func (p *place) is(format uint32) bool { return p.exists && p.stat.Mode&unix.S_IFMT == format }

// plain reports whether the place has a regular file or none.
func (p *place) plain() bool { return !p.exists || p.is(unix.S_IFREG) && !p.inProc }

// open opens the file that look has examined.
func (p *place) open(flags int) (*os.File, error) {
	if !p.inProc {
		flags |= unix.O_NOFOLLOW
	}
	f, err := open(p.fd(), p.name, flags|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	if !same(int(f.Fd()), &p.stat) {
		f.Close()
		return nil, Changing
	}
	return f, nil
}

// sync makes the new name survive a power failure.
func (p *place) sync() error {
	folder, err := open(p.fd(), ".", unix.O_RDONLY, 0)
	if errors.Is(err, unix.EACCES) {
		return nil
	}
	if err != nil {
		return err
	}
	defer folder.Close()
	return flush(folder)
}

func open(at int, path string, flags int, mode uint32) (*os.File, error) {
	var fd int
	err := again(func() (err error) {
		fd, err = unix.Openat(at, path, flags|unix.O_CLOEXEC, mode)
		return err
	})
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}

// same reports whether a descriptor refers to the file of stat.
func same(fd int, stat *unix.Stat_t) bool {
	var st unix.Stat_t
	return unix.Fstat(fd, &st) == nil && st.Dev == stat.Dev && st.Ino == stat.Ino
}

// flush writes a file to its disk, if it has one.
func flush(f *os.File) error {
	if err := f.Sync(); !errors.Is(err, unix.EINVAL) {
		return err
	}
	return nil
}

// again repeats a system call while signals interrupt it.
func again(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}
