// SPDX-License-Identifier: Apache-2.0

package outfile

// This file has the tests that need root, users, mounts and kernel settings.
// They run in a guest, on the file systems that rules are saved to.

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/internal/test/guest/guesttest"
	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
)

// user is an unprivileged user.
const user = 1001

func TestOnAKernel(t *testing.T) {
	guesttest.InGuest(t, func(t *testing.T) {
		guesttest.Modprobe(t, "loop", "overlay")
		copyProgram(t)
		for _, d := range []struct {
			name  string
			mount func(t *testing.T) string
		}{
			{"tmpfs", mountTmpfs},
			{"ext4", func(t *testing.T) string { return mountExt4(t) }},
			{"overlayfs", mountOverlay},
		} {
			t.Run(d.name, func(t *testing.T) { testDisk(t, d.mount(t)) })
		}
		// Without extents there is no fallocate, so the disk fills up during
		// a write.
		t.Run("a full disk that takes no room ahead", func(t *testing.T) {
			testFull(t, newDir(t, mountExt4(t, "-O", "^extents,^64bit")))
		})
	})
}

// copyProgram copies this program to a path where other users can run it.
func copyProgram(t *testing.T) {
	exe, err := os.Executable()
	must.OK(t, err)
	program = filepath.Join(newDir(t, "/run"), "program")
	must.OK(t, exec.Command("cp", exe, program).Run())
}

func testDisk(t *testing.T, disk string) {
	for _, setting := range []string{"0", "2"} {
		t.Run("protected "+setting, func(t *testing.T) {
			protect(t, setting)
			for _, c := range append(writeCases, rootCases...) {
				t.Run(c.name, func(t *testing.T) { c.run(t, disk) })
			}
			t.Run("attack", func(t *testing.T) { testAttack(t, disk) })
		})
	}
	for _, c := range []struct {
		name string
		test func(t *testing.T, dir string)
	}{
		{"attributes are carried over", testAttributes},
		{"what the process cannot carry over", testLessPrivilege},
		{"attributes that go with the content", testContentAttributes},
		{"immutable and append-only", testChattr},
		{"a full disk", testFull},
		{"a read-only file system", testReadOnly},
		{"a mounted file", testMountedFile},
		{"without proc", testWithoutProc},
		{"killed at random moments", testKills},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, newDir(t, disk)) })
	}
}

func mount(t *testing.T, source, target, fs string, flags uintptr, options string) {
	t.Helper()
	if err := unix.Mount(source, target, fs, flags, options); err != nil {
		t.Fatalf("mount %s on %s: %v", source, target, err)
	}
	if flags&unix.MS_REMOUNT == 0 {
		t.Cleanup(func() {
			if err := unix.Unmount(target, 0); err != nil {
				t.Errorf("unmount %s: %v", target, err)
			}
		})
	}
}

func mountTmpfs(t *testing.T) string {
	dir := newDir(t, "/run") // where other users can go
	mount(t, "tmpfs", dir, "tmpfs", 0, "size=16m,mode=755")
	return dir
}

func mountExt4(t *testing.T, options ...string) string {
	dir := newDir(t, "/run")
	image := filepath.Join(newDir(t, "/run"), "image")
	must.OK(t, os.WriteFile(image, nil, 0o600))
	must.OK(t, os.Truncate(image, 32<<20))
	run(t, slices.Concat([]string{"mkfs.ext4", "-q", "-m", "0"}, options, []string{image})...)
	run(t, "mount", "-o", "loop", image, dir)
	t.Cleanup(func() { run(t, "umount", dir) })
	return dir
}

// mountOverlay mounts an overlay whose layers are on ext4.
func mountOverlay(t *testing.T) string {
	disk, dir := mountExt4(t), newDir(t, "/run")
	for _, name := range []string{"lower", "upper", "work"} {
		mkdir(t, filepath.Join(disk, name), 0o755)
	}
	writeFile(t, filepath.Join(disk, "lower/rules"), "of the lower layer", 0o604)
	mount(t, "overlay", dir, "overlay", 0, fmt.Sprintf("lowerdir=%[1]s/lower,upperdir=%[1]s/upper,workdir=%[1]s/work", disk))
	for _, text := range []string{"replaced", "replaced again"} {
		must.OK(t, Write(dir+"/rules", []byte(text)))
		if got := readFile(t, dir+"/rules"); got != text || stat(t, dir+"/rules").Mode&0o777 != 0o604 {
			t.Errorf("the lower layer's file is now %q", got)
		}
	}
	if got := readFile(t, disk+"/lower/rules"); got != "of the lower layer" {
		t.Errorf("the lower layer has %q", got)
	}
	return dir
}

func run(t *testing.T, argv ...string) {
	t.Helper()
	if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", argv, err, out)
	}
}

// protect sets the kernel's protection of shared directories.
func protect(t *testing.T, value string) {
	for name, most := range map[string]string{"symlinks": "1", "hardlinks": "1", "regular": "2", "fifos": "2"} {
		file := "/proc/sys/fs/protected_" + name
		before := readFile(t, file)
		must.OK(t, os.WriteFile(file, []byte(min(value, most)), 0))
		t.Cleanup(func() { must.OK(t, os.WriteFile(file, []byte(before), 0)) })
	}
}

func chown(t *testing.T, paths ...string) {
	t.Helper()
	for _, path := range paths {
		must.OK(t, os.Lchown(path, user, user))
	}
}

var rootCases = []writeCase{
	{name: "another user's directory", err: DirOwner, prepare: func(t *testing.T) { chown(t, ".") }},
	{name: "a new file in another user's directory", path: "new", err: DirOwner, prepare: func(t *testing.T) { chown(t, ".") }},
	{name: "another user's sticky directory", err: DirOwner, prepare: func(t *testing.T) {
		must.OK(t, unix.Chmod(".", 0o1777))
		chown(t, ".", "rules")
	}},
	{name: "a link into another user's directory", path: "link", err: DirOwner, prepare: func(t *testing.T) {
		mkdir(t, "sub", 0o755)
		writeFile(t, "sub/rules", "old", 0o600)
		chown(t, "sub")
		symlink(t, "sub/rules", "link")
	}},
	{name: "a link through another user's directory", path: "link", err: DirOwner, prepare: func(t *testing.T) {
		mkdir(t, "sub", 0o755)
		symlink(t, "../rules", "sub/between")
		chown(t, "sub")
		symlink(t, "sub/between", "link")
	}},
	{name: "a group's directory", err: DirShared, prepare: func(t *testing.T) {
		must.OK(t, os.Chown(".", 0, user))
		must.OK(t, unix.Chmod(".", 0o2775))
	}},
	{name: "root's directory below another user's", path: "home/sub/rules", file: "home/sub/rules", prepare: func(t *testing.T) {
		must.OK(t, os.MkdirAll("home/sub", 0o755))
		must.OK(t, os.Chmod("home", 0o755))
		must.OK(t, os.Chmod("home/sub", 0o755))
		chown(t, "home")
	}},
	{name: "another user's link above the file, in a sticky directory", path: "sub/rules", file: "vault/rules", err: DirOwner, prepare: func(t *testing.T) {
		must.OK(t, os.Mkdir("vault", 0o755))
		must.OK(t, unix.Chmod(".", 0o1777))
		symlink(t, "vault", "sub")
		chown(t, "sub")
	}},
	{name: "another user's link above the file, in a directory of his", path: "home/sub/rules", file: "vault/rules", err: DirOwner, prepare: func(t *testing.T) {
		must.OK(t, os.Mkdir("vault", 0o755))
		must.OK(t, os.Mkdir("home", 0o755))
		symlink(t, "../vault", "home/sub")
		chown(t, "home")
	}},
	{name: "root's link above the file, in a sticky directory", path: "sub/../sub/rules", file: "vault/rules", prepare: func(t *testing.T) {
		must.OK(t, os.Mkdir("vault", 0o755))
		must.OK(t, unix.Chmod(".", 0o1777))
		symlink(t, "vault/.", "sub")
	}},
	{name: "another user's file", way: replaced, prepare: func(t *testing.T) { chown(t, "rules") }},
	{name: "another user's file by another user's link", path: "link", way: replaced, prepare: func(t *testing.T) {
		symlink(t, "rules", "link")
		chown(t, "rules", "link")
	}},
	{name: "another user's file in a sticky directory", err: FileOwner, prepare: func(t *testing.T) {
		must.OK(t, unix.Chmod(".", 0o1777))
		chown(t, "rules")
	}},
	{name: "another user's link in a sticky directory", path: "link", err: FileOwner, prepare: func(t *testing.T) {
		must.OK(t, unix.Chmod(".", 0o1777))
		symlink(t, "rules", "link")
		chown(t, "link")
	}},
	{name: "another user's pipe in a sticky directory", path: "pipe", err: FileOwner, prepare: func(t *testing.T) {
		must.OK(t, unix.Chmod(".", 0o1777))
		must.OK(t, unix.Mkfifo("pipe", 0o666))
		chown(t, "pipe")
	}},
	{name: "a file that runs as its owner", way: inPlace, prepare: func(t *testing.T) { must.OK(t, unix.Chmod("rules", 0o4755)) }},
}

// accessList returns a POSIX access list in the kernel's format: for each
// entry a tag, permissions and an id.
func accessList(entries ...[3]uint32) string {
	b := binary.LittleEndian.AppendUint32(nil, 2)
	for _, e := range entries {
		b = binary.LittleEndian.AppendUint16(b, uint16(e[0]))
		b = binary.LittleEndian.AppendUint16(b, uint16(e[1]))
		b = binary.LittleEndian.AppendUint32(b, e[2])
	}
	return string(b)
}

// The tags of an access list.
const (
	tagOwner, tagUser, tagGroupOwner, tagGroup, tagMask, tagOther = 1, 2, 4, 8, 16, 32

	nobody = 1<<32 - 1
)

// allow permits one user and denies the file's group.
var allow = accessList([3]uint32{tagOwner, 6, nobody}, [3]uint32{tagUser, 4, user}, [3]uint32{tagGroupOwner, 0, nobody}, [3]uint32{tagMask, 4, nobody}, [3]uint32{tagOther, 0, nobody})

func testAttributes(t *testing.T, dir string) {
	path := filepath.Join(dir, "rules")
	inherit := accessList([3]uint32{tagOwner, 7, nobody}, [3]uint32{tagGroupOwner, 7, nobody}, [3]uint32{tagGroup, 7, user + 1}, [3]uint32{tagMask, 7, nobody}, [3]uint32{tagOther, 7, nobody})
	must.OK(t, unix.Setxattr(dir, "system.posix_acl_default", []byte(inherit), 0))
	sets := map[string]map[string]string{
		"none":        {},
		"a label":     {"security.selinux": "system_u:object_r:etc_t:s0\x00"},
		"some":        {"security.label": "x", "trusted.one": "", "trusted.two": strings.Repeat("2", 100)},
		"access list": {"system.posix_acl_access": allow, "trusted.one": "1"},
	}
	if unix.Setxattr(dir, "user.test", nil, 0) == nil { // tmpfs has them since Linux 6.6
		sets["a user's"] = map[string]string{"user.comment": "x\x00y"}
	}
	for name, want := range sets {
		writeFile(t, path, "old", 0o640)
		must.OK(t, unix.Removexattr(path, "system.posix_acl_access"))
		must.OK(t, os.Chmod(path, 0o640))
		must.OK(t, os.Chown(path, 7, 8))
		for name, value := range want {
			must.OK(t, unix.Setxattr(path, name, []byte(value), 0))
		}
		before := stat(t, path)
		must.OK(t, Write(path, []byte("new")))
		after := stat(t, path)
		if after.Ino == before.Ino || after.Mode != before.Mode || after.Uid != 7 || after.Gid != 8 {
			t.Errorf("%s: mode %o, owner %d:%d", name, after.Mode, after.Uid, after.Gid)
		}
		f, err := os.Open(path)
		must.OK(t, err)
		got, err := attributes(int(f.Fd()))
		must.OK(t, err)
		f.Close()
		if !maps.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
		for _, c := range []struct {
			uid, gid uint32
			can      bool
		}{{user, user, name == "access list"}, {user + 1, 8, name != "access list"}, {user + 1, user + 1, false}} {
			cat := exec.Command("cat", path)
			cat.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: c.uid, Gid: c.gid}}
			if err := cat.Run(); (err == nil) != c.can {
				t.Errorf("%s: user %d of group %d: %v", name, c.uid, c.gid, err)
			}
		}
		must.OK(t, os.Remove(path))
	}
	// A new file inherits from its directory, as without this package.
	must.OK(t, Write(path, []byte("new")))
	if n, err := unix.Getxattr(path, "system.posix_acl_access", nil); err != nil || n == 0 {
		t.Errorf("a new file has no access list: %v", err)
	}
}

func testContentAttributes(t *testing.T, dir string) {
	path := filepath.Join(dir, "rules")
	for _, name := range []string{"security.ima", "security.capability"} {
		writeFile(t, path, "old", 0o600)
		// Version 2 of capabilities, none of which is set.
		must.OK(t, unix.Setxattr(path, name, append([]byte{0, 0, 0, 2}, make([]byte, 16)...), 0))
		before := stat(t, path)
		must.OK(t, Write(path, []byte("new")))
		if readFile(t, path) != "new" || stat(t, path).Ino != before.Ino {
			t.Errorf("a file with %s was replaced", name)
		}
		must.OK(t, os.Remove(path))
	}
}

// labelOf returns a file's label; empty for none.
func labelOf(path string) string {
	b := make([]byte, 10)
	n, _ := unix.Getxattr(path, "security.label", b)
	return string(b[:max(n, 0)])
}

// withoutPrivilege runs a command as the unit of systemd does.
func withoutPrivilege(cmd *exec.Cmd) { wrap(cmd, "setpriv", "--bounding-set", "-all,+net_admin") }

func wrap(cmd *exec.Cmd, words ...string) {
	path, err := exec.LookPath(words[0])
	if err != nil {
		panic(err)
	}
	cmd.Args = append(words, cmd.Args...)
	cmd.Path = path
}

func testLessPrivilege(t *testing.T, dir string) {
	path := filepath.Join(dir, "rules")
	for _, c := range []struct {
		name    string
		prepare func()
		err     string
		way     way
	}{
		{"root's file", func() {}, "", replaced},
		{"with an access list", func() { must.OK(t, unix.Setxattr(path, "system.posix_acl_access", []byte(allow), 0)) }, "", replaced},
		{"another user's, which cannot be given to him", func() { chown(t, path); must.OK(t, os.Chmod(path, 0o666)) }, "", inPlace},
		{"another group's", func() { must.OK(t, os.Chown(path, 0, user)) }, "", inPlace},
		// With the security module bpf, as in Debian 12, any user can set any
		// label, so either way of writing is right if the label is kept.
		{"with a label that cannot be given", func() { must.OK(t, unix.Setxattr(path, "security.label", []byte("x"), 0)) }, "", ""},
		{"another user's, which cannot be written", func() { chown(t, path); must.OK(t, os.Chmod(path, 0o644)) }, unix.EACCES.Error(), ""},
	} {
		writeFile(t, path, "old", 0o644)
		c.prepare()
		before, label := stat(t, path), labelOf(path)
		err := writeByChild("new", path, withoutPrivilege)
		if got := fmt.Sprint(err); got != c.err && (err != nil || c.err != "") {
			t.Errorf("%s: %v, want %q", c.name, err, c.err)
		}
		want := map[bool]string{true: "new", false: "old"}[c.err == ""]
		after := stat(t, path)
		if got := tree(t, dir); !maps.Equal(got, map[string]string{"rules": want}) {
			t.Errorf("%s: the directory has %q", c.name, got)
		}
		if after.Mode != before.Mode || after.Uid != before.Uid || after.Gid != before.Gid || labelOf(path) != label {
			t.Errorf("%s: mode %o, owner %d:%d, label %q", c.name, after.Mode, after.Uid, after.Gid, labelOf(path))
		}
		if way := map[bool]way{true: replaced, false: inPlace}[after.Ino != before.Ino]; c.err == "" && c.way != "" && way != c.way {
			t.Errorf("%s: it was %s, not %s", c.name, way, c.way)
		}
		must.OK(t, os.Remove(path))
	}
}

// chattr makes changes as chattr(1) does, until the test ends.
func chattr(t *testing.T, change, path string) {
	t.Helper()
	run(t, "chattr", change, path)
}

func testChattr(t *testing.T, dir string) {
	path := filepath.Join(dir, "rules")
	writeFile(t, path, "old", 0o600)
	if out, err := exec.Command("chattr", "+i", path).CombinedOutput(); err != nil {
		if strings.Contains(t.Name(), "/ext4/") { // ext4 supports them in every kernel
			t.Fatalf("%v: %s", err, out)
		}
		t.Skipf("no such attributes here: %s", out)
	}
	chattr(t, "-i", path)
	chattr(t, "+d", path) // no dump: written in place to keep it
	before := stat(t, path)
	must.OK(t, Write(path, []byte("new")))
	if readFile(t, path) != "new" || stat(t, path).Ino != before.Ino {
		t.Error("a file with an attribute of its own was replaced")
	}
	chattr(t, "-d", path)
	must.OK(t, Write(path, []byte("old")))
	if stat(t, path).Ino == before.Ino {
		t.Error("a file without one was written in place")
	}
	for _, c := range []struct {
		flag, on string
		write    string
		err      error
	}{
		{"i", path, path, Immutable},
		{"a", path, path, AppendOnly},
		{"i", dir, path, nil},
		{"a", dir, path, nil},
		{"i", dir, filepath.Join(dir, "new"), unix.EPERM},
		{"a", dir, filepath.Join(dir, "new"), unix.EPERM},
	} {
		name := fmt.Sprintf("%s with %s on %s", filepath.Base(c.write), c.flag, filepath.Base(c.on))
		want := tree(t, dir)
		before := stat(t, path)
		chattr(t, "+"+c.flag, c.on)
		err := Write(c.write, []byte(name))
		chattr(t, "-"+c.flag, c.on)
		if !errors.Is(err, c.err) {
			t.Errorf("%s: %v, want %v", name, err, c.err)
		}
		if c.err == nil {
			want[filepath.Base(c.write)] = name
		}
		if got := tree(t, dir); !maps.Equal(got, want) {
			t.Errorf("%s: the directory has %q, want %q", name, got, want)
		}
		if stat(t, path).Ino != before.Ino {
			t.Errorf("%s: replaced", name)
		}
	}
}

// testFull writes a text that does not fit on the disk, and in place also one
// that does.
func testFull(t *testing.T, dir string) {
	path := filepath.Join(dir, "rules")
	old := strings.Repeat("old\n", 16<<10)
	more := strings.Repeat("more\n", 1<<20)
	for _, links := range []int{1, 2} {
		writeFile(t, path, old, 0o600)
		want := map[string]string{"rules": old}
		if links == 2 {
			must.OK(t, os.Link(path, filepath.Join(dir, "other")))
			want["other"] = old
		}
		ballast := filepath.Join(dir, "ballast")
		f, err := os.Create(ballast)
		must.OK(t, err)
		for err == nil {
			_, err = f.Write(make([]byte, 4096))
		}
		f.Close()
		if !errors.Is(err, unix.ENOSPC) {
			t.Fatal(err)
		}
		var before, after unix.Statfs_t
		must.OK(t, unix.Statfs(dir, &before))
		check := func(text string, want map[string]string, wantErr error) {
			t.Helper()
			if err := Write(path, []byte(text)); !errors.Is(err, wantErr) {
				t.Errorf("%d links, %d bytes: %v, want %v", links, len(text), err, wantErr)
			}
			got := tree(t, dir)
			delete(got, "ballast")
			if !maps.Equal(got, want) {
				t.Errorf("%d links, %d bytes: the directory has %d files, or they have another text", links, len(text), len(got))
			}
		}
		check(more, want, unix.ENOSPC)
		must.OK(t, unix.Statfs(dir, &after))
		if after.Bfree+16 < before.Bfree {
			t.Errorf("%d links: %d blocks were free, now %d", links, before.Bfree, after.Bfree)
		}
		if links == 2 {
			text := strings.Repeat("new\n", 16<<10)
			check(text, map[string]string{"rules": text, "other": text}, nil)
		}
		must.OK(t, os.Remove(ballast))
		check(more[:len(old)+8192], func() map[string]string {
			for name := range want {
				want[name] = more[:len(old)+8192]
			}
			return want
		}(), nil)
		must.OK(t, os.Remove(path))
	}
}

func testReadOnly(t *testing.T, dir string) {
	t.Chdir("/")
	path := filepath.Join(dir, "rules")
	writeFile(t, path, "old", 0o600)
	mount(t, dir, dir, "", unix.MS_BIND, "")
	mount(t, dir, dir, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, "")
	for _, path := range []string{path, path + ".new"} {
		if err := Write(path, []byte("new")); !errors.Is(err, unix.EROFS) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if got := tree(t, dir); !maps.Equal(got, map[string]string{"rules": "old"}) {
		t.Errorf("the directory has %q", got)
	}
}

func testMountedFile(t *testing.T, dir string) {
	t.Chdir("/")
	for _, readOnly := range []bool{false, true} {
		name := fmt.Sprintf("its directory is read-only: %v", readOnly)
		t.Run(name, func(t *testing.T) {
			source, directory := newDir(t, dir), newDir(t, dir)
			writeFile(t, source+"/file", "old", 0o644)
			writeFile(t, directory+"/rules", "below", 0o600)
			if readOnly {
				mount(t, directory, directory, "", unix.MS_BIND, "")
				mount(t, directory, directory, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, "")
			}
			mount(t, source+"/file", directory+"/rules", "", unix.MS_BIND, "")
			before := stat(t, source+"/file")
			must.OK(t, Write(directory+"/rules", []byte("new")))
			if got := readFile(t, source+"/file"); got != "new" || stat(t, source+"/file").Ino != before.Ino {
				t.Errorf("the mounted file has %q, or was replaced", got)
			}
			if got := tree(t, directory); !maps.Equal(got, map[string]string{"rules": "new"}) {
				t.Errorf("the directory has %q", got)
			}
		})
	}
}

func testWithoutProc(t *testing.T, dir string) {
	t.Chdir(dir)
	withoutProc := func(cmd *exec.Cmd) {
		wrap(cmd, "unshare", "-m", "sh", "-c", `mount -t tmpfs none /proc && exec "$0" "$@"`)
	}
	for name, prepare := range map[string]func(*exec.Cmd){
		"root":              withoutProc,
		"without privilege": func(cmd *exec.Cmd) { withoutPrivilege(cmd); withoutProc(cmd) },
	} {
		for _, text := range []string{"first", "second"} {
			before := unix.Stat_t{}
			_ = unix.Stat("rules", &before)
			if err := writeByChild(text, "rules", prepare); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if got := tree(t, dir); !maps.Equal(got, map[string]string{"rules": text}) || stat(t, "rules").Ino == before.Ino {
				t.Errorf("%s: the directory has %q, or the file was not replaced", name, got)
			}
		}
		must.OK(t, os.Remove("rules"))
		if err := writeByChild("x", "/dev/stdout", prepare); err == nil || err.Error() != unix.ENOENT.Error() {
			t.Errorf("%s: into /dev/stdout: %v", name, err)
		}
	}
}

// writeForever writes two texts in turn. Every other write makes a new file.
func writeForever(args []string) error {
	for i := 0; ; i++ {
		if err := Write(args[0], []byte(killText(i))); err != nil {
			return err
		}
		if i == 0 {
			fmt.Println("begun")
		}
		if i%4 >= 2 {
			if err := os.Remove(args[0]); err != nil {
				return err
			}
		}
	}
}

func killText(i int) string {
	return strings.Repeat(fmt.Sprintln("text number", i%2), 10000)
}

func testKills(t *testing.T, dir string) {
	kills := must.Count(15, 67) // kills on each of three disks
	path := filepath.Join(dir, "rules")
	ends := map[string]int{}
	for range kills {
		cmd := child("writeForever", path)
		stdout, err := cmd.StdoutPipe()
		must.OK(t, err)
		must.OK(t, cmd.Start())
		if _, err := stdout.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(rand.N(20 * time.Millisecond))
		must.OK(t, cmd.Process.Kill())
		_ = cmd.Wait()
		got := tree(t, dir)
		switch text, is := got["rules"]; {
		case !is:
			ends["no file"]++
		case text == killText(0) || text == killText(1):
			ends["whole"]++
		default:
			t.Fatalf("half a file of %d bytes", len(text))
		}
		delete(got, "rules")
		ends["left over"] += len(got)
		must.OK(t, Write(path, []byte(killText(0))))
		if got := tree(t, dir); len(got) != 1 {
			t.Fatalf("the next write left %d files", len(got))
		}
	}
	t.Logf("%d kills ended as %v", kills, ends)
}

// testAttack lets another user create files, links and pipes in directories
// where root writes. That user must not be able to read root's text, or to
// make root change another file.
func testAttack(t *testing.T, disk string) {
	lasts := time.Duration(must.Count(1, 10)) * time.Second
	const most = 20 // maximum number of attempts, for slow machines
	t.Run("on this package", func(t *testing.T) {
		outcomes := map[string]int{}
		seen := func() bool {
			for _, want := range []error{nil, DirOwner, DirShared, FileOwner} {
				if outcomes[fmt.Sprint(want)] == 0 {
					return false
				}
			}
			return true
		}
		for i := 0; i < most && !seen(); i++ {
			if stolen := runAttack(t, disk, lasts, outcomes, Write); stolen != "" {
				t.Fatal(stolen)
			}
		}
		if !seen() {
			t.Error("not each kind of refusal was seen")
		}
	})
	t.Run("on a program that takes no care", func(t *testing.T) {
		stolen := ""
		for i := 0; i < most && stolen == ""; i++ {
			stolen = runAttack(t, disk, 200*time.Millisecond, map[string]int{}, func(path string, text []byte) error {
				f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NONBLOCK, 0o600)
				if err != nil {
					return errors.Unwrap(err)
				}
				defer f.Close()
				_, err = f.Write(text)
				return err
			})
		}
		if stolen == "" {
			t.Error("it came to nothing")
		}
	})
}

const confidential = "what root writes"

// nap sometimes yields to the other process, which is interrupted at a random
// point when this one wakes up.
func nap() {
	if rand.N(8) == 0 {
		time.Sleep(rand.N(100 * time.Microsecond))
	}
}

// roundsFile is created when the other user starts, and contains the number
// of rounds at the end.
const roundsFile = "his/rounds"

// attacked are the directories in which root writes.
var attacked = []string{"his", "shared", "group", "sticky"}

// runAttack counts how writes end and returns what the other user achieved.
func runAttack(t *testing.T, disk string, lasts time.Duration, outcomes map[string]int, write func(string, []byte) error) (stolen string) {
	dir := newDir(t, disk)
	for name, mode := range map[string]uint32{"his": 0o755, "shared": 0o777, "group": 0o775, "sticky": 0o1777, "vault": 0o711} {
		mkdir(t, filepath.Join(dir, name), mode)
	}
	chown(t, filepath.Join(dir, "his"))
	must.OK(t, os.Chown(filepath.Join(dir, "group"), 0, user))
	secret := filepath.Join(dir, "vault", "secret")
	writeFile(t, secret, "secret", 0o600)
	before := stat(t, secret)

	thief := child("attack", dir)
	thief.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}}
	stop, err := thief.StdinPipe()
	must.OK(t, err)
	var out strings.Builder
	thief.Stdout, thief.Stderr = &out, &out
	must.OK(t, thief.Start())
	must.Soon(func() bool { return unix.Access(filepath.Join(dir, roundsFile), unix.F_OK) == nil })

	held := time.AfterFunc(lasts+must.Patience, func() { panic("root waits for the other user") })
	defer held.Stop()
	defer unix.Umask(unix.Umask(0o077))
	for end := time.Now().Add(lasts); time.Now().Before(end); {
		for _, name := range attacked {
			path := filepath.Join(dir, name, "rules")
			outcomes[fmt.Sprint(write(path, []byte(confidential)))]++
			var st unix.Stat_t
			if unix.Lstat(path, &st) == nil && st.Uid == 0 {
				_ = os.Remove(path) // in a sticky directory the attacker cannot replace a file of root
			}
			nap()
		}
	}
	stop.Close()
	must.OK(t, thief.Wait())
	t.Logf("%v in %s of the other user's rounds", outcomes, readFile(t, filepath.Join(dir, roundsFile)))
	after := stat(t, secret)
	switch {
	case readFile(t, secret) != "secret":
		stolen = "root's file was overwritten"
	case after.Ino != before.Ino || after.Mode != before.Mode || after.Uid != before.Uid:
		stolen = "root's file was replaced"
	default:
		stolen = out.String()
	}
	return stolen
}

// attack is the other user's program. It prints the content of files that it
// obtains, and exits at the end of its standard input.
func attack(args []string) error {
	unix.Umask(0)
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(ended)
	}()
	if err := os.WriteFile(filepath.Join(args[0], roundsFile), nil, 0o600); err != nil {
		return err
	}
	const secret = "../vault/secret"
	for i := 0; ; i++ {
		select {
		case <-ended:
			return os.WriteFile(filepath.Join(args[0], roundsFile), []byte(strconv.Itoa(i)), 0o600)
		default:
		}
		for _, name := range attacked {
			dir := filepath.Join(args[0], name)
			path, beside := filepath.Join(dir, "rules"), filepath.Join(dir, "beside")
			if rand.N(4) == 0 {
				// In a sticky directory a file of root cannot be moved.
				_ = unix.Link(filepath.Join(dir, secret), path)
			}
			// The name alternates between a file of the user and a link to
			// one of root.
			f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o666)
			if rand.N(4) == 0 {
				_ = unix.Mkfifo(beside, 0o666)
			} else {
				_ = unix.Symlink(secret, beside)
			}
			nap()
			for range rand.N(8) {
				nap()
				_ = unix.Renameat2(unix.AT_FDCWD, path, unix.AT_FDCWD, beside, unix.RENAME_EXCHANGE)
			}
			if rand.N(2) == 0 {
				_ = unix.Unlink(path)
				_ = unix.Rename(beside, path)
				nap()
			}
			if err == nil {
				take(f, name)
			}
			if f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0); err == nil {
				take(f, name)
			}
			_ = unix.Unlink(beside)
			_ = unix.Unlink(path)
		}
	}
}

// take prints the content of a file that root wrote or owns, and closes it.
func take(f *os.File, where string) {
	defer f.Close()
	b := make([]byte, 100)
	n, err := f.ReadAt(b, 0)
	if errors.Is(err, unix.ESPIPE) {
		_ = f.SetReadDeadline(time.Now().Add(time.Millisecond))
		n, _ = f.Read(b)
	}
	if n > 0 {
		fmt.Printf("%s: %s\n", where, b[:n])
	}
}
