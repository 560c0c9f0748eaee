// SPDX-License-Identifier: Apache-2.0

package render

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// TestWideColumnsFitTheirNumbers uses counters too large for the script
// wide.txtar, which checks the other formats.
func TestWideColumnsFitTheirNumbers(t *testing.T) {
	all := sample()
	all[3].Destinations[0].Stats = ipvs.Stats{Conns: 123456789, OutBytes: 1<<64 - 1}
	got := output(t, nil, Options{Named: true, Numeric: true, Wide: true, Format: Stats}, func(p Writer) error {
		return p.Table(t.Context(), info, []ipvs.ServiceEntry{all[12], all[3]})
	})
	compare(t, got, `Prot LocalAddress:Port                             Conns InPkts OutPkts InBytes  OutBytes
  -> RemoteAddress:Port
TCP  12.0.0.1:80                                       0      0       0       0         0
  -> 192.168.168.10:80                                 0      0       0       0         0
  -> 192.168.168.20:8080                               0      0       0       0         0
TCP  [2001:db8:1111:2222:3333:4444:5555:6666]:80       0      0       0       0         0
  -> [2001:db8::10]:8080                               0      0       0       0         0
  -> [2001:db8::20]:80                           123456K      0       0       0 18446744T
`)
}

// TestAWideListHasTheSameWords compares every listing with and without Wide,
// and checks that the columns of servers and connections are aligned.
func TestAWideListHasTheSameWords(t *testing.T) {
	rows := "Pro FromIP\n"
	for _, c := range slices.Concat(connections, engineConnections) {
		rows += c.kernel + "\n"
	}
	for _, l := range listings {
		for what, print := range map[string]func(Writer) error{
			"table": func(p Writer) error { return p.Table(t.Context(), info, sample()) },
			"connections": func(p Writer) error {
				return p.Connections(t.Context(), kernelRows(rows))
			},
		} {
			t.Run(l.name+" "+what, func(t *testing.T) {
				o := l.o
				o.Numeric = true
				narrow := strings.Split(output(t, nil, o, print), "\n")
				o.Wide = true
				wide := strings.Split(output(t, nil, o, print), "\n")
				if len(wide) != len(narrow) {
					t.Fatalf("%d lines, without Wide %d", len(wide), len(narrow))
				}
				starts := ""
				for i := range wide {
					words := strings.Fields(wide[i])
					if !slices.Equal(words, strings.Fields(narrow[i])) {
						t.Errorf("%q, without Wide %q", wide[i], narrow[i])
					}
					if wide[i] != strings.TrimRight(wide[i], " ") {
						t.Errorf("blanks at the end of %q", wide[i])
					}
					inColumns := strings.HasPrefix(wide[i], "  -> ") && o.Format != Stats && o.Format != Rate
					if what == "connections" {
						inColumns = i > 1
					}
					if !inColumns || len(words) < 6 {
						continue
					}
					got := fmt.Sprint(columnStarts(wide[i])[:6])
					if starts = cmp.Or(starts, got); got != starts {
						t.Errorf("%q: columns start at %s, in lines before at %s", wide[i], got, starts)
					}
				}
			})
		}
	}
}

// columnStarts returns the positions of the first letters of the words.
func columnStarts(line string) (list []int) {
	for i := range line {
		if line[i] != ' ' && (i == 0 || line[i-1] == ' ') {
			list = append(list, i)
		}
	}
	return list
}

func TestWideNamesAreNotTruncated(t *testing.T) {
	got := output(t, resolver(t, fakeDNS{}), Options{Wide: true}, func(p Writer) error {
		return p.Table(t.Context(), info, sample())
	})
	for _, name := range []string{
		"this-name-is-of-more-than-59-bytes-altogether.in-the-very-long-domain.example.com",
		"this-real-server-has-more-than-59-bytes.in-the-very-long-domain.example.com",
	} {
		if !strings.Contains(got, name+":http ") {
			t.Errorf("%s is not in\n%s", name, got)
		}
	}
}

func TestWideDoesNotChangeTimeoutsAndDaemons(t *testing.T) {
	print := func(p Writer) error {
		return errors.Join(p.Timeouts(ipvs.Timeouts{TCP: time.Second}), p.Daemons(daemons))
	}
	compare(t, output(t, nil, Options{Wide: true}, print), output(t, nil, Options{}, print))
}
