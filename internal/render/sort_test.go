// SPDX-License-Identifier: Apache-2.0

package render

import (
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// TestSortReturnsTheOrderOf131 reads files with two listings of one table, by
// 1.31 on Linux 6.1: with --nosort and, after an empty line, without. The
// tables contain values for which the 32-bit difference wraps: private
// networks, multicast, firewall marks around 2147483648, and servers of both
// families.
func TestSortReturnsTheOrderOf131(t *testing.T) {
	files, err := filepath.Glob("testdata/order-*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("found %d files: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			kernel, want, ok := strings.Cut(readFile(t, filepath.Base(file)), "\n\n")
			if !ok {
				t.Fatal("no empty line between the listings")
			}
			kernel += "\n"
			services := parseListing(t, kernel)
			list := func(o Options) string {
				o.Numeric = true
				return output(t, nil, o, func(p Writer) error { return p.Services(t.Context(), info, services) })
			}
			compare(t, list(Options{NoSort: true}), kernel)
			compare(t, list(Options{}), want)
		})
	}
}

func parseListing(t *testing.T, text string) []ipvs.ServiceEntry {
	t.Helper()
	addr := func(s string) netip.AddrPort {
		ap, err := netip.ParseAddrPort(s)
		must.OK(t, err)
		return ap
	}
	var services []ipvs.ServiceEntry
	for _, line := range strings.Split(strings.TrimSpace(text), "\n")[2:] {
		f := strings.Fields(line)
		if f[0] == "->" {
			s := &services[len(services)-1]
			s.Destinations = append(s.Destinations, ipvs.DestinationEntry{Destination: ipvs.Destination{
				Addr: addr(f[1]).Addr(), Port: addr(f[1]).Port(), Forward: ipvs.Tunnel, Weight: 1,
			}})
			continue
		}
		s := ipvs.Service{Scheduler: f[len(f)-1]}
		if f[0] == "FWM" {
			mark, err := strconv.ParseUint(f[1], 10, 32)
			must.OK(t, err)
			family := ipvs.IPv4
			if f[2] == "IPv6" {
				family = ipvs.IPv6
			}
			s.ServiceID = ipvs.MarkID(uint32(mark), family)
		} else {
			protocols := []ipvs.Protocol{ipvs.TCP, ipvs.UDP, ipvs.SCTP}
			i := slices.IndexFunc(protocols, func(p ipvs.Protocol) bool { return p.String() == f[0] })
			s.ServiceID = ipvs.AddrID(protocols[i], addr(f[1]).Addr(), addr(f[1]).Port())
		}
		services = append(services, ipvs.ServiceEntry{Service: s})
	}
	return services
}
