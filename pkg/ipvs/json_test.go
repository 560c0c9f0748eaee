// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs/internal/nl"
)

func TestJSON(t *testing.T) {
	const zero = `{"connections":0,"packets_in":0,"packets_out":0,"bytes_in":0,"bytes_out":0}`
	const none = `"stats":` + zero + `,"rates":` + zero
	const most = `{"connections":18446744073709551615,"packets_in":2,"packets_out":3,"bytes_in":4,"bytes_out":5}`
	all := Stats{Conns: 1<<64 - 1, InPkts: 2, OutPkts: 3, InBytes: 4, OutBytes: 5,
		Rates: Rates{CPS: 1<<64 - 1, InPPS: 2, OutPPS: 3, InBPS: 4, OutBPS: 5}}
	web := AddrID(TCP, netip.MustParseAddr("12.0.0.1"), 80)
	sip := Service{ServiceID: AddrID(UDP, netip.MustParseAddr("12.0.0.1"), 5060), Scheduler: "sh",
		Flags: FlagPersistent | FlagOnePacket | FlagSched2 | FlagSched3, Timeout: 300 * time.Second,
		Netmask: 0xffffff00, PersistenceEngine: "sip"}
	server := Destination{Addr: netip.MustParseAddr("192.168.168.10"), Port: 80, Weight: 1}
	through := func(i TunnelInfo) Destination {
		return Destination{Addr: netip.MustParseAddr("2001:db8::a"), Forward: Tunnel, Tunnel: i}
	}
	client := netip.MustParseAddrPort("10.1.0.2:33814")
	const fromClient = `"client_address":"10.1.0.2","client_port":33814,`
	for name, c := range map[string]struct {
		value json.Marshaler
		want  string
	}{
		"a service": {NewService(web, "rr"),
			`{"family":"inet","protocol":"tcp","address":"12.0.0.1","port":80,"scheduler":"rr"}`},
		"a service with all there is": {sip,
			`{"family":"inet","protocol":"udp","address":"12.0.0.1","port":5060,"scheduler":"sh","scheduler_flags":["sh-port","flag-3"],` +
				`"persistence_timeout":300,"persistence_netmask":"255.255.255.0","persistence_engine":"sip","one_packet":true}`},
		"an engine without persistence": {Service{ServiceID: web, Scheduler: "rr", PersistenceEngine: "sip"},
			`{"family":"inet","protocol":"tcp","address":"12.0.0.1","port":80,"scheduler":"rr"}`},
		"a mark": {NewService(MarkID(1<<32-1, IPv4), "wlc"),
			`{"family":"inet","fwmark":4294967295,"scheduler":"wlc"}`},
		"a persistent mark of IPv6": {Service{ServiceID: MarkID(9, IPv6), Scheduler: "mh", Flags: FlagPersistent | FlagSched1, Netmask: 64},
			`{"family":"inet6","fwmark":9,"scheduler":"mh","scheduler_flags":["mh-fallback"],"persistence_timeout":0,"persistence_netmask":"64"}`},
		"a service of SCTP over IPv6": {NewService(AddrID(SCTP, netip.MustParseAddr("2001:db8::1"), 1), "r\"r"),
			`{"family":"inet6","protocol":"sctp","address":"2001:db8::1","port":1,"scheduler":"r\"r"}`},
		"an entry whose servers are not known": {ServiceEntry{Service: NewService(web, "rr"), Stats: all},
			`{"family":"inet","protocol":"tcp","address":"12.0.0.1","port":80,"scheduler":"rr","stats":` + most + `,"rates":` + most + `}`},
		"an entry without servers": {ServiceEntry{Service: NewService(web, "rr"), Destinations: []DestinationEntry{}},
			`{"family":"inet","protocol":"tcp","address":"12.0.0.1","port":80,"scheduler":"rr",` + none + `,"destinations":[]}`},
		"an entry with two": {ServiceEntry{Service: NewService(web, "rr"), Destinations: []DestinationEntry{{}, {}}},
			`{"family":"inet","protocol":"tcp","address":"12.0.0.1","port":80,"scheduler":"rr",` + none + `,"destinations":[` +
				strings.Repeat(`,{"family":"","address":"","port":0,"forward":"masquerade","weight":0,"upper_threshold":0,"lower_threshold":0,`+
					`"active_connections":0,"inactive_connections":0,"persistent_connections":0,`+none+`}`, 2)[1:] + `]}`},
		"a server": {server,
			`{"family":"inet","address":"192.168.168.10","port":80,"forward":"masquerade","weight":1,"upper_threshold":0,"lower_threshold":0}`},
		"a server behind IP in IP": {through(TunnelInfo{}),
			`{"family":"inet6","address":"2001:db8::a","port":0,"forward":"tunnel","weight":0,"upper_threshold":0,"lower_threshold":0,"tunnel":{"type":"ipip"}}`},
		"a server with all there is": {DestinationEntry{
			Destination: Destination{Addr: netip.MustParseAddr("10.0.0.1"), Port: 65535, Forward: Tunnel, Weight: 1<<31 - 1,
				UpperThreshold: 1<<32 - 1, LowerThreshold: 7, Tunnel: TunnelInfo{Type: TunnelGUE, Port: 6080, Flags: TunnelChecksum}},
			Conns: ConnCounts{Active: 1<<32 - 1, Inactive: 2, Persistent: 3}, Stats: all},
			`{"family":"inet","address":"10.0.0.1","port":65535,"forward":"tunnel","weight":2147483647,"upper_threshold":4294967295,"lower_threshold":7,` +
				`"active_connections":4294967295,"inactive_connections":2,"persistent_connections":3,"tunnel":{"type":"gue","port":6080,"checksum":"csum"},` +
				`"stats":` + most + `,"rates":` + most + `}`},
		"a remote checksum":       {TunnelInfo{Type: TunnelGUE, Port: 1, Flags: TunnelRemoteChecksum}, `{"type":"gue","port":1,"checksum":"remcsum"}`},
		"no checksum":             {TunnelInfo{Type: TunnelGRE}, `{"type":"gre","checksum":"none"}`},
		"a tunnel of later times": {TunnelInfo{Type: 9}, `{"type":"unknown","checksum":"none"}`},
		"a connection": {Connection{Protocol: TCP, Client: client, Virtual: netip.MustParseAddrPort("12.0.0.1:80"),
			Destination: netip.MustParseAddrPort("10.2.0.3:8080"), State: "ESTABLISHED", Expires: 893 * time.Second},
			`{"protocol":"tcp",` + fromClient + `"virtual_address":"12.0.0.1","virtual_port":80,` +
				`"destination_address":"10.2.0.3","destination_port":8080,"state":"ESTABLISHED","expires":893}`},
		"a template of a mark": {Connection{Client: client, Virtual: netip.MustParseAddrPort("0.0.0.77:0"),
			Destination: netip.MustParseAddrPort("10.2.0.3:0"), State: "NONE"},
			`{"protocol":"ip",` + fromClient + `"fwmark":77,"destination_address":"10.2.0.3","destination_port":0,"state":"NONE","expires":0}`},
		"a template of a mark of IPv6": {Connection{Protocol: nl.ProtoIP, Client: client, Virtual: netip.MustParseAddrPort("[ee6b:2800::]:0"),
			Destination: netip.MustParseAddrPort("10.2.0.3:0"), State: "NONE"},
			`{"protocol":"ip",` + fromClient + `"fwmark":4000000000,"destination_address":"10.2.0.3","destination_port":0,"state":"NONE","expires":0}`},
		"a template of an engine": {Connection{Protocol: nl.ProtoICMPv6, Client: client, Virtual: netip.MustParseAddrPort("[::1]:1"),
			Destination: netip.MustParseAddrPort("10.2.0.3:0"), State: "A\\B", PersistenceEngine: "sip", PersistenceData: "a\x00b\xff<&>"},
			`{"protocol":"icmpv6",` + fromClient + `"virtual_address":"::1","virtual_port":1,"destination_address":"10.2.0.3","destination_port":0,` +
				`"state":"A\\B","expires":0,"persistence_engine":"sip","persistence_data":"a\u0000b\ufffd<&>"}`},
		"timeouts": {Timeouts{TCP: 900 * time.Second, TCPFin: 120 * time.Second, UDP: 300 * time.Second}, `{"tcp":900,"tcp_fin":120,"udp":300}`},
		"a daemon": {Daemon{State: Master, Interface: "eth0", MaxLen: 1472, Group: netip.MustParseAddr("224.0.0.81"), Port: 8848, TTL: 1},
			`{"state":"master","interface":"eth0","syncid":0,"maxlen":1472,"group":"224.0.0.81","port":8848,"ttl":1}`},
		"a daemon of an old kernel": {Daemon{State: Backup, Interface: "eth0", SyncID: 7}, `{"state":"backup","interface":"eth0","syncid":7}`},
		"information":               {Info{Version: 0x010201, ConnTableSize: 4096}, `{"ipvs_version":"1.2.1","connection_table_size":4096}`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := c.value.MarshalJSON()
			if string(got) != c.want || err != nil {
				t.Errorf("got\n%s, %v, want\n%s", got, err, c.want)
			}
			if !json.Valid(got) {
				t.Errorf("%s is no JSON", got)
			}
		})
	}
}

func TestATableIsMadeOfItsParts(t *testing.T) {
	for _, c := range []struct {
		table Table
		want  string
	}{
		{Table{}, `{}`},
		{Table{Services: []ServiceEntry{}, Timeouts: Timeouts{UDP: time.Second}, Daemons: []Daemon{{State: Backup, Interface: "lo"}}},
			`{"services":[],"timeouts":{"tcp":0,"tcp_fin":0,"udp":1},"daemons":[{"state":"backup","interface":"lo","syncid":0}]}`},
	} {
		if got, err := json.Marshal(c.table); string(got) != c.want || err != nil {
			t.Errorf("got %s, %v, want %s", got, err, c.want)
		}
	}
}

// encodingJSON is a value as encoding/json writes it, without escapes for HTML.
func encodingJSON(t *testing.T, v any) string {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	must.OK(t, e.Encode(v))
	return strings.TrimSuffix(b.String(), "\n")
}

func FuzzQuotedText(f *testing.F) {
	for _, s := range []string{"", "wlc", "a\"b\\c", "\x00\x1f\x7f\b\f\n\r\t", "\xff\xc3(", "é\u2028\u2029\ufffd\U0001f600", "<&>", "\xed\xa0\x80", "\xe2\x80"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got, want := string(appendQuoted(nil, s)), encodingJSON(t, s); got != want {
			t.Errorf("%q is %s, with encoding/json %s", s, got, want)
		}
	})
}
