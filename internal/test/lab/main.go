// SPDX-License-Identifier: Apache-2.0

// Lab boots a User Mode Linux kernel, builds a network of namespaces in it,
// runs commands there and compares their answers with the expected ones.
//
//	go run ./internal/test/lab -service script demo
//	go run ./internal/test/lab gap|clusters [cluster or scenario]...
//	go run ./internal/test/lab -for 1h soak
//	go run ./internal/test/lab page
//
// The demo is a session: commands and their answers. It restarts Red Hat's
// service, whose script make demo installs into a directory. Gap counts
// requests that fail in the demo's network while a director restores, soak
// runs everything there at once for a long time, and clusters counts packets
// on the paths of every kind of cluster. Page writes the sessions into
// clusters.md. The program runs twice: on the host, where it boots the guest,
// and in the guest, where the commands run as root.
package main

import (
	"context"
	_ "embed"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/test/guest"
)

//go:embed demo.txt
var demo string

// demoHosts is the NAT cluster that every LVS course begins with: a director
// between an outer network, with the client, and an inner one, with two web
// servers.
const demoHosts = `
director ens33 inside  192.168.168.50/24
director ens36 outside 12.0.0.1/24
nginx1   ens33 inside  192.168.168.10/24 via 192.168.168.50
nginx2   ens33 inside  192.168.168.20/24 via 192.168.168.50
client   ens33 outside 12.0.0.10/24
`

// demoNames gives both addresses of the director the same name, and disables
// name servers.
const demoNames = `
director# printf '%s test5\n' 192.168.168.50 12.0.0.1 > /etc/hosts
director# rm -f /etc/resolv.conf
`

// packages are the Debian packages whose programs the guest needs.
var packages = []string{"curl", "iproute2", "iptables", "ipvsadm", "keepalived", "kmod", "netbase", "nftables", "nginx-light", "procps", "socat"}

func main() {
	guest.Init()
	var l lab
	flag.StringVar(&l.bin, "bin", "bin", "`directory` of ipvsadm, ipvsadm-save and ipvsadm-restore")
	flag.StringVar(&l.version, "kernel", "", "kernel `version`, \"\" for the newest")
	flag.StringVar(&l.service, "service", "packaging/systemd/service", "`script` of ipvsadm.service, Red Hat's for the demo")
	flag.BoolVar(&l.fetch, "fetch", false, "fetch what is not on this machine into the user's cache: kernel and programs")
	flag.DurationVar(&l.length, "for", time.Minute, "`time` that the soak takes")
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), "usage: lab [flags] demo|gap|soak|page|clusters [cluster or scenario]...\n")
		flag.PrintDefaults()
	}
	flag.Parse()
	guest.Exit("lab", func(ctx context.Context) (ok bool, err error) {
		switch names := flag.Args()[min(1, flag.NArg()):]; flag.Arg(0) {
		case "demo":
			return l.demo(ctx)
		case "gap":
			return l.clusters(ctx, gaps, names)
		case "soak":
			return l.clusters(ctx, []example{soak(l.length)}, names)
		case "clusters":
			return l.clusters(ctx, clusters, names)
		case "page":
			return true, writePage()
		}
		flag.Usage()
		os.Exit(2)
		return false, nil
	})
}

// limit is the timeout of a guest, including the boot but not the soak.
const limit = 10 * time.Minute

// lab is the host's side.
type lab struct {
	bin     string // directory of the programs under test
	service string // script of ipvsadm.service
	version string // of the kernel, as guest.Find takes it
	fetch   bool
	length  time.Duration // of the soak
}

// demo plays the demo and reports whether all answers were as expected.
func (l lab) demo(ctx context.Context) (ok bool, err error) {
	if guest.InGuest() {
		return playDemo(os.Stdout)
	}
	kernel, err := guest.Obtain(ctx, l.version, l.fetch, os.Stderr, packages...)
	if err != nil {
		return false, err
	}
	start := time.Now()
	if ok, err = l.boot(ctx, kernel, "demo"); err == nil {
		fmt.Printf("%.1f seconds with the boot of Linux %s.\n", time.Since(start).Seconds(), kernel.Version)
	}
	return ok, err
}

// boot runs this program with the arguments in a guest, with the programs
// under test first in the PATH, and reports whether it exited with status 0.
func (l lab) boot(ctx context.Context, kernel guest.Kernel, args ...string) (ok bool, err error) {
	bin, err := filepath.Abs(l.bin)
	if err != nil {
		return false, err
	}
	service, err := filepath.Abs(l.service)
	if err != nil {
		return false, err
	}
	for _, name := range []string{"ipvsadm", "ipvsadm-save", "ipvsadm-restore"} {
		if _, err := exec.LookPath(filepath.Join(bin, name)); err != nil {
			return false, fmt.Errorf("%w: make builds it", err)
		}
	}
	limit := limit
	if flag.Arg(0) == "soak" {
		args = append([]string{"-for=" + l.length.String()}, args...)
		limit += l.length
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return guest.Again(ctx, kernel, []string{"PATH=" + bin + ":" + guest.GuestPath(), serviceVariable + "=" + service}, args)
}
