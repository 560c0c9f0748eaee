// SPDX-License-Identifier: Apache-2.0

// Run boots a kernel, runs one command in it and exits with the command's
// status, or 125 if there is none ("go run" itself turns every nonzero status
// into 1):
//
//	go run ./internal/test/guest/run -- ipvsadm -Ln
//	go test -exec 'go run github.com/ipvsadm-go/ipvsadm/internal/test/guest/run --' -bench . ./pkg/ipvs
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/ipvsadm-go/ipvsadm/internal/test/guest"
)

// failed is the status if the command has none, as for env(1) and timeout(1).
const failed = 125

func main() {
	guest.Init()
	job := guest.Job{Stdout: os.Stdout, Stderr: os.Stderr}
	kernel := flag.String("kernel", "", "`name` of the kernel: "+strings.Join(guest.Names(), ", ")+"; \"\" for the newest User Mode Linux")
	fetch := flag.Bool("fetch", false, "first fetch what is not on this machine: the kernel, and tools for the guest")
	flag.Parse()
	job.Args = flag.Args()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var status int
	var err error
	if job.Kernel, err = guest.Obtain(ctx, *kernel, *fetch, os.Stderr); err == nil {
		status, err = guest.Run(ctx, job)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = failed
	}
	os.Exit(status)
}
