// SPDX-License-Identifier: Apache-2.0

// Command ipvsadm administers the kernel's IP Virtual Server. Under the names
// ipvsadm-save and ipvsadm-restore it does what those do.
package main

import (
	"cmp"
	"os"
	"runtime/debug"
	"strings"

	"github.com/ipvsadm-go/ipvsadm/internal/cli"
)

// Make sets these; what other builds know of themselves the Go tool has put
// into the program.
var version, commit string

func main() {
	cli.Exit(cli.Process{
		Args: os.Args,
		Version: func() string {
			info, _ := debug.ReadBuildInfo()
			return ownVersion(version, commit, info)
		},
		Stdin:  os.Stdin,
		Stdout: os.Stdout,
		Stderr: os.Stderr,
	})
}

// ownVersion is the version and the commit of the program; info may be nil. A
// module that was downloaded has its commit in a version that is no tag, else
// the checksum of its files.
func ownVersion(version, commit string, info *debug.BuildInfo) string {
	source := "commit unknown"
	if info != nil {
		version = cmp.Or(version, info.Main.Version)
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				commit = cmp.Or(commit, s.Value)
			}
		}
		commit = cmp.Or(commit, untagged(version))
		if info.Main.Sum != "" {
			source = "module " + info.Main.Sum
		}
	}
	if commit != "" {
		source = "commit " + commit
	}
	return cmp.Or(version, "(unknown version)") + ", " + source
}

// untagged returns the commit of what the Go tool calls a commit without a tag:
// v0.0.0-20261122120000-0123456789ab.
func untagged(version string) string {
	before, commit := "", ""
	if i := strings.LastIndexByte(version, '-'); i >= 0 {
		before, commit = version[:i], version[i+1:]
	}
	digits := len(before) - len(strings.TrimRight(before, "0123456789"))
	if digits != 14 || len(commit) != 12 {
		return ""
	}
	return commit
}
