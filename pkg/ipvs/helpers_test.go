// SPDX-License-Identifier: Apache-2.0

package ipvs_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/test/change"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// multicast is an interface of the contract's namespaces that has a route to
// the groups of both families.
const multicast = "mc0"

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func tcp(s string) ipvs.ServiceID {
	ap := netip.MustParseAddrPort(s)
	return ipvs.AddrID(ipvs.TCP, ap.Addr(), ap.Port())
}

func dest(s string, f ipvs.ForwardingMethod) ipvs.Destination {
	ap := netip.MustParseAddrPort(s)
	return ipvs.Destination{Addr: ap.Addr(), Port: ap.Port(), Forward: f, Weight: 1}
}

// lines returns the entries of a table as sorted lines, without counters and
// the settings of daemons that depend on the interface.
func lines(t *ipvs.Table) (all []string) {
	for _, s := range t.Services {
		all = append(all, fmt.Sprintf("%#v", s.Service))
		for _, d := range s.Destinations {
			all = append(all, fmt.Sprintf("%#v %#v %#v", s.ServiceID, d.Destination, d.Conns))
		}
	}
	for _, d := range t.Daemons {
		d.MaxLen = 0
		all = append(all, fmt.Sprintf("%#v", d))
	}
	slices.Sort(all)
	return append(all, t.Timeouts.String())
}

func diffTables(have, want *ipvs.Table) string {
	h, w := lines(have), lines(want)
	if slices.Equal(h, w) {
		return ""
	}
	return "kernel:\n" + strings.Join(h, "\n") + "\nmodel:\n" + strings.Join(w, "\n")
}

func pick[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }

func randomChange(r *rand.Rand) ipvs.Change {
	id := pick(r,
		tcp("12.0.0.1:80"), tcp("12.0.0.1:0"), tcp("[2001:db8::1]:80"),
		ipvs.AddrID(ipvs.UDP, addr("12.0.0.1"), 80), ipvs.AddrID(ipvs.SCTP, addr("12.0.0.1"), 80),
		ipvs.MarkID(7, ipvs.IPv4), ipvs.MarkID(7, ipvs.IPv6), ipvs.MarkID(1<<31, ipvs.IPv4))
	s := ipvs.NewService(id, pick(r, "rr", "wrr", "wlc", "sh", "mh", "none", ""))
	s.Flags = ipvs.ServiceFlags(r.UintN(64)) &^ 2
	s.Timeout = time.Duration(r.IntN(1000)) * time.Second
	if r.IntN(3) == 0 {
		s.Netmask = pick(r, ipvs.Netmask(0), 1, 24, 64, 128, 129, 0xffffff00)
	}
	s.PersistenceEngine = pick(r, "", "", "", "sip")
	d := dest(pick(r, "192.168.168.10:80", "192.168.168.20:80", "192.168.168.10:81", "192.168.168.10:0", "127.0.0.1:80", "0.0.0.0:80", "224.0.0.1:80",
		"[2001:db8::10]:80", "[2001:db8::20]:80", "[fe80::1]:80", "[::1]:80"), pick(r, ipvs.Masquerade, ipvs.Tunnel, ipvs.Route, ipvs.LocalNode))
	d.Weight = int32(r.IntN(5)) - 1
	d.UpperThreshold, d.LowerThreshold = uint32(r.UintN(3)), uint32(r.UintN(3))
	if r.IntN(3) == 0 {
		d.Tunnel = ipvs.TunnelInfo{Type: ipvs.TunnelType(r.UintN(3)), Port: uint16(r.UintN(2) * 6080), Flags: ipvs.TunnelFlags(r.UintN(3))}
	}
	op := pick(r, ipvs.OpAddService, ipvs.OpAddService, ipvs.OpEditService, ipvs.OpDeleteService,
		ipvs.OpAddDestination, ipvs.OpAddDestination, ipvs.OpAddDestination, ipvs.OpEditDestination, ipvs.OpDeleteDestination,
		ipvs.OpZeroService, ipvs.OpZero, ipvs.OpSetTimeouts, ipvs.OpStartDaemon, ipvs.OpStopDaemon, ipvs.OpFlush)
	switch op {
	case ipvs.OpAddService, ipvs.OpEditService:
		return ipvs.Change{Op: op, Service: s}
	case ipvs.OpDeleteService, ipvs.OpZeroService:
		return ipvs.Change{Op: op, Service: ipvs.Service{ServiceID: id}}
	case ipvs.OpAddDestination, ipvs.OpEditDestination:
		return ipvs.Change{Op: op, Service: ipvs.Service{ServiceID: id}, Destination: d}
	case ipvs.OpDeleteDestination:
		return change.DeleteDestination(id, d.AddrPort())
	case ipvs.OpSetTimeouts:
		secs := func() time.Duration { return time.Duration(r.IntN(3)*100) * time.Second }
		return ipvs.Change{Op: op, Timeouts: ipvs.Timeouts{TCP: secs(), TCPFin: secs(), UDP: secs()}}
	case ipvs.OpStartDaemon:
		return ipvs.Change{Op: op, Daemon: ipvs.Daemon{State: pick(r, ipvs.Master, ipvs.Backup), Interface: multicast, SyncID: uint32(r.UintN(300)),
			Port: uint16(r.UintN(2) * 9000), TTL: uint8(r.UintN(3)), Group: pick(r, netip.Addr{}, addr("224.0.0.9"), addr("ff02::9"), addr("9.9.9.9"))}}
	case ipvs.OpStopDaemon:
		return ipvs.Change{Op: op, Daemon: ipvs.Daemon{State: pick(r, ipvs.Master, ipvs.Backup)}}
	case ipvs.OpFlush:
		if r.IntN(3) > 0 {
			return change.Zero() // rare, so that tables can grow
		}
	}
	return ipvs.Change{Op: op}
}
