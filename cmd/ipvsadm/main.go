// SPDX-License-Identifier: Apache-2.0

// Command ipvsadm administers the kernel's IP Virtual Server. It is also
// installed as ipvsadm-save and ipvsadm-restore.
package main

import (
	"cmp"
	"os"
	"runtime/debug"

	"github.com/ipvsadm-go/ipvsadm/internal/cli"
)

// The Makefile sets these. For other builds the Go tool records the version.
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

// ownVersion is the version and the commit of the program; info may be nil.
// For a downloaded module it contains the checksum of the files instead of
// the commit.
func ownVersion(version, commit string, info *debug.BuildInfo) string {
	source := "commit unknown"
	if info != nil {
		version = cmp.Or(version, info.Main.Version)
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				commit = cmp.Or(commit, s.Value)
			}
		}
		if info.Main.Sum != "" {
			source = "module " + info.Main.Sum
		}
	}
	if commit != "" {
		source = "commit " + commit
	}
	return cmp.Or(version, "(unknown version)") + ", " + source
}
