// SPDX-License-Identifier: Apache-2.0

package args

import (
	"fmt"

	"github.com/ipvsadm-go/ipvsadm/internal/spec"
)

// Fault is a mistake on a command line. It contains the words for a message,
// but no text: all messages are in package cli.
type Fault struct {
	Kind FaultKind
	// Words are inserted in the message. The kinds below list them.
	Words []string
	// Word is the faulty word as it was typed, or empty if the fault is
	// not in a single word. If it is the value of an option, Option is
	// set.
	Word   string
	Option *spec.Option
	// Cause is a *NameError if a name in the value was not found.
	Cause error
}

// NameError means that a name was not found.
type NameError struct {
	Name  string
	Proto string // for a service: "tcp", "udp" or "sctp"; empty for a host
	Err   error  // from the lookup of a host
}

// Error is for developers.
func (e *NameError) Error() string { return fmt.Sprintf("name %q %s: %v", e.Name, e.Proto, e.Err) }

// Unwrap returns the error of the lookup.
func (e *NameError) Unwrap() error { return e.Err }

// Error is for developers; users get a message for the kind.
func (f *Fault) Error() string { return fmt.Sprintf("command line fault %d %q", f.Kind, f.Words) }

// Unwrap returns the cause.
func (f *Fault) Unwrap() error { return f.Cause }

// Unreadable reports whether the line could not be split into options: an
// option is unknown, or its value is missing or not allowed. After such a
// fault, and no other, 1.31 continues with the next line of rule text.
func (f *Fault) Unreadable() bool {
	return f.Kind == UnknownOption || f.Kind == MissingValue || f.Kind == UnwantedValue
}

// FaultKind is a kind of mistake.
type FaultKind uint8

// The kinds of mistake. Comments name the elements of Fault.Words; those in
// parentheses explain kinds without words.
const (
	NotACommand        FaultKind = iota + 1 // (no option, or the first one is not a command)
	UnknownOption                           // word
	MissingValue                            // word
	UnwantedValue                           // word
	SecondCommand                           // word
	RepeatedOption                          // group
	UnexpectedArgument                      // word
	TimeoutCount                            // (not three arguments)
	NeedsOption                             // group, command
	IllegalOption                           // group, command
	OptionConflict                          // group, earlier group, command
	TunnelNeedsOption                       // group, tunnel type
	TunnelIllegal                           // group, tunnel type
	TunnelConflict                          // group, earlier group, tunnel type
	IllegalValue                            // noun
	IllegalChoice                           // noun, choices
	InvalidTimeout                          // value
	InvalidMark                             // value
	IllegalPrefix                           // (an invalid IPv6 netmask)
	IncompatibleFlag                        // scheduler flag
	UnknownFlag                             // scheduler flag
	InvalidGroup4                           // multicast group
	InvalidGroup6                           // multicast group
	FamilyBeforeMark                        // (-6 without -f before it)
	ZeroPort                                // (port 0 for a service that is not persistent)
	OnePacketNotUDP                         // (one-packet scheduling for a service that is not UDP)
	MixedFamilies                           // (a server of another family, without a tunnel)
	TunnelOptions                           // (tunnel options for a server without a tunnel)
	ListConflict                            // (options for different lists)
	DrainWeight                             // (a drain of a server that stays, with another weight than 0)
)

func fault(k FaultKind, words ...string) *Fault { return &Fault{Kind: k, Words: words} }
