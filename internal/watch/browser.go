// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"cmp"
	"slices"
	"strings"
)

// byAddress sorts as a list does; otherwise lines are sorted by a figure.
const byAddress figure = -1

// Browser is the table as its user looks at it.
type Browser struct {
	Title   string // what is watched, at the head
	Message string // stands in place of the title if there is one
	Look    Look

	model  Model
	lines  []ref // that pass the filter, in order
	top    int   // the first line on the screen
	page   int   // lines on the screen when it was last drawn
	sorted figure
	// reversed turns the order round. Figures begin with the largest.
	reversed bool
	filter   string
	editing  bool // the filter is being typed
	units    units
	paused   bool
}

// ref is a line: a server of a service, or the service itself.
type ref struct{ service, server int32 }

const itself = -1

// NewBrowser returns a Browser that has had no reading.
func NewBrowser(title string, l Look) *Browser {
	return &Browser{Title: title, Look: l, sorted: byAddress}
}

// Paused reports whether the user wants to see no other reading for now.
func (b *Browser) Paused() bool { return b.paused }

// Break is that of the model.
func (b *Browser) Break() { b.model.Break() }

// Update shows a reading.
func (b *Browser) Update(r Reading) {
	b.model.Update(r)
	b.arrange()
}

// Press obeys a key, and reports whether the user wants to quit.
func (b *Browser) Press(k Key) (quit bool) {
	if b.editing {
		b.edit(k)
		return false
	}
	switch k {
	case 'q', 'Q':
		return true
	case 's', KeyRight:
		b.sortBy(b.sorted + 1)
	case 'S', KeyLeft:
		b.sortBy(b.sorted - 1)
	case 'r':
		b.reversed = !b.reversed
		b.arrange()
	case 'f', '/':
		b.editing = true
	case KeyEscape:
		b.setFilter("")
	case 'u':
		b.units = (b.units + 1) % unitsCount
	case 'p':
		b.paused = !b.paused
	case KeyUp:
		b.top--
	case KeyDown:
		b.top++
	case KeyPageUp:
		b.top -= b.page
	case KeyPageDown, ' ':
		b.top += b.page
	case KeyHome:
		b.top = 0
	case KeyEnd:
		b.top = len(b.lines)
	}
	b.top = max(0, min(b.top, len(b.lines)-b.page))
	return false
}

// edit obeys a key that is typed into the filter.
func (b *Browser) edit(k Key) {
	switch {
	case k == KeyEnter:
		b.editing = false
	case k == KeyEscape:
		b.editing = false
		b.setFilter("")
	case k == KeyErase:
		b.setFilter("")
	case k == KeyBackspace && b.filter != "":
		b.setFilter(b.filter[:len(b.filter)-1])
	case k >= ' ' && k <= '~':
		b.setFilter(b.filter + string(rune(k)))
	}
}

func (b *Browser) setFilter(text string) {
	b.filter, b.top = text, 0
	b.arrange()
}

func (b *Browser) sortBy(f figure) {
	switch {
	case f < byAddress:
		f = figureCount - 1
	case f == figureCount:
		f = byAddress
	}
	b.sorted, b.top = f, 0
	b.arrange()
}

// arrange puts the lines that pass the filter in order: services, and behind
// each its servers.
func (b *Browser) arrange() {
	services := make([]ref, len(b.model.services))
	for i := range services {
		services[i] = ref{int32(i), itself}
	}
	b.sort(services)
	b.lines = slices.Grow(b.lines[:0], len(services)+b.model.servers)
	for _, s := range services {
		svc := &b.model.services[s.service]
		all := b.matches(svc.ServiceID.String)
		b.lines = append(b.lines, s)
		first := len(b.lines)
		for i := range svc.servers {
			if all || b.matches(svc.servers[i].AddrPort().String) {
				b.lines = append(b.lines, ref{s.service, int32(i)})
			}
		}
		if !all && len(b.lines) == first {
			b.lines = b.lines[:first-1]
			continue
		}
		b.sort(b.lines[first:])
	}
}

// matches reports whether a name passes the filter, in any case. The name is
// asked for only if there is a filter.
func (b *Browser) matches(name func() string) bool {
	return b.filter == "" || strings.Contains(strings.ToLower(name()), strings.ToLower(b.filter))
}

// sort sorts services, or servers of one service, which are in the order of the
// model.
func (b *Browser) sort(lines []ref) {
	switch {
	case b.sorted != byAddress:
		slices.SortStableFunc(lines, func(x, y ref) int {
			c := cmp.Compare(b.entry(y).figures[b.sorted], b.entry(x).figures[b.sorted])
			if b.reversed {
				return -c
			}
			return c
		})
	case b.reversed:
		slices.Reverse(lines)
	}
}

// entry returns what a line is about.
func (b *Browser) entry(r ref) *entry {
	s := &b.model.services[r.service]
	if r.server == itself {
		return &s.entry
	}
	return &s.servers[r.server].entry
}
