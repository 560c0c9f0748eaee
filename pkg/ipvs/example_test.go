// SPDX-License-Identifier: Apache-2.0

package ipvs_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// This example adds a virtual service with a NAT server. The README shows its
// body.
func ExampleClient() {
	_ = func(ctx context.Context) error {
		client, err := ipvs.Dial(ctx, ipvs.Config{})
		if err != nil {
			return err // errors.Is(err, ipvs.ErrNoIPVS): ip_vs is not loaded
		}
		defer client.Close()
		web := ipvs.AddrID(ipvs.TCP, netip.MustParseAddr("12.0.0.1"), 80)
		if err := client.AddService(ctx, ipvs.NewService(web, "rr")); err != nil {
			return err // errors.Is(err, ipvs.ErrServiceExists): it is there already
		}
		server := ipvs.NewDestination(netip.MustParseAddrPort("192.168.168.10:80"))
		return client.AddDestination(ctx, web, server)
	}
}

// These changes turn one table into another: the second server gets the
// weight of the first before the first is deleted.
func ExampleDiff() {
	web := ipvs.AddrID(ipvs.TCP, netip.MustParseAddr("12.0.0.1"), 80)
	server := func(addr string, weight int32) ipvs.DestinationEntry {
		return ipvs.DestinationEntry{Destination: ipvs.Destination{Addr: netip.MustParseAddr(addr), Port: 80, Weight: weight}}
	}
	have := []ipvs.ServiceEntry{{
		Service:      ipvs.NewService(web, "wlc"),
		Destinations: []ipvs.DestinationEntry{server("192.168.168.10", 5), server("192.168.168.20", 1)},
	}}
	want := []ipvs.ServiceEntry{{
		Service:      ipvs.NewService(web, "wlc"),
		Destinations: []ipvs.DestinationEntry{server("192.168.168.20", 5)},
	}}
	for _, change := range ipvs.Diff(have, want) {
		fmt.Println(change)
	}
	// Output:
	// edit destination 192.168.168.20:80 Masq weight 5 of TCP 12.0.0.1:80
	// delete destination 192.168.168.10:80 of TCP 12.0.0.1:80
}

// The JSON of a service is that of "ipvsadm --json".
func ExampleService_MarshalJSON() {
	web := ipvs.AddrID(ipvs.TCP, netip.MustParseAddr("12.0.0.1"), 80)
	text, err := json.Marshal(ipvs.NewService(web, "rr"))
	fmt.Println(string(text), err)
	// Output:
	// {"family":"inet","protocol":"tcp","address":"12.0.0.1","port":80,"scheduler":"rr"} <nil>
}
