// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"net/netip"
	"strconv"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs/internal/nl"
)

// Destination is the configuration of one real server of a virtual service.
// Destinations are comparable with ==. Address and port identify one within
// its service; an edit replaces all other fields.
type Destination struct {
	// Addr is the address of the real server. Its family may differ from the
	// service's only with Tunnel.
	Addr netip.Addr
	// Port is the port of the real server. Only Masquerade can use another
	// port than the service's.
	Port uint16
	// Forward is how packets reach the real server.
	Forward ForwardingMethod
	// Weight is its share of new connections, 0 to 2147483647; 0 drains it.
	Weight int32
	// UpperThreshold is the number of connections at which it gets no new
	// ones, LowerThreshold the number below which it gets new ones again; 0
	// means no limit. Kernels since 2026 refuse those above 2147483647.
	UpperThreshold, LowerThreshold uint32
	// Tunnel is the encapsulation, used only if Forward is Tunnel.
	Tunnel TunnelInfo
}

// NewDestination returns a destination with weight 1 that packets reach by NAT.
func NewDestination(server netip.AddrPort) Destination {
	return Destination{Addr: server.Addr().Unmap(), Port: server.Port(), Weight: 1}
}

// String returns address and port, forwarding method, weight, and the other
// fields if they differ from their defaults, as in "192.168.168.10:80 Tunnel
// weight 1 upper 100 lower 50 gue 6080 csum".
func (d Destination) String() string {
	b := d.AddrPort().String() + " " + d.Forward.String() + " weight " + strconv.Itoa(int(d.Weight))
	if d.UpperThreshold != 0 {
		b += " upper " + strconv.FormatUint(uint64(d.UpperThreshold), 10)
	}
	if d.LowerThreshold != 0 {
		b += " lower " + strconv.FormatUint(uint64(d.LowerThreshold), 10)
	}
	if d.Tunnel != (TunnelInfo{}) {
		b += " " + d.Tunnel.String()
	}
	return b
}

// String returns the encapsulation, as in "gue 6080 csum".
func (t TunnelInfo) String() string {
	b := t.Type.String()
	if t.Port != 0 {
		b += " " + strconv.Itoa(int(t.Port))
	}
	if t.Flags != 0 {
		b += " " + t.Flags.String()
	}
	return b
}

// AddrPort returns the address and port, which identify the destination
// within its service.
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

func (d Destination) validate() error {
	if d.Forward > nl.FwdMask {
		return invalid("there is no forwarding method %v", d.Forward)
	}
	return d.validateID()
}

// ForwardingMethod is how a director hands packets to a real server
// (IPVS_DEST_ATTR_FWD_METHOD, IP_VS_CONN_F_FWD_MASK).
type ForwardingMethod uint32

// The forwarding methods. Only the kernel sets LocalNode and Bypass.
const (
	Masquerade ForwardingMethod = iota // IP_VS_CONN_F_MASQ: network address translation
	LocalNode                          // IP_VS_CONN_F_LOCALNODE: the director itself
	Tunnel                             // IP_VS_CONN_F_TUNNEL: encapsulation
	Route                              // IP_VS_CONN_F_DROUTE: direct routing
	Bypass                             // IP_VS_CONN_F_BYPASS: past the cache to the destination
)

// TunnelInfo is the encapsulation of a destination that is reached by a
// tunnel. The zero value is plain IP in IP.
type TunnelInfo struct {
	Type  TunnelType  `json:"type"`     // IPVS_DEST_ATTR_TUN_TYPE
	Port  uint16      `json:"port"`     // UDP port of GUE, else 0 (IPVS_DEST_ATTR_TUN_PORT)
	Flags TunnelFlags `json:"checksum"` // IPVS_DEST_ATTR_TUN_FLAGS
}

// TunnelType is a kind of encapsulation (IP_VS_CONN_F_TUNNEL_TYPE_*).
type TunnelType uint8

// The kinds of encapsulation.
const (
	TunnelIPIP TunnelType = iota // IP in IP
	TunnelGUE                    // generic UDP encapsulation
	TunnelGRE                    // generic routing encapsulation
)

// TunnelFlags select the checksum of the encapsulation
// (IP_VS_TUNNEL_ENCAP_FLAG_*); the zero value is no checksum.
type TunnelFlags uint16

// The flags of an encapsulation.
const (
	TunnelChecksum       TunnelFlags = 1 << 0 // IP_VS_TUNNEL_ENCAP_FLAG_CSUM
	TunnelRemoteChecksum TunnelFlags = 1 << 1 // IP_VS_TUNNEL_ENCAP_FLAG_REMCSUM
)
