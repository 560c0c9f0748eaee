// SPDX-License-Identifier: Apache-2.0

// Package nl names the numbers of the kernel's IPVS Generic Netlink family,
// version 1, as the header linux/ip_vs.h gives them. The names are the
// kernel's without their IPVS_ prefix, in Go's spelling.
package nl

// The family (IPVS_GENL_NAME, IPVS_GENL_VERSION).
const (
	FamilyName    = "IPVS"
	FamilyVersion = 1
)

// Commands (IPVS_CMD_*).
const (
	CmdNewService = iota + 1
	CmdSetService
	CmdDelService
	CmdGetService
	CmdNewDest
	CmdSetDest
	CmdDelDest
	CmdGetDest
	CmdNewDaemon
	CmdDelDaemon
	CmdGetDaemon
	CmdSetConfig
	CmdGetConfig
	CmdSetInfo // only in the answer to CmdGetInfo
	CmdGetInfo
	CmdZero
	CmdFlush
)

// Attributes of the first level (IPVS_CMD_ATTR_*).
const (
	AttrService = iota + 1
	AttrDest
	AttrDaemon
	AttrTimeoutTCP
	AttrTimeoutTCPFin
	AttrTimeoutUDP
)

// Attributes of a service (IPVS_SVC_ATTR_*).
const (
	SvcAF = iota + 1
	SvcProtocol
	SvcAddr
	SvcPort
	SvcFWMark
	SvcSchedName
	SvcFlags
	SvcTimeout
	SvcNetmask
	SvcStats
	SvcPEName
	SvcStats64
	SvcMax = SvcStats64
)

// Attributes of a destination (IPVS_DEST_ATTR_*).
const (
	DestAddr = iota + 1
	DestPort
	DestFwdMethod
	DestWeight
	DestUThresh
	DestLThresh
	DestActiveConns
	DestInactConns
	DestPersistConns
	DestStats
	DestAddrFamily
	DestStats64
	DestTunType
	DestTunPort
	DestTunFlags
	DestMax = DestTunFlags
)

// Attributes of a sync daemon (IPVS_DAEMON_ATTR_*).
const (
	DaemonState = iota + 1
	DaemonMcastIfn
	DaemonSyncID
	DaemonSyncMaxlen
	DaemonMcastGroup
	DaemonMcastGroup6
	DaemonMcastPort
	DaemonMcastTTL
	DaemonMax = DaemonMcastTTL
)

// Attributes of statistics (IPVS_STATS_ATTR_*).
const (
	StatsConns = iota + 1
	StatsInPkts
	StatsOutPkts
	StatsInBytes
	StatsOutBytes
	StatsCPS
	StatsInPPS
	StatsOutPPS
	StatsInBPS
	StatsOutBPS
)

// Attributes of the answer to CmdGetInfo (IPVS_INFO_ATTR_*).
const (
	InfoVersion = iota + 1
	InfoConnTabSize
)

// SvcFlagHashed (IP_VS_SVC_F_HASHED) marks a service that is in the kernel's
// hash table; it is not configuration.
const SvcFlagHashed = 0x0002

// FwdMask (IP_VS_CONN_F_FWD_MASK) selects the forwarding method.
const FwdMask = 0x7

// Maximum lengths of names in bytes, without the final zero byte, as in the
// kernel's attribute policies.
const (
	SchedNameLen = 15
	PENameLen    = 16
	IfNameLen    = 15
)
