// SPDX-License-Identifier: Apache-2.0

package ipvs_test

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs/ipvstest"
)

// This program maintains the services of one virtual address, while other
// programs own the rest of the table.
func Example_reconcile() {
	vip, other := netip.MustParseAddr("12.0.0.1"), netip.MustParseAddr("12.0.0.2")
	service := func(addr netip.Addr, port uint16, servers ...string) ipvs.ServiceEntry {
		s := ipvs.ServiceEntry{Service: ipvs.NewService(ipvs.AddrID(ipvs.TCP, addr, port), "wlc")}
		for _, a := range servers {
			d := ipvs.Destination{Addr: netip.MustParseAddr(a), Port: port, Weight: 1}
			s.Destinations = append(s.Destinations, ipvs.DestinationEntry{Destination: d})
		}
		return s
	}
	kernel := ipvstest.New(&ipvs.Table{Services: []ipvs.ServiceEntry{
		service(vip, 80, "192.168.168.10"), service(vip, 21, "192.168.168.10"), service(other, 25, "192.168.168.30"),
	}})
	owns := func(id ipvs.ServiceID) bool { return id.Addr == vip && id.FWMark == 0 }
	want := []ipvs.ServiceEntry{service(vip, 80, "192.168.168.10", "192.168.168.20")}
	changes, err := kernel.Reconcile(context.Background(), want, owns)
	for _, c := range changes {
		fmt.Println(c)
	}
	fmt.Println(err, len(kernel.Now().Services))
	// Output:
	// add destination 192.168.168.20:80 Masq weight 1 of TCP 12.0.0.1:80
	// delete service TCP 12.0.0.1:21
	// <nil> 2
}
