// SPDX-License-Identifier: Apache-2.0

package render

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// jsonOutput returns a document without its line end.
func jsonOutput(t *testing.T, o Options, print func(Writer) error) string {
	t.Helper()
	var out bytes.Buffer
	p := JSON(&out, o)
	must.OK(t, errors.Join(print(p), p.Flush()))
	document, found := strings.CutSuffix(out.String(), "\n")
	if !found || strings.Contains(document, "\n") {
		t.Fatalf("no single line: %q", out.String())
	}
	return document
}

// documents returns documents of every kind, with all members they can have.
func documents(t *testing.T) map[string]string {
	rows := "Pro FromIP\n"
	for _, c := range connections {
		rows += c.kernel + "\n"
	}
	for _, c := range engineConnections {
		rows += c.kernel + "\n"
	}
	counted := large(2, 2)
	counted[0].Stats.InBytes = 1<<64 - 1
	counted[0].Destinations[0].Forward = ipvs.Bypass
	counted[0].Destinations[0].Conns.Persistent = 1<<32 - 1
	docs := make(map[string]string)
	for name, print := range map[string]func(Writer) error{
		"an empty table": func(p Writer) error { return p.Table(t.Context(), info, nil) },
		"a table":        func(p Writer) error { return p.Table(t.Context(), info, sample()) },
		"counters":       func(p Writer) error { return p.Table(t.Context(), info, counted) },
		"one service":    func(p Writer) error { return p.Table(t.Context(), info, sample()[3:4]) },
		"no connections": func(p Writer) error {
			return p.Connections(t.Context(), kernelRows(""))
		},
		"connections": func(p Writer) error {
			return p.Connections(t.Context(), kernelRows(rows))
		},
		"timeouts": func(p Writer) error {
			return p.Timeouts(ipvs.Timeouts{TCP: 900 * time.Second, UDP: 2678400 * time.Second})
		},
		"no daemons":                func(p Writer) error { return p.Daemons(nil) },
		"daemons":                   func(p Writer) error { return p.Daemons(daemons) },
		"an old kernel's":           func(p Writer) error { return p.Daemons([]ipvs.Daemon{{State: ipvs.Backup, Interface: "eth0"}}) },
		"a service without servers": func(p Writer) error { return p.Table(t.Context(), info, sample()[11:12]) },
	} {
		docs[name] = jsonOutput(t, Options{}, print)
	}
	return docs
}

var daemons = []ipvs.Daemon{
	{State: ipvs.Master, Interface: "lo", MaxLen: 1472, Group: netip.MustParseAddr("224.0.0.81"), Port: 8848, TTL: 1},
	{State: ipvs.Backup, Interface: "lo", SyncID: 7, MaxLen: 1024, Group: netip.MustParseAddr("ff02::5"), Port: 99, TTL: 3},
}

func TestDocuments(t *testing.T) {
	docs := documents(t)
	for name, want := range map[string]string{
		"an empty table": `{"json_schema_version":1,"ipvs_version":"1.2.1","connection_table_size":4096,"services":[]}`,
		"no connections": `{"json_schema_version":1,"connections":[]}`,
		"timeouts":       `{"json_schema_version":1,"tcp":900,"tcp_fin":0,"udp":2678400}`,
		"no daemons":     `{"json_schema_version":1,"daemons":[]}`,
		"daemons": `{"json_schema_version":1,"daemons":[` +
			`{"state":"master","interface":"lo","syncid":0,"maxlen":1472,"group":"224.0.0.81","port":8848,"ttl":1},` +
			`{"state":"backup","interface":"lo","syncid":7,"maxlen":1024,"group":"ff02::5","port":99,"ttl":3}]}`,
	} {
		if docs[name] != want {
			t.Errorf("%s is\n%s, want\n%s", name, docs[name], want)
		}
	}
}

// TestADocumentIsMadeOfTheLibrarysObjects compares a document, which is
// written in pieces, with the output of encoding/json for the whole.
func TestADocumentIsMadeOfTheLibrarysObjects(t *testing.T) {
	for _, o := range []Options{{}, {NoSort: true}} {
		got := jsonOutput(t, o, func(p Writer) error { return p.Table(t.Context(), info, sample()) })
		services := sample()
		if !o.NoSort {
			Sort(services)
		}
		for i := range services {
			if services[i].Destinations == nil {
				services[i].Destinations = []ipvs.DestinationEntry{}
			}
		}
		want, err := json.Marshal(struct {
			Schema   int                 `json:"json_schema_version"`
			Version  string              `json:"ipvs_version"`
			Size     uint32              `json:"connection_table_size"`
			Services []ipvs.ServiceEntry `json:"services"`
		}{1, info.Version.String(), info.ConnTableSize, services})
		if err != nil || got != string(want) {
			t.Errorf("%+v: got\n%s, want\n%s, %v", o, got, want, err)
		}
	}
}

// TestDocumentsMatchTheSchema validates documents of every kind, the
// documents in the scripts, which come from a real kernel, and some invalid
// ones.
func TestDocumentsMatchTheSchema(t *testing.T) {
	type document struct {
		name, text string
		valid      bool
	}
	var list []document
	docs := documents(t)
	for name, text := range docs {
		list = append(list, document{name, text, true})
	}
	for _, c := range []struct{ name, of, old, new string }{
		{"another version", "no daemons", `:1,`, `:2,`},
		{"an unknown member", "timeouts", `"tcp"`, `"tcpx":1,"tcp"`},
		{"a missing member", "timeouts", `,"udp":2678400`, ``},
		{"a number in quotes", "connections", `"client_port":33814`, `"client_port":"33814"`},
		{"a name for an address", "connections", `"client_address":"10.1.0.2"`, `"client_address":"client"`},
		{"a mark and an address", "connections", `"fwmark":77`, `"fwmark":77,"virtual_address":"::","virtual_port":1`},
		{"a counter below zero", "a table", `"packets_in":0`, `"packets_in":-1`},
		{"a tunnel with direct routing", "a table", `"forward":"tunnel"`, `"forward":"route"`},
		{"a port with IP in IP", "a table", `{"type":"ipip"}`, `{"type":"ipip","port":1}`},
		{"persistence without a mask", "a table", `"persistence_netmask":"64"`, `"one_packet":true`},
		{"a truncated document", "a table", `]}]}`, ``},
	} {
		text := strings.Replace(docs[c.of], c.old, c.new, 1)
		if text == docs[c.of] {
			t.Fatalf("%s: %s is not in %s", c.name, c.old, docs[c.of])
		}
		list = append(list, document{c.name, text, false})
	}
	var changes ipvs.Batch
	web := ipvs.NewService(ipvs.AddrID(ipvs.TCP, netip.MustParseAddr("12.0.0.1"), 80), "rr")
	server := ipvs.NewDestination(netip.MustParseAddrPort("10.0.0.1:80"))
	changes.AddService(web)
	changes.DeleteService(web.ServiceID)
	changes.EditDestination(web.ServiceID, server)
	changes.DeleteDestination(web.ServiceID, server.AddrPort())
	changes.SetTimeouts(ipvs.Timeouts{UDP: time.Minute})
	changes.StartDaemon(ipvs.Daemon{State: ipvs.Master, Interface: "lo"})
	changes.StopDaemon(ipvs.Master)
	for _, c := range changes {
		text, err := c.MarshalJSON()
		must.OK(t, err)
		event := `{"time":"2026-11-25T17:00:00.123Z",` + string(text[1:])
		list = append(list, document{c.String(), event, true}, document{c.String(), strings.Replace(event, `"op":"`, `"op":"x`, 1), false})
	}
	scripts, err := filepath.Glob("../../testdata/script/*.txtar")
	must.OK(t, err)
	found := 0
	for _, file := range scripts {
		text, err := os.ReadFile(file)
		must.OK(t, err)
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, `{"json_schema_version"`) {
				list = append(list, document{file, strings.TrimSpace(line), true})
				found++
			}
		}
	}
	if found < 5 {
		t.Errorf("only %d documents in the scripts", found)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	schema, err := compiler.Compile("../../packaging/doc/ipvsadm.schema.json")
	must.OK(t, err)
	for _, d := range list {
		parsed, err := jsonschema.UnmarshalJSON(strings.NewReader(d.text))
		if err == nil {
			err = schema.Validate(parsed)
		}
		if (err == nil) != d.valid {
			t.Errorf("%s: %v\n%s", d.name, err, d.text)
		}
	}
}

// sequence yields n connections, and then the error if it is not nil. Before
// each connection it calls before.
func sequence(n int, end error, before func(i int)) iter.Seq2[ipvs.Connection, error] {
	addr := netip.MustParseAddrPort("12.0.0.1:80")
	return func(yield func(ipvs.Connection, error) bool) {
		for i := range n {
			before(i)
			if !yield(ipvs.Connection{Protocol: ipvs.TCP, Client: addr, Virtual: addr, Destination: addr, State: "ESTABLISHED"}, nil) {
				return
			}
		}
		if end != nil {
			yield(ipvs.Connection{}, end)
		}
	}
}

func TestConnectionsAreWrittenWhileTheyAreRead(t *testing.T) {
	const n = 10_000
	for name, format := range map[string]func(io.Writer) Writer{
		"text": func(w io.Writer) Writer { return Text(w, nil, Options{Numeric: true}) },
		"JSON": func(w io.Writer) Writer { return JSON(w, Options{}) },
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			p := format(&out)
			if err := p.Connections(t.Context(), sequence(n, nil, func(i int) {
				if buffered := i*60 - out.Len(); buffered > 2*bufferSize {
					t.Fatalf("%d bytes are buffered after %d connections", buffered, i)
				}
			})); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestAnIncompleteListOfConnectionsIsInvalidJSON(t *testing.T) {
	broken, malformed := errors.New("broken"), ipvs.ErrMalformed
	for _, c := range []struct {
		end   error
		valid bool
	}{{nil, true}, {malformed, true}, {broken, false}} {
		var out bytes.Buffer
		p := JSON(&out, Options{})
		err := p.Connections(t.Context(), sequence(3, c.end, func(int) {}))
		if flush := p.Flush(); err != c.end || flush != nil {
			t.Errorf("got %v and %v, want %v", err, flush, c.end)
		}
		if json.Valid(out.Bytes()) != c.valid {
			t.Errorf("after %v the list is %s", c.end, out.String())
		}
	}
}

func TestJSONOnAFullDiskIsAnError(t *testing.T) {
	for name, print := range map[string]func(Writer) error{
		"table":       func(p Writer) error { return p.Table(t.Context(), info, large(1000, 10)) },
		"connections": func(p Writer) error { return p.Connections(t.Context(), sequence(10_000, nil, func(int) {})) },
	} {
		p := JSON(&full{bufferSize / 2}, Options{})
		if err := print(p); !errors.Is(err, errFull) {
			t.Errorf("%s: %v, want %v", name, err, errFull)
		}
	}
}

// BenchmarkFormats writes the same rows in each format.
func BenchmarkFormats(b *testing.B) {
	formats := []struct {
		name string
		make func() Writer
	}{
		{"text", func() Writer { return Text(io.Discard, nil, Options{Numeric: true}) }},
		{"stats", func() Writer { return Text(io.Discard, nil, Options{Numeric: true, Format: Stats}) }},
		{"JSON", func() Writer { return JSON(io.Discard, Options{}) }},
	}
	const n = 100_000
	services := large(n/100, 100)
	for what, print := range map[string]func(Writer) error{
		"connections":  func(p Writer) error { return p.Connections(b.Context(), sequence(n, nil, func(int) {})) },
		"destinations": func(p Writer) error { return p.Table(b.Context(), info, services) },
	} {
		for _, format := range formats {
			b.Run(what+"/"+format.name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					p := format.make()
					must.OK(b, errors.Join(print(p), p.Flush()))
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/row")
			})
		}
	}
}
