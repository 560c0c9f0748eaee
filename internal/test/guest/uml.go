// SPDX-License-Identifier: Apache-2.0

// User Mode Linux: Debian's package user-mode-linux is a kernel as a program,
// with one processor. The host's files are its hostfs.

package guest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

const umlPackage = "user-mode-linux"

// The package's paths, below / or the cache.
const (
	umlProgram = "usr/bin/linux.uml"
	umlModules = "usr/lib/uml/modules"
)

// findNewest returns the kernel of a suite, whatever its release: it runs on
// every processor, and since 6.16 takes a third of the time of older ones.
func findNewest(_, suite string) (Kernel, error) {
	k, found, err := umlOf(suite)
	if err == nil && !found {
		err = errors.New("guest: no linux.uml on this machine: make deps")
	}
	return k, err
}

// findUML returns the machine's own kernel if its release begins as
// requested: 6.1, 6.12, 7.2.
func findUML(version, suite string) (Kernel, error) {
	k, err := findRelease(version, suite)
	if err == nil && !k.knowsAMX() && hasAMX() {
		return Kernel{}, fmt.Errorf("guest: the processor has AMX, which User Mode Linux %s does not support: take a stock kernel or a later release", k.Version)
	}
	return k, err
}

func findRelease(version, suite string) (Kernel, error) {
	if path, err := exec.LookPath("linux.uml"); err == nil {
		if k, err := umlAt("/", path); err == nil && k.is(version) {
			return k, nil
		}
	}
	k, found, err := umlOf(suite)
	switch {
	case err != nil:
		return Kernel{}, err
	case !found:
		return Kernel{}, fmt.Errorf("guest: no linux.uml %[1]s on this machine: make deps KERNEL=%[1]s", version)
	case !k.is(version):
		root := strings.TrimSuffix(k.Path, "/"+umlProgram)
		return Kernel{}, fmt.Errorf("guest: %s is release %s, not %s: the suite has moved on, remove the directory %s and fetch again", k.Path, k.Version, version, root)
	}
	return k, nil
}

// umlOf describes the kernel of a suite, if the cache has it.
func umlOf(suite string) (k Kernel, found bool, err error) {
	root, err := packagesDir(suite, umlPackage)
	if err != nil {
		return Kernel{}, false, err
	}
	path := filepath.Join(root, umlProgram)
	if !exists(path) {
		return Kernel{}, false, nil
	}
	k, err = umlAt(root, path)
	return k, err == nil, err
}

func (k Kernel) is(version string) bool {
	return strings.HasPrefix(k.Version+".", version+".")
}

// knowsAMX reports whether the kernel can save the registers of AMX. Up to
// 6.12 User Mode Linux reserves 2,696 bytes for all registers of a process,
// and the host refuses to set fewer than it has: the guest's first process
// dies of SIGSEGV.
func (k Kernel) knowsAMX() bool {
	var major, minor int
	_, err := fmt.Sscanf(k.Version, "%d.%d", &major, &minor)
	return err == nil && (major > 6 || major == 6 && minor > 12)
}

// hasAMX reports whether the machine's kernel saves registers of AMX, which
// Intel's server processors have since 2023.
func hasAMX() bool {
	info, err := os.ReadFile(cpuInfo)
	return err == nil && bytes.Contains(info, []byte(" amx_tile"))
}

// cpuInfo is a variable for tests.
var cpuInfo = "/proc/cpuinfo"

// umlAt describes the kernel program at path, whose modules lie below root.
func umlAt(root, path string) (Kernel, error) {
	k := Kernel{Path: path}
	if root != "/" {
		k.Libs = filepath.Join(root, libsDir)
	}
	cmd := exec.Command(path, "--version")
	cmd.Env = k.environ()
	out, err := cmd.Output()
	if err != nil {
		return Kernel{}, fmt.Errorf("guest: %s --version: %w", path, err)
	}
	k.Version = strings.TrimSpace(string(out))
	return k.withModules(filepath.Join(root, umlModules))
}

func fetchUML(ctx context.Context, suite string, log io.Writer) error {
	_, err := fetchProgram(ctx, suite, log, umlPackage, umlProgram)
	return err
}

// uml starts linux.uml as the leader of a process group that also contains
// the host processes of the guest's.
func (k Kernel) uml(dir string) *exec.Cmd {
	cmd := exec.Command(k.Path,
		fmt.Sprintf("mem=%dM", memory), "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro",
		"init="+filepath.Join(dir, "init"), exchangeWord+"="+dir,
		"uml_dir="+dir, "con=null", "con0=fd:0,fd:1", "quiet",
		// From 6.16 on, a filter of system calls instead of ptrace, if
		// the host permits it, halves the cost of a page fault.
		"seccomp=auto",
		// The RAID6 benchmark, here under its names in 6.x and 7.x,
		// would double the boot time.
		"initcall_blacklist=raid6_select_algo,raid6_init")
	cmd.Env = k.environ()
	if !roomInShm() {
		cmd.Env = append(cmd.Env, "TMPDIR="+dir)
	}
	return cmd
}

// claimProcessor pins the calling thread, and the processes it starts, to a
// processor that no other guest has, until release is called. A guest is
// several processes that constantly switch to each other: on one dedicated
// processor they take half as long as on two.
func claimProcessor() (release func()) {
	var all unix.CPUSet
	if unix.SchedGetaffinity(0, &all) != nil || all.Count() < 2 {
		return func() {}
	}
	for n := range 8 * int(unsafe.Sizeof(all)) {
		if !all.IsSet(n) {
			continue
		}
		// The name is released when its holder exits.
		claim, err := net.Listen("unix", fmt.Sprintf("@ipvsadm-guest-on-%d", n))
		if err != nil {
			continue
		}
		var one unix.CPUSet
		one.Set(n)
		_ = unix.SchedSetaffinity(0, &one) // without it the guest is only slower
		return func() {
			_ = unix.SchedSetaffinity(0, &all)
			claim.Close()
		}
	}
	return func() {}
}

// roomInShm reports whether /dev/shm, where linux.uml keeps the guest's
// memory unless TMPDIR is set, has room for it. If it fills up the guest
// dies.
func roomInShm() bool {
	var fs unix.Statfs_t
	err := unix.Statfs("/dev/shm", &fs)
	return err == nil && int64(fs.Bavail)*int64(fs.Bsize) >= memory<<20
}

// endWithHost powers off when the console's input ends, at the latest when
// the host's process exits.
func endWithHost(dir string) {
	io.Copy(io.Discard, os.Stdin)
	os.RemoveAll(dir)
	powerOff()
}
