// SPDX-License-Identifier: Apache-2.0

// Package change makes single changes for tests.
package change

import (
	"net/netip"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

func one(queue func(*ipvs.Batch)) ipvs.Change {
	var b ipvs.Batch
	queue(&b)
	return b[0]
}

// AddService returns the change of ipvs.Batch.AddService.
func AddService(s ipvs.Service) ipvs.Change { return one(func(b *ipvs.Batch) { b.AddService(s) }) }

// EditService returns the change of ipvs.Batch.EditService.
func EditService(s ipvs.Service) ipvs.Change { return one(func(b *ipvs.Batch) { b.EditService(s) }) }

// DeleteService returns the change of ipvs.Batch.DeleteService.
func DeleteService(id ipvs.ServiceID) ipvs.Change {
	return one(func(b *ipvs.Batch) { b.DeleteService(id) })
}

// AddDestination returns the change of ipvs.Batch.AddDestination.
func AddDestination(to ipvs.ServiceID, d ipvs.Destination) ipvs.Change {
	return one(func(b *ipvs.Batch) { b.AddDestination(to, d) })
}

// EditDestination returns the change of ipvs.Batch.EditDestination.
func EditDestination(of ipvs.ServiceID, d ipvs.Destination) ipvs.Change {
	return one(func(b *ipvs.Batch) { b.EditDestination(of, d) })
}

// DeleteDestination returns the change of ipvs.Batch.DeleteDestination.
func DeleteDestination(of ipvs.ServiceID, ap netip.AddrPort) ipvs.Change {
	return one(func(b *ipvs.Batch) { b.DeleteDestination(of, ap) })
}

// Flush returns the change of ipvs.Batch.Flush.
func Flush() ipvs.Change { return one((*ipvs.Batch).Flush) }

// Zero returns the change of ipvs.Batch.Zero.
func Zero() ipvs.Change { return one((*ipvs.Batch).Zero) }

// ZeroService returns the change of ipvs.Batch.ZeroService.
func ZeroService(id ipvs.ServiceID) ipvs.Change {
	return one(func(b *ipvs.Batch) { b.ZeroService(id) })
}

// SetTimeouts returns the change of ipvs.Batch.SetTimeouts.
func SetTimeouts(t ipvs.Timeouts) ipvs.Change { return one(func(b *ipvs.Batch) { b.SetTimeouts(t) }) }

// StartDaemon returns the change of ipvs.Batch.StartDaemon.
func StartDaemon(d ipvs.Daemon) ipvs.Change { return one(func(b *ipvs.Batch) { b.StartDaemon(d) }) }

// StopDaemon returns the change of ipvs.Batch.StopDaemon.
func StopDaemon(s ipvs.DaemonState) ipvs.Change {
	return one(func(b *ipvs.Batch) { b.StopDaemon(s) })
}
