// SPDX-License-Identifier: Apache-2.0

// Package outfile writes a file in the name of a privileged user, while other
// users may change the file system.
//
// It replaces the file: a temporary file gets the text and the properties of
// the old file, and is renamed. It writes in place if the file cannot be
// replaced or would lose a property. It refuses a path if another user can
// decide which file it refers to.
//
// Each component of a path is examined through the descriptor of its directory
// before it is followed.
package outfile

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// A Refusal is the reason why this package, and not the kernel, refuses to
// write a file.
type Refusal uint8

// The reasons.
const (
	DirOwner   Refusal = iota + 1 // another user owns a directory of the path
	DirShared                     // others can replace files in a directory of the path
	FileOwner                     // another user owns the file, in a sticky directory
	FileLinked                    // the file has other hard links, in a sticky directory
	Immutable                     // the file has this attribute
	AppendOnly                    // the file has this attribute
	Changing                      // the name refers to another file at each attempt
)

// Error is for developers; users get a message for the reason.
func (r Refusal) Error() string { return fmt.Sprintf("refused for reason %d", uint8(r)) }

const (
	maxLinks = 40 // as many as the kernel follows
	attempts = 10
)

// Write replaces the content of the file at path, which it creates if
// necessary. After an error the file is unchanged, unless the disk fails.
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
	defer p.dir.Close()
	if p.isRegularOrNew() {
		err = p.replace(text)
		if err == nil {
			p.sync()
			return nil
		}
		if !p.exists || err == Changing || isFull(err) {
			return err
		}
	}
	return p.writeInPlace(text)
}

// isFull reports whether an error is due to the disk: it is full, over quota
// or broken.
func isFull(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EIO)
}

// place is a name in a directory, where a file is or will be.
type place struct {
	dir    *os.File
	name   string
	exists bool
	stat   unix.Stat_t // of the file, if it exists
	inProc bool        // the name is a link in /proc that refers to an open file
}

// find returns the place that a path refers to. It opens each directory and
// examines each symbolic link. It applies the rules of fs.protected_symlinks,
// even if that is off. Directories may be below those of other users, who can
// only rename them.
func find(path string) (*place, error) {
	start := "."
	switch {
	case path == "":
		return nil, unix.ENOENT
	case strings.HasPrefix(path, "/"):
		start = "/"
	}
	dir, err := open(unix.AT_FDCWD, start, unix.O_PATH|unix.O_DIRECTORY, 0)
	for links := 0; err == nil; {
		name, rest, above := strings.Cut(strings.TrimLeft(path, "/"), "/")
		p := &place{dir: dir, name: name}
		if above && (name == "." || name == "..") {
			path = rest
			dir, err = p.enter()
			continue
		}
		if err = p.examine(); above && p.is(unix.S_IFDIR) && errors.As(err, new(Refusal)) {
			err = nil
		}
		switch {
		case err == FileOwner && above:
			err = DirOwner
		case err != nil:
		case p.is(unix.S_IFLNK) && !p.inProc:
			if links++; links > maxLinks {
				err = unix.ELOOP
				break
			}
			if path, err = p.target(); err != nil {
				break
			}
			if strings.HasPrefix(path, "/") {
				dir, err = (&place{dir: dir, name: "/"}).enter()
			}
			if above {
				path += "/" + rest
			}
		case above:
			path = rest
			dir, err = p.enter()
		default:
			return p, nil
		}
	}
	dir.Close()
	return nil, err
}

// enter opens the directory at the place and closes the one above.
func (p *place) enter() (*os.File, error) {
	defer p.dir.Close()
	return p.open(unix.O_PATH | unix.O_DIRECTORY)
}

// target returns the target of the symbolic link at the place.
func (p *place) target() (string, error) {
	target := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(p.fd(), p.name, target)
	if err != nil {
		return "", err
	}
	return string(target[:n]), nil
}

// examine fills in exists, stat and inProc. It fails if another user can decide
// which file the name refers to.
func (p *place) examine() error {
	switch p.name {
	case "", ".", "..":
		return unix.EISDIR
	}
	var dir unix.Stat_t
	if err := unix.Fstat(p.fd(), &dir); err != nil {
		return err
	}
	err := unix.Fstatat(p.fd(), p.name, &p.stat, unix.AT_SYMLINK_NOFOLLOW)
	if err != nil && err != unix.ENOENT {
		return err
	}
	p.exists = err == nil
	me := uint32(os.Geteuid())
	shared := dir.Mode&0o022 != 0
	switch {
	case dir.Uid != me && dir.Uid != 0:
		return DirOwner
	case shared && dir.Mode&unix.S_ISVTX == 0:
		return DirShared
	case !p.exists:
		return nil
	case shared && p.stat.Uid != me && p.stat.Uid != dir.Uid:
		return FileOwner
	case shared && p.stat.Nlink > 1 && !p.is(unix.S_IFDIR): // possible if fs.protected_hardlinks is off
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

func (p *place) fd() int { return int(p.dir.Fd()) }

// is reports whether the file exists and has the given type.
func (p *place) is(format uint32) bool { return p.exists && p.stat.Mode&unix.S_IFMT == format }

// isRegularOrNew reports whether the file is a regular one or does not exist.
func (p *place) isRegularOrNew() bool { return !p.exists || p.is(unix.S_IFREG) && !p.inProc }

// open opens the file. It returns Changing if the file is not the one that
// examine saw.
func (p *place) open(flags int) (*os.File, error) {
	if !p.inProc {
		flags |= unix.O_NOFOLLOW
	}
	f, err := open(p.fd(), p.name, flags|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	if p.exists && !isSame(int(f.Fd()), &p.stat) {
		f.Close()
		return nil, Changing
	}
	return f, nil
}

// sync writes the directory to disk, so that the new name survives a power
// failure.
func (p *place) sync() {
	if dir, err := open(p.fd(), ".", unix.O_RDONLY, 0); err == nil {
		_ = dir.Sync()
		dir.Close()
	}
}

func open(at int, path string, flags int, mode uint32) (*os.File, error) {
	var fd int
	err := retry(func() (err error) {
		fd, err = unix.Openat(at, path, flags|unix.O_CLOEXEC, mode)
		return err
	})
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}

// isSame reports whether a descriptor refers to the file of stat.
func isSame(fd int, stat *unix.Stat_t) bool {
	var st unix.Stat_t
	return unix.Fstat(fd, &st) == nil && st.Dev == stat.Dev && st.Ino == stat.Ino
}

// flush syncs a file, if its file system supports that.
func flush(f *os.File) error {
	if err := f.Sync(); !errors.Is(err, unix.EINVAL) {
		return err
	}
	return nil
}

// retry repeats a system call while signals interrupt it.
func retry(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}
