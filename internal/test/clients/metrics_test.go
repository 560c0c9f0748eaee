// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/ipvsadm-go/ipvsadm/internal/test/guest/guesttest"
	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/internal/test/program"
)

// metricsTable has every kind of service and server, and a service with
// traffic.
const metricsTable = `-A -u 12.0.0.1:53 -s rr
-a -u 12.0.0.1:53 -r 192.168.168.10:5300 -m -w 3 -x 50 -y 40
-a -u 12.0.0.1:53 -r 192.168.168.11 -g -w 0
-A -u [2001:db8::1]:53 -s rr
-a -u [2001:db8::1]:53 -r [2001:db8::a]:5300 -m
-A -t 12.0.0.1:80 -s wlc
-A --sctp-service 12.0.0.1:80 -s sh -p 60
-a --sctp-service 12.0.0.1:80 -r 192.168.168.10 -i
-A --sctp-service [2001:db8::1]:1 -s rr
-a --sctp-service [2001:db8::1]:1 -r [2001:db8::a]:1 -m
-A -f 4000000000 -s rr
-a -f 4000000000 -r 192.168.168.10:80 -m
-A -f 9 -6 -s rr
-a -f 9 -6 -r [2001:db8::a]:80 -g
`

const metricsTraffic = `ip link set lo up
ip link add dummy0 type dummy && ip link set dummy0 up
ip addr add 192.168.168.1/24 dev dummy0 && ip addr add 12.0.0.1/32 dev dummy0
ip -6 addr add 2001:db8::1/64 nodad dev dummy0
echo "$1" | ipvsadm -R
ipvsadm --start-daemon backup --mcast-interface lo
for i in 1 2 3; do printf 0123456789 >/dev/udp/12.0.0.1/53; done
printf 01234 >/dev/udp/2001:db8::1/53
sleep 5 # the kernel sums up every two seconds
`

// TestMetrics has node_exporter serve the output of --metrics, compares it
// with that of --json, and runs the dashboard's queries on it. It runs only
// with IPVSADM_TEST_METRICS=1, because its packages are large.
func TestMetrics(t *testing.T) {
	if os.Getenv("IPVSADM_TEST_METRICS") != "1" {
		t.Skip("needs large packages: make test FULL=1")
	}
	guesttest.InGuest(t, func(t *testing.T) {
		guesttest.Modprobe(t, "ip_vs", "dummy")
		guesttest.Namespace(t)
		program.InPath(t)
		program.Run(t, "bash", "-ec", metricsTraffic, "", metricsTable)
		dir := t.TempDir()
		file := filepath.Join(dir, "ipvs.prom")
		program.Run(t, "ipvsadm", "-L", "--metrics", "--output", file)
		// Another network namespace, in the same dir.
		blue := filepath.Join(dir, "ipvs-blue.prom")
		program.Run(t, "ip", "netns", "add", "blue")
		t.Cleanup(func() { program.Run(t, "ip", "netns", "delete", "blue") })
		program.Run(t, "ipvsadm", "--netns", "blue", "-A", "-t", "12.0.0.1:80", "-s", "rr")
		program.Run(t, "ipvsadm", "--netns", "blue", "-L", "--metrics", "--output", blue)

		for _, name := range []string{file, blue} {
			check := exec.Command("promtool", "check", "metrics")
			text, err := os.Open(name)
			must.OK(t, err)
			defer text.Close()
			check.Stdin = text
			if out, err := check.CombinedOutput(); err != nil || len(out) > 0 {
				t.Errorf("promtool: %v\n%s", err, out)
			}
		}

		want := expected(t)
		got := samples(t, scrape(t, dir))
		others := 0
		maps.DeleteFunc(got, func(name string, _ float64) bool {
			other := strings.Contains(name, `netns="blue"`)
			if other {
				others++
			}
			return other
		})
		if n := strings.Count(program.Read(t, blue), "\nipvs_"); others != n {
			t.Errorf("%d samples of the other namespace, want %d", others, n)
		}
		for _, name := range slices.Sorted(maps.Keys(got)) {
			if value, found := want[name]; !found || value != got[name] {
				t.Errorf("%s is %v, want %v (%v)", name, got[name], value, found)
			}
		}
		for name, value := range want {
			if _, found := got[name]; !found {
				t.Errorf("there is no %s, want %v", name, value)
			}
		}
		if n := got[`ipvs_service_incoming_bytes_total{family="inet",local_address="12.0.0.1",local_mark="",local_port="53",proto="UDP"}`]; n != 3*38 {
			t.Errorf("the service has got %v bytes", n)
		}
		t.Run("rules and dashboard", func(t *testing.T) { checkPrometheus(t, program.Read(t, file)) })
	}, "prometheus", "prometheus-node-exporter")
}

// checkPrometheus has promtool check and test the alert rules, and run the
// queries of the dashboard on series that begin like the metrics and grow.
func checkPrometheus(t *testing.T, metrics string) {
	const dir = "../../../packaging/prometheus/"
	promtool := func(words ...string) {
		t.Helper()
		if out, err := program.Try(append([]string{"promtool"}, words...)...); err != nil {
			t.Errorf("promtool %q: %v\n%s", words, err, out)
		}
	}
	promtool("check", "rules", dir+"ipvs.rules.yml")
	promtool("test", "rules", dir+"ipvs.rules_test.yml")

	var series []string
	for name, n := range samples(t, metrics) {
		name, labels, _ := strings.Cut(strings.TrimSuffix(name, "}"), "{")
		series = append(series, fmt.Sprintf(`{series: '%s{instance="director",%s}', values: %g+%gx20}`, name, labels, n, n))
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	must.OK(t, json.Unmarshal([]byte(program.Read(t, dir+"ipvs.dashboard.json")), &dashboard))
	var queries []string
	fill := strings.NewReplacer("$instance", "director", "$__rate_interval", "1m", " or vector(0)", "")
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			// A query without results has no count either.
			query := "count(" + fill.Replace(target.Expr) + ") > bool 0"
			queries = append(queries, fmt.Sprintf("{expr: %q, eval_time: 2m, exp_samples: [{labels: '{}', value: 1}]}", query))
		}
	}
	if len(queries) < len(dashboard.Panels) || len(queries) == 0 {
		t.Fatalf("the dashboard has %d queries", len(queries))
	}
	file := filepath.Join(t.TempDir(), "queries.yml")
	program.Write(t, file, fmt.Sprintf("tests: [{interval: 15s, input_series: [\n%s], promql_expr_test: [\n%s]}]\n",
		strings.Join(series, ",\n"), strings.Join(queries, ",\n")))
	promtool("test", "rules", file)
}

// scrape gets the metrics of a directory from node_exporter.
func scrape(t *testing.T, dir string) string {
	t.Helper()
	const address = "127.0.0.1:9100"
	exporter := exec.Command("prometheus-node-exporter", "--web.listen-address="+address,
		"--collector.disable-defaults", "--collector.textfile", "--collector.textfile.directory="+dir)
	var said strings.Builder
	exporter.Stderr = &said
	must.OK(t, exporter.Start())
	defer func() {
		_ = exporter.Process.Kill()
		_ = exporter.Wait()
	}()
	var page string
	if !must.Soon(func() (answers bool) {
		var err error
		page, err = program.Try("curl", "-s", "http://"+address+"/metrics")
		return err == nil
	}) {
		t.Fatalf("no answer from node_exporter: %s", said.String())
	}
	if !strings.Contains(page, "node_textfile_scrape_error 0\n") {
		t.Errorf("node_exporter did not take the file: %s", said.String())
	}
	return page
}

// samples returns the IPVS samples on a page, with their labels in
// node_exporter's order.
func samples(t *testing.T, page string) map[string]float64 {
	t.Helper()
	list := make(map[string]float64)
	for line := range strings.Lines(page) {
		if !strings.HasPrefix(line, "ipvs_") {
			continue
		}
		name, number, _ := strings.Cut(strings.TrimSpace(line), " ")
		n, err := strconv.ParseFloat(number, 64)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		list[name] = n
	}
	return list
}

// expected builds the samples from the JSON lists.
func expected(t *testing.T) map[string]float64 {
	t.Helper()
	type counters map[string]float64
	var table struct {
		Version  string  `json:"ipvs_version"`
		Size     float64 `json:"connection_table_size"`
		Services []struct {
			Family, Protocol, Address string
			Port, FWMark              int
			Stats                     counters
			Destinations              []struct {
				Address  string
				Port     int
				Weight   float64
				Upper    float64 `json:"upper_threshold"`
				Active   float64 `json:"active_connections"`
				Inactive float64 `json:"inactive_connections"`
				Stats    counters
			}
		}
	}
	must.OK(t, json.Unmarshal([]byte(program.Run(t, "ipvsadm", "-L", "--json")), &table))
	list := make(map[string]float64)
	names := map[string]string{"connections": "connections", "packets_in": "incoming_packets", "packets_out": "outgoing_packets",
		"bytes_in": "incoming_bytes", "bytes_out": "outgoing_bytes"}
	add := func(prefix, labels string, c counters) {
		for key, name := range names {
			list[prefix+name+"_total"+labels] = c[key]
		}
	}
	list[`ipvs_info{version="`+table.Version+`"}`] = 1
	list["ipvs_connection_table_size"] = table.Size
	list[`ipvs_sync_daemon{role="master"}`] = 0
	list[`ipvs_sync_daemon{role="backup"}`] = 1
	totals := make(counters)
	for _, s := range table.Services {
		proto, mark := strings.ToUpper(s.Protocol), ""
		if s.FWMark != 0 {
			proto, mark = "FWM", fmt.Sprintf("%08X", s.FWMark)
		}
		labels := fmt.Sprintf(`family=%q,local_address=%q,local_mark=%q,local_port="%d",proto=%q`, s.Family, s.Address, mark, s.Port, proto)
		add("ipvs_service_", "{"+labels+"}", s.Stats)
		for key, n := range s.Stats {
			totals[key] += n // no service was deleted
		}
		live := 0
		for _, d := range s.Destinations {
			if d.Weight > 0 {
				live++
			}
			labels := fmt.Sprintf(`{%s,remote_address=%q,remote_port="%d"}`, labels, d.Address, d.Port)
			add("ipvs_backend_", labels, d.Stats)
			list["ipvs_backend_connections_active"+labels] = d.Active
			list["ipvs_backend_connections_inactive"+labels] = d.Inactive
			list["ipvs_backend_weight"+labels] = d.Weight
			list["ipvs_backend_upper_threshold"+labels] = d.Upper
		}
		list[fmt.Sprintf(`ipvs_service_backends{%s,state="live"}`, labels)] = float64(live)
		list[fmt.Sprintf(`ipvs_service_backends{%s,state="total"}`, labels)] = float64(len(s.Destinations))
	}
	add("ipvs_", "", totals)
	return list
}
