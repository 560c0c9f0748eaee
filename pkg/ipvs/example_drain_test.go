// SPDX-License-Identifier: Apache-2.0

package ipvs_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs/ipvstest"
)

// director is the part of a client that retire uses.
type director interface {
	Drain(context.Context, ipvs.ServiceID, netip.AddrPort) error
	DeleteDestination(context.Context, ipvs.ServiceID, netip.AddrPort) error
	SetWeight(context.Context, ipvs.ServiceID, netip.AddrPort, int32) error
}

// retire deletes a server once it has no active connections. If the context
// ends first, it restores the weight.
func retire(ctx context.Context, kernel director, of ipvs.ServiceID, server netip.AddrPort, weight int32) error {
	err := kernel.Drain(ctx, of, server)
	switch {
	case err == nil:
		return kernel.DeleteDestination(ctx, of, server)
	case errors.Is(err, ipvs.ErrNoDestination):
		return err
	}
	return errors.Join(err, kernel.SetWeight(context.WithoutCancel(ctx), of, server, weight))
}

// This example removes a server without breaking a connection.
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
	fmt.Println(retire(ctx, kernel, web, server.AddrPort(), server.Weight), kernel.Now().Services[0].Destinations)
	// Output:
	// <nil> []
}
