// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"fmt"
	"strconv"
	"strings"
)

// The lines of the screen above and below the rows.
const (
	headLines = 3 // the title and two lines of column titles
	footLines = 1 // the keys
)

// Draw returns the screen for a terminal of the given size. It formats only
// the rows on the screen, since a table can have 100,000 rows.
func (b *Browser) Draw(width, height int) *Screen {
	s := newScreen(width, height)
	b.page = max(0, height-headLines-footLines)
	foot := b.page > 0 || b.editing
	if !foot { // four lines have room for a row or the foot
		b.page = 1
	}
	b.top = max(0, min(b.top, len(b.rows)-b.page))
	end := min(b.top+b.page, len(b.rows))
	l := newLayout(width, b.model.inet6)
	b.drawTitle(s)
	b.drawHead(s, l)
	for i, r := range b.rows[b.top:end] {
		b.drawLine(s, headLines+i, r, l)
	}
	if foot {
		b.drawFoot(s, end)
	}
	return s
}

func (b *Browser) drawTitle(s *Screen) {
	clock := b.model.readAt.Format("15:04:05")
	if b.Message != "" {
		s.put(0, 0, alert, b.Message)
	} else {
		title := " " + b.Title + "  " + pluralize(b.model.serviceCount, "service")
		title += ", " + pluralize(b.model.serverCount, "server")
		if b.filter != "" {
			title += "  filter: " + b.filter
		}
		if b.paused {
			title += "  paused"
		}
		s.put(0, 0, normal, title)
	}
	s.put(s.Width-len(clock)-2, 0, normal, "  "+clock)
}

// pluralize returns a number with a noun, in the plural unless n is 1.
func pluralize(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return strconv.Itoa(n) + " " + noun
}

func (b *Browser) drawHead(s *Screen, l layout) {
	titleStyle := func(f figure) style {
		if f == b.sortKey {
			return highlight
		}
		return heading
	}
	s.put(0, 2, heading, fmt.Sprintf("%-*s", s.Width, ""))
	x := 1
	s.put(x, 2, titleStyle(addressOrder), "service, server"[:min(len("service, server"), l.name)])
	if x += l.name; l.forward > 0 {
		title := "method"
		if l.figures[weight] < len(title) { // the title "weight" overlaps it
			title = "fwd"
		}
		s.put(x+1, 2, heading, title)
		x += 1 + l.forward
	}
	for f, width := range l.figures {
		if width == 0 {
			continue
		}
		x += 1 + width
		t := titles[f].narrow
		if width >= wideTitles {
			t = titles[f].wide
		}
		if b.units == scaledBits && (figure(f) == inBytes || figure(f) == outBytes) {
			t[0] = strings.Replace(t[0], "bytes", "bits", 1)
		}
		s.put(x-len(t[0]), 1, normal, t[0])
		s.put(x-len(t[1]), 2, titleStyle(figure(f)), t[1])
	}
	if l.share > 0 {
		s.put(x+1, 2, heading, "share")
	}
}

// signs shows the mark of an entry in the first column, since color alone may
// not be visible.
var signs = [...]string{markNone: "", markAdded: "+", markChanged: "*", markRemoved: "-"}

var markStyles = [...]style{markNone: normal, markAdded: added, markChanged: changed, markRemoved: removed}

func (b *Browser) drawLine(s *Screen, y int, r row, l layout) {
	svc, d, e := r.service, r.server, r.entry()
	mark := svc.mark
	var name, forward, share string
	st := strong
	if d == nil {
		name, forward = svc.ServiceID.String(), svc.Scheduler
	} else {
		if mark != markRemoved { // removing a service removes its servers
			mark = d.mark
		}
		name, forward, st = "  "+d.AddrPort().String(), d.Forward.String(), normal
		if svc.inPkts > 0 && mark != markRemoved && e.figures[inPkts] > 0 {
			share = bar(e.figures[inPkts]/svc.inPkts, l.share, b.Display)
		}
	}
	if mark != markNone {
		st = markStyles[mark]
	}
	s.put(0, y, st, signs[mark])
	s.put(1, y, st, shorten(name, l.name, b.Display))
	x := 1 + l.name
	if l.forward > 0 {
		s.put(x+1, y, st, forward)
		x += 1 + l.forward
	}
	for i, width := range l.figures {
		if width == 0 {
			continue
		}
		x += 1 + width
		text := b.figure(figure(i), e.figures[i], width)
		s.put(x-len(text), y, st, text)
	}
	if l.share > 0 {
		s.put(x+1, y, normal, share)
	}
}

func (b *Browser) figure(f figure, v float64, width int) string {
	switch {
	case v == unknown:
		return "-"
	case b.units == scaledBits && (f == inBytes || f == outBytes):
		v *= 8
	}
	return formatNumber(v, b.units, width)
}

func (b *Browser) drawFoot(s *Screen, end int) {
	y := s.Height - 1
	if b.editing {
		const label = " filter by address, port or mark: "
		s.put(0, y, normal, label+b.filter)
		s.put(len(label)+len(b.filter), y, highlight, " ")
		return
	}
	x := 1
	for _, key := range [...]string{"sort", "reverse", "filter", "units", "pause", "quit"} {
		s.put(x, y, strong, key[:1])
		s.put(x+1, y, normal, " "+key)
		x += len(key) + 4
	}
	position := fmt.Sprintf("  %d-%d of %d", min(b.top+1, end), end, len(b.rows))
	s.put(s.Width-len(position), y, normal, position)
}
