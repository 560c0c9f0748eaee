// SPDX-License-Identifier: Apache-2.0

package nl

// Netlink framing, as linux/netlink.h and linux/genetlink.h give it: they are
// repeated here so that the encoder and decoder compile on other systems too.
const (
	MsgHeaderLen  = 16 // NLMSG_HDRLEN
	MsgAlign      = 4  // NLMSG_ALIGNTO
	GenHeaderLen  = 4  // GENL_HDRLEN
	AttrHeaderLen = 4  // NLA_HDRLEN
	AttrAlign     = 4  // NLA_ALIGNTO
	AttrNested    = 1 << 15
	AttrNetByte   = 1 << 14
	MsgNoop       = 0x1   // NLMSG_NOOP
	MsgError      = 0x2   // NLMSG_ERROR
	MsgDone       = 0x3   // NLMSG_DONE
	FlagRequest   = 0x1   // NLM_F_REQUEST
	FlagAck       = 0x4   // NLM_F_ACK
	FlagDump      = 0x300 // NLM_F_DUMP
)
