// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/test/terminal"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// newBusyBrowser returns a Browser of three services, two of which have
// traffic.
func newBusyBrowser(d Display) (*fakeKernel, *Browser) {
	k, b := newFakeKernel(), NewBrowser("every 2 s", d)
	k.now = time.Date(2026, 11, 28, 17, 0, 0, 0, time.UTC)
	k.add(tcp(1, 10, 11), tcp(2, 20))
	k.add(ipvs.ServiceEntry{Service: ipvs.NewService(ipvs.MarkID(7, ipvs.IPv6), "mh"), Destinations: []ipvs.DestinationEntry{{
		Destination: ipvs.Destination{Addr: netip.MustParseAddr("2001:db8:1234:5678:9abc:def0:1111:2222"), Forward: ipvs.Route, Weight: 3},
	}}})
	for i, pkts := range []float64{100, 30000, 0} {
		s := &k.services[i]
		k.addTraffic(&s.Stats, pkts/10, pkts, 60*pkts, time.Second)
		for j := range s.Destinations {
			part := pkts / float64(len(s.Destinations)+1) * float64(j+1)
			k.addTraffic(&s.Destinations[j].Stats, part/10, part, 60*part, time.Second)
			s.Destinations[j].Conns = ipvs.ConnCounts{Active: uint32(12 * (j + 1)), Inactive: 1234567}
		}
	}
	for range 3 {
		k.advance(2 * time.Second)
		b.Update(k.read())
	}
	return k, b
}

func pressKeys(b *Browser, text string) {
	for _, k := range keys(text) {
		b.Press(k)
	}
}

func expect(t *testing.T, s *Screen, want string) {
	t.Helper()
	if got := s.String(); got != want {
		t.Errorf("the screen is\n%swant\n%s", got, want)
	}
}

func TestTheScreenOf80Columns(t *testing.T) {
	_, b := newBusyBrowser(Display{UTF8: true})
	expect(t, b.Draw(80, 12), ` every 2 s  3 services, 4 servers                                       17:00:06
                                     conns packets/s   bytes/s      conns
 service, server          fwd  weight   /s   in  out   in  out  act inact share
 TCP 12.0.0.1:80          wrr      21   10  101    0 6.0K    0   36  2.5M
   192.0.0.10:8080        Masq     10  3.5   34    0 2.0K    0   12  1.2M ██
   192.0.0.11:8080        Masq     11  6.5   67    0 4.0K    0   24  1.2M ████
 TCP 12.0.0.2:80          wrr      20 3.0K  30K    0 1.8M    0   12  1.2M
   192.0.0.20:8080        Masq     20 1.5K  15K    0 907K    0   12  1.2M ██████
 FWM 7 IPv6               mh        3    0    0    0    0    0   12  1.2M
   [2001:db8…1111:2222]:0 Route     3    0    0    0    0    0   12  1.2M

 s sort  r reverse  f filter  u units  p pause  q quit                  1-7 of 7
`)
	b.Display.UTF8 = false
	pressKeys(b, "u")
	expect(t, b.Draw(80, 12), ` every 2 s  3 services, 4 servers                                       17:00:06
                                     conns packets/s    bits/s      conns
 service, server          fwd  weight   /s   in  out   in  out  act inact share
 TCP 12.0.0.1:80          wrr      21   10  101    0  48K    0   36  2.5M
   192.0.0.10:8080        Masq     10  3.5   34    0  16K    0   12  1.2M ##
   192.0.0.11:8080        Masq     11  6.5   67    0  32K    0   24  1.2M ####
 TCP 12.0.0.2:80          wrr      20 3.0K  30K    0  15M    0   12  1.2M
   192.0.0.20:8080        Masq     20 1.5K  15K    0 7.3M    0   12  1.2M ######
 FWM 7 IPv6               mh        3    0    0    0    0    0   12  1.2M
   [2001:db8~1111:2222]:0 Route     3    0    0    0    0    0   12  1.2M

 s sort  r reverse  f filter  u units  p pause  q quit                  1-7 of 7
`)
}

func TestTheScreenOf200Columns(t *testing.T) {
	_, b := newBusyBrowser(Display{UTF8: true})
	pressKeys(b, "uu")
	expect(t, b.Draw(200, 12), ` every 2 s  3 services, 4 servers                                                                                                                                                               17:00:06
                                                                                 conns      packets      packets        bytes        bytes       active     inactive
 service, server                                      method       weight           /s         in/s        out/s         in/s        out/s        conns        conns share
 TCP 12.0.0.1:80                                      wrr              21           10          101            0         6048            0           36      2469134
   192.0.0.10:8080                                    Masq             10          3.5           34            0         2016            0           12      1234567  33% ██████████
   192.0.0.11:8080                                    Masq             11          6.5           67            0         4032            0           24      1234567  67% ████████████████████
 TCP 12.0.0.2:80                                      wrr              20         3024        30240            0      1814400            0           12      1234567
   192.0.0.20:8080                                    Masq             20         1512        15120            0       907200            0           12      1234567 100% ██████████████████████████████
 FWM 7 IPv6                                           mh                3            0            0            0            0            0           12      1234567
   [2001:db8:1234:5678:9abc:def0:1111:2222]:0         Route             3            0            0            0            0            0           12      1234567

 s sort  r reverse  f filter  u units  p pause  q quit                                                                                                                                          1-7 of 7
`)
}

// TestSmallScreens checks that a screen of four lines shows a row or the
// foot, and one of five lines both.
func TestSmallScreens(t *testing.T) {
	_, b := newBusyBrowser(Display{})
	const (
		row    = " TCP 12.0.0.1:80 "
		foot   = " s sort  r reverse "
		filter = " filter by address"
	)
	last := func(height int) string {
		lines := strings.Split(b.Draw(80, height).String(), "\n")
		return strings.Join(lines[headLines:], "\n")
	}
	if got := last(4); !strings.HasPrefix(got, row) || strings.Contains(got, "sort") {
		t.Errorf("four lines end with %q", got)
	}
	if got := last(5); !strings.HasPrefix(got, row) || !strings.Contains(got, "\n"+foot) {
		t.Errorf("five lines end with %q", got)
	}
	pressKeys(b, "f")
	if got := last(4); !strings.HasPrefix(got, filter) || strings.Contains(got, "TCP") {
		t.Errorf("four lines with a filter end with %q", got)
	}
}

// TestScreensOfEverySize checks that no text overlaps, or is written beyond the
// edge of the screen.
func TestScreensOfEverySize(t *testing.T) {
	_, b := newBusyBrowser(Display{})
	on := terminal.NewScreen(1, 1)
	for width := 1; width <= 220; width++ {
		for _, height := range []int{1, 2, 3, 4, 5, 24} {
			on.Resize(width, height)
			checkDiff(t, on, nil, b.Draw(width, height), b.Display)
		}
		if l := newLayout(width, false); width >= 80 && (l.name < minName || l.share == 0) || width >= 50 && l.name < minName {
			t.Errorf("%d columns: %+v", width, l)
		}
	}
}

// rowNames returns the names of the rows, in their order.
func rowNames(b *Browser) string {
	var names []string
	for _, r := range b.rows {
		if r.server == nil {
			names = append(names, strings.TrimPrefix(r.service.ServiceID.String(), "TCP "))
		} else {
			names = append(names, "-"+r.server.Addr.String())
		}
	}
	return strings.Join(names, " ")
}

func TestKeysSortAndFilter(t *testing.T) {
	const (
		mark  = "FWM 7 IPv6"
		mark6 = "-2001:db8:1234:5678:9abc:def0:1111:2222"
	)
	for _, c := range []struct{ keys, want string }{
		{"", "12.0.0.1:80 -192.0.0.10 -192.0.0.11 12.0.0.2:80 -192.0.0.20 " + mark + " " + mark6},
		{"r", mark + " " + mark6 + " 12.0.0.2:80 -192.0.0.20 12.0.0.1:80 -192.0.0.11 -192.0.0.10"},
		{"s", "12.0.0.1:80 -192.0.0.11 -192.0.0.10 12.0.0.2:80 -192.0.0.20 " + mark + " " + mark6},                          // by weight
		{"sss", "12.0.0.2:80 -192.0.0.20 12.0.0.1:80 -192.0.0.11 -192.0.0.10 " + mark + " " + mark6},                        // by packets
		{"\x1b[C\x1b[C\x1b[C\x1b[Dsr", mark + " " + mark6 + " 12.0.0.1:80 -192.0.0.10 -192.0.0.11 12.0.0.2:80 -192.0.0.20"}, // reversed
		{"S", "12.0.0.1:80 -192.0.0.10 -192.0.0.11 12.0.0.2:80 -192.0.0.20 " + mark + " " + mark6},                          // by inactive connections
		{"sssssssss", "12.0.0.1:80 -192.0.0.10 -192.0.0.11 12.0.0.2:80 -192.0.0.20 " + mark + " " + mark6},                  // by address
		{"f12.0.0.1\r", "12.0.0.1:80 -192.0.0.10 -192.0.0.11"},                                                              // a service and its servers
		{"f192.0.0.1", "12.0.0.1:80 -192.0.0.10 -192.0.0.11"},                                                               // while it is typed
		{"f192.0.0.11\r", "12.0.0.1:80 -192.0.0.11"},                                                                        // a server and its service
		{"f:8080\r", "12.0.0.1:80 -192.0.0.10 -192.0.0.11 12.0.0.2:80 -192.0.0.20"},                                         // ports
		{"ffwm 7\r", mark + " " + mark6},                                                                                    // marks, in any case
		{"fnone\r", ""},                                                                                                     // no match
		{"fnonx\x7f\x7f\x7f\x7f\x7fDEF0\r", mark + " " + mark6},                                                             // mistyped
		{"fnone\x15fwm\r", mark + " " + mark6},                                                                              // erased
		{"fnone\x1b", "12.0.0.1:80 -192.0.0.10 -192.0.0.11 12.0.0.2:80 -192.0.0.20 " + mark + " " + mark6},                  // canceled
		{"fnone\r\x1b", "12.0.0.1:80 -192.0.0.10 -192.0.0.11 12.0.0.2:80 -192.0.0.20 " + mark + " " + mark6},                // removed
		{"f12.0.0\rs\x1b[Cs", "12.0.0.2:80 -192.0.0.20 12.0.0.1:80 -192.0.0.11 -192.0.0.10"},                                // and sorted
		{"f12.0.0\rqsss", "12.0.0.2:80 -192.0.0.20 12.0.0.1:80 -192.0.0.11 -192.0.0.10"},                                    // q quits
	} {
		_, b := newBusyBrowser(Display{})
		pressKeys(b, c.keys)
		if got := rowNames(b); got != c.want {
			t.Errorf("%q: %s, want\n%s", c.keys, got, c.want)
		}
	}
	_, b := newBusyBrowser(Display{})
	if pressKeys(b, "fq"); b.filter != "q" || !b.Press(KeyEnter) && !b.Press('q') {
		t.Error("q quits while the filter is typed, or does not quit afterwards")
	}
}

func TestKeysPause(t *testing.T) {
	_, b := newBusyBrowser(Display{})
	if pressKeys(b, "p"); !b.Paused() || !strings.Contains(b.Draw(80, 24).String(), "paused") {
		t.Error("not paused")
	}
	if pressKeys(b, "p"); b.Paused() {
		t.Error("paused")
	}
}

func TestMessagesAndMarksAreShown(t *testing.T) {
	k, b := newBusyBrowser(Display{Color: true})
	k.services[0].Destinations[0].Weight = 9
	k.services[0].Destinations = k.services[0].Destinations[:1]
	k.services[1].Destinations = append(k.services[1].Destinations, tcp(0, 30).Destinations[0])
	k.advance(2 * time.Second)
	b.Update(k.read())
	b.Message = "can't read the table"
	s := b.Draw(80, 24)
	text := s.String()
	for y, want := range map[int]struct {
		sign rune
		style
	}{4: {'*', changed}, 5: {'-', removed}, 6: {' ', strong}, 8: {'+', added}} {
		if c := s.line(y); c[0].r != want.sign || c[1].style != want.style {
			t.Errorf("line %d has the sign %c and the style %d", y, c[0].r, c[1].style)
		}
	}
	if !strings.HasPrefix(text, "can't read the table  ") {
		t.Errorf("%s", text)
	}
}

// largeReading returns a reading with 10,000 services of ten servers each.
func largeReading() Reading {
	r := Reading{At: time.Unix(1e9, 0)}
	for i := range 10_000 {
		r.Services = append(r.Services, tcp(i, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10))
	}
	return r
}

func TestScrolling(t *testing.T) {
	b := NewBrowser("", Display{})
	b.Update(largeReading())
	b.Draw(80, 24)
	for _, c := range []struct {
		keys string
		top  int
	}{
		{"\x1b[A", 0}, {"\x1b[B\x1b[B", 2}, {"\x1b[6~", 22}, {"\x1b[5~", 2}, {"\x1b[F", 110_000 - 20}, {"\x1b[B", 110_000 - 20},
		{"\x1b[H", 0}, {" ", 20}, {"s", 0},
	} {
		if pressKeys(b, c.keys); b.top != c.top {
			t.Errorf("%q: the first row is %d, want %d", c.keys, b.top, c.top)
		}
	}
	pressKeys(b, "\x1b[F")
	if text := b.Draw(80, 44).String(); !strings.Contains(text, "109961-110000 of 110000") {
		t.Errorf("a screen of 44 lines:\n%s", text)
	}
	b.Update(Reading{At: time.Unix(1e9+2, 0)})
	b.Update(Reading{At: time.Unix(1e9+4, 0)})
	if text := b.Draw(80, 24).String(); !strings.Contains(text, "0-0 of 0") {
		t.Errorf("an empty table:\n%s", text)
	}
}

// BenchmarkScroll draws pages of a large table, of which only the rows on the
// screen must be formatted.
func BenchmarkScroll(b *testing.B) {
	screen := NewBrowser("", Display{UTF8: true, Color: true})
	screen.Update(largeReading())
	before := screen.Draw(200, 60)
	var out []byte
	for b.Loop() {
		screen.Press(KeyPageDown)
		now := screen.Draw(200, 60)
		out = now.AppendDiff(out[:0], before, screen.Display)
		before = now
	}
}

func BenchmarkUpdate(b *testing.B) {
	screen := NewBrowser("", Display{})
	r := largeReading()
	pressKeys(screen, "sss")
	for b.Loop() {
		r.At = r.At.Add(2 * time.Second)
		screen.Update(r)
	}
}

func TestNumbers(t *testing.T) {
	for _, c := range []struct {
		v     float64
		u     units
		width int
		want  string
	}{
		{0, scaled, 4, "0"}, {0.5, scaled, 4, "0.5"}, {9.96, scaled, 4, "10"}, {12.5, scaled, 4, "12"}, {999.4, scaled, 4, "999"},
		{999.6, scaled, 4, "1.0K"}, {1049, scaled, 4, "1.0K"}, {9960, scaled, 4, "10K"}, {123456, scaled, 4, "123K"}, {999500, scaled, 4, "1.0M"},
		{1234567, exact, 12, "1234567"}, {1234567, exact, 4, "1.2M"}, {12e18, scaled, 4, "12E"}, {1 << 64, exact, 12, "18E"},
	} {
		if got := formatNumber(c.v, c.u, c.width); got != c.want {
			t.Errorf("%v: %s, want %s", c.v, got, c.want)
		}
	}
	for _, c := range []struct {
		part  float64
		width int
		utf8  bool
		want  string
	}{
		{0.5, 6, true, "███"}, {0.25, 6, true, "█▌"}, {1, 6, true, "██████"}, {0.01, 6, true, ""}, {0.02, 6, true, "▏"},
		{0.5, 6, false, "###"}, {0.5, 21, false, " 50% ########"}, {1, 21, true, "100% ████████████████"}, {0.04, 21, true, "  4% ▋"},
	} {
		if got := bar(c.part, c.width, Display{UTF8: c.utf8}); got != c.want {
			t.Errorf("%v: %q, want %q", c.part, got, c.want)
		}
	}
	for width, want := range map[int]string{20: "TCP [2001~1:2222]:80", 30: "TCP [2001:db8::1111:2222]:80", 1: "~", 0: ""} {
		if got := shorten("TCP [2001:db8::1111:2222]:80", width, Display{}); got != want {
			t.Errorf("in %d columns: %s, want %s", width, got, want)
		}
	}
}
