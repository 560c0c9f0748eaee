// SPDX-License-Identifier: Apache-2.0

package model

import (
	"time"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// Diff returns the changes that turn the whole table have into the table want:
// those of ipvs.Diff, and those of timeouts and sync daemons. Zero timeouts
// and zero settings of a daemon in want match any value.
//
// Daemons stop first and start last: while one is running, the kernel refuses
// a destination whose address family is not that of its service.
func Diff(have, want *ipvs.Table) []ipvs.Change {
	var changes ipvs.Batch
	for _, h := range have.Daemons {
		if findDaemon(want.Daemons, h.State) < 0 {
			changes.StopDaemon(h.State)
		}
	}
	h, w := have.Timeouts, want.Timeouts
	same := func(h, w time.Duration) bool { return w == 0 || h == w }
	if !same(h.TCP, w.TCP) || !same(h.TCPFin, w.TCPFin) || !same(h.UDP, w.UDP) {
		changes.SetTimeouts(w)
	}
	services := ipvs.Diff(have.Services, want.Services)
	if len(changes) == 0 {
		changes = services
	} else {
		changes = append(changes, services...)
	}
	for _, w := range want.Daemons {
		if i := findDaemon(have.Daemons, w.State); i >= 0 {
			if Matches(have.Daemons[i], w) {
				continue
			}
			changes.StopDaemon(w.State)
		}
		changes.StartDaemon(w)
	}
	return changes
}

// Matches reports whether the running daemon d matches the wanted w. Zero
// settings of w match any value.
func Matches(d, w ipvs.Daemon) bool {
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
	return d == clamped(w)
}
