// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"net/netip"
	"testing"
)

func web(port uint16) ServiceID { return AddrID(TCP, netip.MustParseAddr("12.0.0.1"), port) }

func server(i int) Destination {
	return Destination{Addr: netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), Port: 80, Weight: 1}
}

// one returns the change that queue adds to a Batch.
func one(queue func(*Batch)) Change {
	var b Batch
	queue(&b)
	return b[0]
}

func flush() Change { return Change{Op: OpFlush} }

func deleteService(id ServiceID) Change { return one(func(b *Batch) { b.DeleteService(id) }) }

func TestWhatIsShownIsWhole(t *testing.T) {
	persistent := NewService(web(80), "wlc")
	persistent.Flags, persistent.Timeout, persistent.Netmask, persistent.PersistenceEngine = FlagPersistent|FlagOnePacket, 360e9, 0xffff0000, "sip"
	tunnel := server(1)
	tunnel.Forward, tunnel.UpperThreshold, tunnel.LowerThreshold = Tunnel, 100, 50
	tunnel.Tunnel = TunnelInfo{Type: TunnelGUE, Port: 6080, Flags: TunnelChecksum}
	six := NewService(MarkID(7, IPv6), "rr")
	six.Netmask = 64
	entry := ServiceEntry{Service: NewService(web(80), "rr"), Stats: Stats{Conns: 5}, Destinations: []DestinationEntry{{Destination: server(1), Conns: ConnCounts{Active: 3}}}}
	daemon := Daemon{State: Master, Interface: "eth0", SyncID: 1, MaxLen: 1472, Group: netip.MustParseAddr("224.0.0.81"), Port: 8848, TTL: 1}
	for _, c := range []struct {
		shown interface{ String() string }
		want  string
	}{
		{NewService(web(80), "rr"), "TCP 12.0.0.1:80 rr"},
		{persistent, "TCP 12.0.0.1:80 wlc persistent|one-packet timeout 6m0s mask 255.255.0.0 pe sip"},
		{six, "FWM 7 IPv6 rr mask 64"},
		{server(1), "10.0.0.1:80 Masq weight 1"},
		{tunnel, "10.0.0.1:80 Tunnel weight 1 upper 100 lower 50 gue 6080 csum"},
		{daemon, "master eth0 syncid 1 maxlen 1472 group 224.0.0.81 port 8848 ttl 1"},
		{Daemon{State: Backup, Interface: "lo"}, "backup lo syncid 0"},
		{Timeouts{TCP: 900e9, UDP: 300e9}, "tcp 15m0s tcp-fin 0s udp 5m0s"},
		{entry, "TCP 12.0.0.1:80 rr {Conns:5 InPkts:0 OutPkts:0 InBytes:0 OutBytes:0 Rates:{CPS:0 InPPS:0 OutPPS:0 InBPS:0 OutBPS:0}} " +
			"[10.0.0.1:80 Masq weight 1 {Active:3 Inactive:0 Persistent:0} " +
			"{Conns:0 InPkts:0 OutPkts:0 InBytes:0 OutBytes:0 Rates:{CPS:0 InPPS:0 OutPPS:0 InBPS:0 OutBPS:0}}]"},
		{one(func(b *Batch) { b.AddService(persistent) }), "add service " + persistent.String()},
		{one(func(b *Batch) { b.EditService(persistent) }), "edit service " + persistent.String()},
		{one(func(b *Batch) { b.DeleteService(web(80)) }), "delete service TCP 12.0.0.1:80"},
		{one(func(b *Batch) { b.ZeroService(web(80)) }), "zero service TCP 12.0.0.1:80"},
		{one(func(b *Batch) { b.AddDestination(web(80), tunnel) }), "add destination " + tunnel.String() + " of TCP 12.0.0.1:80"},
		{one(func(b *Batch) { b.EditDestination(web(80), tunnel) }), "edit destination " + tunnel.String() + " of TCP 12.0.0.1:80"},
		{one(func(b *Batch) { b.DeleteDestination(web(80), tunnel.AddrPort()) }), "delete destination 10.0.0.1:80 of TCP 12.0.0.1:80"},
		{one(func(b *Batch) { b.SetTimeouts(Timeouts{TCP: 1e9}) }), "set timeouts tcp 1s tcp-fin 0s udp 0s"},
		{one(func(b *Batch) { b.StartDaemon(daemon) }), "start daemon " + daemon.String()},
		{one(func(b *Batch) { b.StopDaemon(Backup) }), "stop daemon backup"},
		{one((*Batch).Flush), "flush"},
		{one((*Batch).Zero), "zero"},
	} {
		if got := c.shown.String(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
