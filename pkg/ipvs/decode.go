// SPDX-License-Identifier: Apache-2.0

package ipvs

// This file reads the kernel's messages. Attributes that it does not know,
// and bytes past those of a value that it knows, belong to a newer kernel
// and are passed over; a value that is too short, or that is missing, is an
// ErrMalformed which names it.

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"net/netip"
	"time"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs/internal/nl"
)

// attrs walks over attributes.
type attrs struct {
	rest []byte
	typ  uint16
	data []byte
	err  error
}

func (a *attrs) next() bool {
	if len(a.rest) == 0 || a.err != nil {
		return false
	}
	if len(a.rest) < nl.AttrHeaderLen {
		a.err = malformed("%d stray bytes after the attributes", len(a.rest))
		return false
	}
	n := int(binary.NativeEndian.Uint16(a.rest))
	a.typ = binary.NativeEndian.Uint16(a.rest[2:]) &^ (nl.AttrNested | nl.AttrNetByte)
	if n < nl.AttrHeaderLen || n > len(a.rest) {
		a.err = malformed("attribute %d says it has %d bytes where %d are left", a.typ, n, len(a.rest))
		return false
	}
	a.data = a.rest[nl.AttrHeaderLen:n]
	a.rest = a.rest[min((n+nl.AttrAlign-1)&^(nl.AttrAlign-1), len(a.rest)):]
	return true
}

// fields holds the values of one nest by attribute type; nil is not there.
// The array fits the largest nest.
type fields struct {
	what string // what the nest describes, for errors
	v    [16][]byte
	err  error
}

// Each nest's attributes have to fit the array.
var _ = [1]struct{}{}[max(nl.SvcMax, nl.DestMax, nl.DaemonMax, nl.StatsMax)/16]

// read takes the nest apart; a type past limit is unknown.
func (f *fields) read(what string, b []byte, limit uint16) {
	*f = fields{what: what}
	a := attrs{rest: b}
	for a.next() {
		if a.typ <= limit {
			f.v[a.typ] = a.data
		}
	}
	if f.err = a.err; f.err != nil {
		f.err = malformed("in a %s: %v", what, a.err)
	}
}

// get returns the first n bytes of a value. One that lacks any is an error of
// the whole nest, and reads as zeros.
func (f *fields) get(typ uint16, name string, n int) []byte {
	v := f.v[typ]
	switch {
	case len(v) >= n:
		return v[:n]
	case f.err != nil:
	case v == nil:
		f.err = malformed("a %s without %s", f.what, name)
	default:
		f.err = malformed("the %s of a %s has %d bytes, want %d", name, f.what, len(v), n)
	}
	return make([]byte, n)
}

func (f *fields) u8(typ uint16, name string) uint8 { return f.get(typ, name, 1)[0] }

func (f *fields) u16(typ uint16, name string) uint16 {
	return binary.NativeEndian.Uint16(f.get(typ, name, 2))
}

func (f *fields) port(typ uint16, name string) uint16 {
	return binary.BigEndian.Uint16(f.get(typ, name, 2))
}

func (f *fields) u32(typ uint16, name string) uint32 {
	return binary.NativeEndian.Uint32(f.get(typ, name, 4))
}

func (f *fields) addr(typ uint16, name string, fam Family) netip.Addr {
	switch fam {
	case IPv4:
		return netip.AddrFrom4([4]byte(f.get(typ, name, 4)))
	case IPv6:
		return netip.AddrFrom16([16]byte(f.get(typ, name, 16)))
	}
	if f.err == nil {
		f.err = malformed("a %s of the unknown address family %d", f.what, uint16(fam))
	}
	return netip.Addr{}
}

// str returns a text up to its zero byte.
func (f *fields) str(typ uint16, name string) []byte {
	v := f.v[typ]
	if v == nil && f.err == nil {
		f.err = malformed("a %s without %s", f.what, name)
	}
	if i := bytes.IndexByte(v, 0); i >= 0 {
		return v[:i]
	}
	return v
}

// decoder remembers the last names, since most services share theirs.
type decoder struct {
	sched, pe string
	f         fields
}

func intern(last *string, b []byte) string {
	if string(b) != *last {
		*last = string(b)
	}
	return *last
}

// firstLevel finds one attribute of the first level.
func firstLevel(b []byte, typ uint16, what string) ([]byte, error) {
	a := attrs{rest: b}
	for a.next() {
		if a.typ == typ {
			return a.data, nil
		}
	}
	if a.err != nil {
		return nil, a.err
	}
	return nil, malformed("an answer without its %s", what)
}

// service reads the answer that describes one service.
func (d *decoder) service(b []byte, s *ServiceEntry) error {
	b, err := firstLevel(b, nl.AttrService, "service")
	if err != nil {
		return err
	}
	f := &d.f
	f.read("service", b, nl.SvcMax)
	fam := Family(f.u16(nl.SvcAF, "address family"))
	if f.v[nl.SvcFWMark] != nil {
		s.ServiceID = MarkID(f.u32(nl.SvcFWMark, "firewall mark"), fam)
		if fam != IPv4 && fam != IPv6 && f.err == nil {
			f.err = malformed("a service of the unknown address family %d", uint16(fam))
		}
	} else {
		s.Protocol = Protocol(f.u16(nl.SvcProtocol, "protocol"))
		s.Addr = f.addr(nl.SvcAddr, "address", fam)
		s.Port = f.port(nl.SvcPort, "port")
	}
	s.Scheduler = intern(&d.sched, f.str(nl.SvcSchedName, "scheduler"))
	s.Flags = ServiceFlags(binary.NativeEndian.Uint32(f.get(nl.SvcFlags, "flags", 8))) &^ flagHashed
	s.Timeout = time.Duration(f.u32(nl.SvcTimeout, "persistence timeout")) * time.Second
	mask := f.get(nl.SvcNetmask, "netmask", 4)
	if s.Family() == IPv6 {
		s.Netmask = netmaskOf(binary.NativeEndian.Uint32(mask))
	} else {
		s.Netmask = netmaskOf(binary.BigEndian.Uint32(mask))
	}
	if f.v[nl.SvcPEName] != nil {
		s.PersistenceEngine = intern(&d.pe, f.str(nl.SvcPEName, "persistence engine"))
	}
	if f.err != nil {
		return f.err
	}
	return decodeStats(f.v[nl.SvcStats64], f.v[nl.SvcStats], "service", &s.Stats)
}

// destination reads the answer that describes one destination of a service
// of the given family, which kernels before 3.18 take for granted.
func (d *decoder) destination(b []byte, fam Family, e *DestinationEntry) error {
	b, err := firstLevel(b, nl.AttrDest, "destination")
	if err != nil {
		return err
	}
	f := &d.f
	f.read("destination", b, nl.DestMax)
	if f.v[nl.DestAddrFamily] != nil {
		fam = Family(f.u16(nl.DestAddrFamily, "address family"))
	}
	e.Addr = f.addr(nl.DestAddr, "address", fam)
	e.Port = f.port(nl.DestPort, "port")
	e.Forward = ForwardingMethod(f.u32(nl.DestFwdMethod, "forwarding method") & nl.FwdMask)
	e.Weight = int32(f.u32(nl.DestWeight, "weight"))
	e.UpperThreshold = f.u32(nl.DestUThresh, "upper threshold")
	e.LowerThreshold = f.u32(nl.DestLThresh, "lower threshold")
	// Kernels before 5.2 know no kinds of tunnel, only IP in IP.
	if f.v[nl.DestTunType] != nil {
		e.Tunnel.Type = TunnelType(f.u8(nl.DestTunType, "tunnel type"))
		e.Tunnel.Port = f.port(nl.DestTunPort, "tunnel port")
		// Its flags came with 5.3.
		if f.v[nl.DestTunFlags] != nil {
			e.Tunnel.Flags = TunnelFlags(f.u16(nl.DestTunFlags, "tunnel flags"))
		}
	}
	e.Conns.Active = f.u32(nl.DestActiveConns, "active connections")
	e.Conns.Inactive = f.u32(nl.DestInactConns, "inactive connections")
	e.Conns.Persistent = f.u32(nl.DestPersistConns, "persistent connections")
	if f.err != nil {
		return f.err
	}
	return decodeStats(f.v[nl.DestStats64], f.v[nl.DestStats], "destination", &e.Stats)
}

// decodeStats reads the wide counters, or the narrow ones of a kernel that
// has no others.
func decodeStats(wide, narrow []byte, of string, s *Stats) error {
	b, is64 := wide, true
	if b == nil {
		b, is64 = narrow, false
	}
	if b == nil {
		return malformed("a %s without statistics", of)
	}
	var seen uint32
	a := attrs{rest: b}
	for a.next() {
		p := s.field(a.typ)
		if p == nil {
			continue
		}
		seen |= 1 << a.typ
		// The narrow nest has its two counts of bytes 64 bits wide all the same.
		if wideValue := is64 || a.typ == nl.StatsInBytes || a.typ == nl.StatsOutBytes; wideValue && len(a.data) >= 8 {
			*p = binary.NativeEndian.Uint64(a.data)
		} else if !wideValue && len(a.data) >= 4 {
			*p = uint64(binary.NativeEndian.Uint32(a.data))
		} else {
			return malformed("attribute %d of the statistics of a %s has %d bytes", a.typ, of, len(a.data))
		}
	}
	if a.err != nil {
		return malformed("in the statistics of a %s: %v", of, a.err)
	}
	const all = 1<<(nl.StatsOutBPS+1) - 1<<nl.StatsConns
	if seen != all {
		return malformed("the statistics of a %s lack %d of %d values", of, bits.OnesCount32(all&^seen), bits.OnesCount32(all))
	}
	return nil
}

// field is where a value of IPVS_STATS_ATTR_* goes; nil for padding and what
// is unknown.
func (s *Stats) field(typ uint16) *uint64 {
	switch typ {
	case nl.StatsConns:
		return &s.Conns
	case nl.StatsInPkts:
		return &s.InPkts
	case nl.StatsOutPkts:
		return &s.OutPkts
	case nl.StatsInBytes:
		return &s.InBytes
	case nl.StatsOutBytes:
		return &s.OutBytes
	case nl.StatsCPS:
		return &s.Rates.CPS
	case nl.StatsInPPS:
		return &s.Rates.InPPS
	case nl.StatsOutPPS:
		return &s.Rates.OutPPS
	case nl.StatsInBPS:
		return &s.Rates.InBPS
	case nl.StatsOutBPS:
		return &s.Rates.OutBPS
	}
	return nil
}

// decodeDaemon reads one sync daemon. Kernels before 4.3 tell no more than
// state, interface and sync id.
func decodeDaemon(b []byte, d *Daemon) error {
	b, err := firstLevel(b, nl.AttrDaemon, "sync daemon")
	if err != nil {
		return err
	}
	var f fields
	f.read("sync daemon", b, nl.DaemonMax)
	d.State = DaemonState(f.u32(nl.DaemonState, "state"))
	d.Interface = string(f.str(nl.DaemonMcastIfn, "interface"))
	d.SyncID = f.u32(nl.DaemonSyncID, "sync id")
	if f.v[nl.DaemonSyncMaxlen] != nil {
		d.MaxLen = f.u16(nl.DaemonSyncMaxlen, "longest message")
		d.Port = f.u16(nl.DaemonMcastPort, "port")
		d.TTL = f.u8(nl.DaemonMcastTTL, "TTL")
		if f.v[nl.DaemonMcastGroup6] != nil {
			d.Group = f.addr(nl.DaemonMcastGroup6, "multicast group", IPv6)
		} else {
			d.Group = f.addr(nl.DaemonMcastGroup, "multicast group", IPv4)
		}
	}
	return f.err
}

// decodeTimeouts reads the answer to IPVS_CMD_GET_CONFIG.
func decodeTimeouts(b []byte, t *Timeouts) error {
	var f fields
	f.read("set of timeouts", b, nl.AttrTimeoutUDP)
	get := func(typ uint16, name string) time.Duration {
		return time.Duration(f.u32(typ, name)) * time.Second
	}
	t.TCP = get(nl.AttrTimeoutTCP, "TCP timeout")
	t.TCPFin = get(nl.AttrTimeoutTCPFin, "TCP FIN timeout")
	t.UDP = get(nl.AttrTimeoutUDP, "UDP timeout")
	return f.err
}

// decodeInfo reads the answer to IPVS_CMD_GET_INFO.
func decodeInfo(b []byte, i *Info) error {
	var f fields
	f.read("set of information", b, nl.InfoMax)
	i.Version = Version(f.u32(nl.InfoVersion, "version"))
	i.ConnTableSize = f.u32(nl.InfoConnTabSize, "size of the connection table")
	return f.err
}
