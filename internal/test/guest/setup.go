// SPDX-License-Identifier: Apache-2.0

// The guest's file tree. Its root is an overlay: the lower layer is the
// host's file tree, read-only, the upper one is in the guest's memory. So all
// of the host's files exist and can be changed, but the changes end with the
// guest.

package guest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// base is where the new root is assembled. Any directory that every host has
// would do: the mount hides the host's files only until pivot_root.
const base = "/proc"

func setUp(exchange string, o order) error {
	if err := loadModule(o.Modules, "overlay"); err != nil {
		return err
	}
	if err := mount("tmpfs", base, 0, "mode=0755"); err != nil {
		return err
	}
	lower, root := "/", base+"/root"
	for _, dir := range []string{"upper", "work", "root", "tools"} {
		if err := os.Mkdir(filepath.Join(base, dir), 0o755); err != nil {
			return err
		}
	}
	if o.Tools != "" {
		// A separate mount, because overlay refuses a layer inside
		// another.
		if err := o.share(toolsTag, o.Tools, base+"/tools", unix.MS_RDONLY); err != nil {
			return err
		}
		lower += ":" + base + "/tools"
	}
	if err := mount("overlay", root, 0, "lowerdir="+lower+",upperdir="+base+"/upper,workdir="+base+"/work"); err != nil {
		return err
	}
	for _, m := range []struct {
		fs, dir, data string
	}{
		{"proc", "/proc", ""},
		{"sysfs", "/sys", ""},
		{"devtmpfs", "/dev", ""},
		{"devpts", "/dev/pts", "mode=0620,ptmxmode=0666"},
		{"tmpfs", "/dev/shm", "mode=1777"},
		{"tmpfs", "/run", "mode=0755"},
	} {
		if err := os.MkdirAll(root+m.dir, 0o755); err != nil {
			return err
		}
		if err := mount(m.fs, root+m.dir, 0, m.data); err != nil {
			return err
		}
	}
	if err := provideHome(root + "/root"); err != nil {
		return err
	}
	for _, dir := range []string{exchange, "/lib/modules"} {
		if err := os.MkdirAll(root+dir, 0o755); err != nil {
			return err
		}
	}
	if err := o.share(exchangeTag, exchange, root+exchange, 0); err != nil {
		return err
	}
	for link, to := range map[string]string{
		"/dev/fd":                   "/proc/self/fd",
		"/dev/stdin":                "/proc/self/fd/0",
		"/dev/stdout":               "/proc/self/fd/1",
		"/dev/stderr":               "/proc/self/fd/2",
		"/lib/modules/" + o.Release: o.Modules,
	} {
		if err := os.RemoveAll(root + link); err != nil {
			return err
		}
		if err := os.Symlink(to, root+link); err != nil {
			return err
		}
	}
	if err := pivot(root); err != nil {
		return err
	}
	return LoopbackUp()
}

// provideHome gives root a home if the host has none, or one that the user
// who runs this guest cannot read.
func provideHome(dir string) error {
	if _, err := os.ReadDir(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return mount("tmpfs", dir, 0, "mode=0700")
}

// share mounts a directory of the host on dir.
func (o order) share(tag, path, dir string, flags uintptr) error {
	if !o.QEMU {
		return mount("hostfs", dir, flags, path)
	}
	options := shareOptions
	if flags&unix.MS_RDONLY != 0 {
		options = hostShareOptions
	}
	if err := unix.Mount(tag, dir, "9p", flags, options); err != nil {
		return fmt.Errorf("mount %s on %s: %w", path, dir, err)
	}
	return nil
}

func mount(fs, dir string, flags uintptr, data string) error {
	if err := unix.Mount(fs, dir, fs, flags, data); err != nil {
		return fmt.Errorf("mount %s on %s: %w", fs, dir, err)
	}
	return nil
}

// pivot makes dir the root and unmounts the old root. With both arguments the
// same, the old root is mounted on top of the new one, so that it can be
// unmounted without a directory for it.
func pivot(dir string) error {
	if err := unix.Chdir(dir); err != nil {
		return fmt.Errorf("chdir to the new root: %w", err)
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot_root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount the old root: %w", err)
	}
	return unix.Chdir("/")
}

// loadModule loads a module and its dependencies, without modprobe, which the
// host may lack.
func loadModule(dir, name string) error {
	files, err := moduleFiles(dir, name)
	if err != nil {
		return err
	}
	for _, file := range files {
		if err := insertModule(file); err != nil {
			return err
		}
	}
	return nil
}

// moduleFiles returns the files of modules and their dependencies, in load
// order. A module that is not in modules.dep is assumed to be built in.
func moduleFiles(dir string, names ...string) (files []string, err error) {
	dep, err := os.ReadFile(filepath.Join(dir, "modules.dep"))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		for line := range strings.Lines(string(dep)) {
			path, deps, _ := strings.Cut(strings.TrimSpace(line), ":")
			if file, _, _ := strings.Cut(filepath.Base(path), ".ko"); file != name {
				continue
			}
			// modules.dep lists the dependencies to load first
			// last.
			for _, path := range slices.Backward(append([]string{path}, strings.Fields(deps)...)) {
				if path = filepath.Join(dir, path); !slices.Contains(files, path) {
					files = append(files, path)
				}
			}
		}
	}
	return files, nil
}

func insertModule(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	flags := 0
	if filepath.Ext(path) != ".ko" {
		flags = unix.MODULE_INIT_COMPRESSED_FILE
	}
	if err := unix.FinitModule(int(f.Fd()), "", flags); err != nil && err != unix.EEXIST {
		return fmt.Errorf("load %s: %w", path, err)
	}
	return nil
}
