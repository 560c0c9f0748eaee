// SPDX-License-Identifier: Apache-2.0

// Bench compares ipvsadm with ipvsadm 1.31 and with the bare kernel
// interface, and pkg/ipvs with moby/ipvs, side by side in one guest:
//
//	go run ./internal/test/bench
//
// The host builds the programs and boots the guest, where this program runs
// again and measures. It prints medians of process times, minus that of an
// empty process in the same namespace. Absolute times in a guest differ from
// those of a real machine: only ratios mean anything.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/ipvsadm-go/ipvsadm/internal/test/guest"
)

func main() {
	guest.Init()
	bin := flag.String("bin", "bin", "`directory` of ipvsadm and ipvsadm-restore")
	version := flag.String("kernel", "", "kernel `version`, \"\" for the newest")
	fetch := flag.Bool("fetch", false, "first fetch what is not on this machine: the kernel, and the original ipvsadm")
	count := flag.Int("count", 5, "`number` of runs to take the median of")
	only := flag.String("rows", "", "measure only the rows, or with -scale the tables, whose name matches this `regexp`")
	scale := flag.Bool("scale", false, "measure tables of up to 100,000 servers instead, and print a part of the page about them")
	flag.Parse()
	guest.Exit("bench", func(ctx context.Context) (met bool, err error) {
		if guest.InGuest() && *scale {
			return true, measureScale(flag.Arg(0), flag.Arg(1), *count, *only)
		}
		if guest.InGuest() {
			return measureAll(flag.Arg(0), flag.Arg(1), *count, *only)
		}
		return boot(ctx, *bin, *version, *fetch, "-count="+strconv.Itoa(*count), "-rows="+*only, "-scale="+strconv.FormatBool(*scale))
	})
}

// boot builds the programs, runs this one in a guest, and reports whether all
// goals were met.
func boot(ctx context.Context, bin, version string, fetch bool, flags ...string) (met bool, err error) {
	kernel, err := guest.Obtain(ctx, version, fetch, os.Stderr, "ipvsadm", "iproute2", "kmod", "procps")
	if err != nil {
		return false, err
	}
	bin, err = filepath.Abs(bin)
	if err != nil {
		return false, err
	}
	tmp, err := os.MkdirTemp("", "ipvsadm-bench-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(tmp)
	for _, name := range []string{"empty", "floor", "library", "moby", "start", "timed"} {
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", filepath.Join(tmp, name), ".")
		build.Dir = filepath.Join("internal/test/bench", name)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			return false, fmt.Errorf("build %s: %w", name, err)
		}
	}
	return guest.Again(ctx, kernel, []string{"PATH=" + guest.GuestPath()}, append(flags, bin, tmp))
}
