// SPDX-License-Identifier: Apache-2.0

package names

import (
	"net/netip"
	"strings"
	"testing"
)

func TestParseIPv4(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"four decimal numbers", "192.168.10.1", "192.168.10.1"},
		{"one number is all four bytes", "24", "0.0.0.24"},
		{"the second of two fills three bytes", "1.2", "1.0.0.2"},
		{"the third of three fills two bytes", "10.1.258", "10.1.1.2"},
		{"a leading zero means octal", "010.0.0.017", "8.0.0.15"},
		{"0x means hexadecimal", "0x0a.1", "10.0.0.1"},
		{"0X too, with digits of either case", "0XfE.0xFf", "254.0.0.255"},
		{"zero alone", "0", "0.0.0.0"},
		{"the largest single number", "4294967295", "255.255.255.255"},
		{"the largest last number of two", "1.16777215", "1.255.255.255"},
		{"many leading zeros", "00000000000000000000001.0.0.1", "1.0.0.1"},
		{"anything may follow white space", "1.2.3.4 x", "1.2.3.4"},
		{"a tab and a line end are white space", "1.2.3.4\t\n", "1.2.3.4"},
		{"a vertical tab is white space", "1.2\v", "1.0.0.2"},

		{"empty text is refused", "", ""},
		{"white space in front is refused", " 1.2.3.4", ""},
		{"a sign is refused", "+1.2.3.4", ""},
		{"five numbers are refused", "1.2.3.4.5", ""},
		{"a final dot is refused", "1.2.3.4.", ""},
		{"a final dot before the fourth number is refused", "1.2.", ""},
		{"an empty number is refused", "1..2", ""},
		{"256 as the first number is refused", "256.1.1.1", ""},
		{"256 as the last of four numbers is refused", "1.1.1.256", ""},
		{"a last number beyond three bytes is refused", "1.16777216", ""},
		{"a last number beyond two bytes is refused", "1.1.65536", ""},
		{"a number beyond 32 bits is refused", "4294967296", ""},
		{"a number beyond 64 bits is refused", "18446744073709551617", ""},
		{"8 is not an octal digit", "08", ""},
		{"0x without a digit is refused", "0x", ""},
		{"g is not a hexadecimal digit", "0xg", ""},
		{"the prefix 0b is refused", "0b1", ""},
		{"the prefix 0o is refused", "0o1", ""},
		{"an underscore is refused", "1_0.0.0.1", ""},
		{"text after the last number is refused", "1.2.3.4x", ""},
		{"a no-break space is not white space", "1.2.3.4\u00a0", ""},
		{"a byte above 127 is not white space", "1.2.3.4\x85", ""},
		{"IPv6 is refused", "::1", ""},
		{"a name is refused", "localhost", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			addr, ok := ParseIPv4(c.text)
			if got := addr.String(); ok && got != c.want || ok != (c.want != "") {
				t.Errorf("ParseIPv4(%q) = %v, %v, want %q", c.text, addr, ok, c.want)
			}
		})
	}
}

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
