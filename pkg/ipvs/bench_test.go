// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"

	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs/internal/nl"
)

// The table of the benchmarks: 110,000 rules.
const (
	manyServices = 10_000
	eachServers  = 10
)

// bigTable has services with eachServers destinations each.
func bigTable(services int) *Table {
	t := &Table{Services: make([]ServiceEntry, services)}
	for i := range t.Services {
		s := &t.Services[i]
		s.Service = Service{
			ServiceID: AddrID(TCP, netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 80),
			Scheduler: "rr", Netmask: FullNetmask(IPv4),
		}
		s.Destinations = make([]DestinationEntry, eachServers)
		for j := range s.Destinations {
			s.Destinations[j].Destination = Destination{
				Addr: netip.AddrFrom4([4]byte{172, 16, byte(i), byte(j + 1)}), Port: 80, Forward: Masquerade, Weight: 1,
			}
		}
	}
	return t
}

func perRule(b *testing.B, rules int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(rules), "ns/rule")
}

func BenchmarkEncode(b *testing.B) {
	changes := Diff(nil, bigTable(manyServices).Services)
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		out = out[:0]
		for i := range changes {
			out = appendChange(out, header{family: testFamily, seq: uint32(i)}, &changes[i])
		}
	}
	perRule(b, len(changes))
}

// kernelOf answers the queries of a listing with prepared datagrams. Queries
// for destinations must be in the order of the services.
func kernelOf(t *Table) func(message) [][]byte {
	stats := nested(nl.SvcStats64, counters(0))
	end := status(nl.MsgDone, 0, 0)
	var services []byte
	destinations := make([][][]byte, len(t.Services))
	for i := range t.Services {
		s := &t.Services[i]
		b := appendServiceConfig(appendServiceID(nil, s.ServiceID), &s.Service)
		services = append(services, answer(0, nested(nl.AttrService, append(b, stats...)))...)
		var datagram []byte
		for j := range s.Destinations {
			datagram = append(datagram, answer(0, destinationEntry(&s.Destinations[j].Destination))...)
		}
		destinations[i] = [][]byte{datagram, end}
	}
	asked := 0
	return func(m message) [][]byte {
		datagrams := [][]byte{services, end}
		if m.data[0] == nl.CmdGetDest {
			datagrams = destinations[asked%len(destinations)]
			asked++
		}
		for _, b := range datagrams {
			for len(b) > 0 {
				binary.NativeEndian.PutUint32(b[8:], m.seq)
				b = b[binary.NativeEndian.Uint32(b):]
			}
		}
		return datagrams
	}
}

// BenchmarkDecode lists a table.
func BenchmarkDecode(b *testing.B) {
	c, _ := client(kernelOf(bigTable(manyServices)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.ServicesWithDestinations(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	perRule(b, manyServices*(1+eachServers))
}

func TestListingTakesLessThanOneAllocationADestination(t *testing.T) {
	const services = 100
	c, _ := client(kernelOf(bigTable(services)))
	allocs := testing.AllocsPerRun(3, func() {
		list, err := c.ServicesWithDestinations(t.Context())
		if err != nil || len(list) != services || len(list[services-1].Destinations) != eachServers {
			t.Fatalf("%d services, %v", len(list), err)
		}
	})
	if per := allocs / (services * eachServers); per >= 1 {
		t.Errorf("%.2f allocations a destination", per)
	}
}

func BenchmarkDiff(b *testing.B) {
	have, want := bigTable(manyServices), bigTable(manyServices)
	for name, from := range map[string][]ServiceEntry{"OfNothing": nil, "OfTheSame": have.Services} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Diff(from, want.Services)
			}
			perRule(b, manyServices*(1+eachServers))
		})
	}
}

// BenchmarkConnections reads 100,000 connections, or filters them by a client
// that has none.
func BenchmarkConnections(b *testing.B) {
	const rows = 100_000
	table := "title\n" + strings.Repeat("TCP 0C00000A B9FC 0C000001 0050 C0A8A80A 0050 ESTABLISHED     899\n", rows)
	for name, client := range map[string]netip.Prefix{"All": {}, "None": netip.MustParsePrefix("10.0.0.1/32")} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				for _, err := range connectionsOf(b.Context(), strings.NewReader(table), ConnectionFilter{Client: client}) {
					must.OK(b, err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
		})
	}
}
