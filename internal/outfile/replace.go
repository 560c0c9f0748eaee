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

// errKept means that a new file would lack a property of the old one.
var errKept = errors.New("the file has a property that a new one cannot have")

// replace writes a temporary file and renames it to the name of the old one.
// After an error nothing has changed.
func (p *place) replace(text []byte) error {
	var old *os.File
	mode := uint32(0o666)
	if p.exists {
		if p.stat.Nlink > 1 || p.stat.Mode&0o7000 != 0 {
			return errKept
		}
		var err error
		if old, err = p.open(unix.O_RDONLY); err != nil {
			return err
		}
		defer old.Close()
		mode = 0o600
	}
	if p.flags(".")&unix.STATX_ATTR_APPEND != 0 {
		return unix.EPERM // the directory permits no renaming
	}
	p.sweep()
	name := fmt.Sprintf("%s%016x", temporaryPrefix, rand.Uint64())
	f, err := open(p.fd(), name, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY, mode)
	if err != nil {
		return err
	}
	defer f.Close()
	_ = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) // see sweep
	if err = fill(f, old, text); err == nil {
		err = unix.Renameat(p.fd(), name, p.fd(), p.name)
	}
	if err == unix.ENOENT { // removed before it was locked
		return Changing
	}
	if err != nil {
		_ = unix.Unlinkat(p.fd(), name, 0)
	}
	return err
}

// fill writes a file that will replace old, which is nil if there is none.
func fill(f, old *os.File, text []byte) error {
	if old != nil {
		if err := copyProperties(int(old.Fd()), int(f.Fd())); err != nil {
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

// copyProperties copies the owner, the mode and the extended attributes that
// this process can see. These include access control lists and security
// labels. It removes attributes that the new file inherited from its
// directory.
func copyProperties(from, to int) error {
	var st unix.Stat_t
	if err := unix.Fstat(from, &st); err != nil {
		return err
	}
	if err := unix.Fchown(to, int(st.Uid), int(st.Gid)); err != nil {
		return err
	}
	if err := unix.Fchmod(to, st.Mode&0o777); err != nil {
		return err
	}
	if inodeFlags(from) != inodeFlags(to) {
		return errKept
	}
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
			return errKept // these depend on the content
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
// those that describe how the file system stores it.
func inodeFlags(fd int) uint32 {
	const stored = 0x100 | 0x200 | 0x1000 | 0x40000 | 0x80000 | 0x200000 | 0x10000000
	flags, err := unix.IoctlGetUint32(fd, unix.FS_IOC_GETFLAGS)
	if err != nil {
		return 0
	}
	return flags &^ stored
}

// maxAttribute is the maximum size of an extended attribute, and of the list
// of names.
const maxAttribute = 64 << 10

// selinuxLabel is an attribute that some kernels, such as 7.2, return but do
// not list while SELinux is off.
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

// temporaryPrefix is the start of the name of a temporary file; 16 hexadecimal
// digits follow.
const temporaryPrefix = ".ipvsadm-"

func isTemporaryName(name string) bool {
	digits, ok := strings.CutPrefix(name, temporaryPrefix)
	return ok && len(digits) == 16 && strings.Trim(digits, "0123456789abcdef") == ""
}

// sweep removes temporary files of processes that were killed. A running
// process holds a lock on its file.
func (p *place) sweep() {
	dir, err := open(p.fd(), ".", unix.O_RDONLY, 0)
	if err != nil {
		return
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
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
