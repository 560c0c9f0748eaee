// SPDX-License-Identifier: Apache-2.0

// Package doctor finds faults that keep a director from balancing. It gathers
// the facts about the machine in a Host, and checks compare them with the
// table of virtual services. It changes nothing and loads no module.
//
// To add a check, add a row to Checks and its function. New facts are new
// fields of Host.
package doctor

import (
	"slices"
	"strings"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// Level is the severity of a finding.
type Level uint8

// The levels, in ascending order.
const (
	OK      Level = iota // a check found nothing
	Note                 // worth knowing
	Warning              // some connections may fail
	Error                // connections fail
)

// String returns the name of the level.
func (l Level) String() string { return [...]string{"ok", "note", "warning", "error"}[l] }

// MarshalText returns the name of the level, for JSON.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// Finding is one result of a check.
type Finding struct {
	Level   Level  `json:"level"`             // if 0, run sets that of the check
	Check   string `json:"check"`             // name of the check
	Service string `json:"service,omitempty"` // as a listing names it; empty for the host
	// Server is the real server's address, which replaces %s in Text; empty
	// if Text contains none.
	Server string `json:"-"`
	Text   string `json:"text"`          // what is wrong, and why it matters
	Fix    string `json:"fix,omitempty"` // the command that fixes it; empty if there is none
}

// Case is the input of the checks.
type Case struct {
	Host *Host
	// Table contains the virtual services. It is nil if they are unknown;
	// then only the host is examined.
	Table *ipvs.Table
	// ConnTableSize is the number of buckets of the connection table, 0 if
	// unknown.
	ConnTableSize uint32
	// File is the rule file that describes Table, empty for the kernel's
	// table.
	File string
	// NetNS is the namespace of Host and Table, as the user named it; empty
	// for the program's own.
	NetNS string
}

// Examine runs all checks and returns the findings, the worst level first;
// within a level, in the order of Checks and of the table's services. A check
// without findings returns one of level OK, unless facts that it needs are
// unknown or were not read in time.
func Examine(c Case) []Finding {
	var all []Finding
	found := map[*Check]bool{}
	for i := range Checks {
		if check := &Checks[i]; check.host != nil || c.Table != nil {
			findings := check.run(&c)
			found[check] = len(findings) > 0
			all = append(all, findings...)
		}
	}
	for i := range Checks { // after all checks: any may have run out of time
		check := &Checks[i]
		if has, ran := found[check]; ran && !has && (check.needs == nil || check.needs(&c)) && (check.host != nil || c.Host.Unasked == 0) {
			fault, _, _ := strings.Cut(check.Question, ";")
			all = append(all, Finding{Level: OK, Check: check.Name, Text: "not found: " + fault})
		}
	}
	slices.SortStableFunc(all, func(a, b Finding) int { return int(b.Level) - int(a.Level) })
	return all
}

// Find returns the findings of one check, by its name.
func Find(c Case, check string) []Finding {
	i := slices.IndexFunc(Checks[:], func(k Check) bool { return k.Name == check })
	return Checks[i].run(&c)
}

// The following report whether facts are known.

func (c *Case) table() bool          { return c.Table != nil }
func (c *Case) netSettings() bool    { return c.Host.setting("net.ipv4.ip_forward") != "" }
func (c *Case) vsSettings() bool     { return c.Host.setting(vsSetting("drop_entry")) != "" } // exists if IPVS is loaded
func (c *Case) modules() bool        { return c.Host.Modules["ip_vs"] != 0 }
func (c *Case) neighbors() bool      { return c.Host.Neighbors != nil }
func (c *Case) handshakes() bool     { return c.Host.Handshakes != nil && c.File == "" }
func (c *Case) firewallChains() bool { return c.Host.Firewall != nil && !c.Host.LegacyFirewall }

// run returns the check's findings, with Level, Check and Service set. Equal
// findings about several servers of a service are returned once.
func (k *Check) run(c *Case) []Finding {
	var all []Finding
	add := func(service string, found []Finding) {
		for i, f := range found {
			if slices.Contains(found[:i], f) {
				continue
			}
			if f.Level == OK {
				f.Level = k.Level
			}
			f.Check, f.Service = k.Name, service
			all = append(all, f)
		}
	}
	if k.host != nil {
		add("", k.host(c))
		return all
	}
	for i := range c.Table.Services {
		s := &c.Table.Services[i]
		if found := k.service(c, s); len(found) > 0 {
			add(s.ServiceID.String(), found)
		}
	}
	return all
}
