// SPDX-License-Identifier: Apache-2.0

package ipvs_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs/ipvstest"
)

// table is what reconcile needs of a client.
type table interface {
	ServicesWithDestinations(context.Context) ([]ipvs.ServiceEntry, error)
	Apply(context.Context, ...ipvs.Change) error
}

// reconcile makes the services that owned reports the ones that are wanted, and
// touches no other. It returns the changes that were to be made.
func reconcile(ctx context.Context, kernel table, owned func(ipvs.ServiceID) bool, wanted []ipvs.ServiceEntry) ([]ipvs.Change, error) {
	const attempts = 5
	var all []ipvs.Change
	for range attempts {
		have, err := kernel.ServicesWithDestinations(ctx)
		if err != nil {
			return all, err // ErrChanging too: what is missing would be added twice
		}
		have = slices.DeleteFunc(have, func(s ipvs.ServiceEntry) bool { return !owned(s.ServiceID) })
		// Timeouts and daemons are absent from what is wanted: Diff leaves
		// them alone.
		changes := ipvs.Diff(&ipvs.Table{Services: have}, &ipvs.Table{Services: wanted})
		if len(changes) == 0 {
			return all, nil
		}
		all = append(all, changes...)
		// What was refused because another program was faster is seen when
		// the table is read again. Anything else is final.
		var refused ipvs.ChangeErrors
		if err := kernel.Apply(ctx, changes...); err != nil && !errors.As(err, &refused) {
			return all, err
		}
		for _, e := range refused {
			if !errors.Is(e, ipvs.ErrServiceExists) && !errors.Is(e, ipvs.ErrNoService) &&
				!errors.Is(e, ipvs.ErrDestinationExists) && !errors.Is(e, ipvs.ErrNoDestination) {
				return all, e
			}
		}
	}
	return all, fmt.Errorf("another program changes the same services: gave up after %d attempts", attempts)
}

// A loop that keeps the services of one virtual address as they should be,
// while other programs own the rest of the table.
func Example_reconcile() {
	vip, other := netip.MustParseAddr("12.0.0.1"), netip.MustParseAddr("12.0.0.2")
	service := func(addr netip.Addr, port uint16, servers ...string) ipvs.ServiceEntry {
		s := ipvs.ServiceEntry{Service: ipvs.NewService(ipvs.AddrID(ipvs.TCP, addr, port), "wlc")}
		s.Destinations = []ipvs.DestinationEntry{} // none, rather than whatever is there
		for _, a := range servers {
			d := ipvs.Destination{Addr: netip.MustParseAddr(a), Port: port, Weight: 1}
			s.Destinations = append(s.Destinations, ipvs.DestinationEntry{Destination: d})
		}
		return s
	}
	kernel := ipvstest.New(&ipvs.Table{Services: []ipvs.ServiceEntry{
		service(vip, 80, "192.168.168.10"), service(vip, 21, "192.168.168.10"), service(other, 25, "192.168.168.30"),
	}})
	owned := func(id ipvs.ServiceID) bool { return id.Addr == vip && id.FWMark == 0 }
	wanted := []ipvs.ServiceEntry{service(vip, 80, "192.168.168.10", "192.168.168.20")}
	changes, err := reconcile(context.Background(), kernel, owned, wanted)
	for _, c := range changes {
		fmt.Println(c)
	}
	fmt.Println(err, len(kernel.Now().Services))
	// Output:
	// add destination 192.168.168.20:80 Masq weight 1 of TCP 12.0.0.1:80
	// delete service TCP 12.0.0.1:21
	// <nil> 2
}
