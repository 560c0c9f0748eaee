// SPDX-License-Identifier: Apache-2.0

package ipvs_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"time"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs/ipvstest"
)

// lister is the part of a client that collect uses.
type lister interface {
	ServicesWithDestinations(context.Context) ([]ipvs.ServiceEntry, error)
}

// server identifies a real server of a service. It is comparable with ==, so
// it can be a map key.
type server struct {
	service ipvs.ServiceID
	addr    netip.AddrPort
}

// collector writes the bytes that each server received and sent since the
// previous call, from the kernel's counters.
type collector struct {
	kernel lister
	last   map[server]ipvs.Stats
}

func (c *collector) collect(ctx context.Context, w io.Writer) error {
	services, err := c.kernel.ServicesWithDestinations(ctx)
	if err != nil && !errors.Is(err, ipvs.ErrChanging) { // an incomplete list is good enough here
		return err
	}
	now := make(map[server]ipvs.Stats)
	for _, s := range services {
		for _, d := range s.Destinations {
			key := server{s.ServiceID, d.AddrPort()}
			now[key] = d.Stats
			before := c.last[key]
			if d.Stats.InBytes < before.InBytes || d.Stats.OutBytes < before.OutBytes {
				before = ipvs.Stats{} // zeroed, or deleted and added again
			}
			fmt.Fprintln(w, s.ServiceID, d.AddrPort(), d.Stats.InBytes-before.InBytes, d.Stats.OutBytes-before.OutBytes)
		}
	}
	c.last = now
	return nil
}

// This example collects statistics from a kernel in memory; a program would
// pass the client of ipvs.Dial.
func Example_collector() {
	web := ipvs.AddrID(ipvs.TCP, netip.MustParseAddr("12.0.0.1"), 80)
	table := &ipvs.Table{Services: []ipvs.ServiceEntry{{
		Service: ipvs.NewService(web, "rr"),
		Destinations: []ipvs.DestinationEntry{{
			Destination: ipvs.Destination{Addr: netip.MustParseAddr("192.168.168.10"), Port: 80, Weight: 1},
			Stats:       ipvs.Stats{InBytes: 1000, OutBytes: 50000},
		}},
	}}}
	kernel := ipvstest.New(table)
	c := collector{kernel: kernel}
	for range 3 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		if err := c.collect(ctx, os.Stdout); err != nil {
			fmt.Println(err)
		}
		cancel()
		stats := &table.Services[0].Destinations[0].Stats
		stats.InBytes, stats.OutBytes = stats.InBytes+10, stats.OutBytes+500
		kernel.Set(table)
	}
	// Output:
	// TCP 12.0.0.1:80 192.168.168.10:80 1000 50000
	// TCP 12.0.0.1:80 192.168.168.10:80 10 500
	// TCP 12.0.0.1:80 192.168.168.10:80 10 500
}
