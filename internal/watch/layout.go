// SPDX-License-Identifier: Apache-2.0

package watch

// titles of the columns of figures stand in two lines. Where two columns share
// a title, it stands over the second.
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

// wideTitles is the width of a column from which its title is the wide one.
const wideTitles = len("inactive")

// layout has the widths of the columns, 0 for one that is not shown. One column
// of marks stands in front of the name, and a blank between any two others.
type layout struct {
	name, forward, share int
	figures              [figureCount]int
}

// Widths of columns. At their least they take 80 together.
const (
	leastName  = 24
	ipv4Name   = len("SCTP 255.255.255.255:65535")
	ipv6Name   = len("SCTP [ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535")
	mostFigure = 12
	mostShare  = 60
)

var leastFigures = [figureCount]int{4, 4, 4, 4, 4, 4, 4, 5}

func arrange(width int, inet6 bool) layout {
	l := layout{name: leastName, forward: 6, share: 6, figures: leastFigures}
	left := width - 1 - l.name - (l.forward + 1) - (l.share + 1)
	for _, w := range l.figures {
		left -= w + 1
	}
	f := &l.figures
	for _, c := range [...]*int{&l.share, &l.forward, &f[inactive], &f[outPkts], &f[outBytes], &f[weight], &f[inBytes], &f[active], &f[inPkts], &f[connRate]} {
		if left >= 0 {
			break
		}
		left += *c + 1
		*c = 0
	}
	if left < 0 {
		l.name = max(l.name+left, 0)
		return l
	}
	grow := func(c *int, most int) {
		if *c > 0 && *c < most {
			more := min(most-*c, left)
			*c, left = *c+more, left-more
		}
	}
	if inet6 {
		grow(&l.name, ipv6Name)
	} else {
		grow(&l.name, ipv4Name)
	}
	for most := range mostFigure + 1 {
		for i := range f {
			grow(&f[i], most)
		}
	}
	grow(&l.share, mostShare)
	return l
}
