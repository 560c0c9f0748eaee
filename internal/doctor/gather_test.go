// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"errors"
	"net/netip"
	"reflect"
	"testing"
	"testing/fstest"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// network is a Net with fixed answers.
type network struct {
	links []Link
	asked int
	err   error
}

func (n *network) Links() ([]Link, error)                  { return n.links, n.err }
func (n *network) Neighbors() (map[Neighbor]uint16, error) { return nil, n.err }
func (n *network) Local() ([]netip.Prefix, error)          { return prefixes("10.9.0.0/16"), n.err }
func (n *network) Chains() ([]string, error)               { return []string{"ip filter INPUT"}, n.err }

func (n *network) Route(Query) (Route, error) {
	n.asked++
	return Route{Way: Away, Link: 2}, nil
}

func files(pairs ...string) fstest.MapFS {
	m := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	return m
}

func TestGather(t *testing.T) {
	n := &network{links: []Link{{Index: 2, Name: "eth0.7", Prefixes: prefixes("12.0.0.1/24")}}}
	sys := System{Files: files(
		"proc/sys/kernel/osrelease", "6.1.0\n",
		"proc/sys/net/ipv4/ip_forward", "1\n",
		"proc/sys/net/ipv4/conf/all/send_redirects", "1\n",
		"proc/sys/net/ipv4/conf/eth0.7/forwarding", "0\n",
		"proc/sys/net/ipv4/vs/sync_threshold", "3\t50\n",
		"proc/sys/net/ipv4/vs/est_cpulist", "\n",
		"proc/thread-self/net/raw6", "  sl  local_address\n   58: 00000000000000000000000000000000:003A 0\n",
		"proc/thread-self/net/raw", "  sl  local_address rem_address\n  112: 00000000:0070 00000000:0000 07\n",
		"sys/module/ip_vs/refcnt", "1\n",
		"lib/modules/6.1.0/modules.dep", "kernel/net/netfilter/ipvs/ip_vs_wlc.ko.xz: kernel/net/netfilter/ipvs/ip_vs.ko.xz\n",
		"lib/modules/6.1.0/modules.builtin", "kernel/net/netfilter/ipvs/ip_vs_pe_sip.ko\nkernel/net/netfilter/nf_tables.ko\n",
		"etc/ipvsadm.rules", "-A\n",
	), Net: n, Connections: func(yield func(ipvs.Connection, error) bool) {
		for _, row := range [][3]string{
			{"12.0.0.9:1", "10.0.0.10:80", "SYN_RECV"}, {"12.0.0.9:2", "10.0.0.10:80", "ESTABLISHED"}, {"12.0.0.1:3", "10.0.0.10:81", "SYN_RECV"},
			{"12.0.0.8:0", "10.0.0.10:80", "NONE"},
		} {
			yield(ipvs.Connection{Protocol: ipvs.TCP, Client: netip.MustParseAddrPort(row[0]), Virtual: netip.MustParseAddrPort("12.0.0.2:80"),
				Destination: netip.MustParseAddrPort(row[1]), State: row[2]}, nil)
		}
	}}
	table := of(web(func(s *ipvs.Service) { s.Scheduler, s.PersistenceEngine = "wlc", "sip" }, ipvs.Masquerade, "10.0.0.10:80"), web(nil, ipvs.Masquerade))
	h, err := Gather(t.Context(), sys, table)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if r := h.route(Query{To: netip.MustParseAddr("10.0.0.10")}); r.Way != Away || n.asked != 1 {
			t.Errorf("%+v, asked %d times", r, n.asked)
		}
	}
	if !h.isLocal(netip.MustParseAddr("10.9.9.9")) || h.isLocal(netip.MustParseAddr("10.8.9.9")) {
		t.Error("isLocal")
	}
	vip, server := netip.MustParseAddr("12.0.0.2"), netip.MustParseAddr("10.0.0.10")
	h.ask, h.local, h.routes, h.owners = nil, nil, nil, nil
	want := &Host{
		Kernel: "6.1.0",
		Settings: map[string]string{
			"net.ipv4.ip_forward": "1", "net.ipv4.conf.all.send_redirects": "1", "net.ipv4.conf.eth0/7.forwarding": "0", "net.ipv4.vs.sync_threshold": "3 50",
		},
		Links:    n.links,
		Modules:  map[string]ModuleState{"ip_vs": Loaded, "ip_vs_wlc": Available, "ip_vs_pe_sip": Loaded, "ip_vs_rr": Missing, "nf_tables": Loaded},
		VRRP:     true,
		Firewall: []string{"ip filter INPUT"},
		RuleFile: "/etc/ipvsadm.rules",
		Clients:  map[netip.Addr]*Clients{vip: {Local: 1, Remote: 2, Some: []netip.Addr{netip.MustParseAddr("12.0.0.9")}}},
		Handshakes: map[netip.AddrPort]Handshakes{
			netip.AddrPortFrom(server, 80): {1, 0, 1}, netip.AddrPortFrom(server, 81): {1, 0, 0}, netip.AddrPortFrom(server, 0): {2, 0, 1},
		},
	}
	if !reflect.DeepEqual(h, want) {
		t.Errorf("\n%+v\nwant\n%+v", h, want)
	}
}

func TestGatherInABareContainer(t *testing.T) {
	h, err := Gather(t.Context(), System{Files: files(), Net: &network{}}, nil)
	if err != nil || len(h.Settings)+len(h.Modules) > 0 || h.Firewall != nil {
		t.Errorf("%v %+v", err, h)
	}
}

func TestGatherEndsInTime(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	n := &network{}
	h, err := Gather(ctx, System{Files: files(), Net: n}, nil)
	if err != nil || h.route(Query{}) != (Route{}) || n.asked != 0 || h.Unasked != 1 {
		t.Errorf("%d asked, %+v, %v", n.asked, h, err)
	}
}

func TestGatherWithoutInterfaces(t *testing.T) {
	n := &network{err: errors.New("no answer")}
	if _, err := Gather(t.Context(), System{Files: files(), Net: n}, nil); !errors.Is(err, n.err) {
		t.Error(err)
	}
}
