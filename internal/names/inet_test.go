// SPDX-License-Identifier: Apache-2.0

package names

import (
	"net/netip"
	"strings"
	"testing"
)

func FuzzParseIPv4(f *testing.F) {
	for _, s := range []string{"", "1.2.3.4", "0x0a.1", "010.0.0.1 x", "4294967296", "1.2.3.4.", "0x", "1.16777216", "0\t."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		addr, ok := ParseIPv4(s)
		if want, err := netip.ParseAddr(s); err == nil && want.Is4() && (!ok || addr != want) {
			t.Errorf("ParseIPv4(%q) = %v, %v, want %v as from netip", s, addr, ok, want)
		}
		if !ok {
			return
		}
		if got, ok := ParseIPv4(addr.String()); !ok || got != addr {
			t.Errorf("ParseIPv4(%q) = %v, and of that text %v, %v", s, addr, got, ok)
		}
		if got, ok := ParseIPv4(s + " x"); !ok || got != addr {
			t.Errorf("ParseIPv4(%q) = %v, but %v, %v with \" x\" appended", s, addr, got, ok)
		}
		if text := strings.FieldsFunc(s, isSpace)[0]; strings.Count(text, ".") > 3 {
			t.Errorf("ParseIPv4(%q) = %v, from more than four numbers", s, addr)
		}
	})
}
