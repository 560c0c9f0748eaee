// SPDX-License-Identifier: Apache-2.0

package render

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// counters are the metrics of services and real servers, and of IPVS as a
// whole.
var counters = [...]struct {
	name, help string
	value      func(*ipvs.Stats) uint64
}{
	{"connections", "connections", func(s *ipvs.Stats) uint64 { return s.Conns }},
	{"incoming_packets", "packets from clients", func(s *ipvs.Stats) uint64 { return s.InPkts }},
	{"outgoing_packets", "packets to clients, seen with NAT (-m) only", func(s *ipvs.Stats) uint64 { return s.OutPkts }},
	{"incoming_bytes", "bytes from clients", func(s *ipvs.Stats) uint64 { return s.InBytes }},
	{"outgoing_bytes", "bytes to clients, seen with NAT (-m) only", func(s *ipvs.Stats) uint64 { return s.OutBytes }},
}

// gauges are the additional metrics of real servers.
var gauges = [...]struct {
	name, help string
	value      func(*ipvs.DestinationEntry) uint64
}{
	{"connections_active", "Active connections of the real server", func(d *ipvs.DestinationEntry) uint64 { return uint64(d.Conns.Active) }},
	{"connections_inactive", "Inactive connections of the real server", func(d *ipvs.DestinationEntry) uint64 { return uint64(d.Conns.Inactive) }},
	{"weight", "Weight of the real server", func(d *ipvs.DestinationEntry) uint64 { return uint64(d.Weight) }},
	{"upper_threshold", "Upper connection threshold of the real server, 0 for none", func(d *ipvs.DestinationEntry) uint64 { return uint64(d.UpperThreshold) }},
}

// Metrics writes services and sync daemons in the Prometheus text format, with
// the names and labels of the IPVS metrics of node_exporter. NoSort is the only
// option that has an effect, apart from NetNS: it is a label of every sample, so
// that the files of several network namespaces can be in one directory. Metrics
// may sort the services in place.
func Metrics(w io.Writer, o Options, i ipvs.Info, totals ipvs.Stats, t *ipvs.Table) error {
	services := t.Services
	if !o.NoSort {
		Sort(services)
	}
	m := metrics{Writer: bufio.NewWriterSize(w, bufferSize)}
	if o.NetNS != "" {
		m.netns = `netns="` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(o.NetNS) + `"`
	}
	m.family("ipvs_info", "gauge", "Version of IPVS")
	m.sample(`version="`+i.Version.String()+`"`, 1)
	m.family("ipvs_connection_table_size", "gauge", "Buckets of the connection table")
	m.sample("", uint64(i.ConnTableSize))
	m.family("ipvs_sync_daemon", "gauge", "Whether the sync daemon of the role is running")
	for _, role := range []ipvs.DaemonState{ipvs.Master, ipvs.Backup} {
		running := uint64(0)
		for _, d := range t.Daemons {
			if d.State == role {
				running = 1
			}
		}
		m.sample(`role="`+role.String()+`"`, running)
	}
	m.counters("ipvs_", "All ", []entry{{"", &totals, nil}})
	entries, backends := make([]entry, len(services)), []entry(nil)
	for n := range services {
		s := &services[n]
		entries[n] = entry{serviceLabels(s.ServiceID), &s.Stats, nil}
		for i := range s.Destinations {
			d := &s.Destinations[i]
			remote := fmt.Sprintf(`,remote_address="%v",remote_port="%d"`, d.Addr, d.Port)
			backends = append(backends, entry{entries[n].labels + remote, &d.Stats, d})
		}
	}
	m.counters("ipvs_service_", "The virtual service's ", entries)
	m.family("ipvs_service_backends", "gauge", "Real servers of the virtual service; live are those with a weight over 0")
	for n := range services {
		live := 0
		for _, d := range services[n].Destinations {
			if d.Weight > 0 {
				live++
			}
		}
		m.sample(entries[n].labels+`,state="live"`, uint64(live))
		m.sample(entries[n].labels+`,state="total"`, uint64(len(services[n].Destinations)))
	}
	m.counters("ipvs_backend_", "The real server's ", backends)
	for _, g := range gauges {
		m.family("ipvs_backend_"+g.name, "gauge", g.help)
		for _, b := range backends {
			m.sample(b.labels, g.value(b.server))
		}
	}
	return m.Flush()
}

// entry is a service or a server with its labels, which every family repeats.
type entry struct {
	labels string
	stats  *ipvs.Stats
	server *ipvs.DestinationEntry // nil for a service
}

// metrics writes samples. Flush returns the first write error.
type metrics struct {
	*bufio.Writer
	name  string // the name of the current family
	netns string // the label of every sample, "" for none
}

// family begins a family, the samples with one name.
func (m *metrics) family(name, kind, help string) {
	m.name = name
	fmt.Fprintf(m, "# HELP %s %s.\n# TYPE %s %s\n", name, help, name, kind)
}

// counters writes the families of all counters.
func (m *metrics) counters(prefix, whose string, entries []entry) {
	for _, c := range counters {
		m.family(prefix+c.name+"_total", "counter", whose+c.help)
		for _, e := range entries {
			m.sample(e.labels, c.value(e.stats))
		}
	}
}

func (m *metrics) sample(labels string, n uint64) {
	b := append(m.AvailableBuffer(), m.name...)
	switch {
	case m.netns != "" && labels != "":
		labels = m.netns + "," + labels
	case m.netns != "":
		labels = m.netns
	}
	if labels != "" {
		b = append(append(append(b, '{'), labels...), '}')
	}
	b = strconv.AppendUint(append(b, ' '), n, 10)
	_, _ = m.Write(append(b, '\n')) // Flush returns the error again
}

// serviceLabels returns the labels of a service. A firewall mark is in
// hexadecimal, as in /proc/net/ip_vs.
func serviceLabels(id ipvs.ServiceID) string {
	addr, proto, mark := "", "FWM", ""
	if id.FWMark == 0 {
		addr, proto = id.Addr.String(), id.Protocol.String()
	} else {
		mark = fmt.Sprintf("%08X", id.FWMark)
	}
	return fmt.Sprintf(`local_address="%s",local_port="%d",proto="%s",local_mark="%s",family="%s"`,
		addr, id.Port, proto, mark, id.Family().Name())
}
