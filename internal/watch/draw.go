// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"fmt"
	"strconv"
)

// The lines of a screen around those of the table: a title and two lines of
// column titles above them, one with the keys below.
const (
	headLines = 3
	footLines = 1
)

// Draw returns the screen for a terminal of some size. It formats the lines
// that are seen, and no others.
func (b *Browser) Draw(width, height int) *Screen {
	s := newScreen(width, height)
	b.page = max(1, height-headLines-footLines)
	b.top = max(0, min(b.top, len(b.lines)-b.page))
	end := min(b.top+b.page, len(b.lines))
	l := arrange(width, b.model.inet6)
	b.drawTitle(s)
	b.drawHead(s, l)
	for i, r := range b.lines[b.top:end] {
		b.drawLine(s, headLines+i, r, l)
	}
	b.drawFoot(s, end)
	return s
}

func (b *Browser) drawTitle(s *Screen) {
	at := b.model.at.Format("15:04:05")
	if b.Message != "" {
		s.put(0, 0, alert, b.Message)
	} else {
		title := " " + b.Title
		title += "  " + count(b.model.live, "service") + ", " + count(b.model.servers, "server")
		if b.filter != "" {
			title += "  filter: " + b.filter
		}
		if b.paused {
			title += "  paused"
		}
		s.put(0, 0, plain, title)
	}
	s.put(s.Width-len(at)-2, 0, plain, "  "+at)
}

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return strconv.Itoa(n) + " " + what
}

func (b *Browser) drawHead(s *Screen, l layout) {
	look := func(f figure) style {
		if f == b.sorted {
			return sorted
		}
		return heading
	}
	s.put(0, 2, heading, fmt.Sprintf("%-*s", s.Width, ""))
	x := 1
	s.put(x, 2, look(byAddress), "service, server"[:min(len("service, server"), l.name)])
	if x += l.name; l.forward > 0 {
		title := "method"
		if l.figures[weight] < len(title) { // whose title is as long
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
		if b.units == inBits && (figure(f) == inBytes || figure(f) == outBytes) {
			t[0] = inBitsTitle(t[0])
		}
		s.put(x-len(t[0]), 1, plain, t[0])
		s.put(x-len(t[1]), 2, look(figure(f)), t[1])
	}
	if l.share > 0 {
		s.put(x+1, 2, heading, "share")
	}
}

// inBitsTitle returns the title of a column of bytes for one of bits.
func inBitsTitle(title string) string {
	switch title {
	case "bytes":
		return "bits"
	case "bytes/s":
		return "bits/s"
	}
	return title
}

// signs are the marks of entries, for those who see no colors.
var signs = [...]string{stays: "", fresh: "+", changed: "*", gone: "-"}

var markStyles = [...]style{stays: plain, fresh: added, changed: edited, gone: removed}

func (b *Browser) drawLine(s *Screen, y int, r ref, l layout) {
	svc := &b.model.services[r.service]
	e, mark := &svc.entry, svc.mark
	var name, forward, share string
	st := strong
	if r.server == itself {
		name, forward = svc.ServiceID.String(), svc.Scheduler
	} else {
		d := &svc.servers[r.server]
		e = &d.entry
		if mark != gone { // a service takes its servers with it
			mark = d.mark
		}
		name, forward, st = "  "+d.AddrPort().String(), d.Forward.String(), plain
		if svc.inPkts > 0 && mark != gone && e.figures[inPkts] > 0 {
			share = bar(e.figures[inPkts]/svc.inPkts, l.share, b.Look)
		}
	}
	if mark != stays {
		st = markStyles[mark]
	}
	s.put(0, y, st, signs[mark])
	s.put(1, y, st, cut(name, l.name, b.Look))
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
		s.put(x+1, y, plain, share)
	}
}

func (b *Browser) figure(f figure, v float64, width int) string {
	switch {
	case v == unknown:
		return "-"
	case b.units == inBits && (f == inBytes || f == outBytes):
		v *= 8
	}
	return number(v, b.units, width)
}

func (b *Browser) drawFoot(s *Screen, end int) {
	y := s.Height - 1
	if b.editing {
		const label = " filter by address, port or mark: "
		s.put(0, y, plain, label+b.filter)
		s.put(len(label)+len(b.filter), y, sorted, " ")
		return
	}
	x := 1
	for _, key := range [...]string{"sort", "reverse", "filter", "units", "pause", "quit"} {
		s.put(x, y, strong, key[:1])
		s.put(x+1, y, plain, " "+key)
		x += len(key) + 4
	}
	place := fmt.Sprintf("  %d-%d of %d", min(b.top+1, end), end, len(b.lines))
	s.put(s.Width-len(place), y, plain, place)
}
