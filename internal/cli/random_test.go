// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/model"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// randomTable returns a table of up to n services with all settings that rule
// text can express. The choice of services and servers is small, so that two
// tables share many.
func randomTable(r *rand.Rand, n int) *ipvs.Table {
	seconds := func() time.Duration { return time.Duration(1+r.IntN(2678400)) * time.Second }
	t := &ipvs.Table{Timeouts: ipvs.Timeouts{TCP: seconds(), TCPFin: seconds(), UDP: seconds()}, Services: []ipvs.ServiceEntry{}, Daemons: []ipvs.Daemon{}}
	seen := map[ipvs.ServiceID]bool{}
	mixed := r.IntN(2) == 0
	for range n {
		s := ipvs.ServiceEntry{Service: randomService(r, n), Destinations: []ipvs.DestinationEntry{}}
		if seen[s.ServiceID] {
			continue
		}
		seen[s.ServiceID] = true
		for range r.IntN(6) {
			if d := randomServer(r, &s.Service, mixed); s.Lookup(d.AddrPort()) == nil {
				s.Destinations = append(s.Destinations, ipvs.DestinationEntry{Destination: d})
			}
		}
		t.Services = append(t.Services, s)
	}
	if !mixed {
		for _, state := range []ipvs.DaemonState{ipvs.Master, ipvs.Backup} {
			if r.IntN(2) == 0 {
				t.Daemons = append(t.Daemons, ipvs.Daemon{State: state, Interface: "lo", SyncID: r.Uint32N(256), MaxLen: 1024 + uint16(r.IntN(400)),
					Group: netip.AddrFrom4([4]byte{224, 0, byte(r.IntN(2)), 81}), Port: 1 + uint16(r.IntN(65535)), TTL: 1 + uint8(r.IntN(255))})
			}
		}
	}
	return t
}

func pick[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }

func randomService(r *rand.Rand, n int) ipvs.Service {
	i := r.IntN(n + 1)
	v4, v6 := netip.AddrFrom4([4]byte{10, 1, byte(i / 250), byte(1 + i%250)}), netip.MustParseAddr("2001:db8::1")
	for range i % 7 {
		v6 = v6.Next()
	}
	var s ipvs.Service
	switch protocol := pick(r, ipvs.TCP, ipvs.UDP, ipvs.SCTP); r.IntN(8) {
	case 0:
		s.ServiceID = ipvs.MarkID(1+r.Uint32N(uint32(n)), pick(r, ipvs.IPv4, ipvs.IPv6))
	case 1:
		s.ServiceID = ipvs.MarkID(1<<31+r.Uint32N(1<<31), ipvs.IPv4)
	case 2:
		s.ServiceID = ipvs.AddrID(protocol, v6, uint16(i))
	default:
		s.ServiceID = ipvs.AddrID(protocol, v4, pick(r, uint16(0), 53, 80, 65535))
	}
	s.Netmask = ipvs.FullNetmask(s.Family())
	s.Scheduler = pick(r, "rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh")
	s.Flags = ipvs.ServiceFlags(r.Uint32N(8)) * ipvs.FlagSched1
	if r.IntN(3) == 0 {
		s.Flags = 0
	}
	if s.FWMark == 0 && s.Port == 0 || r.IntN(3) == 0 {
		s.Flags |= ipvs.FlagPersistent
		s.Timeout = time.Duration(1+r.IntN(2678400)) * time.Second
		switch {
		case r.IntN(2) == 0:
		case s.Family() == ipvs.IPv6:
			s.Netmask = ipvs.PrefixNetmask(ipvs.IPv6, 1+r.IntN(128))
		default:
			s.Netmask = pick(r, ipvs.PrefixNetmask(ipvs.IPv4, r.IntN(33)), ipvs.Netmask(r.Uint32()))
		}
		if r.IntN(4) == 0 {
			s.PersistenceEngine = "sip"
		}
	}
	if (s.FWMark != 0 || s.Protocol == ipvs.UDP) && r.IntN(4) == 0 {
		s.Flags |= ipvs.FlagOnePacket
	}
	return s
}

func randomServer(r *rand.Rand, s *ipvs.Service, mixed bool) ipvs.Destination {
	d := ipvs.Destination{
		Addr:    netip.AddrFrom4([4]byte{192, 168, 0, byte(1 + r.IntN(8))}),
		Port:    s.Port,
		Forward: pick(r, ipvs.Masquerade, ipvs.Tunnel, ipvs.Route),
		Weight:  pick(r, 0, 1, r.Int32N(100), r.Int32()),
	}
	if (s.Family() == ipvs.IPv6) != (mixed && d.Forward == ipvs.Tunnel && r.IntN(2) == 0) {
		d.Addr = netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 1, 15: byte(1 + r.IntN(8))})
	}
	if s.FWMark != 0 || d.Forward == ipvs.Masquerade {
		d.Port = pick(r, s.Port, uint16(r.IntN(65536)))
	}
	if r.IntN(2) == 0 {
		d.UpperThreshold = pick(r, r.Uint32N(10), r.Uint32N(1<<31))
		d.LowerThreshold = r.Uint32N(d.UpperThreshold + 1)
	}
	if d.Forward == ipvs.Tunnel {
		switch d.Tunnel.Type = pick(r, ipvs.TunnelIPIP, ipvs.TunnelGUE, ipvs.TunnelGRE); d.Tunnel.Type {
		case ipvs.TunnelGUE:
			d.Tunnel.Port = 1 + uint16(r.IntN(65535))
			d.Tunnel.Flags = pick(r, 0, ipvs.TunnelChecksum, ipvs.TunnelRemoteChecksum)
		case ipvs.TunnelGRE:
			d.Tunnel.Flags = pick(r, 0, ipvs.TunnelChecksum)
		}
	}
	return d
}

// sameTable reports whether two tables have the same configuration, in any
// order and ignoring settings without effect.
func sameTable(a, b *ipvs.Table) bool {
	return len(model.Diff(a, b)) == 0 && len(model.Diff(b, a)) == 0 && rulesOf(a) == rulesOf(b)
}
