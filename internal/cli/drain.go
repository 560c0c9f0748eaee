// SPDX-License-Identifier: Apache-2.0

package cli

// This file lets servers go gently. The kernel drops what comes in on a
// connection whose server has been removed (its destination is no longer
// IP_VS_DEST_F_AVAILABLE), so that a request under way hangs. A server in use
// therefore gets no new connections at first, by weight 0, and is removed when
// those that it has have ended, or have had their time.

import (
	"context"
	"os"
	"slices"
	"time"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

const (
	// drainLimit is how long all servers that go may take together.
	drainLimit = 2 * time.Second
	drainPoll  = 10 * time.Millisecond
)

// drain splits changes in two, between which await stands: those to make at
// once, in which weight 0 takes the place of the removal of each server in
// use, and these removals. In use is a server that has had a connection of
// late: one that has none at this very moment may have one at the next.
func drain(have, want *ipvs.Table, changes []ipvs.Change) (now, removals []ipvs.Change) {
	now = slices.Clone(changes)
	for i, c := range now {
		if c.Op != ipvs.OpDeleteDestination {
			continue
		}
		s := want.Lookup(c.Service.ServiceID)
		d := have.Lookup(c.Service.ServiceID).Lookup(c.Destination.AddrPort())
		if s == nil || d == nil || !drainable(s.Service) || d.Weight == 0 || d.Conns.Active+d.Conns.Inactive == 0 {
			continue
		}
		now[i].Op, now[i].Destination = ipvs.OpEditDestination, d.Destination
		now[i].Destination.Weight = 0
		removals = append(removals, c)
	}
	return now, removals
}

// drainable tells whether weight 0 does what it is to do. Connections of UDP
// have no end, and schedulers that choose by a hash alone turn away whom they
// would send to a server of weight 0.
func drainable(s ipvs.Service) bool {
	switch s.Scheduler {
	case "dh":
		return false
	case "sh", "mh":
		return s.Flags&ipvs.FlagSched1 != 0 // sh-fallback, mh-fallback
	}
	return s.Protocol != ipvs.UDP
}

// await returns when no server that is to be removed has an active connection
// any more, after drainLimit, or when a signal has come.
func (s *session) await(ctx context.Context, removals []ipvs.Change, stop <-chan os.Signal) error {
	for end := time.Now().Add(drainLimit); len(removals) > 0 && time.Now().Before(end) && len(stop) == 0; {
		n := pieceLen(removals)
		active, err := s.active(ctx, removals[:n])
		switch {
		case err != nil:
			return err
		case active:
			time.Sleep(drainPoll)
		default:
			removals = removals[n:]
		}
	}
	return nil
}

// active tells whether any of the servers, all of one service, has a
// connection that has not begun to end.
func (s *session) active(ctx context.Context, removals []ipvs.Change) (bool, error) {
	list, err := s.client.Destinations(ctx, removals[0].Service.ServiceID)
	return slices.ContainsFunc(list, func(d ipvs.DestinationEntry) bool {
		return d.Conns.Active > 0 && slices.ContainsFunc(removals, func(c ipvs.Change) bool {
			return c.Destination.AddrPort() == d.AddrPort()
		})
	}), err
}
