// SPDX-License-Identifier: Apache-2.0

// This file formats tables: services and destinations.

package render

import (
	"context"
	"net/netip"
	"strings"

	"github.com/ipvsadm-go/ipvsadm/internal/names"
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
	if err := p.header(i); err != nil {
		return err
	}
	return p.Services(ctx, i, services)
}

// Services writes the titles and services, without the header, as 1.31 does
// for a named service.
func (p *text) Services(ctx context.Context, _ ipvs.Info, services []ipvs.ServiceEntry) error {
	if !p.o.NoSort {
		Sort(services)
	}
	if !p.o.Numeric {
		p.names.Prefetch(ctx, Addresses(services))
	}
	if err := p.titles(); err != nil {
		return err
	}
	for i := range services {
		s := &services[i]
		proto := s.Protocol.Network()
		if err := p.service(ctx, s, proto); err != nil {
			return err
		}
		for j := range s.Destinations {
			if err := p.destination(ctx, &s.Destinations[j], proto); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *text) titles() error {
	if p.wide != nil {
		p.wide.right = p.o.Format == Stats || p.o.Format == Rate
		p.wide.addTitles(titles[p.o.Format])
		return nil
	}
	return p.line(append(p.w.AvailableBuffer(), titles[p.o.Format]...))
}

// header writes the first line of a table.
func (p *text) header(i ipvs.Info) error {
	b := append(p.w.AvailableBuffer(), "IP Virtual Server version "...)
	b = append(b, i.Version.String()...)
	return p.line(append(appendField(b, " (size=", uint64(i.ConnTableSize)), ')'))
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

func (p *text) service(ctx context.Context, s *ipvs.ServiceEntry, proto string) error {
	b := p.w.AvailableBuffer()
	if s.FWMark != 0 {
		b = appendField(b, "FWM  ", uint64(s.FWMark))
		if s.Family() == ipvs.IPv6 {
			b = append(b, " IPv6"...)
		}
	} else {
		b = append(appendLeft(b, s.Protocol.String(), 4), ' ')
		b = p.appendAddr(ctx, b, netip.AddrPortFrom(s.Addr, s.Port), proto)
		if s.Family() == ipvs.IPv4 {
			b = p.truncate(b, 0, serviceWidth)
		}
	}
	switch p.o.Format {
	case Stats:
		b = p.appendStats(p.endColumn(b, 0, serviceWidth), &s.Stats)
	case Rate:
		b = p.endColumn(b, 0, serviceWidth)
		for _, n := range [...]uint64{s.Stats.Rates.CPS, s.Stats.Rates.InPPS, s.Stats.Rates.OutPPS} {
			b = p.appendCounter(b, n)
		}
		b = p.appendBPS(b, &s.Stats.Rates)
	default:
		b = appendConfig(append(b, ' '), &s.Service)
	}
	return p.line(b)
}

// appendConfig appends the scheduler and the other settings of a service.
func appendConfig(b []byte, s *ipvs.Service) []byte {
	b = append(b, s.Scheduler...)
	if s.Flags&(ipvs.FlagSched1|ipvs.FlagSched2|ipvs.FlagSched3) != 0 {
		words := rule.ListedFlags(s)
		b = append(append(append(b, " ("...), strings.Join(words, ",")...), ')')
	}
	if s.Flags&ipvs.FlagPersistent != 0 {
		b = appendSeconds(append(b, " persistent "...), s.Timeout)
		switch {
		case s.Netmask == ipvs.FullNetmask(s.Family()):
		case s.Family() == ipvs.IPv6:
			b = appendField(b, " mask ", uint64(s.Netmask))
		default:
			b = names.AppendAddr(append(b, " mask "...), s.Netmask.Addr4())
		}
		if s.PersistenceEngine != "" {
			b = append(append(b, " pe "...), s.PersistenceEngine...)
		}
	}
	if s.Flags&ipvs.FlagOnePacket != 0 {
		b = append(b, " ops"...)
	}
	return b
}

func (p *text) destination(ctx context.Context, d *ipvs.DestinationEntry, proto string) error {
	b := append(p.w.AvailableBuffer(), "  -> "...)
	start := len(b)
	b = p.appendAddr(ctx, b, d.AddrPort(), proto)
	if d.Addr.Is4() {
		b = p.truncate(b, start, destinationWidth)
	}
	b = p.endColumn(b, start, destinationWidth)
	switch p.o.Format {
	case Stats:
		b = p.appendStats(b, &d.Stats)
	case Rate:
		// Unlike those of a service, these are never scaled.
		for _, n := range [...]uint64{d.Stats.Rates.CPS, d.Stats.Rates.InPPS, d.Stats.Rates.OutPPS} {
			b = p.appendNumber(p.gap(b), n, "", 8)
		}
		b = p.appendBPS(b, &d.Stats.Rates)
	case Thresholds:
		b = p.intColumn(b, int64(d.UpperThreshold), 10)
		b = p.intColumn(b, int64(d.LowerThreshold), 10)
		b = p.appendConns(b, d)
	case PersistentConn:
		b = p.intColumn(b, int64(d.Weight), 9)
		b = p.intColumn(b, int64(d.Conns.Persistent), 11)
		b = p.appendConns(b, d)
	default:
		b = p.column(b, d.Forward.String(), 7)
		if p.o.Format == TunnelInfo {
			b = p.gap(b)
			start := len(b)
			b = p.endColumn(appendTunnel(b, &d.Destination), start, 13)
		}
		b = p.intColumn(b, int64(d.Weight), 6)
		b = p.appendConns(b, d)
	}
	return p.line(b)
}

func (p *text) appendConns(b []byte, d *ipvs.DestinationEntry) []byte {
	b = p.intColumn(b, int64(d.Conns.Active), 10)
	return p.intColumn(b, int64(d.Conns.Inactive), 10)
}

// appendTunnel appends the encapsulation, such as "gue:6080:+c", "gre:-c" or
// "ipip", or "n/a" for a server without a tunnel.
func appendTunnel(b []byte, d *ipvs.Destination) []byte {
	if d.Forward != ipvs.Tunnel {
		return append(b, "n/a"...)
	}
	b = append(b, d.Tunnel.Type.String()...)
	if d.Tunnel.Type == ipvs.TunnelIPIP {
		return b
	}
	if d.Tunnel.Type == ipvs.TunnelGUE {
		b = appendField(b, ":", uint64(d.Tunnel.Port))
	}
	switch {
	case d.Tunnel.Flags&ipvs.TunnelChecksum != 0:
		return append(b, ":+c"...)
	case d.Tunnel.Flags&ipvs.TunnelRemoteChecksum != 0:
		return append(b, ":r+c"...)
	}
	return append(b, ":-c"...)
}

func (p *text) appendStats(b []byte, s *ipvs.Stats) []byte {
	for _, n := range [...]uint64{s.Conns, s.InPkts, s.OutPkts, s.InBytes, s.OutBytes} {
		b = p.appendCounter(b, n)
	}
	return b
}

func (p *text) appendBPS(b []byte, r *ipvs.Rates) []byte {
	return p.appendCounter(p.appendCounter(b, r.InBPS), r.OutBPS)
}

// appendCounter appends a counter in nine columns. Like 1.31 it scales
// numbers from 10^8 to thousands, from 10^9 to millions, from 10^11 to
// billions and from 10^14 to trillions, and rounds down. With Exact it
// appends a blank and all digits.
func (p *text) appendCounter(b []byte, n uint64) []byte {
	if p.o.Exact {
		return p.appendNumber(p.gap(b), n, "", 8)
	}
	switch {
	case n < 1e8:
		return p.appendNumber(b, n, "", 9)
	case n < 1e9:
		return p.appendNumber(b, n/1e3, "K", 9)
	case n < 1e11:
		return p.appendNumber(b, n/1e6, "M", 9)
	case n < 1e14:
		return p.appendNumber(b, n/1e9, "G", 9)
	}
	return p.appendNumber(b, n/1e12, "T", 9)
}
