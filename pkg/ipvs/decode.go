// SPDX-License-Identifier: Apache-2.0

package ipvs

// This file decodes the kernel's messages. Unknown attributes, and extra
// bytes of known values, come from newer kernels and are ignored; a value
// that is missing or too short is an ErrMalformed that names it.

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs/internal/nl"
)

// attrs iterates over attributes.
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
		a.err = fmt.Errorf("%d stray bytes after the attributes", len(a.rest))
		return false
	}
	n := int(binary.NativeEndian.Uint16(a.rest))
	a.typ = binary.NativeEndian.Uint16(a.rest[2:]) &^ (nl.AttrNested | nl.AttrNetByte)
	if n < nl.AttrHeaderLen || n > len(a.rest) {
		a.err = fmt.Errorf("attribute %d says it has %d bytes where %d are left", a.typ, n, len(a.rest))
		return false
	}
	a.data = a.rest[nl.AttrHeaderLen:n]
	a.rest = a.rest[min((n+nl.AttrAlign-1)&^(nl.AttrAlign-1), len(a.rest)):]
	return true
}

// fields contains the values of one nested attribute by type; nil means
// missing. The array fits the largest nest.
type fields struct {
	what string // what the nest describes, with its article, for errors
	v    [16][]byte
	err  error
}

// The attributes of each nest must fit the array.
var _ = [1]struct{}{}[max(nl.SvcMax, nl.DestMax, nl.DaemonMax, nl.StatsOutBPS)/16]

// answer parses one nest of a reply.
func (f *fields) answer(what string, b []byte, typ, limit uint16) {
	f.read("an answer", b, nl.AttrDaemon)
	if nest := f.value(typ, what); f.err == nil {
		f.read(what, nest, limit)
	}
}

// read parses the nest; types above limit are unknown.
func (f *fields) read(what string, b []byte, limit uint16) {
	*f = fields{what: what}
	a := attrs{rest: b}
	for a.next() {
		if a.typ <= limit {
			f.v[a.typ] = a.data
		}
	}
	if f.err = a.err; f.err != nil {
		f.err = malformed("in %s: %v", what, a.err)
	}
}

// value returns a value of any length. If it is missing, value sets f.err.
func (f *fields) value(typ uint16, name string) []byte {
	if f.v[typ] == nil && f.err == nil {
		f.err = malformed("%s without %s", f.what, name)
	}
	return f.v[typ]
}

// get returns the first n bytes of a value. If it is missing or shorter, get
// sets f.err and returns zeros.
func (f *fields) get(typ uint16, name string, n int) []byte {
	v := f.value(typ, name)
	if len(v) >= n {
		return v[:n]
	}
	if f.err == nil {
		f.err = malformed("the %s of %s has %d bytes, want %d", name, f.what, len(v), n)
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

func (f *fields) u64(typ uint16, name string) uint64 {
	return binary.NativeEndian.Uint64(f.get(typ, name, 8))
}

func (f *fields) seconds(typ uint16, name string) time.Duration {
	return time.Duration(f.u32(typ, name)) * time.Second
}

func (f *fields) addr(typ uint16, name string, fam Family) netip.Addr {
	switch fam {
	case IPv4:
		return netip.AddrFrom4([4]byte(f.get(typ, name, 4)))
	case IPv6:
		return netip.AddrFrom16([16]byte(f.get(typ, name, 16)))
	}
	if f.err == nil {
		f.err = malformed("%s of the unknown address family %d", f.what, uint16(fam))
	}
	return netip.Addr{}
}

// str returns a text up to its zero byte.
func (f *fields) str(typ uint16, name string) []byte {
	v, _, _ := bytes.Cut(f.value(typ, name), []byte{0})
	return v
}

// stats reads the 64-bit counters of a nest.
func (f *fields) stats(typ uint16, s *Stats) {
	var counters fields
	if counters.read("the statistics", f.value(typ, "statistics"), nl.StatsOutBPS); f.err != nil {
		return
	}
	for i, v := range s.values() {
		*v = counters.u64(nl.StatsConns+uint16(i), "counter")
	}
	f.err = counters.err
}

// decoder caches the last names, since most services share theirs.
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

// service decodes the reply about one service.
func (d *decoder) service(b []byte, s *ServiceEntry) error {
	f := &d.f
	f.answer("a service", b, nl.AttrService, nl.SvcMax)
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
	s.Timeout = f.seconds(nl.SvcTimeout, "persistence timeout")
	mask := f.get(nl.SvcNetmask, "netmask", 4)
	if s.Family() == IPv6 {
		s.Netmask = netmaskOf(binary.NativeEndian.Uint32(mask))
	} else {
		s.Netmask = netmaskOf(binary.BigEndian.Uint32(mask))
	}
	if f.v[nl.SvcPEName] != nil {
		s.PersistenceEngine = intern(&d.pe, f.str(nl.SvcPEName, "persistence engine"))
	}
	f.stats(nl.SvcStats64, &s.Stats)
	return f.err
}

// destination decodes the reply about one destination.
func (d *decoder) destination(b []byte, e *DestinationEntry) error {
	f := &d.f
	f.answer("a destination", b, nl.AttrDest, nl.DestMax)
	e.Addr = f.addr(nl.DestAddr, "address", Family(f.u16(nl.DestAddrFamily, "address family")))
	e.Port = f.port(nl.DestPort, "port")
	e.Forward = ForwardingMethod(f.u32(nl.DestFwdMethod, "forwarding method") & nl.FwdMask)
	e.Weight = int32(f.u32(nl.DestWeight, "weight"))
	e.UpperThreshold = f.u32(nl.DestUThresh, "upper threshold")
	e.LowerThreshold = f.u32(nl.DestLThresh, "lower threshold")
	// Kernels before 5.2 have no tunnel types, those before 5.3 no flags.
	if f.v[nl.DestTunFlags] != nil {
		e.Tunnel.Type = TunnelType(f.u8(nl.DestTunType, "tunnel type"))
		e.Tunnel.Port = f.port(nl.DestTunPort, "tunnel port")
		e.Tunnel.Flags = TunnelFlags(f.u16(nl.DestTunFlags, "tunnel flags"))
	}
	e.Conns.Active = f.u32(nl.DestActiveConns, "active connections")
	e.Conns.Inactive = f.u32(nl.DestInactConns, "inactive connections")
	e.Conns.Persistent = f.u32(nl.DestPersistConns, "persistent connections")
	f.stats(nl.DestStats64, &e.Stats)
	return f.err
}

// decodeDaemon reads one sync daemon.
func decodeDaemon(b []byte, d *Daemon) error {
	var f fields
	f.answer("a sync daemon", b, nl.AttrDaemon, nl.DaemonMax)
	d.State = DaemonState(f.u32(nl.DaemonState, "state"))
	d.Interface = string(f.str(nl.DaemonMcastIfn, "interface"))
	d.SyncID = f.u32(nl.DaemonSyncID, "sync id")
	d.MaxLen = f.u16(nl.DaemonSyncMaxlen, "longest message")
	d.Port = f.u16(nl.DaemonMcastPort, "port")
	d.TTL = f.u8(nl.DaemonMcastTTL, "TTL")
	if f.v[nl.DaemonMcastGroup6] != nil {
		d.Group = f.addr(nl.DaemonMcastGroup6, "multicast group", IPv6)
	} else {
		d.Group = f.addr(nl.DaemonMcastGroup, "multicast group", IPv4)
	}
	return f.err
}

// decodeTimeouts reads the answer to IPVS_CMD_GET_CONFIG.
func decodeTimeouts(b []byte, t *Timeouts) error {
	var f fields
	f.read("a set of timeouts", b, nl.AttrTimeoutUDP)
	t.TCP = f.seconds(nl.AttrTimeoutTCP, "TCP timeout")
	t.TCPFin = f.seconds(nl.AttrTimeoutTCPFin, "TCP FIN timeout")
	t.UDP = f.seconds(nl.AttrTimeoutUDP, "UDP timeout")
	return f.err
}

// decodeInfo reads the answer to IPVS_CMD_GET_INFO.
func decodeInfo(b []byte, i *Info) error {
	var f fields
	f.read("a set of information", b, nl.InfoConnTabSize)
	i.Version = Version(f.u32(nl.InfoVersion, "version"))
	i.ConnTableSize = f.u32(nl.InfoConnTabSize, "size of the connection table")
	return f.err
}
