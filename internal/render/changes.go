// SPDX-License-Identifier: Apache-2.0

package render

import (
	"net/netip"
	"slices"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// server names a real server of a virtual service.
type server struct {
	service ipvs.ServiceID
	server  netip.AddrPort
}

// SortChanges returns changes in the order of a listing: each service with
// its servers behind it. What is about one service or one server keeps its
// order, and daemons are stopped before and started behind all services,
// since a kernel with a daemon refuses servers of the other family; so the
// changes can still be made in turn.
func SortChanges(changes []ipvs.Change) []ipvs.Change {
	var before, after []ipvs.Change
	var services []ipvs.ServiceEntry
	places := map[ipvs.ServiceID]int{}
	ofServices := map[ipvs.ServiceID][]ipvs.Change{}
	ofServers := map[server][]ipvs.Change{}
	for _, c := range changes {
		id := c.Service.ServiceID
		switch {
		case c.Op == ipvs.OpStartDaemon:
			after = append(after, c)
			continue
		case id == ipvs.ServiceID{}:
			if c.Op == ipvs.OpSetTimeouts {
				before = slices.Insert(before, 0, c)
			} else {
				before = append(before, c)
			}
			continue
		}
		i, known := places[id]
		if !known {
			i = len(services)
			places[id] = i
			services = append(services, ipvs.ServiceEntry{Service: ipvs.Service{ServiceID: id}})
		}
		if !c.Destination.Addr.IsValid() {
			ofServices[id] = append(ofServices[id], c)
			continue
		}
		key := server{id, c.Destination.AddrPort()}
		if ofServers[key] == nil {
			d := ipvs.Destination{Addr: c.Destination.Addr, Port: c.Destination.Port}
			services[i].Destinations = append(services[i].Destinations, ipvs.DestinationEntry{Destination: d})
		}
		ofServers[key] = append(ofServers[key], c)
	}
	Sort(services)
	sorted := append(make([]ipvs.Change, 0, len(changes)), before...)
	for i := range services {
		s := &services[i]
		sorted = append(sorted, ofServices[s.ServiceID]...)
		for j := range s.Destinations {
			sorted = append(sorted, ofServers[server{s.ServiceID, s.Destinations[j].AddrPort()}]...)
		}
	}
	return append(sorted, after...)
}
