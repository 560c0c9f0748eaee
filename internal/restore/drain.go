// SPDX-License-Identifier: Apache-2.0

package restore

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

const (
	// DrainTime is the default time for which removed servers drain.
	DrainTime = 2 * time.Second
	drainPoll = 10 * time.Millisecond
	// HandshakeTime is how long a drain waits for connections that are not
	// established: a server that is up has answered them by then.
	HandshakeTime = 3 * time.Second
)

// A Drain counts the connections for which the removal of servers of a service
// waits.
type Drain struct {
	Kernel  Kernel
	Service ipvs.ServiceID
	Begin   time.Time // when the wait began

	counted uint64 // established connections
	next    time.Time
}

// Left returns the number of active connections of servers. After
// HandshakeTime it counts the established ones: those that no server has
// answered would hold the drain until they time out. Reading a large
// connection table takes a while, so at most a tenth of the time is spent on
// it.
func (d *Drain) Left(ctx context.Context, servers []ipvs.DestinationEntry) uint64 {
	active, drained := uint64(0), map[netip.AddrPort]bool{}
	for i := range servers {
		active += uint64(servers[i].Conns.Active)
		drained[servers[i].AddrPort()] = true
	}
	if active == 0 || time.Since(d.Begin) <= HandshakeTime {
		return active
	}
	if begin := time.Now(); !begin.Before(d.next) {
		d.counted = 0
		f := ipvs.ConnectionFilter{State: "ESTABLISHED"}
		if d.Service.FWMark == 0 { // connections do not record the mark
			f.Service = d.Service
		}
		for c, err := range d.Kernel.Connections(ctx, f) {
			if err != nil {
				return active
			}
			if drained[c.Destination] || drained[netip.AddrPortFrom(c.Destination.Addr(), 0)] {
				d.counted++
			}
		}
		d.next = time.Now().Add(10 * time.Since(begin))
	}
	return min(active, d.counted)
}

// await waits until no server to remove has a connection that a drain waits
// for, until Drain has elapsed, or until the run must end.
func (r *run) await(ctx context.Context, removals []ipvs.Change) error {
	var d Drain
	for begin := time.Now(); len(removals) > 0 && time.Since(begin) < r.Drain && !r.Stopped(); {
		n, id := pieceLen(removals), removals[0].Service.ServiceID
		if d.Service != id {
			d = Drain{Kernel: r.kernel, Service: id, Begin: begin}
		}
		list, err := r.kernel.Destinations(ctx, id)
		partial := errors.Is(err, ipvs.ErrChanging)
		if err != nil && !partial {
			return err
		}
		if removals[0].Op == ipvs.OpDeleteDestination {
			removed := map[netip.AddrPort]bool{}
			for _, c := range removals[:n] {
				removed[c.Destination.AddrPort()] = true
			}
			list = slices.DeleteFunc(list, func(d ipvs.DestinationEntry) bool { return !removed[d.AddrPort()] })
		}
		if partial || d.Left(ctx, list) > 0 {
			time.Sleep(drainPoll)
		} else {
			removals = removals[n:]
		}
	}
	return nil
}
