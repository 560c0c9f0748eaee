// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"context"
	"errors"
	"io"
	"iter"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestConnectionsThatMatchAFilter(t *testing.T) {
	table := "title\n" + strings.Join([]string{
		0: "TCP 0A010002 8416 0C000001 0050 0A020003 1F90 ESTABLISHED     893",
		1: "TCP 0A010003 8416 0C000001 01BB 0A020003 01BB TIME_WAIT       113",
		2: "UDP 0A010002 8416 0C000001 0050 0A020002 0050 UDP             293",
		3: "IP  0A010002 0000 0000004D 0000 0A020003 0000 NONE             49",
		4: "IP  2001:0db8:0000:0000:0000:0000:0000:0005 0000 0000:004d:0000:0000:0000:0000:0000:0000 0000 fd02:0000:0000:0000:0000:0000:0000:0002 0000 ASSURED 44",
		5: "TCP 2001:0db8:0000:0000:0000:0000:0000:0005 E202 2001:0db8:0000:0000:0000:0000:0000:0001 0050 fd02:0000:0000:0000:0000:0000:0000:0002 0050 ESTABLISHED 9",
		6: "TCP 0A010002 0000 0C000001 0050 0A020003 1F90 NONE            300 sip abc",
	}, "\n") + "\n"
	rows := collect(t, table, ConnectionFilter{})
	if len(rows) != 7 {
		t.Fatalf("%d rows, want 7", len(rows))
	}
	addr, ap := netip.MustParseAddr, netip.MustParseAddrPort
	for name, c := range map[string]struct {
		filter ConnectionFilter
		want   []int
	}{
		"a service":                      {ConnectionFilter{Service: AddrID(TCP, addr("12.0.0.1"), 80)}, []int{0, 6}},
		"a service, any port":            {ConnectionFilter{Service: AddrID(TCP, addr("12.0.0.1"), 0)}, []int{0, 1, 6}},
		"a service of another protocol":  {ConnectionFilter{Service: AddrID(UDP, addr("12.0.0.1"), 80)}, []int{2}},
		"an IPv6 service":                {ConnectionFilter{Service: AddrID(TCP, addr("2001:db8::1"), 80)}, []int{5}},
		"a service with another address": {ConnectionFilter{Service: AddrID(TCP, addr("12.0.0.2"), 0)}, nil},
		"a mark":                         {ConnectionFilter{Service: MarkID(77, IPv4)}, []int{3}},
		"an IPv6 mark":                   {ConnectionFilter{Service: MarkID(77, IPv6)}, []int{4}},
		"a mark without templates":       {ConnectionFilter{Service: MarkID(78, IPv4)}, nil},
		"a server":                       {ConnectionFilter{Destination: ap("10.2.0.3:0")}, []int{0, 1, 3, 6}},
		"a server at a port":             {ConnectionFilter{Destination: ap("10.2.0.3:8080")}, []int{0, 6}},
		"a client":                       {ConnectionFilter{Client: netip.MustParsePrefix("10.1.0.3/32")}, []int{1}},
		"a network":                      {ConnectionFilter{Client: netip.MustParsePrefix("10.1.9.9/16")}, []int{0, 1, 2, 3, 6}},
		"all IPv6 clients":               {ConnectionFilter{Client: netip.MustParsePrefix("::/0")}, []int{4, 5}},
		"a state":                        {ConnectionFilter{State: "established"}, []int{0, 5}},
		"the prefix of a state":          {ConnectionFilter{State: "ESTABLISH"}, nil},
		"every field":                    {ConnectionFilter{AddrID(TCP, addr("12.0.0.1"), 80), ap("10.2.0.3:0"), netip.MustParsePrefix("10.1.0.2/32"), "None"}, []int{6}},
		"every field, another server":    {ConnectionFilter{AddrID(TCP, addr("12.0.0.1"), 80), ap("10.2.0.4:0"), netip.MustParsePrefix("10.1.0.2/32"), "None"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var want []Connection
			for i := range rows {
				if slices.Contains(c.want, i) {
					want = append(want, rows[i])
				}
				if got := c.filter.Match(&rows[i]); got != slices.Contains(c.want, i) {
					t.Errorf("Match(row %d) = %v", i, got)
				}
			}
			if got := collect(t, table, c.filter); !slices.Equal(got, want) {
				t.Errorf("got %+v, want rows %v", got, c.want)
			}
		})
	}
}

// connectionsOf returns the rows of a table that match a filter.
func connectionsOf(ctx context.Context, r io.Reader, filter ConnectionFilter) iter.Seq2[Connection, error] {
	return func(yield func(Connection, error) bool) {
		if err := readConnections(ctx, r, filter, yield); err != nil {
			yield(Connection{}, err)
		}
	}
}

func collect(t *testing.T, table string, filter ConnectionFilter) (list []Connection) {
	t.Helper()
	for c, err := range connectionsOf(t.Context(), strings.NewReader(table), filter) {
		if err != nil {
			t.Error(err)
		}
		list = append(list, c)
	}
	return list
}

// TestCanceledListWithoutMatches cancels while rows are skipped.
func TestCanceledListWithoutMatches(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	read := 0
	endless := readerFunc(func(b []byte) (int, error) {
		if read++; read == 3 {
			cancel()
		}
		return copy(b, "TCP 0A010002 8416 0C000001 0050 0A020003 1F90 ESTABLISHED 893\n"), nil
	})
	var last error
	for _, err := range connectionsOf(ctx, endless, ConnectionFilter{State: "none"}) {
		last = err
	}
	if !errors.Is(last, context.Canceled) || read > 10 {
		t.Errorf("after %d reads the error is %v", read, last)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }
