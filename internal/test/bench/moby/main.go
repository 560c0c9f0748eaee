// SPDX-License-Identifier: Apache-2.0

// Moby does with github.com/moby/ipvs what the program library does with
// pkg/ipvs: it creates services with servers, or fetches all of them. It is a
// separate module, so that nothing else depends on that package.
package main

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"

	"github.com/moby/ipvs"
	"golang.org/x/sys/unix"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "moby:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	h, err := ipvs.New("")
	if err != nil {
		return err
	}
	defer h.Close()
	if args[0] == "list" {
		return list(h)
	}
	var services, servers int
	if _, err := fmt.Sscan(strings.Join(args[1:], " "), &services, &servers); err != nil {
		return err
	}
	return restore(h, services, servers)
}

func restore(h *ipvs.Handle, services, servers int) error {
	for i := range services {
		s := &ipvs.Service{
			Address: net.IPv4(10, 0, byte(i>>8), byte(i)), Protocol: unix.IPPROTO_TCP, Port: 80,
			SchedName: "rr", Netmask: 0xffffffff, AddressFamily: unix.AF_INET,
		}
		if err := h.NewService(s); err != nil {
			return err
		}
		for j := range servers {
			d := &ipvs.Destination{
				Address: net.IPv4(172, 16, byte(i), byte(j+1)), Port: 80, Weight: 1,
				ConnectionFlags: ipvs.ConnectionFlagMasq, AddressFamily: unix.AF_INET,
			}
			if err := h.NewDestination(s, d); err != nil {
				return err
			}
		}
	}
	return nil
}

// list also prints the number of allocations.
func list(h *ipvs.Handle) error {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	services, err := h.GetServices()
	if err != nil {
		return err
	}
	for _, s := range services {
		if _, err := h.GetDestinations(s); err != nil {
			return err
		}
	}
	runtime.ReadMemStats(&after)
	fmt.Println(after.Mallocs - before.Mallocs)
	return nil
}
