// SPDX-License-Identifier: Apache-2.0

package cli

// This file has --diff: what a restore would change, as a unified diff of two
// saves.

import (
	"bytes"
	"fmt"
	"io"
	"iter"
	"net/netip"

	"github.com/ipvsadm-go/ipvsadm/internal/render"
	"github.com/ipvsadm-go/ipvsadm/internal/restore"
	"github.com/ipvsadm-go/ipvsadm/internal/rule"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// statusDiffers is the status of a diff that has lines, as of diff(1).
const statusDiffers = 1

// diff prints how the table would differ, and returns the exit status.
func (s *session) diff(name string, f *restore.File, have *ipvs.Table) int {
	if f.Complaints().Any() {
		s.complain(name, f, warnings{})
		return statusUsage
	}
	lines := diffLines(have, f.Target(have))
	if err := writeUnified(s.Stdout, "table", name, lines); err != nil {
		s.report(outputFailure(err))
		return statusUsage
	}
	for _, l := range lines {
		if l.sign != same {
			return statusDiffers
		}
	}
	return statusOK
}

// diffLine is a line of both saves, or of one.
type diffLine struct {
	sign byte
	text []byte
}

const same, gone, added = ' ', '-', '+'

// diffLines pairs the lines of two saves by what they are about. Both are in
// the order of a save that has the services and servers of either.
func diffLines(have *ipvs.Table, want restore.Target) (lines []diffLine) {
	pair := func(a, b *ipvs.Change) {
		var x, y []byte
		var w rule.Writer
		if a != nil {
			x = w.Append(nil, *a)
		}
		if b != nil {
			y = w.Append(nil, *b)
		}
		if bytes.Equal(x, y) {
			lines = append(lines, diffLine{same, x})
			return
		}
		if a != nil {
			lines = append(lines, diffLine{gone, x})
		}
		if b != nil {
			lines = append(lines, diffLine{added, y})
		}
	}
	if want.HasTimeouts {
		a, b := ipvs.SetTimeouts(have.Timeouts), ipvs.SetTimeouts(want.Timeouts)
		pair(&a, &b)
	}
	for a, b := range servicePairs(have, want.Table) {
		pair(a, b)
	}
	for _, state := range []ipvs.DaemonState{ipvs.Master, ipvs.Backup} {
		if want.HasDaemon[state] {
			a, b := startOf(have, state), startOf(want.Table, state)
			if a != nil && b != nil && len(ipvs.Diff(&ipvs.Table{Daemons: []ipvs.Daemon{a.Daemon}}, &ipvs.Table{Daemons: []ipvs.Daemon{b.Daemon}})) == 0 {
				b = a // what the file leaves open is as it is
			}
			if a != nil || b != nil {
				pair(a, b)
			}
		}
	}
	return lines
}

func startOf(t *ipvs.Table, state ipvs.DaemonState) *ipvs.Change {
	for _, d := range t.Daemons {
		if d.State == state {
			c := ipvs.StartDaemon(d)
			return &c
		}
	}
	return nil
}

// servicePairs iterates over the rules of two tables side by side; nil stands
// for a rule that one table lacks.
func servicePairs(have, want *ipvs.Table) iter.Seq2[*ipvs.Change, *ipvs.Change] {
	x, y := have.Clone(), want.Clone()
	hadServices, wantedServices := restore.ByID(x), restore.ByID(y)
	var all []ipvs.ServiceEntry
	for i := range x.Services {
		e := ipvs.ServiceEntry{Service: x.Services[i].Service, Destinations: append([]ipvs.DestinationEntry(nil), x.Services[i].Destinations...)}
		if w := wantedServices[e.ServiceID]; w != nil {
			had := byServer(&e)
			for _, d := range w.Destinations {
				if had[d.AddrPort()] == nil {
					e.Destinations = append(e.Destinations, d)
				}
			}
		}
		all = append(all, e)
	}
	for i := range y.Services {
		if hadServices[y.Services[i].ServiceID] == nil {
			all = append(all, y.Services[i])
		}
	}
	render.Sort(all)
	return func(yield func(a, b *ipvs.Change) bool) {
		for i := range all {
			id := all[i].ServiceID
			had, wanted := hadServices[id], wantedServices[id]
			if !yield(addition(had), addition(wanted)) {
				return
			}
			hadServers, wantedServers := byServer(had), byServer(wanted)
			for j := range all[i].Destinations {
				ap := all[i].Destinations[j].AddrPort()
				a, b := hadServers[ap], wantedServers[ap]
				if a != nil && b != nil && a.Forward == ipvs.LocalNode {
					a.Forward = b.Forward // the kernel says so of any server here
				}
				if !yield(serverAddition(id, a), serverAddition(id, b)) {
					return
				}
			}
		}
	}
}

func byServer(s *ipvs.ServiceEntry) map[netip.AddrPort]*ipvs.DestinationEntry {
	m := map[netip.AddrPort]*ipvs.DestinationEntry{}
	for i := 0; s != nil && i < len(s.Destinations); i++ {
		m[s.Destinations[i].AddrPort()] = &s.Destinations[i]
	}
	return m
}

func addition(e *ipvs.ServiceEntry) *ipvs.Change {
	if e == nil {
		return nil
	}
	c := ipvs.AddService(e.Service)
	return &c
}

func serverAddition(id ipvs.ServiceID, d *ipvs.DestinationEntry) *ipvs.Change {
	if d == nil {
		return nil
	}
	c := ipvs.AddDestination(id, d.Destination)
	return &c
}

// diffContext is the number of equal lines around those that differ.
const diffContext = 3

// writeUnified writes lines as a unified diff of two texts; nothing if they
// are the same.
func writeUnified(to io.Writer, from, name string, lines []diffLine) error {
	var b bytes.Buffer
	a, c := 1, 1 // the numbers of the next lines
	for i := 0; i < len(lines); {
		if lines[i].sign == same {
			i, a, c = i+1, a+1, c+1
			continue
		}
		if b.Len() == 0 {
			fmt.Fprintf(&b, "--- %s\n+++ %s\n", from, name)
		}
		begin := max(0, i-diffContext)
		end := i // behind the last line that differs
		for j := i; j < len(lines) && j < end+2*diffContext+1; j++ {
			if lines[j].sign != same {
				end = j + 1
			}
		}
		end = min(len(lines), end+diffContext)
		a, c = a-(i-begin), c-(i-begin)
		var hunk bytes.Buffer
		na, nc := 0, 0
		for _, l := range lines[begin:end] {
			if l.sign != added {
				na++
			}
			if l.sign != gone {
				nc++
			}
			hunk.WriteByte(l.sign)
			hunk.Write(l.text)
			hunk.WriteByte('\n')
		}
		fmt.Fprintf(&b, "@@ -%s +%s @@\n", extent(a, na), extent(c, nc))
		b.Write(hunk.Bytes())
		a, c, i = a+na, c+nc, end
	}
	_, err := to.Write(b.Bytes())
	return err
}

// extent is the position of a hunk in a text. An empty one has the number of
// the line before it.
func extent(first, n int) string {
	switch n {
	case 0:
		return fmt.Sprintf("%d,0", first-1)
	case 1:
		return fmt.Sprint(first)
	}
	return fmt.Sprintf("%d,%d", first, n)
}
