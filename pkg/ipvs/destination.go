// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"fmt"
	"net/netip"
)

// Destination is the configuration of one real server of a virtual service.
// Destinations compare with ==. Address and port identify it within its
// service; an edit replaces all the rest.
type Destination struct {
	// Addr is the address of the real server. Its family may differ from the
	// service's only with Tunnel.
	Addr netip.Addr
	// Port is the port of the real server. Only Masquerade can use another
	// port than the service's.
	Port uint16
	// Forward is how packets reach the real server.
	Forward ForwardingMethod
	// Weight is its share, 0 to 2147483647; with 0 it gets no new connections.
	Weight int32
	// UpperThreshold is the number of connections at which no new ones come,
	// LowerThreshold the number below which they come again; 0 sets no limit.
	UpperThreshold, LowerThreshold uint32
	// Tunnel is the encapsulation; it counts only with Forward Tunnel.
	Tunnel TunnelInfo
}

// AddrPort is what identifies the destination within its service.
func (d Destination) AddrPort() netip.AddrPort { return netip.AddrPortFrom(d.Addr, d.Port) }

func (d Destination) validateID() error {
	switch {
	case !d.Addr.IsValid():
		return invalid("the destination has no address")
	case d.Addr.Zone() != "":
		return invalid("the destination address %v has a zone", d.Addr)
	}
	return nil
}

// ForwardingMethod is how a director hands packets to a real server
// (IPVS_DEST_ATTR_FWD_METHOD, IP_VS_CONN_F_FWD_MASK).
type ForwardingMethod uint32

// The forwarding methods. LocalNode and Bypass are the kernel's own: it
// never takes them from a user for long.
const (
	Masquerade ForwardingMethod = iota // IP_VS_CONN_F_MASQ: network address translation
	LocalNode                          // IP_VS_CONN_F_LOCALNODE: the director itself
	Tunnel                             // IP_VS_CONN_F_TUNNEL: encapsulation
	Route                              // IP_VS_CONN_F_DROUTE: direct routing
	Bypass                             // IP_VS_CONN_F_BYPASS: past the cache to the destination
)

// String gives the word that listings use: "Masq", "Local", "Tunnel",
// "Route" or "Bypass".
func (f ForwardingMethod) String() string {
	switch f {
	case Masquerade:
		return "Masq"
	case LocalNode:
		return "Local"
	case Tunnel:
		return "Tunnel"
	case Route:
		return "Route"
	case Bypass:
		return "Bypass"
	}
	return fmt.Sprintf("ForwardingMethod(%d)", uint32(f))
}

// TunnelInfo is the encapsulation of a destination that is reached by a
// tunnel. The zero value is plain IP in IP.
type TunnelInfo struct {
	Type  TunnelType  // IPVS_DEST_ATTR_TUN_TYPE
	Port  uint16      // UDP port of GUE, else 0 (IPVS_DEST_ATTR_TUN_PORT)
	Flags TunnelFlags // IPVS_DEST_ATTR_TUN_FLAGS
}

// TunnelType is a kind of encapsulation (IP_VS_CONN_F_TUNNEL_TYPE_*).
type TunnelType uint8

// The kinds of encapsulation.
const (
	TunnelIPIP TunnelType = iota // IP in IP
	TunnelGUE                    // generic UDP encapsulation
	TunnelGRE                    // generic routing encapsulation
)

// String gives "ipip", "gue" or "gre".
func (t TunnelType) String() string {
	switch t {
	case TunnelIPIP:
		return "ipip"
	case TunnelGUE:
		return "gue"
	case TunnelGRE:
		return "gre"
	}
	return fmt.Sprintf("TunnelType(%d)", uint8(t))
}

// TunnelFlags say how the encapsulation is checksummed
// (IP_VS_TUNNEL_ENCAP_FLAG_*); the zero value is no checksum.
type TunnelFlags uint16

// The flags of an encapsulation.
const (
	TunnelChecksum       TunnelFlags = 1 << 0 // IP_VS_TUNNEL_ENCAP_FLAG_CSUM
	TunnelRemoteChecksum TunnelFlags = 1 << 1 // IP_VS_TUNNEL_ENCAP_FLAG_REMCSUM
)

// String lists the flags by name, joined by "|".
func (f TunnelFlags) String() string {
	return flagString(uint32(f), []flagName{
		{uint32(TunnelChecksum), "csum"},
		{uint32(TunnelRemoteChecksum), "remcsum"},
	})
}
