// SPDX-License-Identifier: Apache-2.0

// Start does what every command begins with, using only ipvsadm's libraries:
// pflag parses the options, and genetlink opens a socket and resolves the
// IPVS family. It is the floor of a single command.
package main

import (
	"fmt"
	"os"

	"github.com/mdlayher/genetlink"
	"github.com/spf13/pflag"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "start:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	flags := pflag.NewFlagSet("start", pflag.ContinueOnError)
	flags.BoolP("edit-service", "E", false, "")
	flags.StringP("tcp-service", "t", "", "")
	flags.StringP("scheduler", "s", "", "")
	if err := flags.Parse(args); err != nil {
		return err
	}
	c, err := genetlink.Dial(nil)
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.GetFamily("IPVS")
	return err
}
