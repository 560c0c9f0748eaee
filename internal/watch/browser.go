// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"cmp"
	"slices"
	"strings"
)

// addressOrder is the sort key for the order of a listing. Any other sort key
// is a figure.
const addressOrder figure = -1

// Browser is the state of the live screen: the table, and how the user has
// sorted, filtered and scrolled it.
type Browser struct {
	Title   string // on the first line of the screen
	Message string // if not empty, replaces the title
	Display Display

	model    Model
	rows     []row // the rows that match the filter, sorted
	top      int   // index of the first row on the screen
	page     int   // number of rows on the screen when it was last drawn
	sortKey  figure
	reversed bool // without it, figures sort from the largest to the smallest
	filter   string
	editing  bool // the user is typing the filter
	units    units
	paused   bool
}

// row is a row of the table: a virtual service, or one of its real servers.
// The fields are indexes in Model.services and service.servers; for a virtual
// service, server is serviceRow.
type row struct{ service, server int32 }

const serviceRow = -1

// NewBrowser returns a Browser without a reading.
func NewBrowser(title string, d Display) *Browser {
	return &Browser{Title: title, Display: d, sortKey: addressOrder}
}

// Paused reports whether the user has paused the screen.
func (b *Browser) Paused() bool { return b.paused }

// ResetRates calls Model.ResetRates.
func (b *Browser) ResetRates() { b.model.ResetRates() }

// Update replaces the table with a new reading.
func (b *Browser) Update(r Reading) {
	b.model.Update(r)
	b.updateRows()
}

// Press handles a key, and reports whether the user wants to quit.
func (b *Browser) Press(k Key) (quit bool) {
	if b.editing {
		b.editFilter(k)
		return false
	}
	switch k {
	case 'q', 'Q':
		return true
	case 's', KeyRight:
		b.sortBy(b.sortKey + 1)
	case 'S', KeyLeft:
		b.sortBy(b.sortKey - 1)
	case 'r':
		b.reversed = !b.reversed
		b.updateRows()
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
		b.top = len(b.rows)
	}
	b.top = max(0, min(b.top, len(b.rows)-b.page))
	return false
}

// editFilter handles a key while the user is typing the filter.
func (b *Browser) editFilter(k Key) {
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
	b.updateRows()
}

func (b *Browser) sortBy(f figure) {
	switch {
	case f < addressOrder:
		f = figureCount - 1
	case f == figureCount:
		f = addressOrder
	}
	b.sortKey, b.top = f, 0
	b.updateRows()
}

// updateRows filters and sorts the rows: each service is followed by its
// servers. A service that matches the filter is shown with all its servers,
// and a server that matches is shown with its service.
func (b *Browser) updateRows() {
	services := make([]row, len(b.model.services))
	for i := range services {
		services[i] = row{int32(i), serviceRow}
	}
	b.sort(services)
	b.rows = slices.Grow(b.rows[:0], len(services)+b.model.serverCount)
	for _, s := range services {
		svc := &b.model.services[s.service]
		all := b.matches(svc.ServiceID.String)
		b.rows = append(b.rows, s)
		first := len(b.rows)
		for i := range svc.servers {
			if all || b.matches(svc.servers[i].AddrPort().String) {
				b.rows = append(b.rows, row{s.service, int32(i)})
			}
		}
		if !all && len(b.rows) == first {
			b.rows = b.rows[:first-1]
			continue
		}
		b.sort(b.rows[first:])
	}
}

// matches reports whether a name contains the filter, ignoring case. The name
// is a function, so that it is formatted only if there is a filter.
func (b *Browser) matches(name func() string) bool {
	return b.filter == "" || strings.Contains(strings.ToLower(name()), strings.ToLower(b.filter))
}

// sort sorts services, or the servers of one service, by the sort key. They
// must be in address order, the order of the model.
func (b *Browser) sort(rows []row) {
	switch {
	case b.sortKey != addressOrder:
		slices.SortStableFunc(rows, func(x, y row) int {
			c := cmp.Compare(b.entry(y).figures[b.sortKey], b.entry(x).figures[b.sortKey])
			if b.reversed {
				return -c
			}
			return c
		})
	case b.reversed:
		slices.Reverse(rows)
	}
}

// entry returns the entry that a row shows.
func (b *Browser) entry(r row) *entry {
	s := &b.model.services[r.service]
	if r.server == serviceRow {
		return &s.entry
	}
	return &s.servers[r.server].entry
}
