// SPDX-License-Identifier: Apache-2.0

package ipvs

// This file has the words of enumerations, in JSON and as text.

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

var (
	forwardWords  = []string{Masquerade: "masquerade", LocalNode: "local", Tunnel: "tunnel", Route: "route", Bypass: "bypass"}
	listingWords  = []string{Masquerade: "Masq", LocalNode: "Local", Tunnel: "Tunnel", Route: "Route", Bypass: "Bypass"}
	tunnelWords   = []string{TunnelIPIP: "ipip", TunnelGUE: "gue", TunnelGRE: "gre"}
	checksumWords = []string{0: "none", TunnelChecksum: "csum", TunnelRemoteChecksum: "remcsum"}
	stateWords    = []string{Master: "master", Backup: "backup"}
	opWords       = []string{
		OpAddService: "add-service", OpEditService: "edit-service", OpDeleteService: "delete-service",
		OpAddDestination: "add-destination", OpEditDestination: "edit-destination", OpDeleteDestination: "delete-destination",
		OpFlush: "flush", OpZero: "zero", OpZeroService: "zero-service", OpSetTimeouts: "set-timeouts",
		OpStartDaemon: "start-daemon", OpStopDaemon: "stop-daemon",
	}
)

// protocolNames are the kernel's names. IP, zero, is the protocol of
// persistence templates of a firewall mark.
var protocolNames = [...]struct {
	protocol Protocol
	name     string
}{{TCP, "TCP"}, {UDP, "UDP"}, {SCTP, "SCTP"}, {0, "IP"}, {1, "ICMP"}, {58, "ICMPv6"}}

type enum interface{ ~uint8 | ~uint16 | ~uint32 }

// nameOf returns the word of a value, or its number if it has no word.
func nameOf[T enum](words []string, v T) string {
	if int(v) < len(words) && words[v] != "" {
		return words[v]
	}
	return fmt.Sprintf("unknown(%d)", v)
}

// wordOf returns the word of a value for JSON.
func wordOf[T enum](words []string, v T) ([]byte, error) {
	word, _, _ := strings.Cut(nameOf(words, v), "(")
	return []byte(word), nil
}

// setWord sets *v to the value of a word.
func setWord[T enum](v *T, words []string, word []byte) error {
	names := slices.DeleteFunc(slices.Clone(words), func(w string) bool { return w == "" })
	if !slices.Contains(names, string(word)) {
		return fmt.Errorf("%q is none of %s", word, strings.Join(names, ", "))
	}
	*v = T(slices.Index(words, string(word)))
	return nil
}

// String returns the word that listings use: "Masq", "Local", "Tunnel",
// "Route" or "Bypass".
func (f ForwardingMethod) String() string { return nameOf(listingWords, f) }

// MarshalText returns "masquerade", "local", "tunnel", "route" or "bypass".
func (f ForwardingMethod) MarshalText() ([]byte, error) { return wordOf(forwardWords, f) }

// UnmarshalText reads a word of MarshalText.
func (f *ForwardingMethod) UnmarshalText(b []byte) error { return setWord(f, forwardWords, b) }

// String returns "ipip", "gue" or "gre".
func (t TunnelType) String() string { return nameOf(tunnelWords, t) }

// MarshalText returns "ipip", "gue" or "gre".
func (t TunnelType) MarshalText() ([]byte, error) { return wordOf(tunnelWords, t) }

// UnmarshalText reads a word of MarshalText.
func (t *TunnelType) UnmarshalText(b []byte) error { return setWord(t, tunnelWords, b) }

// String returns "none", "csum" or "remcsum".
func (f TunnelFlags) String() string { return nameOf(checksumWords, f) }

// MarshalText returns "none", "csum" or "remcsum".
func (f TunnelFlags) MarshalText() ([]byte, error) { return wordOf(checksumWords, f) }

// UnmarshalText reads a word of MarshalText.
func (f *TunnelFlags) UnmarshalText(b []byte) error { return setWord(f, checksumWords, b) }

// String returns "master" or "backup".
func (s DaemonState) String() string { return nameOf(stateWords, s) }

// MarshalText returns "master" or "backup".
func (s DaemonState) MarshalText() ([]byte, error) { return wordOf(stateWords, s) }

// UnmarshalText reads a word of MarshalText.
func (s *DaemonState) UnmarshalText(b []byte) error { return setWord(s, stateWords, b) }

// MarshalText returns the operation with dashes, as in "add-service".
func (o Op) MarshalText() ([]byte, error) { return wordOf(opWords, o) }

// UnmarshalText reads a word of MarshalText.
func (o *Op) UnmarshalText(b []byte) error { return setWord(o, opWords, b) }

// String returns the operation in words, as in "add service".
func (o Op) String() string { return strings.ReplaceAll(nameOf(opWords, o), "-", " ") }

// String returns the kernel's name of the protocol: "TCP", "UDP", "SCTP", "IP"
// for zero, as templates of a firewall mark have it, or "IP_47" for a number
// without a name.
func (p Protocol) String() string {
	for i := range protocolNames {
		if protocolNames[i].protocol == p {
			return protocolNames[i].name
		}
	}
	return fmt.Sprintf("IP_%d", uint16(p))
}

// parseProtocol is the inverse of String, in any case.
func parseProtocol(b []byte) (Protocol, bool) {
	for _, row := range protocolNames {
		if strings.EqualFold(row.name, string(b)) {
			return row.protocol, true
		}
	}
	digits, found := bytes.CutPrefix(bytes.ToUpper(b), []byte("IP_"))
	n, err := strconv.ParseUint(string(digits), 10, 16)
	return Protocol(n), err == nil && found
}

// Network returns the protocol as the services database and Go's package net
// write it: "tcp", "udp" or "sctp"; empty for any other.
func (p Protocol) Network() string {
	if p == TCP || p == UDP || p == SCTP {
		return strings.ToLower(p.String())
	}
	return ""
}

// MarshalText returns the kernel's name of the protocol in lower case, such
// as "tcp".
func (p Protocol) MarshalText() ([]byte, error) { return []byte(strings.ToLower(p.String())), nil }

// UnmarshalText reads a word of MarshalText.
func (p *Protocol) UnmarshalText(b []byte) error {
	protocol, ok := parseProtocol(b)
	if !ok {
		return fmt.Errorf("%q is no protocol", b)
	}
	*p = protocol
	return nil
}

// MarshalText returns the version as String does.
func (v Version) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText reads a version such as "1.2.1".
func (v *Version) UnmarshalText(b []byte) error {
	var n [3]uint8
	if _, err := fmt.Sscanf(string(b), "%d.%d.%d", &n[0], &n[1], &n[2]); err != nil {
		return fmt.Errorf("%q is no version such as 1.2.1", b)
	}
	*v = Version(n[0])<<16 | Version(n[1])<<8 | Version(n[2])
	return nil
}
