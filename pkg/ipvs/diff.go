// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"iter"
	"net/netip"
	"time"
)

// Diff returns the fewest changes that turn the table have into the table want
// in place, in an order that does no harm on the way:
//
//   - a service that both have is edited, not replaced, and so is each of its
//     destinations, so that connections and counters of what stays are kept;
//   - all changes to one service stand together, and Client.Apply sends them in
//     one piece: whoever looks, or kills the sender, finds the service as it was
//     or as it is wanted;
//   - within a service, what adds capacity comes before what takes it away;
//   - services that are not wanted are deleted last, each by name.
//
// Services that have does not list are not touched: who owns only some of the
// services of a table passes those as have.
//
// What is absent from want is left alone: nil Services, Destinations and
// Daemons, and timeouts that are zero; see [Table]. So is what a wanted daemon
// has as zero. What has no effect is no difference: the timeout and netmask of
// a service that is not persistent, the tunnel of a destination without one.
// Services are changed in the order of want. An entry that is listed twice in
// want is added twice, which the kernel refuses; one in have counts once.
//
// A destination that is deleted takes its connections along: the kernel drops
// what still arrives on them. To spare them, as ipvsadm-restore does, give
// such a destination weight 0 first, and delete it when they have ended. If
// that is interrupted, the destination is left with weight 0 and the next Diff
// deletes it.
func Diff(have, want *Table) []Change {
	w := wanted{timeouts: want.Timeouts, daemons: want.Daemons}
	if want.Services != nil {
		w.services = func(yield func(Service, destinations) bool) {
			for i := range want.Services {
				s := &want.Services[i]
				if !yield(s.Service, destinations{of: s.Destinations, absent: s.Destinations == nil}) {
					return
				}
			}
		}
	}
	return w.diff(have)
}

// Diff returns what [Diff] does of have and the model's table, which is not
// copied for it.
func (m *Model) Diff(have *Table) []Change {
	return wanted{func(yield func(Service, destinations) bool) {
		for s, list := range m.Services() {
			if !yield(s, destinations{alone: list}) {
				return
			}
		}
	}, m.timeouts, append([]Daemon{}, m.daemons...)}.diff(have)
}

// wanted is a table that is wanted, whatever has it.
type wanted struct {
	services iter.Seq2[Service, destinations] // nil if they are left alone
	timeouts Timeouts
	daemons  []Daemon
}

// destinations are those of a service, either as a table has them or alone.
type destinations struct {
	of     []DestinationEntry
	alone  []Destination
	absent bool // they are left alone
}

func (l destinations) len() int { return max(len(l.of), len(l.alone)) }

func (l destinations) at(i int) *Destination {
	if l.alone != nil {
		return &l.alone[i]
	}
	return &l.of[i].Destination
}

func (w wanted) diff(have *Table) []Change {
	d := differ{have: have, want: w}
	if len(have.Services) == 0 && w.services != nil {
		rules := 0
		for _, list := range w.services {
			rules += 1 + list.len()
		}
		d.changes = make([]Change, 0, rules)
	}
	d.stopDaemons()
	d.timeouts()
	d.services()
	d.startDaemons()
	return d.changes
}

type differ struct {
	have    *Table
	want    wanted
	changes []Change
}

func (d *differ) add(c Change) { d.changes = append(d.changes, c) }

func (d *differ) services() {
	if d.want.services == nil {
		return
	}
	places := make(map[ServiceID]int, len(d.have.Services))
	for i := range d.have.Services {
		if _, twice := places[d.have.Services[i].ServiceID]; !twice {
			places[d.have.Services[i].ServiceID] = i
		}
	}
	wanted := make([]bool, len(d.have.Services))
	for w, list := range d.want.services {
		if j, found := places[w.ServiceID]; found {
			wanted[j] = true
			d.editService(&d.have.Services[j], w, list)
		} else {
			d.addService(w, list)
		}
	}
	for i := range d.have.Services {
		if id := d.have.Services[i].ServiceID; !wanted[places[id]] {
			wanted[places[id]] = true // one deletion is enough
			d.add(DeleteService(id))
		}
	}
}

func (d *differ) addService(w Service, list destinations) {
	d.add(AddService(w))
	for i := range list.len() {
		d.add(AddDestination(w.ServiceID, *list.at(i)))
	}
}

func (d *differ) editService(h *ServiceEntry, w Service, list destinations) {
	if h.Service.effective() != w.effective() {
		d.add(EditService(w))
	}
	if list.absent {
		return
	}
	has, wants := newIndex(destinations{of: h.Destinations}), newIndex(list)
	// What takes capacity away waits for what adds some.
	var later []Change
	for i := range list.len() {
		dst := *list.at(i)
		switch j := has.find(dst.AddrPort()); {
		case j < 0:
			d.add(AddDestination(w.ServiceID, dst))
		case h.Destinations[j].Destination.effective() == dst.effective():
		case dst.Weight > h.Destinations[j].Weight:
			d.add(EditDestination(w.ServiceID, dst))
		default:
			later = append(later, EditDestination(w.ServiceID, dst))
		}
	}
	d.changes = append(d.changes, later...)
	for i := range h.Destinations {
		if ap := h.Destinations[i].AddrPort(); wants.find(ap) < 0 && has.find(ap) == i {
			d.add(DeleteDestination(w.ServiceID, ap))
		}
	}
}

// index finds a destination of a list by address and port. A short list takes
// no map.
type index struct {
	destinations
	places map[netip.AddrPort]int
}

const shortList = 32

func newIndex(list destinations) index {
	x := index{destinations: list}
	if n := list.len(); n > shortList {
		x.places = make(map[netip.AddrPort]int, n)
		for i := range n {
			x.places[list.at(i).AddrPort()] = i
		}
	}
	return x
}

// find returns the place of a destination, or -1.
func (x index) find(ap netip.AddrPort) int {
	if x.places == nil {
		for i := range x.len() {
			if d := x.at(i); d.Port == ap.Port() && d.Addr == ap.Addr() {
				return i
			}
		}
		return -1
	}
	if i, found := x.places[ap]; found {
		return i
	}
	return -1
}

func (d *differ) timeouts() {
	h, w := d.have.Timeouts, d.want.timeouts
	same := func(h, w time.Duration) bool { return w == 0 || h == w }
	if !same(h.TCP, w.TCP) || !same(h.TCPFin, w.TCPFin) || !same(h.UDP, w.UDP) {
		d.add(SetTimeouts(w))
	}
}

// stopDaemons comes first and startDaemons last: while one runs, the kernel
// accepts no destination of another family than its service.
func (d *differ) stopDaemons() {
	if d.want.daemons == nil {
		return
	}
	for _, h := range d.have.Daemons {
		if findDaemon(d.want.daemons, h.State) < 0 {
			d.add(StopDaemon(h.State))
		}
	}
}

func (d *differ) startDaemons() {
	for _, w := range d.want.daemons {
		if i := findDaemon(d.have.Daemons, w.State); i >= 0 {
			if d.have.Daemons[i].serves(w) {
				continue
			}
			d.add(StopDaemon(w.State))
		}
		d.add(StartDaemon(w))
	}
}

// effective returns the service without what has no effect.
func (s Service) effective() Service {
	if s.Flags&FlagPersistent == 0 {
		s.Timeout, s.Netmask = 0, 0
	}
	return s
}

// effective returns the destination without what has no effect.
func (d Destination) effective() Destination {
	if d.Forward != Tunnel {
		d.Tunnel = TunnelInfo{}
	}
	return d
}

// serves reports whether a running daemon is what is wanted, where zeros leave
// the choice to the kernel.
func (d Daemon) serves(w Daemon) bool {
	if w.MaxLen == 0 {
		w.MaxLen = d.MaxLen
	}
	if !w.Group.IsValid() {
		w.Group = d.Group
	}
	if w.Port == 0 {
		w.Port = d.Port
	}
	if w.TTL == 0 {
		w.TTL = d.TTL
	}
	return d == w.clamped()
}
