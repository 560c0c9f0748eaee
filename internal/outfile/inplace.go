// SPDX-License-Identifier: Apache-2.0

package outfile

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// writeInPlace writes the text into the existing file.
func (p *place) writeInPlace(text []byte) error {
	if f := p.descriptor(); f != nil {
		defer f.Close()
		_, err := f.Write(text)
		return err
	}
	flags := unix.O_WRONLY
	if p.is(unix.S_IFREG) {
		flags = unix.O_RDWR
	}
	f, err := p.open(flags)
	if err == unix.EPERM {
		return p.denied()
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if p.is(unix.S_IFREG) {
		return overwrite(f, text)
	}
	_, err = f.Write(text)
	return err
}

// descriptor returns a copy of the inherited descriptor that the place refers
// to, as /dev/stdout does, or nil if it refers to none. Opening the file again
// would start at offset 0.
func (p *place) descriptor() *os.File {
	fd, err := strconv.Atoi(p.name)
	if err != nil || !p.inProc || !isSame(fd, &p.stat) {
		return nil
	}
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC != 0 {
		return nil // the process opened it itself
	}
	if fd, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0); err != nil {
		return nil
	}
	return os.NewFile(uintptr(fd), p.name)
}

// overwrite reserves disk space before it writes, and restores the old content
// if it fails.
func overwrite(f *os.File, text []byte) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	old := make([]byte, min(info.Size(), int64(len(text))))
	if _, err := f.ReadAt(old, 0); err != nil {
		return err
	}
	if err = reserve(f, len(text)); err == nil {
		_, err = f.WriteAt(text, 0)
	}
	if err == nil {
		err = f.Truncate(int64(len(text)))
	}
	if err == nil {
		err = flush(f)
	}
	if err != nil {
		_, _ = f.WriteAt(old, 0)
		_ = f.Truncate(info.Size())
		_ = flush(f)
	}
	return err
}

// reserve allocates disk space for the first bytes of a file, if the file
// system supports it. It checks the process's file size limit first: a write
// beyond it would kill the process.
func reserve(f *os.File, size int) error {
	if size == 0 {
		return nil
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &limit); err == nil && uint64(size) > limit.Cur {
		return unix.EFBIG
	}
	err := retry(func() error {
		return unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, int64(size))
	})
	if isFull(err) {
		return err
	}
	return nil
}

// denied returns the reason why a file cannot be opened although its mode
// permits it.
func (p *place) denied() error {
	switch flags := p.flags(p.name); {
	case flags&unix.STATX_ATTR_IMMUTABLE != 0:
		return Immutable
	case flags&unix.STATX_ATTR_APPEND != 0:
		return AppendOnly
	}
	return unix.EPERM
}

// flags returns the attributes that chattr(1) sets for a file in the
// directory.
func (p *place) flags(name string) uint64 {
	var st unix.Statx_t
	if unix.Statx(p.fd(), name, unix.AT_SYMLINK_NOFOLLOW, 0, &st) != nil {
		return 0 // before Linux 4.11
	}
	return st.Attributes
}
