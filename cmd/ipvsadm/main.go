// SPDX-License-Identifier: Apache-2.0

// Go's runtime keeps files of the control group open, to follow its limit of
// processors. Where few files may be open the program needs the room.
//
//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0

// Command ipvsadm administers the kernel's IP Virtual Server. Under the names
// ipvsadm-save and ipvsadm-restore it does what those do.
package main

import (
	"cmp"
	"context"
	"os"
	"runtime/debug"

	"github.com/ipvsadm-go/ipvsadm/internal/cli"
)

// Make sets these; what other builds know of themselves the Go tool has put
// into the program.
var version, commit string

func main() {
	closeOutput()
	os.Exit(cli.Run(context.Background(), cli.Process{
		Args: os.Args,
		Version: func() string {
			info, _ := debug.ReadBuildInfo()
			return ownVersion(version, commit, info)
		},
		Stdin:  os.Stdin,
		Stdout: os.Stdout,
		Stderr: os.Stderr,
	}))
}

// ownVersion is the version and the commit of the program; info may be nil.
func ownVersion(version, commit string, info *debug.BuildInfo) string {
	if info != nil {
		version = cmp.Or(version, info.Main.Version)
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				commit = cmp.Or(commit, s.Value)
			}
		}
	}
	return cmp.Or(version, "(unknown version)") + ", commit " + cmp.Or(commit, "unknown")
}
