// SPDX-License-Identifier: Apache-2.0

// Package doctor looks for what keeps a director from balancing. The facts
// about the machine are gathered in one place, a Host, and a check compares
// them with the table of virtual services. It changes nothing and loads no
// module.
//
// A check is a row of Checks and a function beside it. A fact that no check
// has needed before is a new field of Host.
package doctor

import (
	"slices"
	"strings"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// Level is how much a finding matters.
type Level uint8

// The levels, in rising order.
const (
	OK      Level = iota // a check found nothing
	Note                 // worth knowing
	Warning              // some connections may fail
	Error                // connections fail
)

// String returns the level as output has it.
func (l Level) String() string { return [...]string{"ok", "note", "warning", "error"}[l] }

// MarshalText returns the level as output has it.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// Finding is what a check has found.
type Finding struct {
	Level   Level  `json:"level"`             // of a check's function: 0 for the level of its row
	Check   string `json:"check"`             // name of the check
	Service string `json:"service,omitempty"` // as a listing names it; empty for the host
	// Server is the address of a real server that takes the place of %s in
	// Text; empty if the text has none.
	Server string `json:"-"`
	Text   string `json:"text"`          // what is wrong, and why it matters
	Fix    string `json:"fix,omitempty"` // the command that fixes it; empty if there is none
}

// Case is what is examined.
type Case struct {
	Host *Host
	// Table has the virtual services. It is nil where they are not known, and
	// then only the host is examined.
	Table *ipvs.Table
	// ConnTableSize is the number of buckets of the connection table, 0 where
	// it is not known.
	ConnTableSize uint32
	// File is the rule file that describes Table, empty for the kernel's.
	File string
	// NetNS is the namespace that Host and Table are of, as the user named it;
	// empty for the program's own.
	NetNS string
}

// Examine runs all checks. The worst findings come first; those of one level
// stand in the order of Checks and of the services in the table. A check that
// found nothing has one finding that says so, unless it could not look: facts
// that it needs are not known, or were not read in time.
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
	for i := range Checks { // after all questions, which may have been too many
		check := &Checks[i]
		if has, ran := found[check]; ran && !has && (check.needs == nil || check.needs(&c)) && (check.host != nil || c.Host.Unasked == 0) {
			looked, _, _ := strings.Cut(check.Question, ";")
			all = append(all, Finding{Level: OK, Check: check.Name, Text: "not found: " + looked})
		}
	}
	slices.SortStableFunc(all, func(a, b Finding) int { return int(b.Level) - int(a.Level) })
	return all
}

// Find runs one check, by its name.
func Find(c Case, check string) []Finding {
	i := slices.IndexFunc(Checks[:], func(k Check) bool { return k.Name == check })
	return Checks[i].run(&c)
}

// These report whether facts are known.

func (c *Case) table() bool          { return c.Table != nil }
func (c *Case) netSettings() bool    { return c.Host.setting("net.ipv4.ip_forward") != "" }
func (c *Case) vsSettings() bool     { return c.Host.setting(vsSetting("drop_entry")) != "" } // since IPVS is loaded
func (c *Case) modules() bool        { return c.Host.Modules["ip_vs"] != 0 }
func (c *Case) neighbors() bool      { return c.Host.Neighbors != nil }
func (c *Case) handshakes() bool     { return c.Host.Handshakes != nil && c.File == "" }
func (c *Case) firewallChains() bool { return c.Host.Firewall != nil && !c.Host.LegacyFirewall }

// run returns what the check finds, with the members that are the same for all
// its findings. What holds for a machine is said once, however many servers of
// a service it has.
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

// Worst returns the highest level among findings.
func Worst(findings []Finding) Level {
	worst := OK
	for i := range findings {
		worst = max(worst, findings[i].Level)
	}
	return worst
}
