// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/strictjson"
	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
)

// TestJSON encodes and decodes values of each exported type with JSON methods
// or tags.
func TestJSON(t *testing.T) {
	tested := map[string]bool{}
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
		value any
		want  string
	}{
		"a service": {NewService(web, "rr"),
			`{"family":"inet","protocol":"tcp","address":"12.0.0.1","port":80,"scheduler":"rr"}`},
		"a service with all there is": {sip,
			`{"family":"inet","protocol":"udp","address":"12.0.0.1","port":5060,"scheduler":"sh","scheduler_flags":["sh-port","flag-3"],` +
				`"persistence_timeout":300,"persistence_netmask":"255.255.255.0","persistence_engine":"sip","one_packet":true}`},
		"an engine without persistence": {Service{ServiceID: web, Scheduler: "rr", PersistenceEngine: "sip", Netmask: FullNetmask(IPv4)},
			`{"family":"inet","protocol":"tcp","address":"12.0.0.1","port":80,"scheduler":"rr","persistence_engine":"sip"}`},
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
				strings.Repeat(`,{"address":"","port":0,"forward":"masquerade","weight":0,"upper_threshold":0,"lower_threshold":0,`+
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
		"a template of a mark of IPv6": {Connection{Protocol: 0, Client: netip.MustParseAddrPort("[2001:db8::2]:0"), Virtual: netip.MustParseAddrPort("[ee6b:2800::]:0"),
			Destination: netip.MustParseAddrPort("10.2.0.3:0"), State: "NONE"},
			`{"protocol":"ip","client_address":"2001:db8::2","client_port":0,"fwmark":4000000000,"destination_address":"10.2.0.3","destination_port":0,"state":"NONE","expires":0}`},
		"a template of an engine": {Connection{Protocol: 58, Client: client, Virtual: netip.MustParseAddrPort("[::1]:1"),
			Destination: netip.MustParseAddrPort("10.2.0.3:0"), State: "A\\B", PersistenceEngine: "sip", PersistenceData: "a\x00b\xff<&>"},
			`{"protocol":"icmpv6",` + fromClient + `"virtual_address":"::1","virtual_port":1,"destination_address":"10.2.0.3","destination_port":0,` +
				`"state":"A\\B","expires":0,"persistence_engine":"sip","persistence_data":"a\u0000b\ufffd<&>"}`},
		"timeouts": {Timeouts{TCP: 900 * time.Second, TCPFin: 120 * time.Second, UDP: 300 * time.Second}, `{"tcp":900,"tcp_fin":120,"udp":300}`},
		"a daemon": {Daemon{State: Master, Interface: "eth0", MaxLen: 1472, Group: netip.MustParseAddr("224.0.0.81"), Port: 8848, TTL: 1},
			`{"state":"master","interface":"eth0","syncid":0,"maxlen":1472,"group":"224.0.0.81","port":8848,"ttl":1}`},
		"a daemon to be": {Daemon{State: Backup, Interface: "eth0", SyncID: 7}, `{"state":"backup","interface":"eth0","syncid":7}`},
		"information":    {Info{Version: 0x010201, ConnTableSize: 4096}, `{"ipvs_version":"1.2.1","connection_table_size":4096}`},
		"an empty table": {Table{}, `{}`},
		"parts of a table": {Table{Services: []ServiceEntry{}, Timeouts: Timeouts{UDP: time.Second}, Daemons: []Daemon{{State: Backup, Interface: "lo"}}},
			`{"services":[],"timeouts":{"tcp":0,"tcp_fin":0,"udp":1},"daemons":[{"state":"backup","interface":"lo","syncid":0}]}`},
		"a change":         {deleteService(web), `{"op":"delete-service","service":{"family":"inet","protocol":"tcp","address":"12.0.0.1","port":80}}`},
		"counters":         {all, strings.TrimSuffix(most, "}") + `,"rates":` + most + "}"},
		"rates":            {all.Rates, most},
		"a type of tunnel": {TunnelGRE, `"gre"`},
		"a checksum":       {TunnelRemoteChecksum, `"remcsum"`},
		"a method":         {Route, `"route"`},
		"a state":          {Backup, `"backup"`},
		"an operation":     {OpZeroService, `"zero-service"`},
		"a protocol":       {SCTP, `"sctp"`},
		"a version":        {Version(0x010203), `"1.2.3"`},
	} {
		tested[reflect.TypeOf(c.value).Name()] = true
		t.Run(name, func(t *testing.T) {
			got, err := strictjson.Marshal(c.value)
			if string(got) != c.want || err != nil {
				t.Errorf("got\n%s, %v, want\n%s", got, err, c.want)
			}
			if strings.Contains(c.want, "unknown") || strings.Contains(c.want, `\ufffd`) {
				return // it cannot be read back
			}
			back := reflect.New(reflect.TypeOf(c.value))
			if err := json.Unmarshal(got, back.Interface()); err != nil || !reflect.DeepEqual(back.Elem().Interface(), c.value) {
				t.Errorf("it becomes %+v, %v, of\n%s", back.Elem(), err, got)
			}
		})
	}
	files, err := filepath.Glob("*.go")
	must.OK(t, err)
	forms := regexp.MustCompile(`(?m)^func \(\w+ ([A-Z]\w+)\) Marshal(?:JSON|Text)\(` + "|^type ([A-Z]\\w+) struct {\n(?:[^}]*\n)?[^}\n]*`json:")
	found := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		must.OK(t, err)
		for _, m := range forms.FindAllSubmatch(text, -1) {
			found++
			if name := string(m[1]) + string(m[2]); !tested[name] {
				t.Errorf("%s is not tested", name)
			}
		}
	}
	if found < 18 {
		t.Errorf("only %d types are found", found)
	}
}

func TestChangesAreReadBack(t *testing.T) {
	web := NewService(AddrID(TCP, netip.MustParseAddr("12.0.0.1"), 80), "sh")
	web.Flags, web.Timeout = FlagPersistent|FlagSched1, time.Minute
	var b Batch
	b.AddService(web)
	b.EditService(NewService(MarkID(7, IPv6), "wlc"))
	b.DeleteService(web.ServiceID)
	b.ZeroService(web.ServiceID)
	b.AddDestination(web.ServiceID, Destination{Addr: netip.MustParseAddr("10.0.0.1"), Port: 80, Forward: Tunnel, Tunnel: TunnelInfo{Type: TunnelGRE, Flags: TunnelChecksum}})
	b.EditDestination(web.ServiceID, server(1))
	b.DeleteDestination(web.ServiceID, server(1).AddrPort())
	b.SetTimeouts(Timeouts{UDP: time.Minute})
	b.StartDaemon(Daemon{State: Master, Interface: "eth0", Port: 9000})
	b.StopDaemon(Backup)
	b.Flush()
	b.Zero()
	text, err := json.Marshal(b)
	must.OK(t, err)
	var back Batch
	if err := json.Unmarshal(text, &back); err != nil || !reflect.DeepEqual(back, b) {
		t.Errorf("%v, %v, want %v", back, err, b)
	}
}

func TestFaultsInJSONNameTheirPath(t *testing.T) {
	const web = `"protocol":"tcp","address":"12.0.0.1","port":80`
	const server = `"address":"10.0.0.1","port":80`
	for text, want := range map[string]string{
		`{`:                            "unexpected end of JSON input",
		`[]`:                           "array, want object",
		`{"protocol":"tcp","port":80}`: "address: it is missing",
		`{"protocol":"tcp","address":"12.0.0.1"}`:                                                             "port: it is missing",
		`{` + web + `,"wieght":1}`:                                                                            "wieght: unknown field",
		`{` + web + `,"port":81}`:                                                                             "port: the field is there twice",
		`{` + web + `,"scheduler":null}`:                                                                      "scheduler: null is no value",
		`{` + web + `,"scheduler":7}`:                                                                         "scheduler: number, want string",
		`{` + web + `,"family":"inet6"}`:                                                                      `family: "inet6", but the address has the family "inet"`,
		`{` + web + `,"scheduler":"sh","scheduler_flags":["sh-port","x"]}`:                                    `scheduler_flags[1]: the scheduler sh has no flag "x"`,
		`{` + web + `,"persistence_timeout":0.5}`:                                                             "persistence_timeout: 0.5 is not a number of seconds from 0 to 4294967295",
		`{` + web + `,"persistence_netmask":"255.0.0.0"}`:                                                     "persistence_netmask: there is no persistence_timeout",
		`{` + web + `,"persistence_timeout":1,"persistence_netmask":"24"}`:                                    `persistence_netmask: "24" is neither a dotted mask nor, for IPv6, the length of a prefix`,
		`{"fwmark":1,"port":80}`:                                                                              "fwmark: a service has either a firewall mark or protocol, address and port",
		`{"protocol":"tpc","address":"12.0.0.1","port":80}`:                                                   `protocol: "tpc" is no protocol`,
		`{"protocol":"tcp","address":"12.0.0.300","port":80}`:                                                 `address: ParseAddr("12.0.0.300"): IPv4 field has value >255`,
		`{"protocol":"tcp","address":"12.0.0.1","port":65536}`:                                                "port: number 65536, want uint16",
		`{` + web + `,"destinations":{}}`:                                                                     "destinations: object, want array",
		`{` + web + `,"destinations":[{` + server + `},{` + server + `,"forward":"nat"}]}`:                    `destinations[1].forward: "nat" is none of masquerade, local, tunnel, route, bypass`,
		`{` + web + `,"destinations":[{"port":1}]}`:                                                           "destinations[0].address: it is missing",
		`{` + web + `,"destinations":[{` + server + `,"tunnel":{"type":"gue"}}]}`:                             `destinations[0].tunnel: "forward" is not "tunnel"`,
		`{` + web + `,"destinations":[{` + server + `,"forward":"tunnel","tunnel":{"type":"gue","prot":1}}]}`: "destinations[0].tunnel.prot: unknown field",
		`{` + web + `,"destinations":[{` + server + `,"active_connections":-1}]}`:                             "destinations[0].active_connections: number -1, want uint32",
	} {
		s := ServiceEntry{Stats: Stats{Conns: 1}}
		if err := s.UnmarshalJSON([]byte(text)); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", text, err, want)
		} else if !reflect.DeepEqual(s, ServiceEntry{Stats: Stats{Conns: 1}}) {
			t.Errorf("%s: it changed the value to %v", text, s)
		}
	}
	for text, want := range map[string]string{
		`{"op":"add"}`:                           `op: "add" is none of add-service, edit-service, delete-service, add-destination, edit-destination, delete-destination, flush, zero, zero-service, set-timeouts, start-daemon, stop-daemon`,
		`{"service":{` + web + `}}`:              "op: it is missing",
		`{"op":"flush","service":{` + web + `}}`: "service: it does not belong to flush",
		`{"op":"delete-service"}`:                "service: it is missing",
		`{"op":"stop-daemon","daemon":{}}`:       "daemon.state: it is missing",
		`{"op":"add-destination","service":{` + web + `},"destination":{"port":1}}`: "destination.address: it is missing",
	} {
		if err := new(Change).UnmarshalJSON([]byte(text)); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

// A Service decodes the configuration from an entry and ignores its counters,
// even invalid ones.
func TestServicesIgnoreCounters(t *testing.T) {
	var s Service
	must.OK(t, json.Unmarshal([]byte(`{"protocol":"udp","address":"::1","port":53,"stats":"x","rates":null,"destinations":7}`), &s))
	if s != NewService(AddrID(UDP, netip.MustParseAddr("::1"), 53), "wlc") {
		t.Errorf("%v", s)
	}
	var d Destination
	must.OK(t, json.Unmarshal([]byte(`{"address":"10.0.0.1","port":80,"active_connections":"x","stats":[]}`), &d))
	if want := (Destination{Addr: netip.MustParseAddr("10.0.0.1"), Port: 80, Forward: Route, Weight: 1}); d != want {
		t.Errorf("%v", d)
	}
}
