// SPDX-License-Identifier: Apache-2.0

package nl

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestNumbersAreTheKernels(t *testing.T) {
	for name, pair := range map[string][2]int{
		"NLMSG_HDRLEN":        {MsgHeaderLen, unix.NLMSG_HDRLEN},
		"NLMSG_ALIGNTO":       {MsgAlign, unix.NLMSG_ALIGNTO},
		"GENL_HDRLEN":         {GenHeaderLen, unix.GENL_HDRLEN},
		"NLA_HDRLEN":          {AttrHeaderLen, unix.SizeofNlAttr},
		"NLA_ALIGNTO":         {AttrAlign, unix.NLA_ALIGNTO},
		"NLA_F_NESTED":        {AttrNested, unix.NLA_F_NESTED},
		"NLA_F_NET_BYTEORDER": {AttrNetByte, unix.NLA_F_NET_BYTEORDER},
		"NLMSG_NOOP":          {MsgNoop, unix.NLMSG_NOOP},
		"NLMSG_ERROR":         {MsgError, unix.NLMSG_ERROR},
		"NLMSG_DONE":          {MsgDone, unix.NLMSG_DONE},
		"NLM_F_REQUEST":       {FlagRequest, unix.NLM_F_REQUEST},
		"NLM_F_ACK":           {FlagAck, unix.NLM_F_ACK},
		"NLM_F_DUMP":          {FlagDump, unix.NLM_F_DUMP},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s is %#x, not %#x", name, pair[1], pair[0])
		}
	}
}
