// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"errors"
	"strings"
	"testing"
)

// totalsText is the kernel's format.
const totalsText = `   Total Incoming Outgoing         Incoming         Outgoing
   Conns  Packets  Packets            Bytes            Bytes
      1F        2 FFFFFFFFFFFFFFFF              2F8                A

 Conns/s   Pkts/s   Pkts/s          Bytes/s          Bytes/s
       1        B        0              3E8                0
`

func TestTotals(t *testing.T) {
	want := Stats{Conns: 31, InPkts: 2, OutPkts: 1<<64 - 1, InBytes: 760, OutBytes: 10, Rates: Rates{CPS: 1, InPPS: 11, InBPS: 1000}}
	if got, err := parseTotals([]byte(totalsText)); got != want || err != nil {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	for name, text := range map[string]string{
		"nothing":           "",
		"no rates":          strings.Join(strings.SplitAfter(totalsText, "\n")[:4], ""),
		"a missing number":  strings.Replace(totalsText, "2F8", "   ", 1),
		"a word":            strings.Replace(totalsText, "2F8", "xyz", 1),
		"more than 64 bits": strings.Replace(totalsText, "2F8", "1FFFFFFFFFFFFFFFF", 1),
	} {
		if got, err := parseTotals([]byte(text)); !errors.Is(err, ErrMalformed) || got != (Stats{}) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}
