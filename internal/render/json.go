// SPDX-License-Identifier: Apache-2.0

package render

import (
	"bufio"
	"context"
	"errors"
	"io"
	"iter"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// JSON returns a Writer of JSON documents of one line each, in which
// addresses and ports are numbers and nothing is left out. Of the options
// only NoSort matters. packaging/doc/ipvsadm.schema.json describes the
// documents.
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
	b := members(p.begin(), i.AppendJSON)
	if err := p.write(append(b, `,"services":[`...)); err != nil {
		return err
	}
	for n := range services {
		if err := p.service(n, &services[n]); err != nil {
			return err
		}
	}
	return p.end("]")
}

// Services writes the same document as Table.
func (p *document) Services(ctx context.Context, i ipvs.Info, services []ipvs.ServiceEntry) error {
	return p.Table(ctx, i, services)
}

// service writes the destinations one by one, since a service may have many.
func (p *document) service(n int, s *ipvs.ServiceEntry) error {
	const end = "]}"
	empty := *s
	empty.Destinations = []ipvs.DestinationEntry{}
	b := empty.AppendJSON(p.item(n))
	if err := p.write(b[:len(b)-len(end)]); err != nil {
		return err
	}
	for n := range s.Destinations {
		if err := p.write(s.Destinations[n].AppendJSON(p.item(n))); err != nil {
			return err
		}
	}
	return p.write(append(p.w.AvailableBuffer(), end...))
}

// Connections leaves the document unfinished where the rows end with an
// error, so that it is not taken for all of them.
func (p *document) Connections(ctx context.Context, rows iter.Seq2[ipvs.Connection, error]) error {
	if err := p.write(append(p.begin(), `,"connections":[`...)); err != nil {
		return err
	}
	n := 0
	var first error
	for c, err := range rows {
		switch {
		case err == nil:
			if err := p.write(c.AppendJSON(p.item(n))); err != nil {
				return err
			}
			n++
		case !errors.Is(err, ipvs.ErrMalformed):
			return err
		case first == nil:
			first = err
		}
	}
	if err := p.end("]"); err != nil {
		return err
	}
	return first
}

func (p *document) Timeouts(t ipvs.Timeouts) error {
	if err := p.write(members(p.begin(), t.AppendJSON)); err != nil {
		return err
	}
	return p.end("")
}

func (p *document) Daemons(daemons []ipvs.Daemon) error {
	if err := p.write(append(p.begin(), `,"daemons":[`...)); err != nil {
		return err
	}
	for n := range daemons {
		if err := p.write(daemons[n].AppendJSON(p.item(n))); err != nil {
			return err
		}
	}
	return p.end("]")
}

func (p *document) begin() []byte {
	return append(p.w.AvailableBuffer(), `{"json_schema_version":1`...)
}

func (p *document) end(list string) error {
	return p.write(append(append(p.w.AvailableBuffer(), list...), "}\n"...))
}

// item begins number n of a list.
func (p *document) item(n int) []byte {
	b := p.w.AvailableBuffer()
	if n > 0 {
		b = append(b, ',')
	}
	return b
}

func (p *document) write(b []byte) error {
	_, err := p.w.Write(b)
	return err
}

// members appends the members of an object that is not empty behind others.
func members(b []byte, appendObject func([]byte) []byte) []byte {
	start := len(b)
	b = appendObject(b)
	b[start] = ','
	return b[:len(b)-1]
}
