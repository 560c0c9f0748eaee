// SPDX-License-Identifier: Apache-2.0

package ipvs

// The words of enumerations in JSON, both ways.

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs/internal/nl"
)

var (
	forwardWords  = []string{Masquerade: "masquerade", LocalNode: "local", Tunnel: "tunnel", Route: "route", Bypass: "bypass"}
	tunnelWords   = []string{TunnelIPIP: "ipip", TunnelGUE: "gue", TunnelGRE: "gre"}
	checksumWords = []string{0: "none", TunnelChecksum: "csum", TunnelRemoteChecksum: "remcsum"}
	stateWords    = []string{Master: "master", Backup: "backup"}
)

// wordOf returns the word of a value.
func wordOf[T ~uint8 | ~uint16 | ~uint32](words []string, v T) ([]byte, error) {
	if int(v) < len(words) {
		return []byte(words[v]), nil
	}
	return []byte("unknown"), nil
}

// setWord sets a value to that of a word.
func setWord[T ~uint8 | ~uint16 | ~uint32](v *T, words []string, word []byte) error {
	known := slices.DeleteFunc(slices.Clone(words), func(w string) bool { return w == "" })
	if !slices.Contains(known, string(word)) {
		return fmt.Errorf("%q is none of %s", word, strings.Join(known, ", "))
	}
	*v = T(slices.Index(words, string(word)))
	return nil
}

// MarshalText returns "masquerade", "local", "tunnel", "route" or "bypass".
func (f ForwardingMethod) MarshalText() ([]byte, error) { return wordOf(forwardWords, f) }

// UnmarshalText reads a word of MarshalText.
func (f *ForwardingMethod) UnmarshalText(b []byte) error { return setWord(f, forwardWords, b) }

// MarshalText returns "ipip", "gue" or "gre".
func (t TunnelType) MarshalText() ([]byte, error) { return wordOf(tunnelWords, t) }

// UnmarshalText reads a word of MarshalText.
func (t *TunnelType) UnmarshalText(b []byte) error { return setWord(t, tunnelWords, b) }

// MarshalText returns "none", "csum" or "remcsum".
func (f TunnelFlags) MarshalText() ([]byte, error) { return wordOf(checksumWords, f) }

// UnmarshalText reads a word of MarshalText.
func (f *TunnelFlags) UnmarshalText(b []byte) error { return setWord(f, checksumWords, b) }

// MarshalText returns "master" or "backup".
func (s DaemonState) MarshalText() ([]byte, error) { return wordOf(stateWords, s) }

// UnmarshalText reads a word of MarshalText.
func (s *DaemonState) UnmarshalText(b []byte) error { return setWord(s, stateWords, b) }

// MarshalText returns the operation with dashes, as in "add-service".
func (o Op) MarshalText() ([]byte, error) {
	return []byte(strings.ReplaceAll(o.String(), " ", "-")), nil
}

// UnmarshalText reads a word of MarshalText.
func (o *Op) UnmarshalText(b []byte) error {
	for op := OpAddService; op <= OpStopDaemon; op++ {
		if op.String() == strings.ReplaceAll(string(b), "-", " ") {
			*o = op
			return nil
		}
	}
	return fmt.Errorf("there is no operation %q", b)
}

// MarshalText returns the kernel's name of the protocol in small letters, such
// as "tcp".
func (p Protocol) MarshalText() ([]byte, error) { return []byte(strings.ToLower(p.String())), nil }

// UnmarshalText reads a word of MarshalText.
func (p *Protocol) UnmarshalText(b []byte) error {
	for _, known := range []Protocol{TCP, UDP, SCTP, nl.ProtoIP, nl.ProtoICMP, nl.ProtoICMPv6} {
		if strings.ToLower(known.String()) == string(b) {
			*p = known
			return nil
		}
	}
	number, found := strings.CutPrefix(string(b), "ip_")
	n, err := strconv.ParseUint(number, 10, 16)
	if err != nil || !found {
		return fmt.Errorf("%q is no protocol", b)
	}
	*p = Protocol(n)
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
