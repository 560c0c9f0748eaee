// SPDX-License-Identifier: Apache-2.0

// This file implements the order of listings and saves. 1.31 compares two
// values by the sign of their 32-bit difference, which wraps: 192.168.0.0
// comes before 10.0.0.0, but after 127.0.0.0, which comes after 10.0.0.0.
// This is not a total order, so the result depends on the initial order and
// on the pairs that qsort compares. To get the same result, this file sorts
// from the kernel's order and compares the same pairs as glibc.

package render

import (
	"encoding/binary"
	"net/netip"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// Sort sorts services and their destinations, which must be in the kernel's
// order, into the order of 1.31: services by firewall mark, address family,
// protocol, address and port; destinations by address and port.
func Sort(services []ipvs.ServiceEntry) {
	mergeSort(services, make([]ipvs.ServiceEntry, len(services)/2), compareServices)
	var buf []ipvs.DestinationEntry
	for i := range services {
		d := services[i].Destinations
		if len(d)/2 > len(buf) {
			buf = make([]ipvs.DestinationEntry, len(d)/2)
		}
		mergeSort(d, buf, compareDestinations)
	}
}

// InsertServices inserts more services into sorted ones.
func InsertServices(sorted, more []ipvs.ServiceEntry) []ipvs.ServiceEntry {
	return insert(sorted, more, compareServices)
}

// InsertDestinations inserts more destinations into sorted ones.
func InsertDestinations(sorted, more []ipvs.DestinationEntry) []ipvs.DestinationEntry {
	return insert(sorted, more, compareDestinations)
}

func insert[T any](left, right []T, compare func(a, b *T) int32) []T {
	mergeSort(right, make([]T, len(right)/2), compare)
	list := make([]T, 0, len(left)+len(right))
	for len(left) > 0 && len(right) > 0 {
		if compare(&left[0], &right[0]) <= 0 {
			list, left = append(list, left[0]), left[1:]
		} else {
			list, right = append(list, right[0]), right[1:]
		}
	}
	return append(append(list, left...), right...)
}

// mergeSort compares the same pairs as glibc's qsort: it sorts the first n/2
// elements and the rest, and merges them from the left while the left one is
// less or equal. buf must have the length n/2.
func mergeSort[T any](list, buf []T, compare func(a, b *T) int32) {
	half := len(list) / 2
	if half == 0 {
		return
	}
	mergeSort(list[:half], buf, compare)
	mergeSort(list[half:], buf, compare)
	left, right := buf[:copy(buf, list[:half])], list[half:]
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

// compareAddrPorts compares addresses word by word, as many words as the
// first address has, and then ports. An IPv4 address has one word.
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

// words returns an address in the layout of the kernel's union nf_inet_addr,
// but in host byte order: an IPv4 address is followed by zeros.
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
