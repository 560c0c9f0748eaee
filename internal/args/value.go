// SPDX-License-Identifier: Apache-2.0

package args

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/names"
	"github.com/ipvsadm-go/ipvsadm/internal/spec"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// number parses s like C's strtol with base 10: blanks and a sign may precede
// the digits. It reports false unless all of s is a number within bounds.
func number(s string, low, high int64) (int64, bool) {
	n, err := strconv.ParseInt(trimLeft(s), 10, 64)
	return n, err == nil && low <= n && n <= high
}

// interval reads seconds, with decimals or without, that a command can wait
// between two readings of the table.
func interval(s string) (time.Duration, bool) {
	if strings.Trim(s, digits+".") != "" {
		return 0, false // no sign, exponent or infinity
	}
	n, err := strconv.ParseFloat(s, 64)
	return time.Duration(n * float64(time.Second)), err == nil && 0.1 <= n && n <= spec.TimeoutMax
}

// leadingNumber returns the number at the start of s, or 0, like C's atoi.
func leadingNumber(s string) int64 {
	s = trimLeft(s)
	rest := s
	if strings.HasPrefix(s, "+") || strings.HasPrefix(s, "-") {
		rest = s[1:]
	}
	n, _ := strconv.ParseInt(strings.TrimSuffix(s, strings.TrimLeft(rest, digits)), 10, 32)
	return n
}

// trimLeft removes leading white space, as defined by C's isspace.
func trimLeft(s string) string { return strings.TrimLeft(s, " \t\n\v\f\r") }

const digits = "0123456789"

// isNumber reports whether s consists of digits only. It may be empty.
func isNumber(s string) bool { return strings.Trim(s, digits) == "" }

// address is the address of a service or a real server.
type address struct {
	addr    netip.Addr
	port    uint16
	hasPort bool
}

// errNoAddress means that a text is neither an address nor a name.
var errNoAddress = errors.New("not an address")

// address parses host, host:port, [host]:port or a bare IPv6 address. Like
// 1.31, it ignores the port after an IPv4 address in brackets, and accepts
// one inside them. Unlike 1.31, it accepts the name of an IPv6 host in
// brackets, since saves contain such names. The error is errNoAddress or a
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

// parseIPv6 parses an IPv6 address. It first checks for two colons, since the
// errors of netip allocate memory.
func parseIPv6(text string) (netip.Addr, bool) {
	if strings.Count(text, ":") < 2 {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(text)
	return a, err == nil && a.Zone() == ""
}

// bracketedName looks up a name in brackets as the name of an IPv6 host.
func (s *scan) bracketedName(text string, bracketed bool) (netip.Addr, bool) {
	if !bracketed {
		return netip.Addr{}, false
	}
	if _, isIPv4 := names.ParseIPv4(text); isIPv4 {
		return netip.Addr{}, false
	}
	a, err := s.names.Host6(s.ctx, text)
	return a, err == nil
}

// host4 parses an IPv4 address or looks up the name of a host.
func (s *scan) host4(text string) (netip.Addr, error) {
	a, err := s.names.Host4(s.ctx, text)
	switch {
	case err == nil:
		return a, nil
	case isName(text):
		return a, &NameError{Name: text, Err: err}
	}
	return a, errNoAddress
}

// port parses a port number, or looks up a service name for the protocol of
// the virtual service, which must come first on the command line.
func (s *scan) port(text string) (uint16, error) {
	if n, ok := number(text, 0, 65535); ok {
		return uint16(n), nil
	}
	p := s.cmd.Service.Protocol
	switch {
	case p != 0:
	case s.cmd.Service.FWMark != 0:
		p = ipvs.TCP // 1.31 assumes TCP for a firewall mark
	default:
		return 0, errNoAddress // no protocol yet: 1.31 rejects names too
	}
	if n, found := s.names.Port(text, p.Network()); found {
		return n, nil
	}
	if !isName(text) {
		return 0, errNoAddress
	}
	return 0, &NameError{Name: text, Proto: p.Network()}
}

// isName reports whether an invalid address or port could be a name: it
// consists of the characters of names, and not only of digits and dots.
func isName(text string) bool {
	const letters = "-_+abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	return strings.Trim(text, digits+".") != "" && strings.Trim(text, digits+"."+letters) == "" && text[0] != '-' && text[0] != '+'
}
