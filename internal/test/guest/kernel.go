// SPDX-License-Identifier: Apache-2.0

// Package guest boots a real Linux kernel as an ordinary program and runs one
// command in it. There are two kinds of kernel, and neither needs root or KVM:
// User Mode Linux, which boots in a second, and Debian's stock kernel in QEMU,
// which takes several but has two processors. Both have IP Virtual Server as a
// module.
//
// The guest sees the host's file tree at the same paths, but everything it
// writes stays in its own memory. The program that calls [Run] is also the
// guest's init, so its main (or TestMain) calls [Init] before anything else.
package guest

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Kernel describes the host's files that a boot needs.
type Kernel struct {
	Version string // release as the kernel names itself, such as 6.1.176
	Path    string // the program to start: linux.uml, or qemu-system-x86_64
	Image   string // the kernel that QEMU boots, "" if Path is the kernel itself
	Busybox string // static program that mounts QEMU's first root, "" without Image
	Modules string // directory of this release's modules, with modules.dep
	Libs    string // directory of the C library that Path needs, "" for the host's own
	Tools   string // file tree with the files that the host lacks, "" for none
}

// source is the origin of a kernel name: a Debian suite, and one of its
// kernels.
type source struct {
	suite string
	find  func(name, suite string) (Kernel, error)
	fetch func(ctx context.Context, suite string, log io.Writer) error
}

var sources = map[string]source{
	"":           {"sid", findNewest, fetchUML},
	"6.1":        {"bookworm", findUML, fetchUML},
	"6.12":       {"trixie", findUML, fetchUML},
	"7.2":        {"sid", findUML, fetchUML},
	"debian-11":  {"bullseye", findStock, fetchStock},
	"debian-12":  {"bookworm", findStock, fetchStock},
	"debian-13":  {"trixie", findStock, fetchStock},
	"debian-sid": {"sid", findStock, fetchStock},
}

func sourceOf(name string) (source, error) {
	s, known := sources[name]
	if !known {
		return source{}, fmt.Errorf("guest: no kernel %q: there are %s", name, strings.Join(Names(), ", "))
	}
	return s, nil
}

// Names returns the kernel names that [Find] and [Fetch] accept.
func Names() []string {
	return slices.Sorted(maps.Keys(sources))[1:]
}

// Find looks for a kernel on the machine and then in the cache, where [Fetch]
// puts it. The name is one of [Names], or "" for the newest User Mode Linux. The
// error is one line that says how to get missing files.
func Find(name string) (Kernel, error) {
	s, err := sourceOf(name)
	if err != nil {
		return Kernel{}, err
	}
	k, err := s.find(name, s.suite)
	if err != nil {
		return Kernel{}, err
	}
	if tools, err := packagesDir("", toolPackages()...); err == nil && exists(tools) {
		k.Tools = tools
	}
	return k, nil
}

// Fetch downloads the files that a kernel needs and the machine lacks into
// the cache, where [Find] finds them. log receives apt-get's output.
func Fetch(ctx context.Context, name string, log io.Writer) (Kernel, error) {
	s, err := sourceOf(name)
	if err != nil {
		return Kernel{}, err
	}
	if err := s.fetch(ctx, s.suite, log); err != nil {
		return Kernel{}, err
	}
	return Find(name)
}

// Obtain finds a kernel and the programs of Debian packages for its guests,
// or, if allowed, fetches them. Without packages these are the usual tools,
// which are fetched only if the machine lacks one.
func Obtain(ctx context.Context, name string, fetch bool, log io.Writer, packages ...string) (k Kernel, err error) {
	if fetch && len(packages) == 0 {
		if err := FetchTools(ctx, log); err != nil {
			return k, err
		}
	}
	if k, err = Find(name); err != nil && fetch {
		k, err = Fetch(ctx, name, log)
	}
	switch {
	case err != nil || len(packages) == 0:
	case fetch:
		k.Tools, err = FetchPackages(ctx, "", log, packages...)
	default:
		k.Tools, err = FindPackages("", packages...)
	}
	return k, err
}

// The packages' paths of the C library, below / or the cache.
const (
	libsDir = "usr/lib/x86_64-linux-gnu"
	loader  = libsDir + "/ld-linux-x86-64.so.2"
)

// withModules sets the directory of the modules, which must have an index.
func (k Kernel) withModules(dir string) (Kernel, error) {
	k.Modules = filepath.Join(dir, k.Version)
	if !exists(filepath.Join(k.Modules, "modules.dep")) {
		return Kernel{}, fmt.Errorf("guest: %s has no modules of its release: no %s/modules.dep", k.Path, k.Modules)
	}
	return k, nil
}

// environ returns the environment for the program at Path.
func (k Kernel) environ() []string {
	env := []string{"PATH=/usr/bin:/bin"}
	if k.Libs != "" {
		env = append(env, "LD_LIBRARY_PATH="+k.Libs)
	}
	return env
}

// memory is the guest's memory in MiB. The host allocates it on demand.
const memory = 1024

// command returns the command that boots the kernel, with the exchange
// directory dir.
func (k Kernel) command(dir string) (*exec.Cmd, error) {
	if k.Image != "" {
		return k.qemu(dir)
	}
	return k.uml(dir), nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
