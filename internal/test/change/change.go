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

// AddService is the change that ipvs.Batch queues under this name.
func AddService(s ipvs.Service) ipvs.Change { return one(func(b *ipvs.Batch) { b.AddService(s) }) }

// EditService is the change that ipvs.Batch queues under this name.
func EditService(s ipvs.Service) ipvs.Change { return one(func(b *ipvs.Batch) { b.EditService(s) }) }

// DeleteService is the change that ipvs.Batch queues under this name.
func DeleteService(id ipvs.ServiceID) ipvs.Change {
	return one(func(b *ipvs.Batch) { b.DeleteService(id) })
}

// AddDestination is the change that ipvs.Batch queues under this name.
func AddDestination(to ipvs.ServiceID, d ipvs.Destination) ipvs.Change {
	return one(func(b *ipvs.Batch) { b.AddDestination(to, d) })
}

// EditDestination is the change that ipvs.Batch queues under this name.
func EditDestination(of ipvs.ServiceID, d ipvs.Destination) ipvs.Change {
	return one(func(b *ipvs.Batch) { b.EditDestination(of, d) })
}

// DeleteDestination is the change that ipvs.Batch queues under this name.
func DeleteDestination(of ipvs.ServiceID, ap netip.AddrPort) ipvs.Change {
	return one(func(b *ipvs.Batch) { b.DeleteDestination(of, ap) })
}

// Flush is the change that ipvs.Batch queues under this name.
func Flush() ipvs.Change { return one((*ipvs.Batch).Flush) }

// Zero is the change that ipvs.Batch queues under this name.
func Zero() ipvs.Change { return one((*ipvs.Batch).Zero) }

// ZeroService is the change that ipvs.Batch queues under this name.
func ZeroService(id ipvs.ServiceID) ipvs.Change {
	return one(func(b *ipvs.Batch) { b.ZeroService(id) })
}

// SetTimeouts is the change that ipvs.Batch queues under this name.
func SetTimeouts(t ipvs.Timeouts) ipvs.Change { return one(func(b *ipvs.Batch) { b.SetTimeouts(t) }) }

// StartDaemon is the change that ipvs.Batch queues under this name.
func StartDaemon(d ipvs.Daemon) ipvs.Change { return one(func(b *ipvs.Batch) { b.StartDaemon(d) }) }

// StopDaemon is the change that ipvs.Batch queues under this name.
func StopDaemon(s ipvs.DaemonState) ipvs.Change {
	return one(func(b *ipvs.Batch) { b.StopDaemon(s) })
}
