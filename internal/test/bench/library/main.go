// SPDX-License-Identifier: Apache-2.0

// Library does with pkg/ipvs what the program moby does with
// github.com/moby/ipvs: it creates services with servers, or fetches all of
// them.
package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"strings"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "library:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	ctx := context.Background()
	c, err := ipvs.Dial(ctx, ipvs.Config{})
	if err != nil {
		return err
	}
	defer c.Close()
	if args[0] == "list" {
		return list(ctx, c)
	}
	var services, servers int
	if _, err := fmt.Sscan(strings.Join(args[1:], " "), &services, &servers); err != nil {
		return err
	}
	return restore(ctx, c, services, servers)
}

// list also prints the number of allocations.
func list(ctx context.Context, c *ipvs.Client) error {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := c.ServicesWithDestinations(ctx); err != nil {
		return err
	}
	runtime.ReadMemStats(&after)
	fmt.Println(after.Mallocs - before.Mallocs)
	return nil
}

// restore applies the changes of a few services at a time and reuses their
// memory.
func restore(ctx context.Context, c *ipvs.Client, services, servers int) error {
	const piece = 512
	list := make([]ipvs.Change, 0, piece+servers)
	for i := range services {
		id := ipvs.AddrID(ipvs.TCP, netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 80)
		list = append(list, ipvs.Change{Op: ipvs.OpAddService, Service: ipvs.Service{
			ServiceID: id, Scheduler: "rr", Netmask: ipvs.FullNetmask(ipvs.IPv4),
		}})
		for j := range servers {
			list = append(list, ipvs.Change{
				Op:      ipvs.OpAddDestination,
				Service: ipvs.Service{ServiceID: id},
				Destination: ipvs.Destination{
					Addr: netip.AddrFrom4([4]byte{172, 16, byte(i), byte(j + 1)}), Port: 80,
					Forward: ipvs.Masquerade, Weight: 1,
				},
			})
		}
		if len(list) >= piece || i == services-1 {
			if err := c.Apply(ctx, list...); err != nil {
				return err
			}
			list = list[:0]
		}
	}
	return nil
}
