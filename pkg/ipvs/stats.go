// SPDX-License-Identifier: Apache-2.0

package ipvs

// Stats are the counters of a service or a destination since it was added or
// zeroed (IPVS_*_ATTR_STATS64).
type Stats struct {
	Conns    uint64 `json:"connections"` // connections scheduled
	InPkts   uint64 `json:"packets_in"`  // packets from clients
	OutPkts  uint64 `json:"packets_out"` // packets to clients, seen only with Masquerade
	InBytes  uint64 `json:"bytes_in"`    // bytes from clients
	OutBytes uint64 `json:"bytes_out"`   // bytes to clients
	Rates    Rates  `json:"rates"`
}

// Rates are the kernel's moving averages, updated every two seconds; all are
// zero while net.ipv4.vs.run_estimation is 0.
type Rates struct {
	CPS    uint64 `json:"connections"` // connections a second
	InPPS  uint64 `json:"packets_in"`  // packets from clients a second
	OutPPS uint64 `json:"packets_out"` // packets to clients a second
	InBPS  uint64 `json:"bytes_in"`    // bytes from clients a second
	OutBPS uint64 `json:"bytes_out"`   // bytes to clients a second
}

// values returns pointers to the counters in the kernel's order,
// IPVS_STATS_ATTR_*.
func (s *Stats) values() [10]*uint64 {
	r := &s.Rates
	return [...]*uint64{&s.Conns, &s.InPkts, &s.OutPkts, &s.InBytes, &s.OutBytes, &r.CPS, &r.InPPS, &r.OutPPS, &r.InBPS, &r.OutBPS}
}

// ConnCounts are the current numbers of connections of a destination.
type ConnCounts struct {
	Active     uint32 // established (IPVS_DEST_ATTR_ACTIVE_CONNS)
	Inactive   uint32 // in any other state (IPVS_DEST_ATTR_INACT_CONNS)
	Persistent uint32 // templates of persistence (IPVS_DEST_ATTR_PERSIST_CONNS)
}
