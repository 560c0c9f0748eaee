// SPDX-License-Identifier: Apache-2.0

package render

import (
	"bufio"
	"fmt"
	"io"
	"strconv"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// counters are the counters of services, servers and all together, as
// metrics.
var counters = [...]struct {
	name, help string
	value      func(*ipvs.Stats) uint64
}{
	{"connections", "connections", func(s *ipvs.Stats) uint64 { return s.Conns }},
	{"incoming_packets", "packets from clients", func(s *ipvs.Stats) uint64 { return s.InPkts }},
	{"outgoing_packets", "packets to clients, seen with masquerading only", func(s *ipvs.Stats) uint64 { return s.OutPkts }},
	{"incoming_bytes", "bytes from clients", func(s *ipvs.Stats) uint64 { return s.InBytes }},
	{"outgoing_bytes", "bytes to clients, seen with masquerading only", func(s *ipvs.Stats) uint64 { return s.OutBytes }},
}

// gauges are what servers have besides.
var gauges = [...]struct {
	name, help string
	value      func(*ipvs.DestinationEntry) uint64
}{
	{"connections_active", "Active connections of the real server", func(d *ipvs.DestinationEntry) uint64 { return uint64(d.Conns.Active) }},
	{"connections_inactive", "Inactive connections of the real server", func(d *ipvs.DestinationEntry) uint64 { return uint64(d.Conns.Inactive) }},
	{"weight", "Weight of the real server", func(d *ipvs.DestinationEntry) uint64 { return uint64(d.Weight) }},
}

// Metrics writes a table in Prometheus's text format, with the names and
// labels that node_exporter has for IPVS. Of the options only NoSort matters.
// It may sort the services in place.
func Metrics(w io.Writer, o Options, i ipvs.Info, totals ipvs.Stats, services []ipvs.ServiceEntry) error {
	if !o.NoSort {
		Sort(services)
	}
	m := metrics{w: bufio.NewWriterSize(w, bufferSize)}
	m.family("ipvs_info", "gauge", "Version of IPVS")
	m.sample([]byte(`{version="`+i.Version.String()+`"}`), 1)
	m.family("ipvs_connection_table_size", "gauge", "Buckets of the connection table")
	m.sample(nil, uint64(i.ConnTableSize))
	for _, c := range counters {
		m.family("ipvs_"+c.name+"_total", "counter", "All "+c.help)
		m.sample(nil, c.value(&totals))
	}
	labels := labelsOf(services)
	for _, c := range counters {
		m.family("ipvs_service_"+c.name+"_total", "counter", "The virtual service's "+c.help)
		for n := range services {
			m.sample(labels.service(n), c.value(&services[n].Stats))
		}
	}
	m.family("ipvs_service_backends", "gauge", "Real servers of the virtual service, those that are live having a weight over 0")
	for n := range services {
		live := 0
		for d := range services[n].Destinations {
			if services[n].Destinations[d].Weight > 0 {
				live++
			}
		}
		m.stated(labels.service(n), "live", live)
		m.stated(labels.service(n), "total", len(services[n].Destinations))
	}
	for _, c := range counters {
		m.family("ipvs_backend_"+c.name+"_total", "counter", "The real server's "+c.help)
		m.backends(services, &labels, func(d *ipvs.DestinationEntry) uint64 { return c.value(&d.Stats) })
	}
	for _, g := range gauges {
		m.family("ipvs_backend_"+g.name, "gauge", g.help)
		m.backends(services, &labels, g.value)
	}
	return m.w.Flush()
}

// metrics writes samples; the first error of writing is that of Flush.
type metrics struct {
	w    *bufio.Writer
	name string
}

// family begins the samples of one name.
func (m *metrics) family(name, kind, help string) {
	m.name = name
	fmt.Fprintf(m.w, "# HELP %s %s.\n# TYPE %s %s\n", name, help, name, kind)
}

func (m *metrics) sample(labels []byte, n uint64) {
	m.line(append(append(m.w.AvailableBuffer(), m.name...), labels...), n)
}

// stated writes a sample that has a state besides its labels.
func (m *metrics) stated(labels []byte, state string, n int) {
	b := append(m.w.AvailableBuffer(), m.name...)
	b = append(b, labels[:len(labels)-len("}")]...)
	b = append(append(b, `,state="`...), state...)
	m.line(append(b, `"}`...), uint64(n))
}

func (m *metrics) line(b []byte, n uint64) {
	b = strconv.AppendUint(append(b, ' '), n, 10)
	_, _ = m.w.Write(append(b, '\n'))
}

func (m *metrics) backends(services []ipvs.ServiceEntry, labels *labelTable, value func(*ipvs.DestinationEntry) uint64) {
	n := 0
	for i := range services {
		for j := range services[i].Destinations {
			m.sample(labels.backend(n), value(&services[i].Destinations[j]))
			n++
		}
	}
}

// labelTable has the labels of all services and of all their servers in
// braces, which are needed for each family.
type labelTable struct {
	text               []byte
	services, backends []labelSpan
}

type labelSpan struct{ start, end int }

func (t *labelTable) service(n int) []byte { return t.text[t.services[n].start:t.services[n].end] }
func (t *labelTable) backend(n int) []byte { return t.text[t.backends[n].start:t.backends[n].end] }

func labelsOf(services []ipvs.ServiceEntry) (t labelTable) {
	const usual = 160 // bytes of a server's labels
	backends := 0
	for i := range services {
		backends += len(services[i].Destinations)
	}
	t.text = make([]byte, 0, (len(services)+backends)*usual)
	t.services = make([]labelSpan, 0, len(services))
	t.backends = make([]labelSpan, 0, backends)
	for i := range services {
		s := &services[i]
		start := len(t.text)
		t.text = appendLabels(append(t.text, '{'), s.ServiceID)
		end := len(t.text)
		t.text = append(t.text, '}')
		t.services = append(t.services, labelSpan{start, len(t.text)})
		for j := range s.Destinations {
			d := &s.Destinations[j]
			start := len(t.text)
			t.text = append(t.text, t.text[t.services[i].start:end]...)
			t.text = d.Addr.AppendTo(append(t.text, `,remote_address="`...))
			t.text = appendField(t.text, `",remote_port="`, uint64(d.Port))
			t.text = append(t.text, `"}`...)
			t.backends = append(t.backends, labelSpan{start, len(t.text)})
		}
	}
	return t
}

// appendLabels appends the labels of a service. A mark is in hexadecimal, as
// in /proc/net/ip_vs.
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
