// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs/internal/nl"
)

// counters returns a nest of statistics whose values count up from base.
func counters(base uint64) []byte {
	var b []byte
	for typ := uint16(nl.StatsConns); typ <= nl.StatsOutBPS; typ++ {
		b = binary.NativeEndian.AppendUint64(appendAttr(b, typ, 8), base+uint64(typ))
	}
	return b
}

func nested(typ uint16, inner []byte) []byte {
	return append(appendAttr(nil, typ, len(inner)), inner...)
}

var (
	testService = Service{
		ServiceID: AddrID(UDP, netip.MustParseAddr("12.0.0.1"), 5060), Scheduler: "mh",
		Flags: FlagPersistent | FlagOnePacket | FlagSched2, Timeout: 360 * time.Second, Netmask: 0xffffff00, PersistenceEngine: "sip",
	}
	testDestination = Destination{
		Addr: netip.MustParseAddr("2001:db8::7"), Port: 65535, Forward: Tunnel, Weight: 7, UpperThreshold: 1 << 31, LowerThreshold: 5,
		Tunnel: TunnelInfo{Type: TunnelGUE, Port: 6080, Flags: TunnelChecksum},
	}
	testDaemon = Daemon{State: Backup, Interface: "eth0", SyncID: 255, MaxLen: 1400, Group: netip.MustParseAddr("ff02::5"), Port: 8848, TTL: 3}
)

func serviceAnswer(extra ...[]byte) []byte {
	b := appendServiceConfig(appendServiceID(nil, testService.ServiceID), &testService)
	for _, e := range extra {
		b = append(b, e...)
	}
	return nested(nl.AttrService, b)
}

func destinationAnswer(extra ...[]byte) []byte {
	b := appendDestinationConfig(appendDestinationID(nil, &testDestination), &testDestination)
	b = appendU32(b, nl.DestActiveConns, 1)
	b = appendU32(b, nl.DestInactConns, 2)
	b = appendU32(b, nl.DestPersistConns, 3)
	for _, e := range extra {
		b = append(b, e...)
	}
	return nested(nl.AttrDest, b)
}

func wantStats(base uint64) Stats {
	return Stats{Conns: base + 1, InPkts: base + 2, OutPkts: base + 3, InBytes: base + 4, OutBytes: base + 5,
		Rates: Rates{CPS: base + 6, InPPS: base + 7, OutPPS: base + 8, InBPS: base + 9, OutBPS: base + 10}}
}

func TestWhatIsEncodedIsDecoded(t *testing.T) {
	const big = 1 << 40
	var d decoder
	var s ServiceEntry
	must.OK(t, d.service(serviceAnswer(nested(nl.SvcStats64, counters(big))), &s))
	if s.Service != testService || s.Stats != wantStats(big) {
		t.Errorf("service %+v", s)
	}
	var e DestinationEntry
	must.OK(t, d.destination(destinationAnswer(nested(nl.DestStats64, counters(big))), &e))
	if e.Destination != testDestination || e.Stats != wantStats(big) || e.Conns != (ConnCounts{1, 2, 3}) {
		t.Errorf("destination %+v", e)
	}
	var daemon Daemon
	if err := decodeDaemon(nested(nl.AttrDaemon, appendDaemon(nil, &testDaemon)), &daemon); err != nil || daemon != testDaemon {
		t.Errorf("daemon %+v, %v", daemon, err)
	}
	v4 := testDaemon
	v4.Group = netip.MustParseAddr("224.0.0.81")
	if err := decodeDaemon(nested(nl.AttrDaemon, appendDaemon(nil, &v4)), &daemon); err != nil || daemon != v4 {
		t.Errorf("daemon %+v, %v", daemon, err)
	}
}

func TestHashedIsNoConfiguration(t *testing.T) {
	flags := appendAttr(nil, nl.SvcFlags, 8)
	flags = binary.NativeEndian.AppendUint32(flags, nl.SvcFlagHashed|uint32(FlagPersistent)|1<<20)
	flags = binary.NativeEndian.AppendUint32(flags, 0)
	var d decoder
	var s ServiceEntry
	must.OK(t, d.service(serviceAnswer(flags, nested(nl.SvcStats64, counters(0))), &s))
	if want := FlagPersistent | 1<<20; s.Flags != want {
		t.Errorf("flags %v, want %v", s.Flags, want)
	}
}

// without removes the attribute typ from a nest.
func without(answer []byte, typ uint16) []byte {
	outer := attrs{rest: answer}
	outer.next()
	var kept []byte
	inner := attrs{rest: outer.data}
	for inner.next() {
		if inner.typ == typ {
			continue
		}
		kept = append(appendAttr(kept, inner.typ, len(inner.data)), inner.data...)
		for len(kept)%4 != 0 {
			kept = append(kept, 0)
		}
	}
	return nested(outer.typ, kept)
}

func TestOddAnswersAreNamed(t *testing.T) {
	wide := nested(nl.SvcStats64, counters(0))
	wideDest := nested(nl.DestStats64, counters(0))
	service := func(b []byte) error { var d decoder; var s ServiceEntry; return d.service(b, &s) }
	destination := func(b []byte) error {
		var d decoder
		var e DestinationEntry
		return d.destination(b, &e)
	}
	for _, c := range []struct {
		name string
		err  error
		want string // part of the message; empty for no error
	}{
		{"a whole service", service(serviceAnswer(wide)), ""},
		{"a service of a newer kernel", service(serviceAnswer(wide, appendU32(nil, 200, 1), appendU32(nil, 15, 1))), ""},
		{"an empty answer", service(nil), "without a service"},
		{"another nest", service(destinationAnswer(wideDest)), "without a service"},
		{"no address family", service(without(serviceAnswer(wide), nl.SvcAF)), "without address family"},
		{"an unknown address family", service(append(serviceAnswer(wide)[:4:4], append(appendU16(nil, nl.SvcAF, 99), serviceAnswer(wide)[12:]...)...)), "unknown address family 99"},
		{"no port", service(without(serviceAnswer(wide), nl.SvcPort)), "without port"},
		{"no scheduler", service(without(serviceAnswer(wide), nl.SvcSchedName)), "without scheduler"},
		{"no flags", service(without(serviceAnswer(wide), nl.SvcFlags)), "without flags"},
		{"no engine", service(without(serviceAnswer(wide), nl.SvcPEName)), ""},
		{"no statistics", service(serviceAnswer()), "without statistics"},
		{"a short address", service(serviceAnswer(wide, appendU8(nil, nl.SvcAddr, 1))), "has 1 bytes, want 4"},
		{"a short counter", service(serviceAnswer(nested(nl.SvcStats64, appendU32(nil, nl.StatsConns, 1)))), "the counter of the statistics has 4 bytes"},
		{"missing counters", service(serviceAnswer(nested(nl.SvcStats64, counters(0)[:24]))), "the statistics without counter"},
		{"an attribute that is longer than its nest", service(nested(nl.AttrService, appendAttr(nil, nl.SvcAF, 40))), "has 44 bytes where 4 are left"},
		{"an attribute of no length", service([]byte{0, 0, 1, 0}), "attribute 1 says it has 0 bytes"},
		{"a stray byte", service(append(serviceAnswer(wide), 7)[len(serviceAnswer(wide)):]), "stray"},
		{"a whole destination", destination(destinationAnswer(wideDest)), ""},
		{"a destination of an old kernel", destination(without(destinationAnswer(wideDest), nl.DestTunFlags)), ""},
		{"half a tunnel", destination(without(destinationAnswer(wideDest), nl.DestTunPort)), "without tunnel port"},
		{"no weight", destination(without(destinationAnswer(wideDest), nl.DestWeight)), "without weight"},
		{"no connections", destination(without(destinationAnswer(wideDest), nl.DestInactConns)), "without inactive connections"},
		{"a daemon without a name", decodeDaemon(nested(nl.AttrDaemon, appendU32(nil, nl.DaemonState, 1)), new(Daemon)), "without interface"},
		{"timeouts without one", decodeTimeouts(appendU32(nil, nl.AttrTimeoutTCP, 1), new(Timeouts)), "without TCP FIN timeout"},
		{"information without a size", decodeInfo(appendU32(nil, nl.InfoVersion, 1), new(Info)), "without size"},
	} {
		t.Run(c.name, func(t *testing.T) {
			switch {
			case c.want == "" && c.err != nil:
				t.Error(c.err)
			case c.want != "" && (!errors.Is(c.err, ErrMalformed) || !strings.Contains(c.err.Error(), c.want)):
				t.Errorf("error %v, want ErrMalformed about %q", c.err, c.want)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(serviceAnswer(nested(nl.SvcStats64, counters(0))))
	f.Add(destinationAnswer(nested(nl.DestStats64, counters(0))))
	f.Add(nested(nl.AttrDaemon, appendDaemon(nil, &testDaemon)))
	f.Add([]byte{4, 0, 1, 0, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		var d decoder
		var s ServiceEntry
		if d.service(b, &s) == nil {
			// A decoded value can be encoded again.
			again := nested(nl.AttrService, append(appendServiceConfig(appendServiceID(nil, s.ServiceID), &s.Service), nested(nl.SvcStats64, counters(0))...))
			var s2 ServiceEntry
			if err := d.service(again, &s2); err != nil || s2.Service != s.Service {
				t.Errorf("%+v came back as %+v, %v", s.Service, s2.Service, err)
			}
		}
		var e DestinationEntry
		_ = d.destination(b, &e)
		_ = decodeDaemon(b, new(Daemon))
		_ = decodeTimeouts(b, new(Timeouts))
		_ = decodeInfo(b, new(Info))
		for rest, err := b, error(nil); len(rest) > 0 && err == nil; {
			var m message
			if m, rest, err = nextMessage(rest); err == nil {
				_ = m.status()
				_, _ = m.body()
			}
		}
	})
}

func TestEncodingDoesNotAllocate(t *testing.T) {
	buf := make([]byte, 0, 4096)
	changes := []Change{
		{Op: OpAddService, Service: testService},
		{Op: OpAddDestination, Service: testService, Destination: testDestination},
		{Op: OpStartDaemon, Daemon: testDaemon},
	}
	n := testing.AllocsPerRun(100, func() {
		b := buf
		for i := range changes {
			b = appendChange(b, header{family: 30, seq: 1}, &changes[i])
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestEveryChangeFitsTheRoomForOne(t *testing.T) {
	s := testService
	s.ServiceID = AddrID(TCP, netip.MustParseAddr("2001:db8::1"), 1)
	s.Scheduler, s.PersistenceEngine = strings.Repeat("s", nl.SchedNameLen), strings.Repeat("p", nl.PENameLen)
	d := testDaemon
	d.Interface = strings.Repeat("i", nl.IfNameLen)
	for op := OpAddService; op <= OpStopDaemon; op++ {
		c := Change{Op: op, Service: s, Destination: testDestination, Daemon: d}
		must.OK(t, c.Validate())
		if n := len(appendChange(nil, header{}, &c)); n > roomForOne || n%4 != 0 {
			t.Errorf("%v takes %d bytes", op, n)
		}
	}
}

func TestValuesThatCannotBeSentAreRefused(t *testing.T) {
	svc := func(f func(*Service)) Change {
		c := Change{Op: OpAddService, Service: testService}
		f(&c.Service)
		return c
	}
	for name, c := range map[string]Change{
		"no operation":         {},
		"no address":           {Op: OpDeleteService},
		"a zone":               svc(func(s *Service) { s.Addr = netip.MustParseAddr("fe80::1%eth0") }),
		"mark and address":     svc(func(s *Service) { s.FWMark = 1 }),
		"neither":              svc(func(s *Service) { s.Protocol = 0 }),
		"a long scheduler":     svc(func(s *Service) { s.Scheduler = "0123456789abcdef" }),
		"a zero in a name":     svc(func(s *Service) { s.PersistenceEngine = "s\x00p" }),
		"half a second":        svc(func(s *Service) { s.Timeout = time.Second / 2 }),
		"a negative timeout":   {Op: OpSetTimeouts, Timeouts: Timeouts{UDP: -time.Second}},
		"a server without any": {Op: OpAddDestination, Service: testService},
		"a ninth forwarding":   {Op: OpEditDestination, Service: testService, Destination: Destination{Addr: testDestination.Addr, Forward: nl.FwdMask + 1}},
		"a long interface":     {Op: OpStartDaemon, Daemon: Daemon{State: Master, Interface: "0123456789abcdef"}},
		"a group with a zone":  {Op: OpStartDaemon, Daemon: Daemon{State: Master, Group: netip.MustParseAddr("ff02::1%eth0")}},
	} {
		if err := c.Validate(); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
}
