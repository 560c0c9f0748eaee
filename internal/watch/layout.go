// SPDX-License-Identifier: Apache-2.0

package watch

// titles contains the two lines of each column title. A narrow title that two
// columns share is above the second one.
var titles = [figureCount]struct{ narrow, wide [2]string }{
	weight:   {[2]string{"", "weight"}, [2]string{"", "weight"}},
	connRate: {[2]string{"conns", "/s"}, [2]string{"conns", "/s"}},
	inPkts:   {[2]string{"", "in"}, [2]string{"packets", "in/s"}},
	outPkts:  {[2]string{"packets/s", "out"}, [2]string{"packets", "out/s"}},
	inBytes:  {[2]string{"", "in"}, [2]string{"bytes", "in/s"}},
	outBytes: {[2]string{"bytes/s", "out"}, [2]string{"bytes", "out/s"}},
	active:   {[2]string{"", "act"}, [2]string{"active", "conns"}},
	inactive: {[2]string{"conns", "inact"}, [2]string{"inactive", "conns"}},
}

// wideTitles is the minimum width of a column for its wide title.
const wideTitles = len("inactive")

// layout contains the widths of the columns; hidden ones have a width of 0.
// There is no blank between the sign of the mark and the name, and one
// between other columns.
type layout struct {
	name, forward, share int
	figures              [figureCount]int
}

// Limits for the widths of columns. The minimum widths fill 80 columns.
const (
	minName   = 24
	ipv4Name  = len("SCTP 255.255.255.255:65535")
	ipv6Name  = len("SCTP [ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535")
	maxFigure = 12
	maxShare  = 60
)

var minFigures = [figureCount]int{4, 4, 4, 4, 4, 4, 4, 5}

// newLayout returns the layout for a screen of some width. It starts with the
// minimum widths, hides columns if these do not fit, and otherwise
// distributes the remaining width: first to the name, then to the figures,
// then to the bar.
func newLayout(width int, inet6 bool) layout {
	l := layout{name: minName, forward: 6, share: 6, figures: minFigures}
	rest := width - 1 - l.name - (l.forward + 1) - (l.share + 1)
	for _, w := range l.figures {
		rest -= w + 1
	}
	f := &l.figures
	for _, c := range [...]*int{&l.share, &l.forward, &f[inactive], &f[outPkts], &f[outBytes], &f[weight], &f[inBytes], &f[active], &f[inPkts], &f[connRate]} {
		if rest >= 0 {
			break
		}
		rest += *c + 1
		*c = 0
	}
	if rest < 0 {
		l.name = max(l.name+rest, 0)
		return l
	}
	grow := func(c *int, limit int) { // unless the column is hidden
		if *c > 0 && *c < limit {
			n := min(limit-*c, rest)
			*c, rest = *c+n, rest-n
		}
	}
	if inet6 {
		grow(&l.name, ipv6Name)
	} else {
		grow(&l.name, ipv4Name)
	}
	for limit := range maxFigure + 1 {
		for i := range f {
			grow(&f[i], limit)
		}
	}
	grow(&l.share, maxShare)
	return l
}
