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

// Connection is a row of the connection table, /proc/net/ip_vs_conn: a
// connection, or a template that keeps a client with its real server.
type Connection struct {
	Protocol    Protocol
	Client      netip.AddrPort // port 0 in a template
	Virtual     netip.AddrPort // in a template of a firewall mark, the mark is the address
	Destination netip.AddrPort
	State       string        // the kernel's word, such as "ESTABLISHED" or "NONE"
	Expires     time.Duration // until it is forgotten, in whole seconds
	// PersistenceEngine and its data, such as "sip" and a Call-ID, are empty
	// for all but templates of such an engine.
	PersistenceEngine, PersistenceData string
}

// FWMark returns the firewall mark of a template that belongs to one, else 0.
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

// ConnectionFilter chooses rows of the connection table: those that fit each
// field that is not zero. The zero value fits every row.
type ConnectionFilter struct {
	// Service is a virtual service, in which port 0 fits every port. Connections
	// do not carry a firewall mark: of such a service there are templates only.
	Service ServiceID
	// Destination is a real server, in which port 0 fits every port.
	Destination netip.AddrPort
	// Client is a network of clients. Templates have the network of the
	// persistence netmask as their client.
	Client netip.Prefix
	// State is the kernel's word, such as "ESTABLISHED", in any case.
	State string
}

// Match reports whether a connection fits.
func (f *ConnectionFilter) Match(c *Connection) bool {
	return f.fitsState(c.State) && f.fitsClient(c.Client) && f.fitsDestination(c.Destination) && f.fitsService(c)
}

func (f *ConnectionFilter) fitsState(state string) bool {
	return f.State == "" || strings.EqualFold(f.State, state)
}

func (f *ConnectionFilter) fitsClient(ap netip.AddrPort) bool {
	return !f.Client.IsValid() || f.Client.Contains(ap.Addr())
}

func (f *ConnectionFilter) fitsDestination(ap netip.AddrPort) bool {
	return !f.Destination.Addr().IsValid() || fits(f.Destination, ap)
}

func (f *ConnectionFilter) fitsService(c *Connection) bool {
	switch id := f.Service; {
	case !id.Addr.IsValid():
		return true
	case id.FWMark != 0:
		return id.FWMark == c.FWMark() && id.Family() == FamilyOf(c.Virtual.Addr())
	default:
		return id.Protocol == c.Protocol && fits(netip.AddrPortFrom(id.Addr, id.Port), c.Virtual)
	}
}

func fits(want, ap netip.AddrPort) bool {
	return want.Addr() == ap.Addr() && (want.Port() == 0 || want.Port() == ap.Port())
}

// Connections returns the rows of the connection table of the client's network
// namespace that fit a filter, which is applied while they are read. They are
// not of one instant: the kernel hands them over by the page. A row that cannot
// be read is an error that matches [ErrMalformed] and does not end the rest; any
// other error is the last. A row is read only as far as it fits.
//
// A caller without CAP_NET_ADMIN, whom a Client refuses this too, can pass
// /proc/net/ip_vs_conn to [ReadConnections].
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

// ReadConnections returns the rows of a connection table in the form of
// /proc/net/ip_vs_conn, with its title line, that fit a filter. Its errors are
// those of [Client.Connections].
func ReadConnections(r io.Reader, filter ConnectionFilter) iter.Seq2[Connection, error] {
	return readConnections(context.Background(), r, filter)
}

// readConnections looks at the context between rows, whether they fit or not.
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
			conn, fits, err := p.parse(bytes.TrimSuffix(line, []byte("\n")))
			if err != nil {
				err = fmt.Errorf("list connections: line %d: %w", n, err)
			} else if !fits {
				continue
			}
			if !yield(conn, err) {
				return
			}
		}
	}
}

// connParser reads rows without allocating for each: there may be millions. It
// keeps the words that stand in many of them.
type connParser struct {
	filter ConnectionFilter
	words  map[string]string
}

func (p *connParser) word(b []byte) string {
	w, known := p.words[string(b)]
	if !known {
		w = string(b)
		p.words[w] = w
	}
	return w
}

// parse reports whether the row fits, and reads no more of one that does not.
func (p *connParser) parse(line []byte) (c Connection, ok bool, err error) {
	var f [9][]byte
	rest := line
	for i := range f {
		if f[i], rest = cutField(rest); len(f[i]) == 0 {
			return c, false, malformed("the connection %q has %d fields, want %d", line, i, len(f))
		}
	}
	if c.State = p.word(f[7]); !p.filter.fitsState(c.State) {
		return c, false, nil
	}
	if c.Client, ok = parseHexAddrPort(f[1], f[2]); !ok {
		return c, false, oddAddress(line, f[1], f[2])
	} else if !p.filter.fitsClient(c.Client) {
		return c, false, nil
	}
	if c.Destination, ok = parseHexAddrPort(f[5], f[6]); !ok {
		return c, false, oddAddress(line, f[5], f[6])
	} else if !p.filter.fitsDestination(c.Destination) {
		return c, false, nil
	}
	if c.Protocol, ok = parseProtocol(f[0]); !ok {
		return c, false, malformed("the connection %q has the unknown protocol %q", line, f[0])
	}
	if c.Virtual, ok = parseHexAddrPort(f[3], f[4]); !ok {
		return c, false, oddAddress(line, f[3], f[4])
	} else if !p.filter.fitsService(&c) {
		return c, false, nil
	}
	secs, err := strconv.ParseUint(string(f[8]), 10, 32)
	if err != nil {
		return c, false, malformed("the connection %q expires in %q", line, f[8])
	}
	c.Expires = time.Duration(secs) * time.Second
	if engine, data := cutField(rest); len(engine) > 0 {
		c.PersistenceEngine = p.word(engine)
		c.PersistenceData = strings.Join(strings.Fields(string(data)), " ")
	}
	return c, true, nil
}

func oddAddress(line, addr, port []byte) error {
	return malformed("the connection %q has the odd address %s %s", line, addr, port)
}

// cutField splits the first field, which ends at a blank, off a line; it is
// empty where there is none.
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

// parseHexAddrPort reads an address as the kernel prints it in hexadecimal:
// IPv4 as eight digits, IPv6 as eight groups of four.
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
