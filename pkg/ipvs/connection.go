// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"iter"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs/internal/nl"
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
	switch {
	case c.Protocol != nl.ProtoIP || !a.IsValid():
		return 0
	case a.Is4():
		raw := a.As4()
		return binary.BigEndian.Uint32(raw[:])
	}
	raw := a.As16()
	return binary.BigEndian.Uint32(raw[:])
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
	return f.matchesState(c.State) && f.matchesClient(c.Client) &&
		f.matchesDestination(c.Destination) && f.matchesService(c)
}

func (f *ConnectionFilter) matchesState(state string) bool {
	return f.State == "" || strings.EqualFold(f.State, state)
}

func (f *ConnectionFilter) matchesClient(ap netip.AddrPort) bool {
	return !f.Client.IsValid() || f.Client.Contains(ap.Addr())
}

func (f *ConnectionFilter) matchesDestination(ap netip.AddrPort) bool {
	return !f.Destination.Addr().IsValid() || addrMatches(f.Destination, ap)
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
// [ErrMalformed], and continues. Any other error ends it. Rows that do not
// match the filter are not parsed completely, so errors in them can go
// unnoticed.
//
// Connections requires CAP_NET_ADMIN, as a Client does. Other callers can
// pass the file /proc/net/ip_vs_conn to [ReadConnections].
func (c *Client) Connections(ctx context.Context, filter ConnectionFilter) iter.Seq2[Connection, error] {
	return func(yield func(Connection, error) bool) {
		f, err := c.proc(ctx, "ip_vs_conn")
		if err != nil {
			yield(Connection{}, &QueryError{Query: "list connections", Err: err})
			return
		}
		defer f.Close()
		for conn, err := range readConnections(ctx, f, filter) {
			if !yield(conn, err) {
				return
			}
		}
	}
}

// ReadConnections returns the rows that match a filter from a connection table
// in the format of /proc/net/ip_vs_conn, including its title line. It yields
// the same errors as [Client.Connections].
func ReadConnections(r io.Reader, filter ConnectionFilter) iter.Seq2[Connection, error] {
	return readConnections(context.Background(), r, filter)
}

// readConnections implements ReadConnections with a context. It checks the
// context for every row, even if the filter selects none.
func readConnections(ctx context.Context, r io.Reader, filter ConnectionFilter) iter.Seq2[Connection, error] {
	return func(yield func(Connection, error) bool) {
		b := bufio.NewReaderSize(r, 64<<10)
		p := connParser{filter: filter, words: make(map[string]string)}
		for n := 1; ; n++ {
			line, err := b.ReadSlice('\n')
			if e := ctx.Err(); e != nil {
				yield(Connection{}, &QueryError{Query: "list connections", Err: e})
				return
			}
			switch {
			case err == io.EOF && len(line) == 0:
				return
			case err != nil && err != io.EOF:
				yield(Connection{}, fmt.Errorf("list connections: %w", err))
				return
			case n == 1:
				continue // the title
			}
			conn, ok, err := p.parse(bytes.TrimSuffix(line, []byte("\n")))
			if err != nil {
				err = fmt.Errorf("list connections: line %d: %w", n, err)
			} else if !ok {
				continue
			}
			if !yield(conn, err) {
				return
			}
		}
	}
}

// connParser parses rows. There may be millions, so it does not allocate
// memory for each: words that many rows contain, such as states, are shared.
type connParser struct {
	filter ConnectionFilter
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

// parse parses a row and reports whether the filter selects it. It stops at
// the first field that does not match.
func (p *connParser) parse(line []byte) (c Connection, ok bool, err error) {
	var f [9][]byte
	rest := line
	for i := range f {
		if f[i], rest = cutField(rest); len(f[i]) == 0 {
			return c, false, malformed("the connection %q has %d fields, want %d", line, i, len(f))
		}
	}
	if c.State = p.intern(f[7]); !p.filter.matchesState(c.State) {
		return c, false, nil
	}
	if c.Client, ok = parseHexAddrPort(f[1], f[2]); !ok {
		return c, false, malformedAddress(line, f[1], f[2])
	} else if !p.filter.matchesClient(c.Client) {
		return c, false, nil
	}
	if c.Destination, ok = parseHexAddrPort(f[5], f[6]); !ok {
		return c, false, malformedAddress(line, f[5], f[6])
	} else if !p.filter.matchesDestination(c.Destination) {
		return c, false, nil
	}
	if c.Protocol, ok = parseProtocol(f[0]); !ok {
		return c, false, malformed("the connection %q has the unknown protocol %q", line, f[0])
	}
	if c.Virtual, ok = parseHexAddrPort(f[3], f[4]); !ok {
		return c, false, malformedAddress(line, f[3], f[4])
	} else if !p.filter.matchesService(&c) {
		return c, false, nil
	}
	secs, err := strconv.ParseUint(string(f[8]), 10, 32)
	if err != nil {
		return c, false, malformed("the connection %q has the invalid expiry %q", line, f[8])
	}
	c.Expires = time.Duration(secs) * time.Second
	if engine, data := cutField(rest); len(engine) > 0 {
		c.PersistenceEngine = p.intern(engine)
		c.PersistenceData = strings.Join(strings.Fields(string(data)), " ")
	}
	return c, true, nil
}

func malformedAddress(line, addr, port []byte) error {
	return malformed("the connection %q has the invalid address %s %s", line, addr, port)
}

// cutField splits a line into the first field, which ends at a blank, and the
// rest. The field is empty if there is none.
func cutField(b []byte) (field, rest []byte) {
	start := 0
	for start < len(b) && isBlank(b[start]) {
		start++
	}
	end := start
	for end < len(b) && !isBlank(b[end]) {
		end++
	}
	return b[start:end], b[end:]
}

func isBlank(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' }

// parseProtocol is the inverse of Protocol.String.
func parseProtocol(b []byte) (Protocol, bool) {
	for _, p := range [...]Protocol{TCP, UDP, SCTP, nl.ProtoIP, nl.ProtoICMP, nl.ProtoICMPv6} {
		if string(b) == p.String() {
			return p, true
		}
	}
	digits, found := bytes.CutPrefix(b, []byte("IP_"))
	n, err := strconv.ParseUint(string(digits), 10, 16)
	return Protocol(n), err == nil && found
}

// parseHexAddrPort parses an address and port in hexadecimal, as in the
// kernel's files: IPv4 as eight digits, IPv6 as eight groups of four.
func parseHexAddrPort(addr, port []byte) (netip.AddrPort, bool) {
	var p [2]byte
	if len(port) != 2*len(p) {
		return netip.AddrPort{}, false
	}
	if _, err := hex.Decode(p[:], port); err != nil {
		return netip.AddrPort{}, false
	}
	var raw [16]byte
	var a netip.Addr
	switch len(addr) {
	case 8:
		if _, err := hex.Decode(raw[:4], addr); err != nil {
			return netip.AddrPort{}, false
		}
		a = netip.AddrFrom4([4]byte(raw[:4]))
	case 39:
		for i := range 8 {
			group := addr[5*i:]
			if _, err := hex.Decode(raw[2*i:2*i+2], group[:4]); err != nil || i < 7 && group[4] != ':' {
				return netip.AddrPort{}, false
			}
		}
		a = netip.AddrFrom16(raw)
	default:
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(a, binary.BigEndian.Uint16(p[:])), true
}
