// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"

	"github.com/ipvsadm-go/ipvsadm/internal/model"
	"github.com/ipvsadm-go/ipvsadm/internal/render"
	"github.com/ipvsadm-go/ipvsadm/internal/restore"
	"github.com/ipvsadm-go/ipvsadm/internal/rule"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// statusDiffers is the status of a diff that has lines, as of diff(1).
const statusDiffers = 1

// diffCommand is ipvsadm-restore --diff: it prints what a restore would change,
// as a unified diff of two saves.
type diffCommand struct{ restoreCommand }

func (d *diffCommand) Run(ctx context.Context) error {
	if err := d.read(ctx); err != nil {
		return err
	}
	if d.file.Faults.Any() && d.mode != keepGoing {
		return exit(d.refuse())
	}
	if err := d.probe(ctx); err != nil {
		return err
	}
	have, err := d.readTable(ctx, wholeTable)
	w, err := d.compare(have, err)
	if err != nil {
		return err
	}
	if w.Complaints.Any() {
		complain(d.session, d.name, w, warnings{})
		return exit(statusUsage)
	}
	u := unified{from: "table", to: d.name, a: 1, b: 1}
	compareSaves(have, w.Target(have), u.pair)
	if _, err := d.Stdout.Write(u.text()); err != nil {
		return withStatus(outputFailure(err), statusUsage)
	}
	if u.differs() {
		return exit(statusDiffers)
	}
	return nil
}

// compareSaves pairs the lines of two saves by what they are about; nil stands
// for a line that one of them lacks. Both are in the order of a save that has
// the services and servers of either.
func compareSaves(have *ipvs.Table, want restore.Target, pair func(a, b *ipvs.Change)) {
	if want.HasTimeouts {
		a, b := ipvs.Change{Op: ipvs.OpSetTimeouts, Timeouts: have.Timeouts}, ipvs.Change{Op: ipvs.OpSetTimeouts, Timeouts: want.Timeouts}
		pair(&a, &b)
	}
	compareServices(have, want.Table, pair)
	for _, state := range []ipvs.DaemonState{ipvs.Master, ipvs.Backup} {
		if want.HasDaemon[state] {
			a, b := startOf(have, state), startOf(want.Table, state)
			if a != nil && b != nil && len(model.Diff(&ipvs.Table{Daemons: []ipvs.Daemon{a.Daemon}}, &ipvs.Table{Daemons: []ipvs.Daemon{b.Daemon}})) == 0 {
				b = a // what the file leaves open is as it is
			}
			if a != nil || b != nil {
				pair(a, b)
			}
		}
	}
}

func startOf(t *ipvs.Table, state ipvs.DaemonState) *ipvs.Change {
	for _, d := range t.Daemons {
		if d.State == state {
			c := ipvs.Change{Op: ipvs.OpStartDaemon, Daemon: d}
			return &c
		}
	}
	return nil
}

// compareServices pairs the rules of two tables.
func compareServices(have, want *ipvs.Table, pair func(a, b *ipvs.Change)) {
	had, wanted := restore.ByID(have), restore.ByID(want)
	var all []ipvs.ServiceEntry // without their servers
	for i := range have.Services {
		all = append(all, ipvs.ServiceEntry{Service: have.Services[i].Service})
	}
	for i := range want.Services {
		if s := want.Services[i].Service; had[s.ServiceID] == nil {
			all = append(all, ipvs.ServiceEntry{Service: s})
		}
	}
	render.Sort(all)
	hadServers, wantedServers := map[netip.AddrPort]*ipvs.Destination{}, map[netip.AddrPort]*ipvs.Destination{}
	either := make([]ipvs.ServiceEntry, 1) // the servers of a service in both tables
	for i := range all {
		id := all[i].ServiceID
		pair(addition(had[id]), addition(wanted[id]))
		servers := either[0].Destinations[:0]
		for _, of := range []struct {
			service *ipvs.ServiceEntry
			servers map[netip.AddrPort]*ipvs.Destination
		}{{had[id], hadServers}, {wanted[id], wantedServers}} {
			clear(of.servers)
			for j := 0; of.service != nil && j < len(of.service.Destinations); j++ {
				d := &of.service.Destinations[j]
				of.servers[d.AddrPort()] = &d.Destination
				if hadServers[d.AddrPort()] == nil || of.service == had[id] {
					servers = append(servers, *d)
				}
			}
		}
		either[0].Destinations = servers
		render.Sort(either)
		for j := range servers {
			a, b := hadServers[servers[j].AddrPort()], wantedServers[servers[j].AddrPort()]
			x, y := serverAddition(id, a), serverAddition(id, b)
			if a != nil && b != nil && a.Forward == ipvs.LocalNode {
				x.Destination.Forward = b.Forward // the kernel says so of any server here
			}
			pair(x, y)
		}
	}
}

func addition(e *ipvs.ServiceEntry) *ipvs.Change {
	if e == nil {
		return nil
	}
	c := ipvs.Change{Op: ipvs.OpAddService, Service: e.Service}
	return &c
}

func serverAddition(id ipvs.ServiceID, d *ipvs.Destination) *ipvs.Change {
	if d == nil {
		return nil
	}
	c := ipvs.Change{Op: ipvs.OpAddDestination, Service: ipvs.Service{ServiceID: id}, Destination: *d}
	return &c
}

// diffContext is the number of equal lines around those that differ.
const diffContext = 3

// unified makes a unified diff of two texts, line by line. It keeps no lines
// but those that it shows.
type unified struct {
	from, to string
	a, b     int // the numbers of the next lines
	out      []byte

	// The hunk that is open, if it has lines: where it begins in both texts,
	// and its lines.
	beginA, beginB int
	hunk           []byte
	// equal are the last equal lines, which may be shown.
	equal []ipvs.Change
}

// pair adds a line of each text, or of one.
func (u *unified) pair(a, b *ipvs.Change) {
	var x, y []byte
	var w rule.Writer
	equal := a != nil && b != nil && *a == *b
	if !equal {
		if a != nil {
			x = w.Append(nil, *a)
		}
		if b != nil {
			y = w.Append(nil, *b)
		}
		equal = bytes.Equal(x, y)
	}
	if equal {
		u.a, u.b = u.a+1, u.b+1
		u.equal = append(u.equal, *a)
		switch n := len(u.equal); {
		case u.hunk == nil:
			u.equal = u.equal[max(0, n-diffContext):]
		case n > 2*diffContext:
			u.end()
		}
		return
	}
	if u.hunk == nil {
		u.beginA, u.beginB = u.a-len(u.equal), u.b-len(u.equal)
	}
	u.showEqual(len(u.equal))
	u.equal = u.equal[:0]
	if a != nil {
		u.show('-', x)
		u.a++
	}
	if b != nil {
		u.show('+', y)
		u.b++
	}
}

func (u *unified) show(sign byte, line []byte) {
	u.hunk = append(append(append(u.hunk, sign), line...), '\n')
}

func (u *unified) showEqual(n int) {
	for _, c := range u.equal[:n] {
		u.show(' ', rule.Writer{}.Append(nil, c))
	}
}

// end ends the hunk, with as many of the equal lines behind it as are shown.
func (u *unified) end() {
	if u.hunk == nil {
		return
	}
	if u.out == nil {
		u.out = fmt.Appendf(nil, "--- %s\n+++ %s\n", u.from, u.to)
	}
	n := len(u.equal)
	shown := min(n, diffContext)
	u.showEqual(shown)
	behind := n - shown // lines that are not shown
	u.out = fmt.Appendf(u.out, "@@ -%s +%s @@\n%s", extent(u.beginA, u.a-behind-u.beginA), extent(u.beginB, u.b-behind-u.beginB), u.hunk)
	u.hunk, u.equal = nil, u.equal[max(shown, n-diffContext):]
}

// text returns the diff; nothing if the texts are the same.
func (u *unified) text() []byte {
	u.end()
	return u.out
}

func (u *unified) differs() bool { return u.out != nil || u.hunk != nil }

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
