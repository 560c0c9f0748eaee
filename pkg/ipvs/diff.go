// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"net/netip"
	"time"
)

// Diff gives the fewest changes that make one table the other in place, in an
// order in which they do no harm on the way:
//
//   - a service that both have is edited, not made anew, and so is each of its
//     destinations, so that connections and counters of what stays are kept;
//   - all changes to one service stand together, and Client.Apply sends them in
//     one piece: whoever looks, or kills the sender, finds the service as it was
//     or as it is wanted;
//   - within a service what adds capacity comes before what takes it away;
//   - services that are not wanted go last, with a single Flush if none is.
//
// A destination that is removed takes its connections along: the kernel drops
// what still comes in on them. Who would spare them, as ipvsadm-restore does,
// gives such a destination weight 0 first and removes it when they have ended;
// when killed in between, it leaves the service with that destination at
// weight 0, and the next Diff removes it.
//
// The order of services is that of want. Of timeouts those that want has as
// zero are left alone; so is what a wanted daemon has as zero. What has no
// effect does not count as a difference: the timeout and netmask of a service
// that is not persistent, the tunnel of a destination without one.
func Diff(have, want *Table) []Change {
	d := differ{have: have, want: want}
	if len(have.Services) == 0 {
		d.changes = make([]Change, 0, want.rules())
	}
	d.stopDaemons()
	d.timeouts()
	for i := range want.Services {
		d.service(&want.Services[i])
	}
	d.deleteServices()
	d.startDaemons()
	return d.changes
}

// rules is how many services and destinations there are.
func (t *Table) rules() int {
	n := len(t.Services)
	for i := range t.Services {
		n += len(t.Services[i].Destinations)
	}
	return n
}

type differ struct {
	have, want *Table
	changes    []Change
}

func (d *differ) add(c Change) { d.changes = append(d.changes, c) }

func (d *differ) service(w *ServiceEntry) {
	id := Service{ServiceID: w.ServiceID}
	h := d.have.Lookup(w.ServiceID)
	if h == nil {
		d.add(Change{Op: AddService, Service: w.Service})
		for i := range w.Destinations {
			d.add(Change{Op: AddDestination, Service: id, Destination: w.Destinations[i].Destination})
		}
		return
	}
	if h.Service.effective() != w.Service.effective() {
		d.add(Change{Op: EditService, Service: w.Service})
	}
	has, wants := newIndex(h.Destinations), newIndex(w.Destinations)
	// What takes capacity away waits for what adds some.
	var later []Change
	for i := range w.Destinations {
		dst := w.Destinations[i].Destination
		switch j := has.find(dst.AddrPort()); {
		case j < 0:
			d.add(Change{Op: AddDestination, Service: id, Destination: dst})
		case h.Destinations[j].Destination.effective() == dst.effective():
		default:
			edit := Change{Op: EditDestination, Service: id, Destination: dst}
			if dst.Weight > h.Destinations[j].Weight {
				d.add(edit)
			} else {
				later = append(later, edit)
			}
		}
	}
	d.changes = append(d.changes, later...)
	for i := range h.Destinations {
		if dst := h.Destinations[i].Destination; wants.find(dst.AddrPort()) < 0 {
			d.add(Change{Op: DeleteDestination, Service: id, Destination: Destination{Addr: dst.Addr, Port: dst.Port}})
		}
	}
}

// index finds a destination of a list by address and port. A short list takes
// no map.
type index struct {
	list   []DestinationEntry
	places map[netip.AddrPort]int
}

const shortList = 32

func newIndex(list []DestinationEntry) index {
	x := index{list: list}
	if len(list) > shortList {
		x.places = make(map[netip.AddrPort]int, len(list))
		for i := range list {
			x.places[list[i].AddrPort()] = i
		}
	}
	return x
}

// find gives the place of a destination, or -1.
func (x index) find(ap netip.AddrPort) int {
	if x.places == nil {
		return findDestination(x.list, ap)
	}
	if i, found := x.places[ap]; found {
		return i
	}
	return -1
}

func (d *differ) deleteServices() {
	if len(d.want.Services) == 0 && len(d.have.Services) > 1 {
		d.add(Change{Op: Flush})
		return
	}
	for i := range d.have.Services {
		if id := d.have.Services[i].ServiceID; d.want.Lookup(id) == nil {
			d.add(Change{Op: DeleteService, Service: Service{ServiceID: id}})
		}
	}
}

func (d *differ) timeouts() {
	h, w := d.have.Timeouts, d.want.Timeouts
	same := func(h, w time.Duration) bool { return w == 0 || h == w }
	if !same(h.TCP, w.TCP) || !same(h.TCPFin, w.TCPFin) || !same(h.UDP, w.UDP) {
		d.add(Change{Op: SetTimeouts, Timeouts: w})
	}
}

// stopDaemons comes first and startDaemons last: while one runs, the kernel
// takes no destination of another family than its service.
func (d *differ) stopDaemons() {
	for _, h := range d.have.Daemons {
		if d.want.daemon(h.State) < 0 {
			d.add(Change{Op: StopDaemon, Daemon: Daemon{State: h.State}})
		}
	}
}

func (d *differ) startDaemons() {
	for _, w := range d.want.Daemons {
		i := d.have.daemon(w.State)
		if i >= 0 {
			if d.have.Daemons[i].serves(w) {
				continue
			}
			d.add(Change{Op: StopDaemon, Daemon: Daemon{State: w.State}})
		}
		d.add(Change{Op: StartDaemon, Daemon: w})
	}
}

// effective is the service without what has no effect.
func (s Service) effective() Service {
	if s.Flags&FlagPersistent == 0 {
		s.Timeout, s.Netmask = 0, 0
	}
	return s
}

// effective is the destination without what has no effect.
func (d Destination) effective() Destination {
	if d.Forward != Tunnel {
		d.Tunnel = TunnelInfo{}
	}
	return d
}

// serves tells whether a running daemon is what is wanted, where zeros leave
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
