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
type row struct {
	service *service
	server  *server // nil for the row of the service
}

// entry returns the entry that the row shows.
func (r row) entry() *entry {
	if r.server != nil {
		return &r.server.entry
	}
	return &r.service.entry
}

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
	for i, s := range b.model.services {
		services[i] = row{service: s}
	}
	b.sort(services)
	b.rows = b.rows[:0]
	for _, r := range services {
		all := b.matches(r.service.ServiceID.String())
		var servers []row
		for _, d := range r.service.servers {
			if all || b.matches(d.AddrPort().String()) {
				servers = append(servers, row{r.service, d})
			}
		}
		if all || len(servers) > 0 {
			b.sort(servers)
			b.rows = append(append(b.rows, r), servers...)
		}
	}
}

// matches reports whether a name contains the filter, ignoring case.
func (b *Browser) matches(name string) bool {
	return strings.Contains(strings.ToLower(name), strings.ToLower(b.filter))
}

// sort sorts services, or the servers of one service, by the sort key. They
// must be in address order, the order of the model.
func (b *Browser) sort(rows []row) {
	switch {
	case b.sortKey != addressOrder:
		slices.SortStableFunc(rows, func(x, y row) int {
			c := cmp.Compare(y.entry().figures[b.sortKey], x.entry().figures[b.sortKey])
			if b.reversed {
				return -c
			}
			return c
		})
	case b.reversed:
		slices.Reverse(rows)
	}
}
