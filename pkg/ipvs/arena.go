// SPDX-License-Identifier: Apache-2.0

package ipvs

// arena is the memory for lists of destinations. A list has whatever length it
// comes to, and there may be thousands: the arena packs them into large
// blocks, so that a list takes no more memory than its entries. Only the last
// list of a block can grow in place; changes mostly come service by service.
type arena struct {
	block []Destination
}

// blockSize is how many destinations a block holds.
const blockSize = 256

// append appends to a list that the arena returned before, or to any other.
// The result replaces the list.
func (a *arena) append(list []Destination, e Destination) []Destination {
	n, used := len(list), len(a.block)
	last := n > 0 && used > 0 && &list[n-1] == &a.block[used-1]
	switch {
	case n >= blockSize/2:
		return append(list, e) // long enough for a block of its own
	case last && used < cap(a.block):
		used -= n
	default:
		if cap(a.block)-used <= n {
			a.block, used = make([]Destination, 0, blockSize), 0
		}
		a.block = append(a.block, list...)
	}
	a.block = append(a.block, e)
	return a.block[used:len(a.block):len(a.block)]
}
