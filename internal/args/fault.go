// SPDX-License-Identifier: Apache-2.0

package args

import (
	"fmt"

	"github.com/ipvsadm-go/ipvsadm/internal/spec"
)

// Fault is a mistake on a command line. It has what a message needs to name,
// and no text: package cli has all messages.
type Fault struct {
	Kind FaultKind
	// Words are what the message names, as listed at each kind.
	Words []string
	// Word is the word that is no good, as it was typed, and Option what it is
	// to be the value of. Empty and nil where the fault is not in one word.
	Word   string
	Option *spec.Option
	// Cause is a *NameError if the value has a name that stands for nothing.
	Cause error
}

// NameError is the reason why a name in a value stands for nothing.
type NameError struct {
	Name  string
	Proto string // of a service: "tcp", "udp" or "sctp"; empty for a host
	Err   error  // of the look-up of a host
}

// Error is for developers.
func (e *NameError) Error() string { return fmt.Sprintf("name %q %s: %v", e.Name, e.Proto, e.Err) }

// Unwrap returns the error of the look-up.
func (e *NameError) Unwrap() error { return e.Err }

// Error is for developers; users get a message for the kind.
func (f *Fault) Error() string { return fmt.Sprintf("command line fault %d %q", f.Kind, f.Words) }

// Unwrap returns the cause.
func (f *Fault) Unwrap() error { return f.Cause }

// Unreadable reports whether the fault is in a single word: an unknown
// option, or one whose value is missing or unwanted. Only after such a fault
// does 1.31 continue with the next line of rule text.
func (f *Fault) Unreadable() bool {
	return f.Kind == UnknownOption || f.Kind == MissingValue || f.Kind == UnwantedValue
}

// FaultKind is a kind of mistake.
type FaultKind uint8

// The kinds of mistake, with the words that each has.
const (
	NotACommand        FaultKind = iota + 1 // no option, or the first is not a command
	UnknownOption                           // word
	MissingValue                            // word
	UnwantedValue                           // word
	SecondCommand                           // word
	RepeatedOption                          // group
	UnexpectedArgument                      // word
	TimeoutCount                            // not three arguments
	NeedsOption                             // group, command
	IllegalOption                           // group, command
	OptionConflict                          // group, earlier group, command
	TunnelNeedsOption                       // group, tunnel type
	TunnelIllegal                           // group, tunnel type
	TunnelConflict                          // group, earlier group, tunnel type
	IllegalValue                            // noun
	InvalidTimeout                          // value
	InvalidMark                             // value
	IllegalPrefix                           // the IPv6 netmask
	IncompatibleFlag                        // scheduler flag
	UnknownFlag                             // scheduler flag
	InvalidGroup4                           // multicast group
	InvalidGroup6                           // multicast group
	FamilyBeforeMark                        // -6 without -f before it
	ZeroPort                                // of a service that is not persistent
	OnePacketNotUDP                         //
	MixedFamilies                           // of a service and a server that is not tunneled
	TunnelOptions                           // without a tunnel
	ListConflict                            //
)

func fault(k FaultKind, words ...string) *Fault { return &Fault{Kind: k, Words: words} }
