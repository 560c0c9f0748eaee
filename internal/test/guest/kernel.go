// SPDX-License-Identifier: Apache-2.0

// Package guest boots a real Linux kernel as an ordinary program and runs one
// command in it. The kernel is User Mode Linux: it needs neither root nor KVM,
// and it has IP Virtual Server as a module.
//
// The guest sees the host's file tree at the same paths, but whatever it writes
// stays in its own memory. The program that calls [Run] is also the guest's
// init, so its main (or TestMain) calls [Init] before anything else.
package guest

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Kernel is what a boot needs to find on the host's disk.
type Kernel struct {
	Version string // release as the kernel names itself, such as 6.1.176
	Path    string // the program linux.uml
	Modules string // folder of this release's modules, the one that holds modules.dep
	Libs    string // folder of the C library that Path needs, "" for the host's own
	Tools   string // file tree that lends the guest what the host lacks, "" for none
}

// suites says which Debian suite carries which kernel. The machine's own suite
// is "", whatever kernel it has.
var suites = map[string]string{"": "", "6.1": "bookworm", "6.12": "trixie", "7.2": "sid"}

func suiteOf(version string) (string, error) {
	suite, known := suites[version]
	if !known {
		return "", fmt.Errorf("uml: no kernel version %q: there are %s", version,
			strings.Join(slices.Sorted(maps.Keys(suites))[1:], ", "))
	}
	return suite, nil
}

// Where the packages user-mode-linux and libc6 put things, below / or the cache.
const (
	kernelProgram = "usr/bin/linux.uml"
	modulesDir    = "usr/lib/uml/modules"
	libsDir       = "usr/lib/x86_64-linux-gnu"
	loader        = libsDir + "/ld-linux-x86-64.so.2"
)

// Find looks for a kernel: the machine's own package first, then what [Fetch]
// put in the cache. A version is "" for the machine's own or the start of a
// release: 6.1, 6.12, 7.2. The error is one line that says how to get what is
// missing.
func Find(version string) (Kernel, error) {
	if _, err := suiteOf(version); err != nil {
		return Kernel{}, err
	}
	if path, err := exec.LookPath("linux.uml"); err == nil {
		k, err := kernelAt("/", path)
		if err == nil && k.is(version) {
			return k, nil
		}
		if err != nil && version == "" {
			return Kernel{}, err
		}
	}
	return cached(version)
}

// cached is the kernel that Fetch put in the cache.
func cached(version string) (Kernel, error) {
	suite, err := suiteOf(version)
	if err != nil {
		return Kernel{}, err
	}
	root, err := packagesDir(suite, kernelPackage)
	if err != nil {
		return Kernel{}, err
	}
	path := filepath.Join(root, kernelProgram)
	if !exists(path) {
		if version == "" {
			return Kernel{}, errors.New("uml: no linux.uml on this machine: apt-get install user-mode-linux, or make kernel")
		}
		return Kernel{}, fmt.Errorf("uml: no linux.uml %[1]s on this machine: make kernel KERNEL=%[1]s", version)
	}
	k, err := kernelAt(root, path)
	if err == nil && !k.is(version) {
		err = fmt.Errorf("uml: %s is release %s, not %s: the suite has moved on, remove the folder %s and fetch again", path, k.Version, version, root)
	}
	if err != nil {
		return Kernel{}, err
	}
	return k, nil
}

func (k Kernel) is(version string) bool {
	return version == "" || strings.HasPrefix(k.Version+".", version+".")
}

// kernelAt describes the kernel program at path, whose modules lie below root.
func kernelAt(root, path string) (Kernel, error) {
	k := Kernel{Path: path}
	if root != "/" {
		k.Libs = filepath.Join(root, libsDir)
	}
	cmd := exec.Command(path, "--version")
	cmd.Env = k.environ()
	out, err := cmd.Output()
	if err != nil {
		return Kernel{}, fmt.Errorf("uml: %s --version: %w", path, err)
	}
	k.Version = strings.TrimSpace(string(out))
	k.Modules = filepath.Join(root, modulesDir, k.Version)
	if !exists(filepath.Join(k.Modules, "modules.dep")) {
		return Kernel{}, fmt.Errorf("uml: %s has no modules of its release: no %s/modules.dep", path, k.Modules)
	}
	if tools, err := packagesDir("", toolPackages()...); err == nil && exists(tools) {
		k.Tools = tools
	}
	return k, nil
}

// environ is the environment for the program linux.uml itself.
func (k Kernel) environ() []string {
	env := []string{"PATH=/usr/bin:/bin"}
	if k.Libs != "" {
		env = append(env, "LD_LIBRARY_PATH="+k.Libs)
	}
	return env
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
