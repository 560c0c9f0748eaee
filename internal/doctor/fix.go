// SPDX-License-Identifier: Apache-2.0

package doctor

// The commands that mend what was found. Each is one command line for a
// shell. Words in capital letters stand for what only the operator knows.

import (
	"net/netip"
	"strings"

	"github.com/ipvsadm-go/ipvsadm/internal/rule"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// sysctl sets settings, as in "net.ipv4.ip_forward=1".
func (c *Case) sysctl(settings ...string) string {
	return c.within(append([]string{"sysctl", "-w"}, settings...)...)
}

// ip runs ip(8) for the family of an address.
func (c *Case) ip(a netip.Addr, words ...string) string {
	if a.Is6() {
		words = append([]string{"-6"}, words...)
	}
	return c.within(append([]string{"ip"}, words...)...)
}

// linkUp brings an interface up.
func (c *Case) linkUp(name string) string { return c.within("ip", "link", "set", name, "up") }

// within runs a command in the namespace that is examined.
func (c *Case) within(words ...string) string {
	switch {
	case c.NetNS == "":
	case strings.Contains(c.NetNS, "/"):
		words = append([]string{"nsenter", "--net=" + c.NetNS}, words...)
	case strings.Trim(c.NetNS, "0123456789") == "": // a process
		words = append([]string{"nsenter", "--net", "--target", c.NetNS}, words...)
	default:
		words = append([]string{"ip", "netns", "exec", c.NetNS}, words...)
	}
	return shell(words)
}

// ipvsadm changes the table. What a file describes is changed in the file.
func (c *Case) ipvsadm(change ipvs.Change) string {
	if c.File != "" {
		switch change.Op {
		case ipvs.OpEditDestination:
			change.Op = ipvs.OpAddDestination
		case ipvs.OpEditService:
			change.Op = ipvs.OpAddService
		}
		return "edit " + quote(c.File) + ": " + string(rule.Writer{}.Append(nil, change))
	}
	words := []string{"ipvsadm"}
	if c.NetNS != "" {
		words = append(words, "--netns", c.NetNS)
	}
	// No word of a change contains a blank.
	return shell(append(words, strings.Fields(string(rule.Writer{}.Append(nil, change)))...))
}

// edit edits a server of a service.
func (c *Case) edit(s *ipvs.ServiceEntry, d ipvs.Destination) string {
	return c.ipvsadm(ipvs.Change{Op: ipvs.OpEditDestination, Service: s.Service, Destination: d})
}

// restart runs a sync daemon on another interface.
func (c *Case) restart(d ipvs.Daemon, on string) string {
	d.Interface = on
	start := c.ipvsadm(ipvs.Change{Op: ipvs.OpStartDaemon, Daemon: d})
	if c.File != "" {
		return start
	}
	return c.ipvsadm(ipvs.Change{Op: ipvs.OpStopDaemon, Daemon: ipvs.Daemon{State: d.State}}) + " && " + start
}

// shell returns a command line for a shell.
func shell(words []string) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = quote(word)
	}
	return strings.Join(quoted, " ")
}

// quote quotes a word for a shell, if it has to be.
func quote(word string) string {
	const safe = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+:@%=,"
	if word != "" && strings.Trim(word, safe) == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// single is an address as a network of its own, as in "10.2.0.3/32".
func single(a netip.Addr) string { return netip.PrefixFrom(a, a.BitLen()).String() }
