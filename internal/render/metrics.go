// SPDX-License-Identifier: Apache-2.0

package render

import (
	"fmt"
	"io"
	"strconv"

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
// option that has an effect. Metrics may sort the services in place.
func Metrics(w io.Writer, o Options, i ipvs.Info, totals ipvs.Stats, t *ipvs.Table) error {
	services := t.Services
	if !o.NoSort {
		Sort(services)
	}
	m := metrics{w: w, buf: make([]byte, 0, metricsSize+metricsSize/16)}
	m.family("ipvs_info", "gauge", "Version of IPVS")
	m.sample(nil, `{version="`+i.Version.String()+`"}`, 1)
	m.family("ipvs_connection_table_size", "gauge", "Buckets of the connection table")
	m.sample(nil, "", uint64(i.ConnTableSize))
	m.family("ipvs_sync_daemon", "gauge", "Whether the sync daemon of the role is running")
	for _, role := range []ipvs.DaemonState{ipvs.Master, ipvs.Backup} {
		running := uint64(0)
		for _, d := range t.Daemons {
			if d.State == role {
				running = 1
			}
		}
		m.sample(nil, `{role="`+role.String()+`"}`, running)
	}
	for _, c := range counters {
		m.family("ipvs_"+c.name+"_total", "counter", "All "+c.help)
		m.sample(nil, "", c.value(&totals))
	}
	labels := labelsOf(services)
	for _, c := range counters {
		m.family("ipvs_service_"+c.name+"_total", "counter", "The virtual service's "+c.help)
		for n := range services {
			m.sample(labels.services.part(n), "}", c.value(&services[n].Stats))
		}
	}
	m.family("ipvs_service_backends", "gauge", "Real servers of the virtual service; live are those with a weight over 0")
	for n := range services {
		live := 0
		for d := range services[n].Destinations {
			if services[n].Destinations[d].Weight > 0 {
				live++
			}
		}
		m.sample(labels.services.part(n), `,state="live"}`, uint64(live))
		m.sample(labels.services.part(n), `,state="total"}`, uint64(len(services[n].Destinations)))
	}
	for _, c := range counters {
		m.family("ipvs_backend_"+c.name+"_total", "counter", "The real server's "+c.help)
		m.backends(services, &labels, func(d *ipvs.DestinationEntry) uint64 { return c.value(&d.Stats) })
	}
	for _, g := range gauges {
		m.family("ipvs_backend_"+g.name, "gauge", g.help)
		m.backends(services, &labels, g.value)
	}
	m.write()
	return m.err
}

// metricsSize is the size of one write. It is larger than bufferSize, since
// metrics are ten times as long as a listing.
const metricsSize = 256 << 10

// metrics writes samples. It formats them directly in its buffer, where a
// bufio.Writer would copy each of them.
type metrics struct {
	w      io.Writer
	buf    []byte
	err    error  // the first write error
	name   string // the name of the current family
	prefix []byte // the name and labels that a service's servers have in common
}

func (m *metrics) write() {
	if m.err == nil {
		_, m.err = m.w.Write(m.buf)
	}
	m.buf = m.buf[:0]
}

// appendValue ends a sample with its value.
func (m *metrics) appendValue(b []byte, n uint64) {
	b = strconv.AppendUint(append(b, ' '), n, 10)
	if m.buf = append(b, '\n'); len(m.buf) >= metricsSize {
		m.write()
	}
}

// family begins a family, the samples with one name.
func (m *metrics) family(name, kind, help string) {
	m.name = name
	m.buf = fmt.Appendf(m.buf, "# HELP %s %s.\n# TYPE %s %s\n", name, help, name, kind)
}

// sample writes a sample, with the labels and suffix after its name.
func (m *metrics) sample(labels []byte, suffix string, n uint64) {
	b := append(append(m.buf, m.name...), labels...)
	m.appendValue(append(b, suffix...), n)
}

func (m *metrics) backends(services []ipvs.ServiceEntry, labels *labelTable, value func(*ipvs.DestinationEntry) uint64) {
	n := 0
	for i := range services {
		m.prefix = append(append(m.prefix[:0], m.name...), labels.services.part(i)...)
		for j := range services[i].Destinations {
			b := append(append(m.buf, m.prefix...), labels.backends.part(n)...)
			m.appendValue(b, value(&services[i].Destinations[j]))
			n++
		}
	}
}

// labelTable contains the formatted labels, which every family repeats: those
// of services, without the closing brace, and the additional ones of servers.
// Complete labels of the servers would take three times the memory.
type labelTable struct{ services, backends parts }

// parts is a list of texts in one buffer.
type parts struct {
	text []byte
	ends []int
}

// makeParts returns an empty list for n texts with an estimated size.
func makeParts(n, size int) parts { return parts{make([]byte, 0, n*size), make([]int, 0, n)} }

// add appends a text. The argument is p.text with the new text appended.

func (p *parts) add(text []byte) { p.text, p.ends = text, append(p.ends, len(text)) }

func (p *parts) part(n int) []byte {
	start := 0
	if n > 0 {
		start = p.ends[n-1]
	}
	return p.text[start:p.ends[n]]
}

func labelsOf(services []ipvs.ServiceEntry) labelTable {
	backends := 0
	for i := range services {
		backends += len(services[i].Destinations)
	}
	t := labelTable{makeParts(len(services), 112), makeParts(backends, 48)}
	for i := range services {
		s := &services[i]
		t.services.add(appendLabels(append(t.services.text, '{'), s.ServiceID))
		for j := range s.Destinations {
			d := &s.Destinations[j]
			b := d.Addr.AppendTo(append(t.backends.text, `,remote_address="`...))
			b = appendField(b, `",remote_port="`, uint64(d.Port))
			t.backends.add(append(b, `"}`...))
		}
	}
	return t
}

// appendLabels appends the labels of a service. A firewall mark is in
// hexadecimal, as in /proc/net/ip_vs.
func appendLabels(b []byte, id ipvs.ServiceID) []byte {
	b = append(b, `local_address="`...)
	proto := "FWM"
	if id.FWMark == 0 {
		b = id.Addr.AppendTo(b)
		proto = id.Protocol.String()
	}
	b = appendField(b, `",local_port="`, uint64(id.Port))
	b = append(append(b, `",proto="`...), proto...)
	b = append(b, `",local_mark="`...)
	if id.FWMark != 0 {
		b = fmt.Appendf(b, "%08X", id.FWMark)
	}
	b = append(append(b, `",family="`...), id.Family().Name()...)
	return append(b, '"')
}
