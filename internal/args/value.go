// SPDX-License-Identifier: Apache-2.0

package args

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"

	"github.com/ipvsadm-go/ipvsadm/internal/names"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// number reads s as C's strtol does in base 10: blanks and a sign may precede
// the digits. It reports false unless all of s is a number within bounds.
func number(s string, low, high int64) (int64, bool) {
	n, err := strconv.ParseInt(trimLeft(s), 10, 64)
	return n, err == nil && low <= n && n <= high
}

// leadingNumber returns the number at the start of s, as C's atoi does, or 0
// if there is none.
func leadingNumber(s string) int64 {
	s = trimLeft(s)
	end := 0
	for end < len(s) && (isDigit(s[end]) || end == 0 && (s[0] == '+' || s[0] == '-')) {
		end++
	}
	n, err := strconv.ParseInt(s[:end], 10, 32)
	if err != nil {
		return 0
	}
	return n
}

// trimLeft removes leading blanks, those of C's isspace.
func trimLeft(s string) string {
	for s != "" && (s[0] == ' ' || '\t' <= s[0] && s[0] <= '\r') {
		s = s[1:]
	}
	return s
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// isNumber reports whether s has no byte other than digits.
func isNumber(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return true
}

// address is the address of a service or a real server.
type address struct {
	addr    netip.Addr
	port    uint16
	hasPort bool
}

// errNoAddress is the error of a text that is no address and has no name.
var errNoAddress = errors.New("not an address")

// address reads host, host:port, [host]:port or a bare IPv6 address as 1.31
// does. A port behind an IPv4 address in brackets is ignored, as 1.31 looks
// for one inside them. Unlike in 1.31, a name in brackets may be that of an
// IPv6 host, since saves have such names. The error is errNoAddress or a
// *NameError.
func (s *scan) address(text string) (a address, err error) {
	if isNumber(text) {
		return a, errNoAddress
	}
	var port string
	bracketed := strings.HasPrefix(text, "[")
	if host, rest, found := strings.Cut(text, "]"); bracketed {
		if !found || !strings.HasPrefix(rest, ":") {
			return a, errNoAddress
		}
		text, port, a.hasPort = host[1:], rest[1:], true
	}
	if v6, isIPv6 := parseIPv6(text); isIPv6 {
		a.addr = v6
	} else if v6, ok := s.bracketedName(text, bracketed); ok {
		a.addr = v6
	} else {
		a.hasPort = false
		if i := strings.LastIndexByte(text, ':'); i >= 0 {
			text, port, a.hasPort = text[:i], text[i+1:], true
		}
		if a.addr, err = s.host4(text); err != nil {
			return a, err
		}
	}
	if a.hasPort {
		a.port, err = s.port(port)
	}
	return a, err
}

// parseIPv6 skips text that cannot be IPv6, since an error of netip
// allocates.
func parseIPv6(text string) (netip.Addr, bool) {
	if strings.Count(text, ":") < 2 {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(text)
	return a, err == nil && a.Zone() == ""
}

// bracketedName looks the name of an IPv6 host up. While that is pending, the
// name is looked up as that of an IPv4 host too, which it may turn out to be.
func (s *scan) bracketedName(text string, bracketed bool) (netip.Addr, bool) {
	if !bracketed {
		return netip.Addr{}, false
	}
	if _, isIPv4 := names.ParseIPv4(text); isIPv4 {
		return netip.Addr{}, false
	}
	a, err := s.names.Host6(s.ctx, text)
	if errors.Is(err, names.ErrPending) {
		s.pending = true
	}
	return a, err == nil
}

// host4 reads an IPv4 address or looks the name of a host up.
func (s *scan) host4(text string) (netip.Addr, error) {
	a, err := s.names.Host4(s.ctx, text)
	switch {
	case err == nil:
		return a, nil
	case errors.Is(err, names.ErrPending):
		s.pending = true
		return netip.IPv4Unspecified(), nil
	case isName(text):
		return a, &NameError{Name: text, Err: err}
	}
	return a, errNoAddress
}

// port reads a number or the name of a service of the protocol that the
// command line has named so far.
func (s *scan) port(text string) (uint16, error) {
	if n, ok := number(text, 0, 65535); ok {
		return uint16(n), nil
	}
	p := s.cmd.Service.Protocol
	switch {
	case p != 0:
	case s.cmd.Service.FWMark != 0:
		p = ipvs.TCP // as 1.31 assumes for a service without one
	default:
		return 0, errNoAddress // 1.31 accepts no name before the service
	}
	if n, found := s.names.Port(text, p.Network()); found {
		return n, nil
	}
	if !isName(text) {
		return 0, errNoAddress
	}
	return 0, &NameError{Name: text, Proto: p.Network()}
}

// isName reports whether a text that stands for no address or port was meant as
// a name: it has what names are made of, and not numbers and dots alone.
func isName(text string) bool {
	const digits, rest = "0123456789.", "-_+abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	return strings.Trim(text, digits) != "" && strings.Trim(text, digits+rest) == "" && text[0] != '-' && text[0] != '+'
}
