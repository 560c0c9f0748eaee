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
	return c.within("sysctl -w " + strings.Join(settings, " "))
}

// ip runs ip(8) for the family of an address.
func (c *Case) ip(a netip.Addr, words ...string) string {
	line := "ip "
	if a.Is6() {
		line = "ip -6 "
	}
	return c.within(line + strings.Join(words, " "))
}

// linkUp brings an interface up.
func (c *Case) linkUp(name string) string { return c.within("ip link set " + name + " up") }

// within runs a command in the namespace that is examined.
func (c *Case) within(line string) string {
	switch {
	case c.NetNS == "":
		return line
	case strings.Contains(c.NetNS, "/"):
		return "nsenter --net=" + quote(c.NetNS) + " " + line
	case strings.Trim(c.NetNS, "0123456789") == "": // a process
		return "nsenter --net --target " + c.NetNS + " " + line
	}
	return "ip netns exec " + quote(c.NetNS) + " " + line
}

// ipvsadm changes the table. What a file describes is changed in the file.
func (c *Case) ipvsadm(change ipvs.Change) string {
	if c.File != "" {
		if change.Op == ipvs.OpEditDestination {
			change.Op = ipvs.OpAddDestination
		}
		return "edit " + quote(c.File) + ": " + string(rule.Writer{}.Append(nil, change))
	}
	line := "ipvsadm "
	if c.NetNS != "" {
		line += "--netns " + quote(c.NetNS) + " "
	}
	return line + string(rule.Writer{}.Append(nil, change))
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

// quote quotes a word for a shell, if it has to be.
func quote(word string) string {
	special := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("/._-+:@%", r)
	}
	if word != "" && strings.IndexFunc(word, special) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// single is an address as a network of its own, as in "10.2.0.3/32".
func single(a netip.Addr) string { return netip.PrefixFrom(a, a.BitLen()).String() }
