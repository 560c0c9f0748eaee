// SPDX-License-Identifier: Apache-2.0

// Command ipvsadm administers the kernel's IP Virtual Server. Under the names
// ipvsadm-save and ipvsadm-restore it does what those do.
package main

import (
	"context"
	"os"

	"github.com/ipvsadm-go/ipvsadm/internal/cli"
)

// version is set when a release is built.
var version = "(built without a version)"

func main() {
	os.Exit(cli.Run(context.Background(), cli.Process{
		Args:    os.Args,
		Version: version,
		Stdin:   os.Stdin,
		Stdout:  os.Stdout,
		Stderr:  os.Stderr,
	}))
}
