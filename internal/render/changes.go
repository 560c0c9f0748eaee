// SPDX-License-Identifier: Apache-2.0

package render

import (
	"net/netip"
	"slices"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// server identifies a real server of a virtual service.
type server struct {
	service ipvs.ServiceID
	server  netip.AddrPort
}

// SortChanges returns the changes in the order of a listing: those of each
// service, then those of its servers, and the deletion of the service last.
//
// The result can still be applied. Changes of the same service or server keep
// their order. Sync daemons are stopped first and started last: while one
// runs, the kernel rejects a server whose address family differs from that of
// its service.
func SortChanges(changes []ipvs.Change) []ipvs.Change {
	var first, last []ipvs.Change
	var services []ipvs.ServiceEntry
	indexes := map[ipvs.ServiceID]int{}
	serviceChanges := map[ipvs.ServiceID][]ipvs.Change{}
	serverChanges := map[server][]ipvs.Change{}
	for _, c := range changes {
		id := c.Service.ServiceID
		switch {
		case c.Op == ipvs.OpStartDaemon:
			last = append(last, c)
			continue
		case id == ipvs.ServiceID{}:
			if c.Op == ipvs.OpSetTimeouts {
				first = slices.Insert(first, 0, c)
			} else {
				first = append(first, c)
			}
			continue
		}
		i, found := indexes[id]
		if !found {
			i = len(services)
			indexes[id] = i
			services = append(services, ipvs.ServiceEntry{Service: ipvs.Service{ServiceID: id}})
		}
		if !c.Destination.Addr.IsValid() {
			serviceChanges[id] = append(serviceChanges[id], c)
			continue
		}
		key := server{id, c.Destination.AddrPort()}
		if serverChanges[key] == nil {
			d := ipvs.Destination{Addr: c.Destination.Addr, Port: c.Destination.Port}
			services[i].Destinations = append(services[i].Destinations, ipvs.DestinationEntry{Destination: d})
		}
		serverChanges[key] = append(serverChanges[key], c)
	}
	Sort(services)
	sorted := append(make([]ipvs.Change, 0, len(changes)), first...)
	for i := range services {
		s := &services[i]
		rest := serviceChanges[s.ServiceID]
		for len(rest) > 0 && rest[0].Op != ipvs.OpDeleteService {
			sorted, rest = append(sorted, rest[0]), rest[1:]
		}
		for j := range s.Destinations {
			sorted = append(sorted, serverChanges[server{s.ServiceID, s.Destinations[j].AddrPort()}]...)
		}
		sorted = append(sorted, rest...)
	}
	return append(sorted, last...)
}
