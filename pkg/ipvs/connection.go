// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"iter"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Connection is a row of the connection table, /proc/net/ip_vs_conn. It is a
// connection, or a persistence template, which assigns a client to a real
// server.
type Connection struct {
	Protocol    Protocol
	Client      netip.AddrPort // port 0 in a template
	Virtual     netip.AddrPort // in a template of a firewall mark, the address is the mark
	Destination netip.AddrPort
	State       string        // as named by the kernel, such as "ESTABLISHED" or "NONE"
	Expires     time.Duration // remaining time until the kernel deletes it, in seconds
	// PersistenceEngine and PersistenceData, such as "sip" and a Call-ID,
	// are set only in templates of a persistence engine.
	PersistenceEngine, PersistenceData string
}

// FWMark returns the firewall mark of a template for a firewall mark, or 0.
func (c *Connection) FWMark() uint32 {
	a := c.Virtual.Addr()
	if c.Protocol != 0 || !a.IsValid() {
		return 0
	}
	return binary.BigEndian.Uint32(a.AsSlice())
}

// markAddr is the virtual address in a template of a firewall mark.
func markAddr(mark uint32, f Family) netip.AddrPort {
	var raw [16]byte
	binary.BigEndian.PutUint32(raw[:], mark)
	if f == IPv6 {
		return netip.AddrPortFrom(netip.AddrFrom16(raw), 0)
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(raw[:])), 0)
}

// ConnectionFilter selects rows of the connection table: those that match all
// fields that are not zero. The zero value selects every row.
type ConnectionFilter struct {
	// Service is a virtual service; port 0 matches every port.
	// Connections do not record a firewall mark, so only the templates of
	// such a service match.
	Service ServiceID
	// Destination is a real server; port 0 matches every port.
	Destination netip.AddrPort
	// Client is a network of clients. The client of a template is an
	// address to which the persistence netmask was applied.
	Client netip.Prefix
	// State is a state as named by the kernel, such as "ESTABLISHED".
	// Case is ignored.
	State string
}

// Match reports whether the filter selects a connection.
func (f *ConnectionFilter) Match(c *Connection) bool {
	return (f.State == "" || strings.EqualFold(f.State, c.State)) &&
		(!f.Client.IsValid() || f.Client.Contains(c.Client.Addr())) &&
		(!f.Destination.Addr().IsValid() || addrMatches(f.Destination, c.Destination)) && f.matchesService(c)
}

func (f *ConnectionFilter) matchesService(c *Connection) bool {
	switch id := f.Service; {
	case !id.Addr.IsValid():
		return true
	case id.FWMark != 0:
		return id.FWMark == c.FWMark() && id.Family() == FamilyOf(c.Virtual.Addr())
	default:
		return id.Protocol == c.Protocol && addrMatches(netip.AddrPortFrom(id.Addr, id.Port), c.Virtual)
	}
}

func addrMatches(want, ap netip.AddrPort) bool {
	return want.Addr() == ap.Addr() && (want.Port() == 0 || want.Port() == ap.Port())
}

// Connections returns the rows of the connection table that match a filter.
// The table is that of the client's network namespace. The rows are not a
// snapshot, since the table changes while it is read.
//
// For a malformed row, the sequence yields an error that matches
// [ErrMalformed], and continues. Any other error ends it.
func (c *Client) Connections(ctx context.Context, filter ConnectionFilter) iter.Seq2[Connection, error] {
	return func(yield func(Connection, error) bool) {
		f, err := c.proc(ctx, "ip_vs_conn")
		if err == nil {
			defer f.Close()
			err = readConnections(ctx, f, filter, yield)
		}
		if err != nil {
			yield(Connection{}, &QueryError{Query: "list connections", Err: err})
		}
	}
}

// readConnections yields the rows of a table with a title line that match a
// filter, and malformed rows as errors. It checks the context for every row,
// even if the filter selects none.
func readConnections(ctx context.Context, r io.Reader, filter ConnectionFilter, yield func(Connection, error) bool) error {
	b := bufio.NewReaderSize(r, 64<<10)
	p := connParser{words: make(map[string]string)}
	for n := 1; ; n++ {
		line, err := b.ReadSlice('\n')
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == io.EOF && len(line) == 0:
			return nil
		case err != nil && err != io.EOF:
			return err
		case n == 1:
			continue // the title
		}
		c, err := p.parse(bytes.TrimSpace(line))
		if err != nil {
			err = &QueryError{Query: "list connections", Err: fmt.Errorf("line %d: %w", n, err)}
		} else if !filter.Match(&c) {
			continue
		}
		if !yield(c, err) {
			return nil
		}
	}
}

// connParser parses rows. There may be millions, so it does not allocate
// memory for each: words that many rows contain, such as states, are shared.
type connParser struct {
	fields [][]byte
	words  map[string]string
}

// intern returns b as a string. The same words share their memory.
func (p *connParser) intern(b []byte) string {
	w, found := p.words[string(b)]
	if !found {
		w = string(b)
		p.words[w] = w
	}
	return w
}

func (p *connParser) parse(line []byte) (c Connection, err error) {
	f := slices.AppendSeq(p.fields[:0], bytes.FieldsSeq(line))
	p.fields = f
	bad := func(what string, word []byte) (Connection, error) {
		return Connection{}, malformed("the connection %q has the invalid %s %q", line, what, word)
	}
	const atLeast = 9
	if len(f) < atLeast {
		return c, malformed("the connection %q has %d fields, want %d", line, len(f), atLeast)
	}
	ok := false
	if c.Protocol, ok = parseProtocol(f[0]); !ok {
		return bad("protocol", f[0])
	}
	for i, ap := range [...]*netip.AddrPort{&c.Client, &c.Virtual, &c.Destination} {
		if *ap, ok = parseHexAddrPort(f[1+2*i], f[2+2*i]); !ok {
			return bad("address", bytes.Join(f[1+2*i:3+2*i], []byte(" ")))
		}
	}
	c.State = p.intern(f[7])
	expires, err := strconv.ParseUint(string(f[8]), 10, 32)
	if err != nil {
		return bad("expiry", f[8])
	}
	c.Expires = time.Duration(expires) * time.Second
	if len(f) > atLeast {
		c.PersistenceEngine = p.intern(f[9])
		c.PersistenceData = string(bytes.Join(f[10:], []byte(" ")))
	}
	return c, nil
}

// parseHexAddrPort parses an address and port in hexadecimal, as in the
// kernel's files: IPv4 as eight digits, IPv6 as eight groups of four.
func parseHexAddrPort(addr, port []byte) (ap netip.AddrPort, ok bool) {
	n, err := strconv.ParseUint(string(port), 16, 16)
	if err != nil {
		return ap, false
	}
	if len(addr) == 8 {
		bits, err := strconv.ParseUint(string(addr), 16, 32)
		raw := binary.BigEndian.AppendUint32(nil, uint32(bits))
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(raw)), uint16(n)), err == nil
	}
	a, err := netip.ParseAddr(string(addr))
	return netip.AddrPortFrom(a, uint16(n)), err == nil && a.Is6()
}
