// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/ipvsadm-go/ipvsadm/internal/model"
	"github.com/ipvsadm-go/ipvsadm/internal/netns"
	"github.com/ipvsadm-go/ipvsadm/internal/render"
	"github.com/ipvsadm-go/ipvsadm/internal/restore"
	"github.com/ipvsadm-go/ipvsadm/internal/rule"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// statusDiffers is the exit status if there are differences, as of diff(1).
const statusDiffers = 1

// diffCommand implements ipvsadm-restore --diff: it prints the changes that a
// restore would make as a unified diff of two saves.
type diffCommand struct{ restoreCommand }

func (d *diffCommand) Run(ctx context.Context) error {
	if err := d.read(ctx); err != nil {
		return err
	}
	if d.file.Faults.Any() && d.mode != keepGoing {
		return exit(d.refuse())
	}
	if err := d.openToRead(ctx); err != nil {
		return err
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
	want := w.Target(have)
	want.Daemons = withLengths(want.Daemons, d.config.NetNS)
	compareSaves(have, want, u.pair)
	if _, err := d.Stdout.Write(u.text()); err != nil {
		return withStatus(outputFailure(err), statusUsage)
	}
	if u.differs() {
		return exit(statusDiffers)
	}
	return nil
}

// compareSaves calls pair with the lines of two saves about the same entry;
// nil means that one of them has no such line. The lines of the first are in
// the order of a save, which is not always sorted: see package render. Those
// that only the second contains are inserted.
func compareSaves(have *ipvs.Table, want restore.Target, pair func(a, b *ipvs.Change)) {
	if want.HasTimeouts {
		a, b := ipvs.Change{Op: ipvs.OpSetTimeouts, Timeouts: have.Timeouts}, ipvs.Change{Op: ipvs.OpSetTimeouts, Timeouts: want.Timeouts}
		if have.Timeouts == (ipvs.Timeouts{}) { // without ip_vs
			pair(nil, &b)
		} else {
			pair(&a, &b)
		}
	}
	compareServices(have, want.Table, pair)
	for _, state := range []ipvs.DaemonState{ipvs.Master, ipvs.Backup} {
		if want.HasDaemon[state] {
			a, b := startOf(have, state), startOf(want.Table, state)
			if a != nil && b != nil && len(model.Diff(&ipvs.Table{Daemons: []ipvs.Daemon{a.Daemon}}, &ipvs.Table{Daemons: []ipvs.Daemon{b.Daemon}})) == 0 {
				b = a // the settings that the file omits match
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

// withLengths returns the daemons with the kernel's default of the maximum
// message length where none is set: that of a 1500-byte packet, or for a
// backup that of its interface's MTU. It stays 0 if the interface is unknown.
func withLengths(daemons []ipvs.Daemon, namespace string) []ipvs.Daemon {
	daemons = slices.Clone(daemons)
	for i := range daemons {
		d := &daemons[i]
		packet := 1500
		if d.State == ipvs.Backup {
			var link *net.Interface
			_ = netns.Do(namespace, func() { link, _ = net.InterfaceByName(d.Interface) })
			if link == nil {
				continue
			}
			packet = min(max(packet, link.MTU), 1<<16-1)
		}
		const udp, ip4, ip6 = 8, 20, 40
		headers := udp + ip4
		if d.Group.Is6() {
			headers = udp + ip6
		}
		d.MaxLen = cmp.Or(d.MaxLen, uint16(packet-headers))
	}
	return daemons
}

// compareServices calls pair with the services and servers of two tables.
func compareServices(have, want *ipvs.Table, pair func(a, b *ipvs.Change)) {
	had, wanted := restore.ByID(have), restore.ByID(want)
	all, more := slices.Clone(have.Services), []ipvs.ServiceEntry(nil)
	for i := range want.Services {
		if s := want.Services[i]; had[s.ServiceID] == nil {
			more = append(more, s)
		}
	}
	render.Sort(all)
	render.Sort(more)
	for _, s := range render.MergeServices(all, more) {
		id := s.ServiceID
		pair(addition(had[id]), addition(wanted[id]))
		a, b := serversOf(had[id]), serversOf(wanted[id])
		servers, added := s.Destinations, make([]ipvs.ServiceEntry, 1)
		if had[id] == nil {
			servers = nil
		}
		for i := 0; wanted[id] != nil && i < len(wanted[id].Destinations); i++ {
			if d := wanted[id].Destinations[i]; a[d.AddrPort()] == nil {
				added[0].Destinations = append(added[0].Destinations, d)
			}
		}
		render.Sort(added)
		for _, d := range render.MergeDestinations(servers, added[0].Destinations) {
			h, w := a[d.AddrPort()], b[d.AddrPort()]
			x, y := serverAddition(id, h), serverAddition(id, w)
			if x != nil && y != nil && h.Forward == ipvs.LocalNode {
				x.Destination.Forward = w.Forward // the kernel reports local servers like this
			}
			pair(x, y)
		}
	}
}

// serversOf returns the servers of a service by address and port.
func serversOf(s *ipvs.ServiceEntry) map[netip.AddrPort]*ipvs.DestinationEntry {
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
	c := ipvs.Change{Op: ipvs.OpAddService, Service: e.Service}
	return &c
}

func serverAddition(id ipvs.ServiceID, d *ipvs.DestinationEntry) *ipvs.Change {
	if d == nil {
		return nil
	}
	c := ipvs.Change{Op: ipvs.OpAddDestination, Service: ipvs.Service{ServiceID: id}, Destination: d.Destination}
	return &c
}

// diffContext is the number of equal lines shown around differences.
const diffContext = 3

// unified makes a unified diff of two texts, line by line. It only stores the
// lines that it shows.
type unified struct {
	from, to string
	a, b     int // the numbers of the next lines
	out      []byte

	// hunk contains the lines of the current hunk, nil if there is none.
	// beginA and beginB are its first line numbers in both texts.
	beginA, beginB int
	hunk           []byte
	// equal are the last equal lines, which may have to be shown.
	equal []ipvs.Change
}

// pair adds a line of each text, or of one if the other is nil.
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
			u.endHunk()
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

// endHunk ends the hunk with the equal lines to show after it.
func (u *unified) endHunk() {
	if u.hunk == nil {
		return
	}
	if u.out == nil {
		u.out = fmt.Appendf(nil, "--- %s\n+++ %s\n", u.from, u.to)
	}
	n := len(u.equal)
	shown := min(n, diffContext)
	u.showEqual(shown)
	hidden := n - shown
	u.out = fmt.Appendf(u.out, "@@ -%s +%s @@\n%s", extent(u.beginA, u.a-hidden-u.beginA), extent(u.beginB, u.b-hidden-u.beginB), u.hunk)
	u.hunk, u.equal = nil, u.equal[max(shown, n-diffContext):]
}

// text returns the diff, which is empty if the texts are equal.
func (u *unified) text() []byte {
	u.endHunk()
	return u.out
}

func (u *unified) differs() bool { return u.out != nil || u.hunk != nil }

// extent formats the position of a hunk in a text. For an empty hunk it is the
// number of the line before.
func extent(first, n int) string {
	switch n {
	case 0:
		return fmt.Sprintf("%d,0", first-1)
	case 1:
		return fmt.Sprint(first)
	}
	return fmt.Sprintf("%d,%d", first, n)
}
