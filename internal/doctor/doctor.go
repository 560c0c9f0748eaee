// SPDX-License-Identifier: Apache-2.0

// Package doctor looks for what keeps a director from balancing. Its checks
// are pure: the facts about the machine are read once, into a Host, and a
// check compares them with the table of virtual services. It changes nothing
// and loads no module.
//
// A check is a row of Checks and a function beside it. Adding one is adding a
// row; what it has to know of the machine that nothing else asks yet is a
// field of Host.
package doctor

import (
	"slices"

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

// Finding is what a check has found.
type Finding struct {
	Level   Level  // of a check's function: 0 for the level of its row
	Check   string // name of the check
	Service string // as a listing names it; empty for the host
	Text    string // what is wrong, and why it matters
	Fix     string // the command that mends it; empty where there is none
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
	for i := range Checks {
		check := &Checks[i]
		if check.service != nil && c.Table == nil {
			continue
		}
		found := check.run(&c)
		if len(found) == 0 && c.has(check.needs) && (check.host != nil || c.Host.Unasked == 0) {
			found = []Finding{{Level: OK, Check: check.Name, Text: check.Fine}}
		}
		all = append(all, found...)
	}
	slices.SortStableFunc(all, func(a, b Finding) int { return int(b.Level) - int(a.Level) })
	return all
}

// fact is a kind of facts. The zero value is none that can be missing.
type fact uint8

const (
	virtualServices fact = iota + 1
	networkSettings
	ownSettings // of IPVS, which are there once it is loaded
	moduleStates
)

// has reports whether facts of a kind are known.
func (c *Case) has(f fact) bool {
	switch f {
	case virtualServices:
		return c.Table != nil
	case networkSettings:
		return c.Host.setting("net.ipv4.ip_forward") != ""
	case ownSettings:
		return c.Host.setting(vsSetting("drop_entry")) != ""
	case moduleStates:
		return c.Host.Modules["ip_vs"] != 0
	}
	return true
}

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
