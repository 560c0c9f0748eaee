// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"iter"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
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

// Connections reads the connection table row by row. The rows are not of one
// instant: the kernel gives them by the page. A row that cannot be read gives
// an error that matches ErrMalformed and does not end the rest; any other
// error is the last.
func (c *Client) Connections(ctx context.Context) iter.Seq2[Connection, error] {
	return func(yield func(Connection, error) bool) {
		f, err := c.openProc("ip_vs_conn")
		if err != nil {
			yield(Connection{}, &QueryError{Query: "list connections", Err: err})
			return
		}
		defer f.Close()
		for conn, err := range ReadConnections(f) {
			if e := ctx.Err(); e != nil {
				yield(Connection{}, e)
				return
			}
			if !yield(conn, err) {
				return
			}
		}
	}
}

// ReadConnections reads a connection table in the form of
// /proc/net/ip_vs_conn, with its title line. Its errors are those of
// Client.Connections.
func ReadConnections(r io.Reader) iter.Seq2[Connection, error] {
	return func(yield func(Connection, error) bool) {
		b := bufio.NewReaderSize(r, 64<<10)
		for n := 1; ; n++ {
			line, err := b.ReadSlice('\n')
			switch {
			case err == io.EOF && len(line) == 0:
				return
			case err != nil && err != io.EOF:
				yield(Connection{}, fmt.Errorf("list connections: %w", err))
				return
			case n == 1:
				continue // the title
			}
			conn, err := ParseConnection(strings.TrimSuffix(string(line), "\n"))
			if err != nil {
				err = fmt.Errorf("line %d: %w", n, err)
			}
			if !yield(conn, err) {
				return
			}
		}
	}
}

// ParseConnection reads one row of /proc/net/ip_vs_conn. The error matches
// ErrMalformed.
func ParseConnection(line string) (Connection, error) {
	var c Connection
	f := strings.Fields(line)
	if len(f) < 9 {
		return c, malformed("the connection %q has %d fields, want 9", line, len(f))
	}
	proto, ok := parseProtocol(f[0])
	if !ok {
		return c, malformed("the connection %q has the unknown protocol %q", line, f[0])
	}
	c.Protocol = proto
	for i, p := range []*netip.AddrPort{&c.Client, &c.Virtual, &c.Destination} {
		if *p, ok = parseHexAddrPort(f[1+2*i], f[2+2*i]); !ok {
			return c, malformed("the connection %q has the odd address %s %s", line, f[1+2*i], f[2+2*i])
		}
	}
	c.State = f[7]
	secs, err := strconv.ParseUint(f[8], 10, 32)
	if err != nil {
		return c, malformed("the connection %q expires in %q", line, f[8])
	}
	c.Expires = time.Duration(secs) * time.Second
	if len(f) > 9 {
		c.PersistenceEngine = f[9]
		c.PersistenceData = strings.Join(f[10:], " ")
	}
	return c, nil
}

// parseProtocol is the inverse of Protocol.String.
func parseProtocol(s string) (Protocol, bool) {
	for _, p := range [...]Protocol{TCP, UDP, SCTP, unix.IPPROTO_IP, unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6} {
		if s == p.String() {
			return p, true
		}
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(s, "IP_"), 10, 16)
	return Protocol(n), err == nil && strings.HasPrefix(s, "IP_")
}

// parseHexAddrPort reads an address as the kernel prints it in hexadecimal:
// IPv4 as eight digits, IPv6 as eight groups of four.
func parseHexAddrPort(addr, port string) (netip.AddrPort, bool) {
	p, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return netip.AddrPort{}, false
	}
	var raw [16]byte
	switch len(addr) {
	case 8:
		if _, err := hex.Decode(raw[:4], []byte(addr)); err != nil {
			return netip.AddrPort{}, false
		}
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(raw[:4])), uint16(p)), true
	case 39:
		digits := bytes.ReplaceAll([]byte(addr), []byte(":"), nil)
		if len(digits) != 32 {
			return netip.AddrPort{}, false
		}
		if _, err := hex.Decode(raw[:], digits); err != nil {
			return netip.AddrPort{}, false
		}
		return netip.AddrPortFrom(netip.AddrFrom16(raw), uint16(p)), true
	}
	return netip.AddrPort{}, false
}

// openProc opens a file of /proc/net as the client's namespace has it.
func (c *Client) openProc(name string) (*os.File, error) {
	path := "/proc/thread-self/net/" + name
	if c.netns == 0 {
		return os.Open(path)
	}
	type result struct {
		f   *os.File
		err error
	}
	ch := make(chan result)
	go func() {
		// The thread stays locked and so ends with the goroutine: it is of
		// no use to others once it is in another namespace.
		runtime.LockOSThread()
		if err := unix.Setns(c.netns, unix.CLONE_NEWNET); err != nil {
			ch <- result{nil, fmt.Errorf("enter the network namespace: %w", err)}
			return
		}
		f, err := os.Open(path)
		ch <- result{f, err}
	}()
	r := <-ch
	return r.f, r.err
}
