// SPDX-License-Identifier: Apache-2.0

// Packages for a user who cannot install any: apt-get works in private
// directories, and its downloads are unpacked into the user's cache.

package guest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// tools are the programs that tests and the guest itself call, with their
// packages. Only an installation creates the name iptables, without -nft.
var tools = map[string]string{
	"ipvsadm": "ipvsadm", "ip": "iproute2", "iptables-nft": "iptables", "modprobe": "kmod", "pgrep": "procps", "shellcheck": "shellcheck",
	"mandoc": "mandoc", "zsh": "zsh", "fish": "fish", "systemd-analyze": "systemd",
}

func toolPackages() []string {
	return slices.Sorted(maps.Values(tools))
}

// fetchProgram fetches a package and makes its program use the C library
// fetched with it.
func fetchProgram(ctx context.Context, suite string, log io.Writer, name, program string) (root string, err error) {
	if root, err = FetchPackages(ctx, suite, log, name); err != nil {
		return "", err
	}
	if err := setInterpreter(filepath.Join(root, program), filepath.Join(root, loader)); err != nil {
		return "", fmt.Errorf("guest: %w", err)
	}
	return root, nil
}

// FetchTools downloads the tools that a guest needs and the machine lacks:
// modprobe, ip, iptables-nft, shellcheck, and the original ipvsadm. Guests of
// kernels that are found later have them.
func FetchTools(ctx context.Context, log io.Writer) error {
	for program := range tools {
		if !hasTool(program) {
			_, err := FetchPackages(ctx, "", log, toolPackages()...)
			return err
		}
	}
	return nil
}

// hasTool also looks in the sbin directories, which are only in root's PATH.
func hasTool(program string) bool {
	for dir := range strings.SplitSeq(GuestPath(), ":") {
		if _, err := exec.LookPath(filepath.Join(dir, program)); err == nil {
			return true
		}
	}
	return false
}

// FetchPackages downloads packages of a Debian suite ("" for the machine's
// own) with their dependencies, unpacks them into one directory of the cache
// and returns it. An existing directory is returned unchanged. log gets one
// line, and apt-get's output if it failed.
func FetchPackages(ctx context.Context, suite string, log io.Writer, names ...string) (root string, err error) {
	root, err = packagesDir(suite, names...)
	if err != nil || exists(root) {
		return root, err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("guest: fetch %s: %w", strings.Join(names, " "), err)
		}
	}()
	if err := os.MkdirAll(filepath.Dir(root), 0o755); err != nil {
		return "", err
	}
	fmt.Fprintf(log, "guest: fetching %s into %s\n", strings.Join(names, " "), root)
	work, err := os.MkdirTemp(filepath.Dir(root), "fetch-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	if err := download(ctx, work, suite, log, names); err != nil {
		return "", err
	}
	tree := filepath.Join(work, "tree")
	if err := makeTree(tree); err != nil {
		return "", err
	}
	debs, err := filepath.Glob(filepath.Join(work, "cache/archives/*.deb"))
	if err != nil {
		return "", err
	}
	for _, deb := range debs {
		if err := unpack(ctx, deb, tree); err != nil {
			return "", err
		}
	}
	if err := os.Rename(tree, root); err != nil && !exists(root) {
		return "", err
	}
	return root, nil
}

// FindPackages returns the directory into which FetchPackages put these
// packages. If it is missing, the error is one line that says how to get
// them.
func FindPackages(suite string, names ...string) (root string, err error) {
	root, err = packagesDir(suite, names...)
	if err == nil && !exists(root) {
		err = fmt.Errorf("guest: not in the cache: %s: make test fetches them", strings.Join(names, " "))
	}
	return root, err
}

// packagesDir returns the directory for these packages.
func packagesDir(suite string, names ...string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("guest: no cache directory: %w", err)
	}
	if suite == "" {
		suite = "own"
	}
	return filepath.Join(cache, "ipvsadm", "guest", suite, strings.Join(slices.Sorted(slices.Values(names)), "+")), nil
}

// download leaves the packages' files in work/cache/archives.
func download(ctx context.Context, work, suite string, log io.Writer, names []string) error {
	for _, dir := range []string{"state/lists/partial", "cache/archives/partial", "sources"} {
		if err := os.MkdirAll(filepath.Join(work, dir), 0o755); err != nil {
			return err
		}
	}
	// An empty status file makes apt-get download all dependencies,
	// regardless of the packages that the machine has installed.
	status := filepath.Join(work, "status")
	if err := os.WriteFile(status, nil, 0o644); err != nil {
		return err
	}
	options := []string{
		"-q", "-y",
		"-o", "Dir::State=" + filepath.Join(work, "state"),
		"-o", "Dir::State::status=" + status,
		"-o", "Dir::Cache=" + filepath.Join(work, "cache"),
		"-o", "Debug::NoLocking=true", // of dpkg's database, which is not used
		"-o", "APT::Sandbox::User=root", // another user cannot write to the cache
		"-o", "Acquire::Languages=none",
	}
	if suite != "" {
		sources, err := suiteSources(ctx, suite)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(work, "sources/suite.list"), sources, 0o644); err != nil {
			return err
		}
		options = append(options,
			"-o", "Dir::Etc::SourceList=/dev/null",
			"-o", "Dir::Etc::SourceParts="+filepath.Join(work, "sources"),
			"-o", "Dir::Etc::Preferences=/dev/null", "-o", "Dir::Etc::PreferencesParts=/dev/null",
			"-o", "APT::Default-Release=")
	}
	var said bytes.Buffer
	apt := func(command string, args ...string) error {
		cmd := exec.CommandContext(ctx, "apt-get", append(append(slices.Clone(options), command), args...)...)
		cmd.Stdout, cmd.Stderr = &said, &said
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("apt-get %s: %w", command, err)
		}
		return nil
	}
	// One of several sources may fail as long as another has the packages.
	updated := apt("update")
	if err := apt("install", append(slices.Clone(names), "--download-only", "--no-install-recommends")...); err != nil {
		log.Write(said.Bytes())
		return errors.Join(err, updated)
	}
	return nil
}

// archiveKeys are the keys that sign Debian's suites.
const archiveKeys = "/usr/share/keyrings/debian-archive-keyring.gpg"

// suiteSources returns a source list of a suite, with the mirrors that the
// machine uses for its own.
func suiteSources(ctx context.Context, suite string) ([]byte, error) {
	targets, err := exec.CommandContext(ctx, "apt-get", "indextargets", "--format",
		"deb [signed-by="+archiveKeys+"] $(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages").Output()
	if err != nil {
		return nil, fmt.Errorf("apt-get indextargets: %w", err)
	}
	var list []byte
	for line := range strings.Lines(string(targets)) {
		// The machine's own suite is the plain name; bookworm-updates
		// and the like belong to it.
		words := strings.Fields(line)
		if release := &words[len(words)-2]; !strings.ContainsAny(*release, "-/") {
			*release = suite
			list = append(list, strings.Join(words, " ")+"\n"...)
		}
	}
	if list == nil {
		return nil, errors.New("apt-get indextargets names no mirror of Debian")
	}
	return list, nil
}

// makeTree creates an empty tree in which /bin, /sbin and /lib are links into
// /usr, as on the host whose tree is above it.
func makeTree(root string) error {
	for _, dir := range []string{"bin", "sbin", "lib", "lib64"} {
		if err := os.MkdirAll(filepath.Join(root, "usr", dir), 0o755); err != nil {
			return err
		}
		if err := os.Symlink("usr/"+dir, filepath.Join(root, dir)); err != nil {
			return err
		}
	}
	return nil
}

// unpack works as dpkg-deb -x, but keeps the tree's links to directories.
func unpack(ctx context.Context, deb, root string) error {
	files := exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", deb)
	tar := exec.CommandContext(ctx, "tar", "-x", "--no-same-owner", "--keep-directory-symlink", "-C", root)
	var said strings.Builder
	tar.Stderr = &said
	var err error
	if tar.Stdin, err = files.StdoutPipe(); err != nil {
		return err
	}
	if err := files.Start(); err != nil {
		return err
	}
	if err := errors.Join(tar.Run(), files.Wait()); err != nil {
		return fmt.Errorf("unpack %s: %w %s", filepath.Base(deb), err, said.String())
	}
	return nil
}
