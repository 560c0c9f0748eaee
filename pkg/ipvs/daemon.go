// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs/internal/nl"
)

// Daemon is the configuration of a connection sync daemon. A director runs at
// most one in each state. For zero fields the kernel chooses defaults, which
// it reports.
type Daemon struct {
	State     DaemonState `json:"state"`
	Interface string      `json:"interface,omitzero"` // multicast interface, at most 15 bytes
	SyncID    uint32      `json:"syncid"`             // sync group; the kernel accepts any number
	MaxLen    uint16      `json:"maxlen,omitzero"`    // longest message in bytes of UDP payload
	Group     netip.Addr  `json:"group,omitzero"`     // multicast group; 224.0.0.81 if not given
	Port      uint16      `json:"port,omitzero"`      // UDP port; 8848 if not given
	TTL       uint8       `json:"ttl,omitzero"`       // 1 if not given
}

// String returns the state and all fields that are not zero, as in "master
// eth0 syncid 1 maxlen 1472 group 224.0.0.81 port 8848 ttl 1".
func (d Daemon) String() string {
	b := fmt.Sprintf("%v %s syncid %d", d.State, d.Interface, d.SyncID)
	if d.MaxLen != 0 {
		b += fmt.Sprintf(" maxlen %d", d.MaxLen)
	}
	if d.Group.IsValid() {
		b += " group " + d.Group.String()
	}
	if d.Port != 0 {
		b += fmt.Sprintf(" port %d", d.Port)
	}
	if d.TTL != 0 {
		b += fmt.Sprintf(" ttl %d", d.TTL)
	}
	return b
}

// DaemonState is the role of a sync daemon (IP_VS_STATE_*).
type DaemonState uint32

// The states of a sync daemon.
const (
	Master DaemonState = 1 // IP_VS_STATE_MASTER: sends its connections
	Backup DaemonState = 2 // IP_VS_STATE_BACKUP: receives connections
)

func (d Daemon) validate() error {
	if err := validName("interface", d.Interface, nl.IfNameLen); err != nil {
		return err
	}
	if d.Group.Zone() != "" {
		return invalid("the multicast group %v has a zone", d.Group)
	}
	return nil
}

// Timeouts are how long connections are remembered, in whole seconds. In a
// change, zero leaves a timeout unchanged.
type Timeouts struct {
	TCP    time.Duration // established TCP (IPVS_CMD_ATTR_TIMEOUT_TCP)
	TCPFin time.Duration // TCP after a FIN (IPVS_CMD_ATTR_TIMEOUT_TCP_FIN)
	UDP    time.Duration // UDP (IPVS_CMD_ATTR_TIMEOUT_UDP)
}

// String returns all timeouts, as in "tcp 15m0s tcp-fin 2m0s udp 5m0s".
func (t Timeouts) String() string {
	return fmt.Sprintf("tcp %v tcp-fin %v udp %v", t.TCP, t.TCPFin, t.UDP)
}

func (t Timeouts) validate() error {
	for _, v := range []struct {
		name string
		d    time.Duration
	}{{"TCP timeout", t.TCP}, {"TCP FIN timeout", t.TCPFin}, {"UDP timeout", t.UDP}} {
		if err := validSeconds(v.name, v.d); err != nil {
			return err
		}
	}
	return nil
}

// Info is general information about the kernel's IPVS.
type Info struct {
	Version       Version `json:"ipvs_version"`          // IPVS_INFO_ATTR_VERSION
	ConnTableSize uint32  `json:"connection_table_size"` // buckets of the connection table (IPVS_INFO_ATTR_CONN_TAB_SIZE)
}

// Version is a version of IPVS, one byte each for major, minor and patch.
type Version uint32

// String returns the version as "1.2.1".
func (v Version) String() string {
	return fmt.Sprintf("%d.%d.%d", v>>16&0xff, v>>8&0xff, v&0xff)
}
