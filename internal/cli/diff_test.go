// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/rule"
	"github.com/ipvsadm-go/ipvsadm/internal/test/change"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// TestUnifiedDiff makes diffs of random texts and applies them: each hunk must
// apply at its position and have three equal lines on either side, fewer only
// at the ends of the text, and never seven in a row.
func TestUnifiedDiff(t *testing.T) {
	line := func(n int) ipvs.Change {
		return change.DeleteService(ipvs.AddrID(ipvs.TCP, netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)}), 80))
	}
	show := func(c ipvs.Change) string { return string(rule.Writer{}.Append(nil, c)) }
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 1))
		u := unified{from: "table", to: "FILE", a: 1, b: 1}
		var from, to []string
		every, differ := 1+r.IntN(12), false
		for n := range r.IntN(60) {
			a, b := line(2*n), line(2*n)
			if r.IntN(every) == 0 {
				differ = true
				switch r.IntN(3) {
				case 0:
					a = ipvs.Change{}
				case 1:
					b = ipvs.Change{}
				default:
					b = line(2*n + 1)
				}
			}
			if a.Op != 0 {
				from = append(from, show(a))
			}
			if b.Op != 0 {
				to = append(to, show(b))
			}
			u.pair(a, b)
		}
		if u.differs() != differ {
			t.Fatalf("seed %d: differs is %v", seed, u.differs())
		}
		text := string(u.text())
		got, err := patched(from, text)
		if err != nil || !slices.Equal(got, to) {
			t.Fatalf("seed %d: %v, and\n%s\nmade of\n%s\nis\n%s", seed, err, text, strings.Join(from, "\n"), strings.Join(got, "\n"))
		}
	}
}

// patched applies a diff to lines.
func patched(from []string, diff string) (to []string, err error) {
	if diff == "" {
		return from, nil
	}
	diff, found := strings.CutPrefix(diff, "--- table\n+++ FILE\n")
	if !found {
		return nil, fmt.Errorf("it begins with %q", diff)
	}
	next := 0 // line of from
	for _, hunk := range strings.SplitAfter(diff, "\n@@") {
		lines := strings.Split(strings.TrimSuffix(strings.TrimSuffix(hunk, "@@"), "\n"), "\n")
		var at, first int
		places := strings.Fields(strings.Trim(lines[0], "@ "))
		for i, place := range places {
			begin, count, counted := strings.Cut(place[1:], ",")
			n := 1
			if _, err := fmt.Sscan(begin, &first); err != nil {
				return nil, err
			}
			if counted {
				if _, err := fmt.Sscan(count, &n); err != nil {
					return nil, err
				}
			}
			if n > 0 {
				first--
			}
			if i == 0 {
				at = first
				if at < next || at > len(from) {
					return nil, fmt.Errorf("a hunk begins at %d, after %d", at, next)
				}
				to = append(to, from[next:at]...)
				next = at
			} else if first != len(to) {
				return nil, fmt.Errorf("a hunk begins at %d of the new text, which has %d lines", first, len(to))
			}
			for _, l := range lines[1:] {
				if l[0] == ' ' || l[0] == "-+"[i] {
					n--
				}
			}
			if n != 0 {
				return nil, fmt.Errorf("%s: %d lines too many", lines[0], n)
			}
		}
		equal, before := 0, -1
		for _, l := range lines[1:] {
			if l[0] == ' ' {
				if equal++; equal > 2*diffContext {
					return nil, fmt.Errorf("%d equal lines in a row", equal)
				}
			} else {
				if before < 0 {
					before = equal
				}
				equal = 0
			}
			if l[0] != '+' {
				if next == len(from) || from[next] != l[1:] {
					return nil, fmt.Errorf("line %d is not %s", next, l)
				}
				next++
			}
			if l[0] != '-' {
				to = append(to, l[1:])
			}
		}
		if before > diffContext || at > 0 && before < diffContext {
			return nil, fmt.Errorf("%d equal lines before what differs at %d", before, at)
		}
		if equal != diffContext && next != len(from) {
			return nil, fmt.Errorf("%d equal lines behind what differs at %d", equal, next)
		}
	}
	return append(to, from[next:]...), nil
}

// TestDiffFitsTheSave uses servers for which the order of a save is not
// transitive: 10/8 before 127/8 before 192.168/16 before 10/8.
func TestDiffFitsTheSave(t *testing.T) {
	networks := [][2]byte{{10, 0}, {127, 0}, {192, 168}}
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 2))
		some := func() string {
			rules, seen := web, map[string]bool{}
			for range 1 + r.IntN(8) {
				n := networks[r.IntN(len(networks))]
				if d := fmt.Sprintf("-a -t 12.0.0.1:80 -r %d.%d.0.%d:80 -m -w %d\n", n[0], n[1], 1+r.IntN(4), 1+r.IntN(2)); !seen[d[:len(d)-3]] {
					seen[d[:len(d)-3]] = true
					rules += d
				}
			}
			return rules
		}
		file := some()
		k := newFakeKernel(t, some())
		saved := k.do(t, "", "ipvsadm-save", "-n")
		diff := k.restore(t, file, "--diff")
		got, err := patched(strings.Split(strings.TrimSuffix(saved.out, "\n"), "\n"), strings.Replace(diff.out, "+++ <stdin>", "+++ FILE", 1))
		if err != nil {
			t.Fatalf("seed %d: %v:\n%sof\n%s", seed, err, diff.out, saved.out)
		}
		want := strings.Split(strings.TrimSuffix(file, "\n"), "\n")
		slices.Sort(want[1:])
		slices.Sort(got[1:])
		if !slices.Equal(got, want) {
			t.Fatalf("seed %d: the patched save is\n%s\nwant\n%s", seed, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

// The diff shows the maximum message length that a daemon will have, and no
// difference if the file leaves it as it is.
func TestDiffOfADaemon(t *testing.T) {
	const file, set = "--start-daemon master --mcast-interface lo\n", "--sync-maxlen 1472"
	if a := newFakeKernel(t, masterLo).restore(t, file, "--diff"); a != (answer{}) {
		t.Errorf("%+v", a)
	}
	start := strings.Replace(masterLo, "--mcast-group", set+" --mcast-group", 1)
	if a := newFakeKernel(t, strings.Replace(start, set, "--sync-maxlen 1400", 1)).restore(t, file, "--diff"); a != (answer{}) {
		t.Errorf("%+v", a)
	}
	want := answer{1, "--- table\n+++ <stdin>\n@@ -0,0 +1 @@\n+" + start, ""}
	if a := newFakeKernel(t, "").restore(t, file, "--diff"); a != want {
		t.Errorf("%+v, want %+v", a, want)
	}
}

// BenchmarkDiffOfOneService measures how many times as long the diff of a
// service with 40,000 servers takes as with 2,500: at most 20 times, if it is
// linear.
func BenchmarkDiffOfOneService(b *testing.B) {
	diff := func(n int) time.Duration {
		have, file := strings.Builder{}, strings.Builder{}
		have.WriteString(web)
		file.WriteString(web)
		for i := range n {
			for j, text := range []*strings.Builder{&have, &file} {
				if i%4 != j {
					fmt.Fprintf(text, "-a -t 12.0.0.1:80 -r 10.0.%d.%d:80 -m -w %d\n", i>>8, i&0xff, 1+i%3*j)
				}
			}
		}
		k := newFakeKernel(b, have.String())
		begin := time.Now()
		if a := k.restore(b, file.String(), "--diff"); a.status != statusDiffers {
			b.Errorf("%+v", a)
		}
		return time.Since(begin)
	}
	var few, many time.Duration
	for b.Loop() {
		for range 16 {
			few += diff(2500) / 16
		}
		many += diff(40_000)
	}
	b.ReportMetric(many.Seconds()/few.Seconds(), "times")
}
