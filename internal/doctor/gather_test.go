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

// network answers from tables, and counts the questions.
type network struct {
	links  []Link
	routes map[netip.Addr]Route
	asked  int
	err    error
}

func (n *network) Links() ([]Link, error) { return n.links, n.err }

func (n *network) Route(a netip.Addr) (Route, error) {
	n.asked++
	r, known := n.routes[a]
	if !known {
		return Route{}, errors.New("no answer")
	}
	return r, nil
}

func files(pairs ...string) fstest.MapFS {
	m := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	return m
}

func TestGather(t *testing.T) {
	server, other := netip.MustParseAddr("10.0.0.10"), netip.MustParseAddr("10.0.0.11")
	n := &network{links: []Link{{Index: 2, Name: "eth0.7"}}, routes: map[netip.Addr]Route{server: {Way: Away, Link: 2}}}
	sys := System{files(
		"proc/sys/kernel/osrelease", "6.1.0\n",
		"proc/sys/net/ipv4/ip_forward", "1\n",
		"proc/sys/net/ipv4/conf/all/rp_filter", "1\n",
		"proc/sys/net/ipv4/conf/eth0.7/rp_filter", "2\n",
		"proc/sys/net/ipv4/vs/sync_threshold", "3\t50\n",
		"proc/sys/net/ipv4/vs/est_cpulist", "\n",
		"proc/thread-self/net/raw6", "  sl  local_address\n   58: 00000000000000000000000000000000:003A 0\n",
		"proc/thread-self/net/raw", "  sl  local_address rem_address\n  112: 00000000:0070 00000000:0000 07\n",
		"sys/module/ip_vs/refcnt", "1\n",
		"lib/modules/6.1.0/modules.dep", "kernel/net/netfilter/ipvs/ip_vs_wlc.ko.xz: kernel/net/netfilter/ipvs/ip_vs.ko.xz\n",
		"lib/modules/6.1.0/modules.builtin", "kernel/net/netfilter/ipvs/ip_vs_pe_sip.ko\n",
	), n}
	table := of(web(func(s *ipvs.Service) { s.Scheduler, s.PersistenceEngine = "wlc", "sip" }, ipvs.Masquerade, "10.0.0.10:80", "10.0.0.10:81", "10.0.0.11:80"),
		web(func(s *ipvs.Service) { s.ServiceID = ipvs.MarkID(7, ipvs.IPv4) }, ipvs.Masquerade, "10.0.0.10:80"))
	got, err := Gather(t.Context(), sys, table)
	want := &Host{
		Kernel: "6.1.0",
		Settings: map[string]string{
			"net.ipv4.ip_forward": "1", "net.ipv4.conf.all.rp_filter": "1", "net.ipv4.conf.eth0/7.rp_filter": "2", "net.ipv4.vs.sync_threshold": "3 50",
		},
		Links: n.links,
		Routes: map[netip.Addr]Route{
			server: {Way: Away, Link: 2}, other: {}, netip.MustParseAddr("192.0.2.1"): {},
		},
		Modules: map[string]ModuleState{"ip_vs": Loaded, "ip_vs_wlc": Available, "ip_vs_pe_sip": Available, "ip_vs_rr": Missing},
		VRRP:    true,
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v\n%+v\nwant\n%+v", err, got, want)
	}
	if n.asked != 3 {
		t.Errorf("%d routes were looked up, want each once", n.asked)
	}
}

func TestGatherInABareContainer(t *testing.T) {
	got, err := Gather(t.Context(), System{files(), &network{}}, nil)
	want := &Host{Settings: map[string]string{}, Routes: map[netip.Addr]Route{}, Modules: map[string]ModuleState{}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v\n%+v\nwant\n%+v", err, got, want)
	}
}

func TestGatherEndsInTime(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	n := &network{}
	h, err := Gather(ctx, System{files(), n}, of(web(nil, ipvs.Masquerade, "10.0.0.10:80")))
	if err != nil || n.asked != 0 || h.Unasked != 2 {
		t.Errorf("%d asked, %+v, %v", n.asked, h, err)
	}
}

func TestGatherWithoutInterfaces(t *testing.T) {
	n := &network{err: errors.New("no answer")}
	if _, err := Gather(t.Context(), System{files(), n}, nil); !errors.Is(err, n.err) {
		t.Error(err)
	}
}
