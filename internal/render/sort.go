// SPDX-License-Identifier: Apache-2.0

// The order of a listing and of a save. 1.31 compares two values by the sign
// of their difference in 32 bits, which wraps: 192.168.0.0 comes before
// 10.0.0.0 but after 127.0.0.0, which itself comes after 10.0.0.0. This is no
// order, so the result depends on which pairs are compared, and that on the
// kernel's order and the C library's algorithm. This file keeps both.

package render

import (
	"encoding/binary"
	"net/netip"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// Sort sorts services, and the destinations of each, from the kernel's order
// into 1.31's: services by firewall mark, family, protocol, address and port;
// destinations by address and port.
func Sort(services []ipvs.ServiceEntry) {
	mergeSort(services, make([]ipvs.ServiceEntry, len(services)/2), compareServices)
	var room []ipvs.DestinationEntry
	for i := range services {
		d := services[i].Destinations
		if len(d)/2 > len(room) {
			room = make([]ipvs.DestinationEntry, len(d)/2)
		}
		mergeSort(d, room, compareDestinations)
	}
}

// mergeSort compares the same pairs as glibc's qsort: parts of n/2 and n-n/2,
// merged from the left one while it compares as less or equal. room holds
// half of list.
func mergeSort[T any](list, room []T, compare func(a, b *T) int32) {
	half := len(list) / 2
	if half == 0 {
		return
	}
	mergeSort(list[:half], room, compare)
	mergeSort(list[half:], room, compare)
	left, right := room[:copy(room, list[:half])], list[half:]
	for len(left) > 0 && len(right) > 0 {
		if compare(&left[0], &right[0]) <= 0 {
			list[0], left = left[0], left[1:]
		} else {
			list[0], right = right[0], right[1:]
		}
		list = list[1:]
	}
	copy(list, left)
}

func compareServices(a, b *ipvs.ServiceEntry) int32 {
	if d := int32(a.FWMark - b.FWMark); d != 0 {
		return d
	}
	if d := int32(a.Family()) - int32(b.Family()); d != 0 {
		return d
	}
	if d := int32(a.Protocol) - int32(b.Protocol); d != 0 {
		return d
	}
	return compareAddrPorts(netip.AddrPortFrom(a.Addr, a.Port), netip.AddrPortFrom(b.Addr, b.Port))
}

func compareDestinations(a, b *ipvs.DestinationEntry) int32 {
	return compareAddrPorts(a.AddrPort(), b.AddrPort())
}

// compareAddrPorts compares as many words as the first address has; an IPv4
// address has zeros after its first word.
func compareAddrPorts(a, b netip.AddrPort) int32 {
	x, y := words(a.Addr()), words(b.Addr())
	n := 1
	if a.Addr().Is6() {
		n = len(x)
	}
	for i := range n {
		if d := int32(x[i] - y[i]); d != 0 {
			return d
		}
	}
	return int32(a.Port()) - int32(b.Port())
}

// words returns an address as in the kernel's union nf_inet_addr, in host
// order.
func words(a netip.Addr) (w [4]uint32) {
	if a.Is4() {
		raw := a.As4()
		w[0] = binary.BigEndian.Uint32(raw[:])
		return w
	}
	raw := a.As16()
	for i := range w {
		w[i] = binary.BigEndian.Uint32(raw[4*i:])
	}
	return w
}
