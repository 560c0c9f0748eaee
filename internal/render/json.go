// SPDX-License-Identifier: Apache-2.0

package render

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"io"
	"iter"

	"github.com/ipvsadm-go/ipvsadm/internal/strictjson"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// JSON returns a Writer of JSON documents of one line each, with numeric
// addresses and ports, and all fields. Of the options only NoSort has an
// effect. packaging/doc/ipvsadm.schema.json describes the documents.
func JSON(w io.Writer, o Options) Writer {
	return &document{w: bufio.NewWriterSize(w, bufferSize), o: o}
}

type document struct {
	w *bufio.Writer
	o Options
}

func (p *document) Flush() error { return p.w.Flush() }

func (p *document) Table(ctx context.Context, i ipvs.Info, services []ipvs.ServiceEntry) error {
	if !p.o.NoSort {
		Sort(services)
	}
	head, err := strictjson.Marshal(i)
	if err != nil {
		return err
	}
	p.begin(members(head) + `,"services":[`)
	for n, s := range services {
		if s.Destinations == nil {
			s.Destinations = []ipvs.DestinationEntry{}
		}
		if err := p.item(n, s); err != nil {
			return err
		}
	}
	return p.end("]")
}

// Connections leaves the document unfinished if the rows end with an error,
// so that it does not look complete.
func (p *document) Connections(ctx context.Context, rows iter.Seq2[ipvs.Connection, error]) error {
	p.begin(`"connections":[`)
	n := 0
	var first error
	for c, err := range rows {
		switch {
		case err == nil:
			if err := p.item(n, c); err != nil {
				return err
			}
			n++
		case !errors.Is(err, ipvs.ErrMalformed):
			return err
		case first == nil:
			first = err
		}
	}
	return cmp.Or(p.end("]"), first)
}

func (p *document) Timeouts(t ipvs.Timeouts) error {
	b, err := strictjson.Marshal(t)
	if err != nil {
		return err
	}
	p.begin(members(b))
	return p.end("")
}

func (p *document) Daemons(daemons []ipvs.Daemon) error {
	p.begin(`"daemons":[`)
	for n := range daemons {
		if err := p.item(n, daemons[n]); err != nil {
			return err
		}
	}
	return p.end("]")
}

// begin writes the start of the document. Later writes return its error again.
func (p *document) begin(fields string) {
	_, _ = p.w.WriteString(`{"json_schema_version":1,` + fields)
}

func (p *document) end(list string) error {
	_, err := p.w.WriteString(list + "}\n")
	return err
}

// item writes number n of a list.
func (p *document) item(n int, v any) error {
	b, err := strictjson.Marshal(v)
	if err != nil {
		return err
	}
	if n > 0 {
		_ = p.w.WriteByte(',')
	}
	_, err = p.w.Write(b)
	return err
}

// members returns the fields of an object without the braces.
func members(object []byte) string { return string(object[1 : len(object)-1]) }
