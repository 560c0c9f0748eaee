// SPDX-License-Identifier: Apache-2.0

package ipvs

// This file encodes changes and queries as netlink messages, into a buffer
// that the client reuses. It cannot fail, since Change.validate has checked
// the values.

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs/internal/nl"
)

// header is the start of each message.
type header struct {
	family uint16 // number of the Generic Netlink family
	flags  uint16 // NLM_F_*, in addition to NLM_F_REQUEST
	seq    uint32
}

// begin appends the headers; end writes the length into them.
func (h header) begin(b []byte, cmd uint8) []byte {
	ne := binary.NativeEndian
	b = ne.AppendUint32(b, 0)
	b = ne.AppendUint16(b, h.family)
	b = ne.AppendUint16(b, nl.FlagRequest|h.flags)
	b = ne.AppendUint32(b, h.seq)
	b = ne.AppendUint32(b, 0)
	return append(b, cmd, nl.FamilyVersion, 0, 0)
}

func end(b []byte, start int) []byte {
	binary.NativeEndian.PutUint32(b[start:], uint32(len(b)-start))
	return b
}

// appendChange appends the message of a valid change.
func appendChange(b []byte, h header, c *Change) []byte {
	start := len(b)
	b = h.begin(b, command(c.Op))
	switch c.Op {
	case OpAddService, OpEditService:
		n := len(b)
		b = nest(b, nl.AttrService)
		b = appendServiceID(b, c.Service.ServiceID)
		b = appendServiceConfig(b, &c.Service)
		endNest(b, n)
	case OpDeleteService, OpZeroService:
		b = appendServiceNest(b, c.Service.ServiceID)
	case OpAddDestination, OpEditDestination, OpDeleteDestination:
		b = appendServiceNest(b, c.Service.ServiceID)
		n := len(b)
		b = nest(b, nl.AttrDest)
		b = appendDestinationID(b, &c.Destination)
		if c.Op != OpDeleteDestination {
			b = appendDestinationConfig(b, &c.Destination)
		}
		endNest(b, n)
	case OpSetTimeouts:
		b = appendU32(b, nl.AttrTimeoutTCP, seconds(c.Timeouts.TCP))
		b = appendU32(b, nl.AttrTimeoutTCPFin, seconds(c.Timeouts.TCPFin))
		b = appendU32(b, nl.AttrTimeoutUDP, seconds(c.Timeouts.UDP))
	case OpStartDaemon:
		n := len(b)
		b = nest(b, nl.AttrDaemon)
		b = appendDaemon(b, &c.Daemon)
		endNest(b, n)
	case OpStopDaemon:
		n := len(b)
		b = nest(b, nl.AttrDaemon)
		b = appendU32(b, nl.DaemonState, uint32(c.Daemon.State))
		endNest(b, n)
	}
	return end(b, start)
}

func command(o Op) uint8 {
	switch o {
	case OpAddService:
		return nl.CmdNewService
	case OpEditService:
		return nl.CmdSetService
	case OpDeleteService:
		return nl.CmdDelService
	case OpAddDestination:
		return nl.CmdNewDest
	case OpEditDestination:
		return nl.CmdSetDest
	case OpDeleteDestination:
		return nl.CmdDelDest
	case OpFlush:
		return nl.CmdFlush
	case OpZero, OpZeroService:
		return nl.CmdZero
	case OpSetTimeouts:
		return nl.CmdSetConfig
	case OpStartDaemon:
		return nl.CmdNewDaemon
	case OpStopDaemon:
		return nl.CmdDelDaemon
	}
	return 0
}

// appendQuery appends a query; about one service unless id is nil.
func appendQuery(b []byte, h header, cmd uint8, id *ServiceID) []byte {
	start := len(b)
	b = h.begin(b, cmd)
	if id != nil {
		b = appendServiceNest(b, *id)
	}
	return end(b, start)
}

func appendServiceNest(b []byte, id ServiceID) []byte {
	n := len(b)
	b = appendServiceID(nest(b, nl.AttrService), id)
	endNest(b, n)
	return b
}

func appendServiceID(b []byte, id ServiceID) []byte {
	b = appendU16(b, nl.SvcAF, uint16(id.Family()))
	if id.FWMark != 0 {
		return appendU32(b, nl.SvcFWMark, id.FWMark)
	}
	b = appendU16(b, nl.SvcProtocol, uint16(id.Protocol))
	b = appendAddr(b, nl.SvcAddr, id.Addr)
	return appendPort(b, nl.SvcPort, id.Port)
}

func appendServiceConfig(b []byte, s *Service) []byte {
	b = appendString(b, nl.SvcSchedName, s.Scheduler)
	if s.PersistenceEngine != "" {
		b = appendString(b, nl.SvcPEName, s.PersistenceEngine)
	}
	// Flags come with a mask, here all ones, so that an edit clears flags
	// that are not set.
	b = appendAttr(b, nl.SvcFlags, 8)
	b = binary.NativeEndian.AppendUint32(b, uint32(s.Flags&^flagHashed))
	b = binary.NativeEndian.AppendUint32(b, ^uint32(0))
	b = appendU32(b, nl.SvcTimeout, seconds(s.Timeout))
	b = appendAttr(b, nl.SvcNetmask, 4)
	if s.Family() == IPv6 {
		return binary.NativeEndian.AppendUint32(b, s.Netmask.bits(s.Family()))
	}
	return binary.BigEndian.AppendUint32(b, s.Netmask.bits(s.Family()))
}

func appendDestinationID(b []byte, d *Destination) []byte {
	b = appendU16(b, nl.DestAddrFamily, uint16(FamilyOf(d.Addr)))
	b = appendAddr(b, nl.DestAddr, d.Addr)
	return appendPort(b, nl.DestPort, d.Port)
}

func appendDestinationConfig(b []byte, d *Destination) []byte {
	b = appendU32(b, nl.DestFwdMethod, uint32(d.Forward)&nl.FwdMask)
	b = appendU32(b, nl.DestWeight, uint32(d.Weight))
	b = appendU32(b, nl.DestUThresh, d.UpperThreshold)
	b = appendU32(b, nl.DestLThresh, d.LowerThreshold)
	b = appendU8(b, nl.DestTunType, uint8(d.Tunnel.Type))
	b = appendPort(b, nl.DestTunPort, d.Tunnel.Port)
	return appendU16(b, nl.DestTunFlags, uint16(d.Tunnel.Flags))
}

// appendDaemon omits zero fields, for which the kernel has defaults.
func appendDaemon(b []byte, d *Daemon) []byte {
	b = appendU32(b, nl.DaemonState, uint32(d.State))
	b = appendString(b, nl.DaemonMcastIfn, d.Interface)
	b = appendU32(b, nl.DaemonSyncID, d.SyncID)
	if d.MaxLen != 0 {
		b = appendU16(b, nl.DaemonSyncMaxlen, d.MaxLen)
	}
	switch {
	case d.Group.Is4():
		a := d.Group.As4()
		b = append(appendAttr(b, nl.DaemonMcastGroup, len(a)), a[:]...)
	case d.Group.Is6():
		a := d.Group.As16()
		b = append(appendAttr(b, nl.DaemonMcastGroup6, len(a)), a[:]...)
	}
	if d.Port != 0 {
		b = appendU16(b, nl.DaemonMcastPort, d.Port) // not in network order, unlike all other ports
	}
	if d.TTL != 0 {
		b = appendU8(b, nl.DaemonMcastTTL, d.TTL)
	}
	return b
}

func seconds(d time.Duration) uint32 { return uint32(d / time.Second) }

// appendAttr appends the header of an attribute whose n bytes follow.
func appendAttr(b []byte, typ uint16, n int) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(nl.AttrHeaderLen+n))
	return binary.NativeEndian.AppendUint16(b, typ)
}

// nest appends the header of a nested attribute; endNest writes its length
// into the header at start.
func nest(b []byte, typ uint16) []byte { return appendAttr(b, typ|nl.AttrNested, 0) }

func endNest(b []byte, start int) {
	binary.NativeEndian.PutUint16(b[start:], uint16(len(b)-start))
}

func appendU8(b []byte, typ uint16, v uint8) []byte {
	return append(appendAttr(b, typ, 1), v, 0, 0, 0)
}

func appendU16(b []byte, typ, v uint16) []byte {
	b = binary.NativeEndian.AppendUint16(appendAttr(b, typ, 2), v)
	return append(b, 0, 0)
}

func appendPort(b []byte, typ, v uint16) []byte {
	return append(appendAttr(b, typ, 2), byte(v>>8), byte(v), 0, 0)
}

func appendU32(b []byte, typ uint16, v uint32) []byte {
	return binary.NativeEndian.AppendUint32(appendAttr(b, typ, 4), v)
}

// appendAddr appends an address as the kernel's union of both families: 16
// bytes, of which IPv4 uses the first four.
func appendAddr(b []byte, typ uint16, a netip.Addr) []byte {
	b = appendAttr(b, typ, 16)
	if a.Is4() {
		v := a.As4()
		return append(append(b, v[:]...), make([]byte, 12)...)
	}
	v := a.As16()
	return append(b, v[:]...)
}

func appendString(b []byte, typ uint16, s string) []byte {
	b = append(appendAttr(b, typ, len(s)+1), s...)
	b = append(b, 0)
	for len(b)%nl.AttrAlign != 0 {
		b = append(b, 0)
	}
	return b
}

// appendFence appends a no-op that the kernel acknowledges.
func appendFence(b []byte, seq uint32) []byte {
	ne := binary.NativeEndian
	b = ne.AppendUint32(b, nl.MsgHeaderLen)
	b = ne.AppendUint16(b, nl.MsgNoop)
	b = ne.AppendUint16(b, nl.FlagRequest|nl.FlagAck)
	b = ne.AppendUint32(b, seq)
	return ne.AppendUint32(b, 0)
}
