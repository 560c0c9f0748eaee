// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net"

	"github.com/ipvsadm-go/ipvsadm/internal/model"
	"github.com/ipvsadm-go/ipvsadm/internal/netns"
	"github.com/ipvsadm-go/ipvsadm/internal/render"
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
		return exit(d.checkOnly())
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
	if w.Table.Timeouts != (ipvs.Timeouts{}) {
		u.pair(timeoutsOf(have), timeoutsOf(want))
	}
	u.services(have, want)
	for _, state := range []ipvs.DaemonState{ipvs.Master, ipvs.Backup} {
		if a, b := startOf(have, state), startOf(want, state); w.MentionsDaemon(state) {
			if model.Matches(a.Daemon, b.Daemon) {
				b = a // the settings that the file omits match
			} else if b.Daemon.MaxLen == 0 {
				b.Daemon.MaxLen = defaultMaxLen(b.Daemon, d.config.NetNS)
			}
			u.pair(a, b)
		}
	}
	if _, err := d.Stdout.Write(u.text()); err != nil {
		return withStatus(output(err), statusUsage)
	}
	if u.differs() {
		return exit(statusDiffers)
	}
	return nil
}

// timeoutsOf returns the line of a save that sets the timeouts, zero if there
// is none, as without ip_vs.
func timeoutsOf(t *ipvs.Table) (c ipvs.Change) {
	if t.Timeouts != (ipvs.Timeouts{}) {
		c = ipvs.Change{Op: ipvs.OpSetTimeouts, Timeouts: t.Timeouts}
	}
	return c
}

// startOf returns the line of a save that starts a daemon, zero if none runs.
func startOf(t *ipvs.Table, state ipvs.DaemonState) (c ipvs.Change) {
	for _, d := range t.Daemons {
		if d.State == state {
			c = ipvs.Change{Op: ipvs.OpStartDaemon, Daemon: d}
		}
	}
	return c
}

// defaultMaxLen returns the kernel's default of a daemon's maximum message
// length: that of a 1500-byte packet, or for a backup that of its interface's
// MTU. It is 0 if the interface is unknown.
func defaultMaxLen(d ipvs.Daemon, namespace string) uint16 {
	packet := 1500
	if d.State == ipvs.Backup {
		var link *net.Interface
		_ = netns.Do(namespace, func() { link, _ = net.InterfaceByName(d.Interface) })
		if link == nil {
			return 0
		}
		packet = min(max(packet, link.MTU), 1<<16-1)
	}
	const udp, ip4, ip6 = 8, 20, 40
	if d.Group.Is6() {
		return uint16(packet - udp - ip6)
	}
	return uint16(packet - udp - ip4)
}

// services adds the lines of two saves about services and servers. Those of
// the first are in the order of a save, which is not always sorted: see
// package render.
func (u *unified) services(have, want *ipvs.Table) {
	render.Sort(have.Services)
	byID := func(s *ipvs.ServiceEntry) ipvs.ServiceID { return s.ServiceID }
	align(have.Services, want.Services, byID, render.InsertServices, func(h, w *ipvs.ServiceEntry) {
		var a, b ipvs.Change
		var had, wanted []ipvs.DestinationEntry
		if h != nil {
			a, had = ipvs.Change{Op: ipvs.OpAddService, Service: h.Service}, h.Destinations
		}
		if w != nil {
			b, wanted = ipvs.Change{Op: ipvs.OpAddService, Service: w.Service}, w.Destinations
		}
		u.pair(a, b)
		id := ipvs.Service{ServiceID: cmp.Or(a.Service.ServiceID, b.Service.ServiceID)}
		align(had, wanted, (*ipvs.DestinationEntry).AddrPort, render.InsertDestinations, func(h, w *ipvs.DestinationEntry) {
			var a, b ipvs.Change
			if h != nil {
				a = ipvs.Change{Op: ipvs.OpAddDestination, Service: id, Destination: h.Destination}
			}
			if w != nil {
				b = ipvs.Change{Op: ipvs.OpAddDestination, Service: id, Destination: w.Destination}
			}
			u.pair(a, b)
		})
	})
}

// align calls pair with the entries of two lists that have the same key; nil
// means that one of them has none. They are in the order of the first list,
// into which insert sorts those that only the second contains.
func align[K comparable, T any](have, want []T, key func(*T) K, insert func(sorted, more []T) []T, pair func(h, w *T)) {
	had, wanted := map[K]*T{}, map[K]*T{}
	for i := range have {
		had[key(&have[i])] = &have[i]
	}
	var more []T
	for i := range want {
		if k := key(&want[i]); had[k] == nil {
			more = append(more, want[i])
		}
		wanted[key(&want[i])] = &want[i]
	}
	for _, e := range insert(have, more) {
		pair(had[key(&e)], wanted[key(&e)])
	}
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

// pair adds a line of each text, or of one if the other's Op is zero.
func (u *unified) pair(a, b ipvs.Change) {
	var x, y []byte
	equal := a == b
	if !equal {
		x, y = rule.Writer{}.Append(nil, a), rule.Writer{}.Append(nil, b)
		equal = bytes.Equal(x, y)
	}
	switch {
	case equal && a.Op == 0:
		return
	case equal:
		u.a, u.b = u.a+1, u.b+1
		u.equal = append(u.equal, a)
		switch n := len(u.equal); {
		case u.hunk == nil:
			u.equal = u.equal[max(0, n-diffContext):]
		case n > 2*diffContext:
			u.endHunk()
		}
		return
	case u.hunk == nil:
		u.beginA, u.beginB = u.a-len(u.equal), u.b-len(u.equal)
	}
	u.showEqual(len(u.equal))
	u.equal = u.equal[:0]
	if a.Op != 0 {
		u.show('-', x)
		u.a++
	}
	if b.Op != 0 {
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
