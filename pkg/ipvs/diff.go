// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"net/netip"
	"slices"
)

// Diff returns the fewest changes that turn the services have into the services
// want in place, in an order that does no harm on the way:
//
//   - a service that both have is edited, not replaced, and so is each of its
//     destinations, so that connections and counters of what stays are kept;
//   - all changes to one service are adjacent, and Client.Apply sends them in
//     one piece: a reader sees either the old or the wanted service, even if
//     the sender is killed;
//   - within a service, additions of capacity come before removals;
//   - services that are not wanted are deleted last, each by name.
//
// Nil and empty both mean none. A caller that owns only some of the services
// of a table passes those as have; see also [Client.Reconcile]. Settings
// without effect are ignored: the timeout and netmask of a service that is
// not persistent, the tunnel of a destination without one. Services are
// changed in the order of want. An entry that want lists twice is added
// twice, which the kernel refuses; one in have counts once.
//
// Deleting a destination breaks its connections: the kernel drops packets
// that still arrive on them. To spare them, call [Client.Drain] first.
func Diff(have, want []ServiceEntry) Batch {
	find := finder(len(have), func(i int) ServiceID { return have[i].ServiceID })
	adds := 0
	for i := range want {
		if find(want[i].ServiceID) < 0 {
			adds += 1 + len(want[i].Destinations)
		}
	}
	b := slices.Grow(Batch(nil), adds)
	wanted := make([]bool, len(have))
	for i := range want {
		w := &want[i]
		if j := find(w.ServiceID); j >= 0 {
			wanted[j] = true
			b.editService(&have[j], w)
			continue
		}
		b.AddService(w.Service)
		for k := range w.Destinations {
			b.AddDestination(w.ServiceID, w.Destinations[k].Destination)
		}
	}
	for i := range have {
		if first := find(have[i].ServiceID); !wanted[first] {
			wanted[first] = true // one deletion is enough
			b.DeleteService(have[i].ServiceID)
		}
	}
	return b
}

func (b *Batch) editService(h, w *ServiceEntry) {
	if h.Service.effective() != w.Service.effective() {
		b.EditService(w.Service)
	}
	has := finder(len(h.Destinations), func(i int) netip.AddrPort { return h.Destinations[i].AddrPort() })
	wants := finder(len(w.Destinations), func(i int) netip.AddrPort { return w.Destinations[i].AddrPort() })
	var later Batch // removals of capacity
	for i := range w.Destinations {
		d := w.Destinations[i].Destination
		switch j := has(d.AddrPort()); {
		case j < 0:
			b.AddDestination(w.ServiceID, d)
		case h.Destinations[j].Destination.effective() == d.effective():
		case d.Weight > h.Destinations[j].Weight:
			b.EditDestination(w.ServiceID, d)
		default:
			later.EditDestination(w.ServiceID, d)
		}
	}
	*b = append(*b, later...)
	for i := range h.Destinations {
		if ap := h.Destinations[i].AddrPort(); wants(ap) < 0 && has(ap) == i {
			b.DeleteDestination(w.ServiceID, ap)
		}
	}
}

// finder returns a function that returns the first index of a key among n
// entries, or -1. It builds a map only for a long list.
func finder[K comparable](n int, key func(int) K) func(K) int {
	const short = 32
	if n <= short {
		return func(k K) int {
			for i := range n {
				if key(i) == k {
					return i
				}
			}
			return -1
		}
	}
	places := make(map[K]int, n)
	for i := range n {
		if _, twice := places[key(i)]; !twice {
			places[key(i)] = i
		}
	}
	return func(k K) int {
		if i, found := places[k]; found {
			return i
		}
		return -1
	}
}

// effective returns the service without settings that have no effect.
func (s Service) effective() Service {
	if s.Flags&FlagPersistent == 0 {
		s.Timeout, s.Netmask = 0, 0
	} else if s.Netmask == 0 {
		s.Netmask = FullNetmask(s.Family())
	}
	return s
}

// effective returns the destination without settings that have no effect.
func (d Destination) effective() Destination {
	if d.Forward != Tunnel {
		d.Tunnel = TunnelInfo{}
	}
	return d
}
