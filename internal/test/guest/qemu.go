// SPDX-License-Identifier: Apache-2.0

// Debian's stock kernel in QEMU, which emulates two processors. The host's
// files are shared over 9p, whose drivers are modules: an initrd loads them
// and mounts the host's file tree. After that the guest is set up like any
// other.

package guest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const qemuPackage = "qemu-system-x86"

var stockPackages = []string{"linux-image-amd64", "busybox-static"}

// The packages' paths, below / or the cache.
const (
	qemuProgram    = "usr/bin/qemu-system-x86_64"
	busyboxProgram = "usr/bin/busybox"
	stockModules   = "usr/lib/modules"
	depmodProgram  = "usr/bin/depmod" // a link to kmod
)

func findStock(name, suite string) (Kernel, error) {
	root, err := packagesDir(suite, stockPackages...)
	if err != nil {
		return Kernel{}, err
	}
	k, err := stockAt(root)
	if err != nil {
		return Kernel{}, fmt.Errorf("guest: %w: make deps KERNEL=%s", err, name)
	}
	if k.Path, err = exec.LookPath(filepath.Base(qemuProgram)); err != nil {
		programs, err := packagesDir("", qemuPackage)
		if err != nil {
			return Kernel{}, err
		}
		k.Path, k.Libs = filepath.Join(programs, qemuProgram), filepath.Join(programs, libsDir)
		if !exists(k.Path) {
			return Kernel{}, fmt.Errorf("guest: no qemu-system-x86_64 on this machine: apt-get install %s, or make deps KERNEL=%s", qemuPackage, name)
		}
	}
	return k.withModules(filepath.Join(root, stockModules))
}

// stockAt describes the kernel in an unpacked package. Since 7.0 it is next
// to its modules.
func stockAt(root string) (Kernel, error) {
	for _, image := range []string{"boot/vmlinuz-*", stockModules + "/*/vmlinuz"} {
		found, err := filepath.Glob(filepath.Join(root, image))
		if err != nil || len(found) != 1 {
			continue
		}
		modules, err := filepath.Glob(filepath.Join(root, stockModules, "*"))
		if err != nil || len(modules) != 1 {
			break
		}
		return Kernel{Version: filepath.Base(modules[0]), Image: found[0], Busybox: filepath.Join(root, busyboxProgram)}, nil
	}
	return Kernel{}, errors.New("no kernel of Debian on this machine")
}

func fetchStock(ctx context.Context, suite string, log io.Writer) error {
	root, err := FetchPackages(ctx, suite, log, stockPackages...)
	if err != nil {
		return err
	}
	k, err := stockAt(root)
	if err != nil {
		return err
	}
	if !exists(filepath.Join(root, stockModules, k.Version, "modules.dep")) {
		// Create the index, as an installation would. The suite's own
		// depmod supports its module compression; it runs with its
		// own C library.
		program := filepath.Join(root, depmodProgram)
		if err := os.Symlink("kmod", program); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		depmod := exec.CommandContext(ctx, filepath.Join(root, loader),
			"--library-path", filepath.Join(root, libsDir), program, "-b", root, k.Version)
		depmod.Stdout, depmod.Stderr = log, log
		if err := depmod.Run(); err != nil {
			return fmt.Errorf("guest: depmod: %w", err)
		}
	}
	if _, err := exec.LookPath(filepath.Base(qemuProgram)); err == nil {
		return nil
	}
	_, err = fetchProgram(ctx, "", log, qemuPackage, qemuProgram)
	return err
}

// Tags of the file trees that QEMU shares with the guest.
const (
	hostTag     = "host"
	exchangeTag = "exchange"
	toolsTag    = "tools"
)

// shareOptions are the mount options of a file tree. The guest caches the
// host's tree, which does not change meanwhile.
const (
	shareOptions     = "trans=virtio,version=9p2000.L,msize=262144"
	hostShareOptions = shareOptions + ",cache=loose,noxattr"
)

// qemu returns the command of the emulator, which dies with the thread that
// starts it.
func (k Kernel) qemu(dir string) (*exec.Cmd, error) {
	initrd := filepath.Join(dir, "initrd")
	if err := k.writeInitrd(initrd); err != nil {
		return nil, err
	}
	args := []string{
		"-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", fmt.Sprintf("%dM", memory),
		"-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
		"-chardev", "file,id=console,append=on,path=" + comma(filepath.Join(dir, "console")), "-serial", "chardev:console",
		"-kernel", k.Image, "-initrd", initrd,
		// On a busy machine the kernel's timer check misses the
		// interrupt, and it panics.
		"-append", "console=ttyS0 quiet printk.time=0 panic=-1 mitigations=off nokaslr no_timer_check " + exchangeWord + "=" + dir,
		"-virtfs", share(hostTag, "/", "readonly=on"),
		"-virtfs", share(exchangeTag, dir, "readonly=off"),
	}
	if k.Tools != "" {
		args = append(args, "-virtfs", share(toolsTag, k.Tools, "readonly=on"))
	}
	cmd := exec.Command(k.Path, args...)
	cmd.Env = k.environ()
	if k.Libs != "" {
		cmd.Env = append(cmd.Env, "QEMU_MODULE_DIR="+filepath.Join(k.Libs, "qemu"))
	}
	return cmd, nil
}

func share(tag, path, access string) string {
	return "local,mount_tag=" + tag + ",path=" + comma(path) + "," + access + ",security_model=none,multidevs=remap"
}

// comma escapes the commas of a path for QEMU's option lists.
func comma(path string) string { return strings.ReplaceAll(path, ",", ",,") }

// firstInit is the first program of the guest. The kernel passes it the
// exchange directory in the environment.
const firstInit = `#!/busybox sh
for m in %s; do /busybox insmod /$m; done
/busybox mount -t 9p -o ro,` + hostShareOptions + ` ` + hostTag + ` /host
exec /busybox switch_root /host "$` + exchangeWord + `/init"
`

// writeInitrd writes the initrd of the guest.
func (k Kernel) writeInitrd(path string) error {
	files, err := moduleFiles(k.Modules, "virtio_pci", "9pnet_virtio", "9p")
	if err != nil {
		return err
	}
	w := archive{}
	w.add("host", 0o040755, nil)
	var names []string
	for _, file := range append([]string{k.Busybox}, files...) {
		b, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		w.add(filepath.Base(file), 0o100755, b)
		names = append(names, filepath.Base(file))
	}
	w.add("init", 0o100755, fmt.Appendf(nil, firstInit, strings.Join(names[1:], " ")))
	return os.WriteFile(path, w.bytes(), 0o600)
}

// archive is a file tree in the initrd's format, cpio's "newc".
type archive struct {
	buf   []byte
	files int
}

func (a *archive) add(name string, mode uint32, content []byte) {
	a.files++
	// Magic; inode, mode, uid, gid, links, mtime, size, two pairs of
	// device numbers, length of the name, checksum.
	a.buf = fmt.Appendf(a.buf, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
		a.files, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name)+1, 0, name)
	a.pad()
	a.buf = append(a.buf, content...)
	a.pad()
}

func (a *archive) pad() {
	for len(a.buf)%4 != 0 {
		a.buf = append(a.buf, 0)
	}
}

func (a *archive) bytes() []byte {
	a.add("TRAILER!!!", 0, nil)
	return a.buf
}
