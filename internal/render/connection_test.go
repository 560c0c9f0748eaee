// SPDX-License-Identifier: Apache-2.0

package render

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// connections contains rows of the kernel as 1.31 listed them on Linux 6.1.
var connections = []struct{ name, kernel, numeric, names string }{
	{
		"a connection",
		"TCP 0A010002 8416 0C000001 0050 0A020003 1F90 TIME_WAIT       113",
		"TCP 01:53  TIME_WAIT   10.1.0.2:33814     12.0.0.1:80        10.2.0.3:8080",
		"TCP 01:53  TIME_WAIT   the-client.example.com:33814 vip:http           10.2.0.3:http-alt",
	},
	{
		"an IPv6 connection",
		"TCP fd01:0000:0000:0000:0000:0000:0000:0002 E202 2001:0db8:0001:0000:0000:0000:0000:0001 0050 fd02:0000:0000:0000:0000:0000:0000:0002 0050 ESTABLISHED     893",
		"TCP 14:53  ESTABLISHED [fd01::2]:57858    [2001:db8:1::1]:80 [fd02::2]:80",
		"TCP 14:53  ESTABLISHED [fd01::2]:57858    [2001:db8:1::1]:http [fd02::2]:http",
	},
	{
		"a service name for UDP",
		"UDP 0A010002 BAE2 0C000001 0035 0A020002 0035 UDP             293",
		"UDP 04:53  UDP         10.1.0.2:47842     12.0.0.1:53        10.2.0.2:53",
		"UDP 04:53  UDP         the-client.example.com:47842 vip:domain         rs.example:domain",
	},
	{
		"a template of a whole host",
		"TCP 0A010002 0000 0C000001 0000 0A020003 0000 ASSURED         353",
		"TCP 05:53  ASSURED     10.1.0.2:0         12.0.0.1:0         10.2.0.3:0",
		"TCP 05:53  ASSURED     the-client.example.com:0 vip:0              10.2.0.3:0",
	},
	{
		"a template of a firewall mark that expires after 99 minutes",
		"IP  0C000005 0000 0000004D 0000 0A020003 0000 ASSURED       19994",
		"IP  333:14 ASSURED     12.0.0.5:0         0.0.0.77:0         10.2.0.3:0",
		"IP  333:14 ASSURED     12.0.0.5:0         0.0.0.77:0         10.2.0.3:0",
	},
	{
		"a template of a large firewall mark",
		"IP  0C000001 0000 EE6B2800 0000 0A020002 0000 ASSURED          64",
		"IP  01:04  ASSURED     12.0.0.1:0         238.107.40.0:0     10.2.0.2:0",
		"IP  01:04  ASSURED     vip:0              238.107.40.0:0     rs.example:0",
	},
	{
		"a template of an IPv6 firewall mark",
		"IP  2001:0db8:0001:0000:0000:0000:0000:0005 0000 0000:004e:0000:0000:0000:0000:0000:0000 0000 fd02:0000:0000:0000:0000:0000:0000:0002 0000 ASSURED          44",
		"IP  00:44  ASSURED     [2001:db8:1::5]:0  [0:4e::]:0         [fd02::2]:0",
		"IP  00:44  ASSURED     [2001:db8:1::5]:0  [0:4e::]:0         [fd02::2]:0",
	},
}

// engineConnections contains rows with a persistence engine.
var engineConnections = []struct{ name, kernel, numeric, names string }{
	{
		"a template of a persistence engine",
		"UDP 0A010002 0000 0C000001 13C4 0A020002 13C4 ASSURED        5994 sip abc-123@10.1.0.2",
		"UDP 99:54  ASSURED     10.1.0.2:0         12.0.0.1:5060      10.2.0.2:5060    sip                abc-123@10.1.0.2",
		"UDP 99:54  ASSURED     the-client.example.com:0 vip:sip            rs.example:sip   sip                abc-123@10.1.0.2",
	},
	{
		"an IPv6 template of a persistence engine",
		"UDP fd01:0000:0000:0000:0000:0000:0000:0002 0000 2001:0db8:0001:0000:0000:0000:0000:0001 13C4 fd02:0000:0000:0000:0000:0000:0000:0002 13C4 ASSURED        5994 sip six@x",
		"UDP 99:54  ASSURED     [fd01::2]:0        [2001:db8:1::1]:5060 [fd02::2]:5060   sip                six@x",
		"UDP 99:54  ASSURED     [fd01::2]:0        [2001:db8:1::1]:sip [fd02::2]:sip    sip                six@x",
	},
}

const (
	connectionTitles = "IPVS connection entries\npro expire state       source             virtual            destination\n"
	engineTitles     = "IPVS connection entries\npro expire state       source             virtual            destination        pe name          pe_data\n"
)

func TestConnectionsAreListedAs131ListsThem(t *testing.T) {
	for _, c := range connections {
		t.Run(c.name, func(t *testing.T) {
			checkConnection(t, c.kernel, Options{Numeric: true}, connectionTitles+c.numeric+"\n")
			checkConnection(t, c.kernel, Options{}, connectionTitles+c.names+"\n")
			checkConnection(t, c.kernel, Options{Numeric: true, Format: PersistentConn}, engineTitles+c.numeric+"\n")
		})
	}
	for _, c := range engineConnections {
		t.Run(c.name, func(t *testing.T) {
			checkConnection(t, c.kernel, Options{Numeric: true, Format: PersistentConn}, engineTitles+c.numeric+"\n")
			checkConnection(t, c.kernel, Options{Format: PersistentConn}, engineTitles+c.names+"\n")
		})
	}
}

func TestPersistenceEngineIsListedOnlyWithPersistentConn(t *testing.T) {
	checkConnection(t, engineConnections[0].kernel, Options{Numeric: true},
		connectionTitles+"UDP 99:54  ASSURED     10.1.0.2:0         12.0.0.1:5060      10.2.0.2:5060\n")
}

func TestNamesInConnectionsAreTruncatedTo59Bytes(t *testing.T) {
	checkConnection(t, "TCP 0A010002 8FFC 0C000004 0050 0A020003 0050 ESTABLISHED     893", Options{}, connectionTitles+
		"TCP 14:53  ESTABLISHED the-client.example.com:36860 this-name-is-of-more-than-59-bytes-altogether.in-the-very-l 10.2.0.3:http\n")
}

func checkConnection(t *testing.T, kernel string, o Options, want string) {
	t.Helper()
	rows := kernelRows("Pro FromIP\n" + kernel + "\n")
	compare(t, output(t, resolver(t, fakeDNS{}), o, func(p Writer) error {
		return p.Connections(t.Context(), rows)
	}), want)
}

func TestMalformedRowsAreSkippedAndReported(t *testing.T) {
	table := "Pro FromIP\n" + connections[0].kernel + "\nTCP oops\n" + connections[2].kernel + "\nUDP oops\n"
	for _, o := range []Options{{Numeric: true}, {}} {
		var err error
		got := output(t, resolver(t, fakeDNS{}), o, func(p Writer) error {
			err = p.Connections(t.Context(), kernelRows(table))
			return nil
		})
		want := connectionTitles + connections[0].numeric + "\n" + connections[2].numeric + "\n"
		if !o.Numeric {
			want = connectionTitles + connections[0].names + "\n" + connections[2].names + "\n"
		}
		compare(t, got, want)
		if !errors.Is(err, ipvs.ErrMalformed) || !strings.Contains(err.Error(), "line 3") {
			t.Errorf("Connections = %v, want the first malformed line, 3", err)
		}
	}
}

func TestConnectionsToAFullDiskAreAnError(t *testing.T) {
	table := "Pro FromIP\n" + strings.Repeat(connections[0].kernel+"\n", 2000)
	p := Text(&full{bufferSize / 2}, nil, Options{Numeric: true})
	if err := p.Connections(t.Context(), kernelRows(table)); !errors.Is(err, errFull) {
		t.Errorf("Connections = %v, want %v", err, errFull)
	}
}

func TestNamesOfConnectionsAreLookedUpTogether(t *testing.T) {
	r := resolver(t, fakeDNS{delay: time.Second})
	var table strings.Builder
	table.WriteString("Pro FromIP\n")
	for _, last := range "0123456789ABCDEF" {
		table.WriteString("TCP 0A01000" + string(last) + " 8416 0C000001 0050 0A020003 1F90 TIME_WAIT 113\n")
	}
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		output(t, r, Options{}, func(p Writer) error {
			return p.Connections(t.Context(), kernelRows(table.String()))
		})
		if elapsed := time.Since(start); elapsed != time.Second {
			t.Errorf("lookups of 1 s took %v, want 1 s", elapsed)
		}
	})
}
