// SPDX-License-Identifier: Apache-2.0

package outfile

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

var (
	// errNamed is returned where a file needs a name from the start.
	errNamed = errors.New("no files without a name")
	// errKept is returned where a new file would lack a property of the
	// old one.
	errKept = errors.New("the file has what another cannot have")
)

// replace puts a new file in place of the old one. After an error nothing has
// changed.
func (p *place) replace(text []byte) error {
	var old *os.File
	if p.exists {
		if p.stat.Nlink > 1 || p.stat.Mode&0o7000 != 0 {
			return errKept
		}
		var err error
		if old, err = p.open(unix.O_RDONLY); err != nil {
			return err
		}
		defer old.Close()
	}
	p.sweep()
	err := p.install(old, text, "")
	if err == errNamed {
		err = p.install(old, text, temporaryName())
	}
	return err
}

// install makes the new file and moves it into place; name is its temporary
// name, empty for none.
func (p *place) install(old *os.File, text []byte, name string) error {
	if (old != nil || name != "") && p.flags(".")&unix.STATX_ATTR_APPEND != 0 {
		return unix.EPERM // a name made there cannot be removed
	}
	mode := uint32(0o666)
	if old != nil {
		mode = 0o600
	}
	var f *os.File
	var err error
	if name == "" {
		if f, err = open(p.fd(), ".", unix.O_TMPFILE|unix.O_WRONLY, mode); err != nil {
			return errNamed
		}
	} else if f, err = open(p.fd(), name, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY, mode); err != nil {
		return err
	}
	defer f.Close()
	_ = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) // for sweep
	remove := func() {
		if name != "" {
			_ = unix.Unlinkat(p.fd(), name, 0)
		}
	}
	if err := fill(f, old, text); err != nil {
		remove()
		return err
	}
	if name == "" && old == nil {
		return p.link(f, p.name)
	}
	if name == "" {
		name = temporaryName()
		if err := p.link(f, name); err != nil {
			return err
		}
	}
	if err := unix.Renameat(p.fd(), name, p.fd(), p.name); err != nil {
		remove()
		if err == unix.ENOENT {
			return Changing
		}
		return err
	}
	return nil
}

// link links a file to an unused name.
func (p *place) link(f *os.File, name string) error {
	err := unix.Linkat(int(f.Fd()), "", p.fd(), name, unix.AT_EMPTY_PATH)
	if err != nil && err != unix.EEXIST { // without CAP_DAC_READ_SEARCH
		err = unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", f.Fd()), p.fd(), name, unix.AT_SYMLINK_FOLLOW)
	}
	switch err {
	case nil:
		return nil
	case unix.EEXIST:
		return Changing
	}
	return errNamed
}

// fill prepares a file to take the place of the old one, nil if there is
// none.
func fill(f, old *os.File, text []byte) error {
	if old != nil {
		if err := carryOver(int(old.Fd()), int(f.Fd())); err != nil {
			return err
		}
	}
	if err := reserve(f, len(text)); err != nil {
		return err
	}
	if _, err := f.Write(text); err != nil {
		return err
	}
	return flush(f)
}

// carryOver copies owner, mode and extended attributes from one file to
// another, as far as this process can see them; access lists and security
// labels are among the attributes. Attributes inherited from the folder are
// removed.
func carryOver(from, to int) error {
	var want, have unix.Stat_t
	if err := unix.Fstat(from, &want); err != nil {
		return err
	}
	if err := unix.Fstat(to, &have); err != nil {
		return err
	}
	if want.Uid != have.Uid || want.Gid != have.Gid {
		if err := unix.Fchown(to, int(want.Uid), int(want.Gid)); err != nil {
			return err
		}
	}
	if err := unix.Fchmod(to, want.Mode&0o777); err != nil {
		return err
	}
	if err := carryAttributes(from, to); err != nil {
		return err
	}
	if err := unix.Fstat(to, &have); err != nil {
		return err
	}
	if want.Uid != have.Uid || want.Gid != have.Gid || want.Mode != have.Mode || inodeFlags(from) != inodeFlags(to) {
		return errKept // some file systems ignore what they do not support
	}
	return nil
}

func carryAttributes(from, to int) error {
	want, err := attributes(from)
	if err != nil {
		return err
	}
	have, err := attributes(to)
	if err != nil {
		return err
	}
	for name := range have {
		if _, keep := want[name]; keep {
			continue
		}
		if err := unix.Fremovexattr(to, name); err != nil {
			return err
		}
	}
	for name, value := range want {
		switch name {
		case "security.capability", "security.evm", "security.ima":
			return errKept // they go with the content
		}
		if v, has := have[name]; has && v == value {
			continue
		}
		if err := unix.Fsetxattr(to, name, []byte(value), 0); err != nil {
			return err
		}
	}
	return nil
}

// inodeFlags returns the attributes that chattr(1) sets for a file, except
// those that show how the file system stores it.
func inodeFlags(fd int) uint32 {
	const stored = 0x100 | 0x200 | 0x1000 | 0x40000 | 0x80000 | 0x200000 | 0x10000000
	flags, err := unix.IoctlGetUint32(fd, unix.FS_IOC_GETFLAGS)
	if err != nil {
		return 0
	}
	return flags &^ stored
}

// maxAttribute limits the value of an attribute, and the list of their names.
const maxAttribute = 64 << 10

// selinuxLabel is an attribute that some kernels, 7.2 among them, do not list
// while SELinux is off, but return.
const selinuxLabel = "security.selinux"

// attributes returns the extended attributes of an open file.
func attributes(fd int) (map[string]string, error) {
	list := make([]byte, maxAttribute)
	n, err := unix.Flistxattr(fd, list)
	if err == unix.EOPNOTSUPP {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	m := map[string]string{}
	value := make([]byte, maxAttribute)
	for name := range strings.SplitSeq(string(list[:n])+selinuxLabel, "\x00") {
		n, err := unix.Fgetxattr(fd, name, value)
		if name == selinuxLabel && (err == unix.ENODATA || err == unix.EOPNOTSUPP) {
			continue
		}
		if err != nil {
			return nil, err
		}
		m[name] = string(value[:n])
	}
	return m, nil
}

// temporaryPrefix is the start of a temporary name; 16 hexadecimal digits
// follow.
const temporaryPrefix = ".ipvsadm-"

func temporaryName() string { return fmt.Sprintf("%s%016x", temporaryPrefix, rand.Uint64()) }

func isTemporaryName(name string) bool {
	digits, ok := strings.CutPrefix(name, temporaryPrefix)
	return ok && len(digits) == 16 && strings.Trim(digits, "0123456789abcdef") == ""
}

// sweep removes named new files that killed processes left behind. A running
// process holds a lock on its file.
func (p *place) sweep() {
	folder, err := open(p.fd(), ".", unix.O_RDONLY, 0)
	if err != nil {
		return
	}
	defer folder.Close()
	names, _ := folder.Readdirnames(-1)
	for _, name := range names {
		if isTemporaryName(name) {
			p.removeStale(name)
		}
	}
}

func (p *place) removeStale(name string) {
	f, err := open(p.fd(), name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return
	}
	defer f.Close()
	var st unix.Stat_t
	if unix.Fstat(int(f.Fd()), &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return
	}
	own := st.Uid == uint32(os.Geteuid()) || p.exists && st.Uid == p.stat.Uid
	if own && unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
		_ = unix.Unlinkat(p.fd(), name, 0)
	}
}
