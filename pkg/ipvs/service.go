// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs/internal/nl"
)

// Service is the configuration of one virtual service. Services are
// comparable with ==. An edit replaces the whole configuration.
//
// [NewService] sets the required fields.
type Service struct {
	ServiceID

	// Scheduler is the name of the scheduler, such as "rr" or "wlc", at most
	// 15 bytes (IPVS_SVC_ATTR_SCHED_NAME). The name "none" is no scheduler.
	Scheduler string
	// Flags are the service's flags without the kernel's own HASHED bit.
	Flags ServiceFlags
	// Timeout is how long a client stays with its real server after the last
	// connection, in whole seconds (IPVS_SVC_ATTR_TIMEOUT). It has an effect
	// only with FlagPersistent.
	Timeout time.Duration
	// Netmask is the granularity of persistence.
	Netmask Netmask
	// PersistenceEngine is the name of the persistence engine, such as "sip",
	// at most 16 bytes; empty for none (IPVS_SVC_ATTR_PE_NAME).
	PersistenceEngine string
}

// NewService returns a service with a scheduler, without flags, and with a
// netmask that distinguishes all clients.
func NewService(id ServiceID, scheduler string) Service {
	return Service{ServiceID: id, Scheduler: scheduler, Netmask: FullNetmask(id.Family())}
}

// String returns the identity as in a listing, the scheduler, and the other
// fields if they differ from their defaults, as in "TCP 12.0.0.1:80 wlc
// persistent|one-packet timeout 6m0s mask 255.255.0.0 pe sip".
func (s Service) String() string {
	b := s.ServiceID.String()
	if s.Scheduler != "" {
		b += " " + s.Scheduler
	}
	if s.Flags != 0 {
		b += " " + s.Flags.String()
	}
	if s.Timeout != 0 {
		b += " timeout " + s.Timeout.String()
	}
	if s.Netmask != 0 && s.Netmask != FullNetmask(s.Family()) {
		b += " mask " + s.netmaskText()
	}
	if s.PersistenceEngine != "" {
		b += " pe " + s.PersistenceEngine
	}
	return b
}

// netmaskText returns the netmask as a dotted mask, or for IPv6 as the length of
// a prefix.
func (s *Service) netmaskText() string {
	if s.Family() == IPv6 {
		return strconv.Itoa(int(s.Netmask.bits(IPv6)))
	}
	return s.Netmask.Addr4().String()
}

// ServiceID identifies a virtual service, either by protocol, address and
// port, or by firewall mark. It is comparable with == and can be a map key.
type ServiceID struct {
	// Addr is the virtual address. For a firewall mark it is the unspecified
	// address of the family, 0.0.0.0 or ::, since the kernel distinguishes
	// marks of the two families.
	Addr netip.Addr
	// FWMark is the firewall mark, zero for a service by address.
	FWMark uint32
	// Port is the virtual port; zero stands for every port and makes sense
	// only with persistence. Zero for a firewall mark.
	Port uint16
	// Protocol is TCP, UDP or SCTP; zero for a firewall mark.
	Protocol Protocol
}

// AddrID returns the identity of the service at an address and port. An
// IPv4-mapped address, as from net.ParseIP, becomes the IPv4 address.
func AddrID(p Protocol, addr netip.Addr, port uint16) ServiceID {
	return ServiceID{Protocol: p, Addr: addr.Unmap(), Port: port}
}

// MarkID returns the identity of the service of a firewall mark in a family.
func MarkID(mark uint32, f Family) ServiceID {
	if f == IPv6 {
		return ServiceID{FWMark: mark, Addr: netip.IPv6Unspecified()}
	}
	return ServiceID{FWMark: mark, Addr: netip.IPv4Unspecified()}
}

// Family returns the address family of the service.
func (id ServiceID) Family() Family { return FamilyOf(id.Addr) }

// String returns the service as a listing names it: "TCP 12.0.0.1:80",
// "FWM 77", "FWM 77 IPv6".
func (id ServiceID) String() string {
	if id.FWMark == 0 {
		return id.Protocol.String() + " " + netip.AddrPortFrom(id.Addr, id.Port).String()
	}
	s := "FWM " + strconv.FormatUint(uint64(id.FWMark), 10)
	if id.Family() == IPv6 {
		s += " IPv6"
	}
	return s
}

func (id ServiceID) validate() error {
	switch {
	case !id.Addr.IsValid():
		return invalid("the service has no address")
	case id.Addr.Zone() != "":
		return invalid("the service address %v has a zone", id.Addr)
	case id.FWMark != 0 && (!id.Addr.IsUnspecified() || id.Port != 0 || id.Protocol != 0):
		return invalid("the service has a firewall mark and an address")
	case id.FWMark == 0 && id.Protocol == 0:
		return invalid("the service has neither a protocol nor a firewall mark")
	}
	return nil
}

func (s Service) validate() error {
	if err := s.ServiceID.validate(); err != nil {
		return err
	}
	if err := validName("scheduler", s.Scheduler, nl.SchedNameLen); err != nil {
		return err
	}
	if err := validName("persistence engine", s.PersistenceEngine, nl.PENameLen); err != nil {
		return err
	}
	if s.Netmask > AllClients {
		return invalid("the netmask %#x has more than 32 bits", uint64(s.Netmask))
	}
	return validSeconds("persistence timeout", s.Timeout)
}

// Family is an address family; its values are the kernel's AF_*.
type Family uint16

// The families that IPVS supports.
const (
	IPv4 Family = 2  // AF_INET
	IPv6 Family = 10 // AF_INET6
)

// FamilyOf returns the family of an address; zero for the zero Addr. An IPv4
// address written as IPv6 (::ffff:1.2.3.4) is IPv6, as it is to the kernel.
func FamilyOf(a netip.Addr) Family {
	switch {
	case a.Is4():
		return IPv4
	case a.Is6():
		return IPv6
	}
	return 0
}

// Name returns the family as iproute2 and nft write it: "inet" or "inet6"; empty
// for any other.
func (f Family) Name() string {
	switch f {
	case IPv4:
		return "inet"
	case IPv6:
		return "inet6"
	}
	return ""
}

// String returns "IPv4" or "IPv6".
func (f Family) String() string {
	switch f {
	case IPv4:
		return "IPv4"
	case IPv6:
		return "IPv6"
	}
	return fmt.Sprintf("Family(%d)", uint16(f))
}

// Protocol is the number of a transport protocol (IPPROTO_*).
type Protocol uint16

// The protocols that IPVS balances.
const (
	TCP  Protocol = 6
	UDP  Protocol = 17
	SCTP Protocol = 132
)

// ServiceFlags are the flags of a service (IP_VS_SVC_F_*).
type ServiceFlags uint32

// The flags of a service. The meaning of the scheduler flags depends on the
// scheduler: for sh and mh the first is fallback and the second port.
const (
	FlagPersistent ServiceFlags = 0x0001 // IP_VS_SVC_F_PERSISTENT
	FlagOnePacket  ServiceFlags = 0x0004 // IP_VS_SVC_F_ONEPACKET
	FlagSched1     ServiceFlags = 0x0008 // IP_VS_SVC_F_SCHED1
	FlagSched2     ServiceFlags = 0x0010 // IP_VS_SVC_F_SCHED2
	FlagSched3     ServiceFlags = 0x0020 // IP_VS_SVC_F_SCHED3

	flagHashed ServiceFlags = nl.SvcFlagHashed
)

// String lists the flags by name, joined by "|"; bits without a name as a
// hexadecimal number.
func (f ServiceFlags) String() string {
	var parts []string
	for i, name := range [...]string{0: "persistent", 2: "one-packet", 3: "flag-1", 4: "flag-2", 5: "flag-3"} {
		if bit := ServiceFlags(1) << i; name != "" && f&bit != 0 {
			parts = append(parts, name)
			f &^= bit
		}
	}
	if f != 0 || len(parts) == 0 {
		parts = append(parts, fmt.Sprintf("%#x", uint32(f)))
	}
	return strings.Join(parts, "|")
}

// Netmask is the granularity of persistence (IPVS_SVC_ATTR_NETMASK): for IPv4
// the 32 bits of a mask with the most significant first, so that 0xffffff00 is
// 255.255.255.0; for IPv6 the length of a prefix, 1 to 128. The IPv4 mask need
// not be contiguous. The zero value means FullNetmask of the family.
type Netmask uint64

// AllClients is the IPv4 mask 0.0.0.0, which treats all clients as one.
const AllClients Netmask = 1 << 32

// FullNetmask returns the mask that distinguishes all clients:
// 255.255.255.255 or 128.
func FullNetmask(f Family) Netmask {
	if f == IPv6 {
		return 128
	}
	return 0xffffffff
}

// PrefixNetmask returns the mask of the first n bits in a family, n from 0 to 32
// or 128.
func PrefixNetmask(f Family, n int) Netmask {
	switch {
	case n == 0:
		return AllClients
	case f == IPv6:
		return Netmask(n)
	}
	return Netmask(^uint32(0) << (32 - n))
}

// NetmaskFrom4 returns the mask with the bits of an IPv4 address.
func NetmaskFrom4(a netip.Addr) Netmask {
	b := a.As4()
	return netmaskOf(binary.BigEndian.Uint32(b[:]))
}

// Addr4 returns an IPv4 mask as an address.
func (m Netmask) Addr4() netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], m.bits(IPv4))
	return netip.AddrFrom4(b)
}

// netmaskOf converts the kernel's number to a mask.
func netmaskOf(bits uint32) Netmask {
	if bits == 0 {
		return AllClients
	}
	return Netmask(bits)
}

// bits is the inverse of netmaskOf.
func (m Netmask) bits(f Family) uint32 {
	if m == 0 {
		m = FullNetmask(f)
	}
	return uint32(m) // 0 for AllClients
}
