// SPDX-License-Identifier: Apache-2.0

package render

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

func TestMetricsContainEachNumber(t *testing.T) {
	count := func(n uint64) ipvs.Stats {
		return ipvs.Stats{Conns: n, InPkts: n + 1, OutPkts: n + 2, InBytes: n + 3, OutBytes: 1<<64 - 1 - n}
	}
	services := large(1, 2)
	s := &services[0]
	s.Stats = count(100)
	d := &s.Destinations[0] // 10.0.0.1, since the order is descending
	d.Stats, d.Weight, d.UpperThreshold, d.Conns = count(200), 0, 50, ipvs.ConnCounts{Active: 7, Inactive: 1<<32 - 1}
	var out bytes.Buffer
	must.OK(t, Metrics(&out, Options{NoSort: true}, info, count(1000), &ipvs.Table{Services: services, Daemons: []ipvs.Daemon{{State: ipvs.Backup}}}))
	const (
		service = `{local_address="12.0.0.0",local_port="80",proto="TCP",local_mark="",family="inet"`
		backend = service + `,remote_address="10.0.0.1",remote_port="80"} `
	)
	for _, line := range []string{
		`ipvs_info{version="1.2.1"} 1`, `ipvs_connection_table_size 4096`,
		`ipvs_connections_total 1000`, `ipvs_incoming_packets_total 1001`, `ipvs_outgoing_packets_total 1002`,
		`ipvs_incoming_bytes_total 1003`, `ipvs_outgoing_bytes_total 18446744073709550615`,
		`ipvs_service_connections_total` + service + `} 100`, `ipvs_service_incoming_packets_total` + service + `} 101`,
		`ipvs_service_outgoing_packets_total` + service + `} 102`, `ipvs_service_incoming_bytes_total` + service + `} 103`,
		`ipvs_service_outgoing_bytes_total` + service + `} 18446744073709551515`,
		`ipvs_service_backends` + service + `,state="live"} 1`, `ipvs_service_backends` + service + `,state="total"} 2`,
		`ipvs_backend_connections_total` + backend + `200`, `ipvs_backend_incoming_packets_total` + backend + `201`,
		`ipvs_backend_outgoing_packets_total` + backend + `202`, `ipvs_backend_incoming_bytes_total` + backend + `203`,
		`ipvs_backend_outgoing_bytes_total` + backend + `18446744073709551415`,
		`ipvs_backend_connections_active` + backend + `7`, `ipvs_backend_connections_inactive` + backend + `4294967295`,
		`ipvs_backend_weight` + backend + `0`, `ipvs_backend_upper_threshold` + backend + `50`,
		`ipvs_sync_daemon{role="master"} 0`, `ipvs_sync_daemon{role="backup"} 1`,
	} {
		if !strings.Contains(out.String(), "\n"+line+"\n") {
			t.Errorf("no %s in\n%s", line, out.String())
		}
	}
}

func TestMetricsNameTheNamespaceInEverySample(t *testing.T) {
	var out bytes.Buffer
	must.OK(t, Metrics(&out, Options{NetNS: "a\"\\\n"}, info, ipvs.Stats{}, &ipvs.Table{Services: large(1, 2)}))
	samples := 0
	for line := range strings.Lines(out.String()) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		samples++
		if _, labels, _ := strings.Cut(line, "{"); !strings.HasPrefix(labels, `netns="a\"\\\n"`) {
			t.Errorf("%s", line)
		}
	}
	if samples < 20 {
		t.Errorf("%d samples", samples)
	}
}

func TestMetricsOnAFullDiskAreAnError(t *testing.T) {
	for _, free := range []int{10, bufferSize / 2, 5 * bufferSize / 2} {
		if err := Metrics(&full{free}, Options{}, info, ipvs.Stats{}, &ipvs.Table{Services: large(1000, 10)}); !errors.Is(err, errFull) {
			t.Errorf("%d bytes free: %v, want %v", free, err, errFull)
		}
	}
}

// BenchmarkMetrics writes 1,000 services with 10 servers each.
func BenchmarkMetrics(b *testing.B) {
	services := large(1000, 10)
	b.ReportAllocs()
	for b.Loop() {
		must.OK(b, Metrics(io.Discard, Options{}, info, ipvs.Stats{}, &ipvs.Table{Services: services}))
	}
}
