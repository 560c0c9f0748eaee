// SPDX-License-Identifier: Apache-2.0

package args_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"

	"github.com/ipvsadm-go/ipvsadm/internal/args"
	"github.com/ipvsadm-go/ipvsadm/internal/names"
	"github.com/ipvsadm-go/ipvsadm/internal/rule"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

const services, servers = 10_000, 10

func perRule(b *testing.B) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(services*(1+servers)), "ns/rule")
}

func ruleLines() [][]byte {
	lines := make([][]byte, 0, services*(1+servers))
	for i := range services {
		id := fmt.Sprintf("-t 10.0.%d.%d:80", i>>8, i&0xff)
		lines = append(lines, []byte("-A "+id+" -s rr"))
		for j := range servers {
			lines = append(lines, fmt.Appendf(nil, "-a %s -r 172.16.%d.%d:80 -m -w 1", id, i&0xff, j+1))
		}
	}
	return lines
}

// BenchmarkFields splits the lines of BenchmarkParse with the standard
// library, for comparison.
func BenchmarkFields(b *testing.B) {
	lines := ruleLines()
	words := 0
	b.ReportAllocs()
	for b.Loop() {
		words = 0
		for _, line := range lines {
			words += len(bytes.Fields(line))
		}
	}
	perRule(b)
	if want := services * (5 + 8*servers); words != want {
		b.Fatalf("%d words, want %d", words, want)
	}
}

// BenchmarkParse parses 110,000 lines of rule text.
func BenchmarkParse(b *testing.B) {
	lines := ruleLines()
	p := args.New(names.New())
	var words []string
	b.ReportAllocs()
	for b.Loop() {
		for _, line := range lines {
			words = rule.AppendWords(words[:0], line)
			if _, err := p.Parse(b.Context(), words); err != nil {
				b.Fatal(err)
			}
		}
	}
	perRule(b)
}

// BenchmarkWrite writes 110,000 lines of rule text.
func BenchmarkWrite(b *testing.B) {
	var changes []ipvs.Change
	for i := range services {
		s := ipvs.Service{ServiceID: ipvs.AddrID(ipvs.TCP, netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 80)}
		for j := range servers {
			changes = append(changes, ipvs.Change{Op: ipvs.OpAddDestination, Service: s, Destination: ipvs.Destination{
				Addr: netip.AddrFrom4([4]byte{172, 16, byte(i), byte(j + 1)}), Port: 80, Weight: 1,
			}})
		}
		s.Scheduler = "rr"
		changes = append(changes, ipvs.Change{Op: ipvs.OpAddService, Service: s})
	}
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		for i := range changes {
			out = rule.Writer{}.Append(out[:0], changes[i])
		}
	}
	perRule(b)
}
