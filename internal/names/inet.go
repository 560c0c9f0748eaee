// SPDX-License-Identifier: Apache-2.0

// This file parses addresses and numbers like the C library.

package names

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"
)

// ParseIPv4 parses an IPv4 address like glibc's inet_aton: one to four
// numbers separated by dots, each decimal, octal (0...) or hexadecimal
// (0x...). The last number fills the remaining bytes, so 10.1 is 10.0.0.1 and
// 24 is 0.0.0.24. A number must fit in its bytes. White space ends the
// address, and anything may follow it.
func ParseIPv4(s string) (netip.Addr, bool) {
	var addr uint32
	for room := 32; ; {
		n, rest, ok := number(s)
		if !ok {
			return netip.Addr{}, false
		}
		next, dotted := strings.CutPrefix(rest, ".")
		if !dotted {
			if rest != "" && !isSpace(rune(rest[0])) || uint64(n)>>room != 0 {
				return netip.Addr{}, false
			}
			return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, addr|n))), true
		}
		if room == 8 || n > 0xff {
			return netip.Addr{}, false
		}
		room -= 8
		addr |= n << room
		s = next
	}
}

// number parses the number at the start of s like strtoul with base 0, but
// does not accept a sign. It returns the rest of s, and reports false if
// there is no digit or the value exceeds 32 bits.
func number(s string) (n uint32, rest string, ok bool) {
	base, digits := 10, "0123456789"
	switch {
	case strings.HasPrefix(s, "0x"), strings.HasPrefix(s, "0X"):
		s, base, digits = s[2:], 16, "0123456789abcdefABCDEF"
	case strings.HasPrefix(s, "0"):
		base, digits = 8, "01234567"
	}
	rest = strings.TrimLeft(s, digits)
	value, err := strconv.ParseUint(strings.TrimSuffix(s, rest), base, 32)
	return uint32(value), rest, err == nil
}

// isSpace reports whether c is white space for C's isspace, in the C locale.
func isSpace(c rune) bool {
	return c == ' ' || '\t' <= c && c <= '\r'
}
