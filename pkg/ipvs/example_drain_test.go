// SPDX-License-Identifier: Apache-2.0

package ipvs_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs/ipvstest"
)

// director is what drain needs of a client.
type director interface {
	Destinations(context.Context, ipvs.ServiceID) ([]ipvs.DestinationEntry, error)
	Apply(context.Context, ...ipvs.Change) error
}

// drain gives a server weight 0, waits until it has no active connection left,
// and deletes it. If the context ends first, the server gets its weight back.
func drain(ctx context.Context, kernel director, service ipvs.ServiceID, addr netip.AddrPort) error {
	var before *ipvs.Destination
	for {
		list, err := kernel.Destinations(ctx, service)
		if err == nil {
			i := slices.IndexFunc(list, func(d ipvs.DestinationEntry) bool { return d.AddrPort() == addr })
			switch {
			case i < 0:
				return fmt.Errorf("%v of %v: %w", addr, service, ipvs.ErrNoDestination)
			case before == nil:
				before = &list[i].Destination
				idle := *before
				idle.Weight = 0
				err = kernel.Apply(ctx, ipvs.EditDestination(service, idle))
			case list[i].Conns.Active == 0:
				return kernel.Apply(ctx, ipvs.DeleteDestination(service, addr))
			}
		}
		if err == nil {
			select {
			case <-time.After(10 * time.Millisecond):
				continue
			case <-ctx.Done():
				err = ctx.Err()
			}
		}
		if before != nil {
			// The context may have ended; putting the weight back must not.
			err = errors.Join(err, kernel.Apply(context.WithoutCancel(ctx), ipvs.EditDestination(service, *before)))
		}
		return err
	}
}

// A server that is taken out of a service without breaking a connection.
func Example_drain() {
	web := ipvs.AddrID(ipvs.TCP, netip.MustParseAddr("12.0.0.1"), 80)
	server := ipvs.DestinationEntry{
		Destination: ipvs.Destination{Addr: netip.MustParseAddr("192.168.168.10"), Port: 80, Weight: 3},
		Conns:       ipvs.ConnCounts{Active: 2},
	}
	kernel := ipvstest.New(&ipvs.Table{Services: []ipvs.ServiceEntry{
		{Service: ipvs.NewService(web, "rr"), Destinations: []ipvs.DestinationEntry{server}},
	}})
	time.AfterFunc(50*time.Millisecond, func() { // the connections end
		t := kernel.Now()
		t.Services[0].Destinations[0].Conns.Active = 0
		kernel.Set(t)
	})
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	fmt.Println(drain(ctx, kernel, web, server.AddrPort()), kernel.Now().Services[0].Destinations)
	// Output:
	// <nil> []
}
