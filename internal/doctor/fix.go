// SPDX-License-Identifier: Apache-2.0

package doctor

// The commands that fix findings, each one shell command line. Words in
// capital letters are placeholders that the operator fills in.

import (
	"net/netip"
	"strings"

	"github.com/ipvsadm-go/ipvsadm/internal/rule"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// sysctl returns the command that sets values, such as
// "net.ipv4.ip_forward=1".
func (c *Case) sysctl(settings ...string) string {
	return c.inNetNS(append([]string{"sysctl", "-w"}, settings...)...)
}

// ip returns an ip(8) command for the family of an address.
func (c *Case) ip(a netip.Addr, words ...string) string {
	if a.Is6() {
		words = append([]string{"-6"}, words...)
	}
	return c.inNetNS(append([]string{"ip"}, words...)...)
}

// linkUp returns the command that brings an interface up.
func (c *Case) linkUp(name string) string { return c.inNetNS("ip", "link", "set", name, "up") }

// inNetNS returns a command line that runs in the examined namespace.
func (c *Case) inNetNS(words ...string) string {
	switch {
	case c.NetNS == "":
	case strings.Contains(c.NetNS, "/"):
		words = append([]string{"nsenter", "--net=" + c.NetNS}, words...)
	case strings.Trim(c.NetNS, "0123456789") == "": // a process ID
		words = append([]string{"nsenter", "--net", "--target", c.NetNS}, words...)
	default:
		words = append([]string{"ip", "netns", "exec", c.NetNS}, words...)
	}
	return shell(words)
}

// ipvsadm returns the command that makes a change, or the edit of the file
// that describes the table.
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

// edit returns the command that edits a server of a service.
func (c *Case) edit(s *ipvs.ServiceEntry, d ipvs.Destination) string {
	return c.ipvsadm(ipvs.Change{Op: ipvs.OpEditDestination, Service: s.Service, Destination: d})
}

// restart returns the commands that move a sync daemon to an interface.
func (c *Case) restart(d ipvs.Daemon, link string) string {
	d.Interface = link
	start := c.ipvsadm(ipvs.Change{Op: ipvs.OpStartDaemon, Daemon: d})
	if c.File != "" {
		return start
	}
	return c.ipvsadm(ipvs.Change{Op: ipvs.OpStopDaemon, Daemon: ipvs.Daemon{State: d.State}}) + " && " + start
}

// shell joins words to a command line for a shell.
func shell(words []string) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = quote(word)
	}
	return strings.Join(quoted, " ")
}

// quote quotes a word for a shell if necessary.
func quote(word string) string {
	const safe = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+:@%=,"
	if word != "" && strings.Trim(word, safe) == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// hostPrefix returns an address as a host prefix, such as "10.2.0.3/32".
func hostPrefix(a netip.Addr) string { return netip.PrefixFrom(a, a.BitLen()).String() }
