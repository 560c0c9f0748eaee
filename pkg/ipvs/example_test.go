// SPDX-License-Identifier: Apache-2.0

package ipvs_test

import (
	"context"
	"net/netip"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// A virtual service with a real server behind NAT: the README shows the body.
func ExampleClient_Apply() {
	_ = func(ctx context.Context) error {
		client, err := ipvs.Dial(ctx, ipvs.Config{})
		if err != nil {
			return err // errors.Is(err, ipvs.ErrNoIPVS): ip_vs is not loaded
		}
		defer client.Close()
		web := ipvs.AddrService(ipvs.TCP, netip.MustParseAddr("12.0.0.1"), 80)
		server := ipvs.Destination{Addr: netip.MustParseAddr("192.168.168.10"), Port: 80, Forward: ipvs.Masquerade, Weight: 1}
		return client.Apply(ctx,
			ipvs.Change{Op: ipvs.AddService, Service: ipvs.Service{ServiceID: web, Scheduler: "rr", Netmask: ipvs.FullNetmask(ipvs.IPv4)}},
			ipvs.Change{Op: ipvs.AddDestination, Service: ipvs.Service{ServiceID: web}, Destination: server})
	}
}
