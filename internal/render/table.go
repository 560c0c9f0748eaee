// SPDX-License-Identifier: Apache-2.0

// This file formats tables: services and destinations.

package render

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/ipvsadm-go/ipvsadm/internal/rule"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// titles contains the two title lines of each format, without the final line
// end.
var titles = [...]string{
	Default: "Prot LocalAddress:Port Scheduler Flags\n" +
		"  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn",
	Stats: "Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes\n" +
		"  -> RemoteAddress:Port",
	Rate: "Prot LocalAddress:Port                 CPS    InPPS   OutPPS    InBPS   OutBPS\n" +
		"  -> RemoteAddress:Port",
	Thresholds: "Prot LocalAddress:Port            Uthreshold Lthreshold ActiveConn InActConn \n" +
		"  -> RemoteAddress:Port",
	PersistentConn: "Prot LocalAddress:Port            Weight    PersistConn ActiveConn InActConn \n" +
		"  -> RemoteAddress:Port",
	TunnelInfo: "Prot LocalAddress:Port Scheduler Flags\n" +
		"  -> RemoteAddress:Port           Forward TunnelInfo    Weight ActiveConn InActConn",
}

func (p *text) Table(ctx context.Context, i ipvs.Info, services []ipvs.ServiceEntry) error {
	if !p.o.Named {
		p.row(fmt.Sprintf("IP Virtual Server version %s (size=%d)", i.Version, i.ConnTableSize))
	}
	if !p.o.NoSort {
		Sort(services)
	}
	if !p.o.Numeric {
		p.names.Prefetch(ctx, Addresses(services))
	}
	p.titles()
	for i := range services {
		s := &services[i]
		proto := s.Protocol.Network()
		p.row(p.service(ctx, s, proto)...)
		for j := range s.Destinations {
			p.row(p.destination(ctx, &s.Destinations[j], proto)...)
		}
	}
	return p.err()
}

// titles writes the titles. In a wide listing those after the address are in
// columns, except those of the scheduler and flags.
func (p *text) titles() {
	if !p.o.Wide {
		p.row(titles[p.o.Format])
		return
	}
	if p.o.Format == Stats || p.o.Format == Rate {
		p.pad = right
	}
	for line := range strings.SplitSeq(titles[p.o.Format], "\n") {
		addr, rest, _ := strings.Cut(line, ":Port")
		cells := []string{addr + ":Port"}
		if columns := strings.Fields(rest); len(columns) > 0 && columns[0] == "Scheduler" {
			cells[0] = line
		} else {
			cells = append(cells, columns...)
		}
		p.row(cells...)
	}
}

// Addresses returns the addresses of services and destinations, for
// names.Resolver.Prefetch.
func Addresses(services []ipvs.ServiceEntry) []netip.Addr {
	var list []netip.Addr
	for i := range services {
		s := &services[i]
		if s.FWMark == 0 {
			list = append(list, s.Addr)
		}
		for j := range s.Destinations {
			list = append(list, s.Destinations[j].Addr)
		}
	}
	return list
}

// The widths of the first columns; that of services includes the protocol.
// Longer IPv4 addresses are truncated, while longer IPv6 addresses move the
// rest of the line to the right, as in 1.31.
const (
	serviceWidth     = 33
	destinationWidth = 28
)

func (p *text) service(ctx context.Context, s *ipvs.ServiceEntry, proto string) []string {
	id := fmt.Sprintf("FWM  %d", s.FWMark)
	switch {
	case s.FWMark == 0:
		id = left(s.Protocol.String(), 4) + " " + p.addr(ctx, netip.AddrPortFrom(s.Addr, s.Port), proto)
		if s.Family() == ipvs.IPv4 {
			id = p.truncate(id, serviceWidth)
		}
	case s.Family() == ipvs.IPv6:
		id += " IPv6"
	}
	cells := []string{left(id, serviceWidth)}
	switch p.o.Format {
	case Stats:
		return append(cells, p.stats(&s.Stats)...)
	case Rate:
		r := &s.Stats.Rates
		return append(cells, p.counter(r.CPS), p.counter(r.InPPS), p.counter(r.OutPPS), p.counter(r.InBPS), p.counter(r.OutBPS))
	}
	return []string{id + " " + settings(&s.Service)}
}

// settings returns the scheduler and the other settings of a service.
func settings(s *ipvs.Service) string {
	text := s.Scheduler
	if s.Flags&(ipvs.FlagSched1|ipvs.FlagSched2|ipvs.FlagSched3) != 0 {
		text += " (" + strings.Join(rule.ListedFlags(s), ",") + ")"
	}
	if s.Flags&ipvs.FlagPersistent != 0 {
		text += fmt.Sprintf(" persistent %d", seconds(s.Timeout))
		switch {
		case s.Netmask == ipvs.FullNetmask(s.Family()):
		case s.Family() == ipvs.IPv6:
			text += fmt.Sprintf(" mask %d", uint32(s.Netmask))
		default:
			text += " mask " + s.Netmask.Addr4().String()
		}
		if s.PersistenceEngine != "" {
			text += " pe " + s.PersistenceEngine
		}
	}
	if s.Flags&ipvs.FlagOnePacket != 0 {
		text += " ops"
	}
	return text
}

func (p *text) destination(ctx context.Context, d *ipvs.DestinationEntry, proto string) []string {
	addr := p.addr(ctx, d.AddrPort(), proto)
	if d.Addr.Is4() {
		addr = p.truncate(addr, destinationWidth)
	}
	cells := []string{"  -> " + left(addr, destinationWidth)}
	switch p.o.Format {
	case Stats:
		return append(cells, p.stats(&d.Stats)...)
	case Rate:
		// Unlike those of a service, the first three are never scaled.
		r := &d.Stats.Rates
		return append(cells, exact(r.CPS), exact(r.InPPS), exact(r.OutPPS), p.counter(r.InBPS), p.counter(r.OutBPS))
	case Thresholds:
		cells = append(cells, intColumn(d.UpperThreshold, 10), intColumn(d.LowerThreshold, 10))
	case PersistentConn:
		cells = append(cells, intColumn(d.Weight, 9), intColumn(d.Conns.Persistent, 11))
	default:
		cells = append(cells, column(d.Forward.String(), 7))
		if p.o.Format == TunnelInfo {
			cells = append(cells, column(encapsulation(&d.Destination), 13))
		}
		cells = append(cells, intColumn(d.Weight, 6))
	}
	return append(cells, intColumn(d.Conns.Active, 10), intColumn(d.Conns.Inactive, 10))
}

// encapsulation returns that of the tunnel, such as "gue:6080:+c", "gre:-c"
// or "ipip", or "n/a" for a server without a tunnel.
func encapsulation(d *ipvs.Destination) string {
	if d.Forward != ipvs.Tunnel {
		return "n/a"
	}
	text := d.Tunnel.Type.String()
	if d.Tunnel.Type == ipvs.TunnelIPIP {
		return text
	}
	if d.Tunnel.Type == ipvs.TunnelGUE {
		text += fmt.Sprintf(":%d", d.Tunnel.Port)
	}
	switch {
	case d.Tunnel.Flags&ipvs.TunnelChecksum != 0:
		return text + ":+c"
	case d.Tunnel.Flags&ipvs.TunnelRemoteChecksum != 0:
		return text + ":r+c"
	}
	return text + ":-c"
}

func (p *text) stats(s *ipvs.Stats) []string {
	return []string{p.counter(s.Conns), p.counter(s.InPkts), p.counter(s.OutPkts), p.counter(s.InBytes), p.counter(s.OutBytes)}
}

// counter returns the cell of a counter. Like 1.31 it scales numbers from 10^8
// to thousands, from 10^9 to millions, from 10^11 to billions and from 10^14
// to trillions, and rounds down.
func (p *text) counter(n uint64) string {
	unit := ""
	switch {
	case p.o.Exact:
		return exact(n)
	case n < 1e8:
	case n < 1e9:
		n, unit = n/1e3, "K"
	case n < 1e11:
		n, unit = n/1e6, "M"
	case n < 1e14:
		n, unit = n/1e9, "G"
	default:
		n, unit = n/1e12, "T"
	}
	return right(strconv.FormatUint(n, 10)+unit, 9)
}

// exact returns the cell of a number with all digits.
func exact(n uint64) string { return " " + right(strconv.FormatUint(n, 10), 8) }
