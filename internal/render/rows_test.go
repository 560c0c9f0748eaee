// SPDX-License-Identifier: Apache-2.0

package render

import (
	"encoding/hex"
	"fmt"
	"iter"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// kernelRows returns the connections of a text like /proc/net/ip_vs_conn, with
// its title line. A row of too few words is malformed.
func kernelRows(text string) iter.Seq2[ipvs.Connection, error] {
	return func(yield func(ipvs.Connection, error) bool) {
		for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
			f := append(strings.Fields(line), "", "")
			if i == 0 {
				continue
			}
			if len(f) < 11 {
				if !yield(ipvs.Connection{}, fmt.Errorf("line %d: %w", i+1, ipvs.ErrMalformed)) {
					return
				}
				continue
			}
			c := ipvs.Connection{
				Client: hexAddrPort(f[1], f[2]), Virtual: hexAddrPort(f[3], f[4]), Destination: hexAddrPort(f[5], f[6]),
				State: f[7], PersistenceEngine: f[9], PersistenceData: f[10],
			}
			_ = c.Protocol.UnmarshalText([]byte(strings.ToLower(f[0])))
			seconds, _ := strconv.Atoi(f[8])
			c.Expires = time.Duration(seconds) * time.Second
			if !yield(c, nil) {
				return
			}
		}
	}
}

func hexAddrPort(addr, port string) netip.AddrPort {
	n, _ := strconv.ParseUint(port, 16, 16)
	if strings.Contains(addr, ":") {
		return netip.AddrPortFrom(netip.MustParseAddr(addr), uint16(n))
	}
	raw, _ := hex.DecodeString(addr)
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(raw)), uint16(n))
}
