// SPDX-License-Identifier: Apache-2.0

package render

import (
	"bufio"
	"context"
	"io"
	"net/netip"
	"strconv"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/names"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// bufferSize is the size of one write.
const bufferSize = 64 << 10

// Text returns a Writer of text as ipvsadm 1.31 lists it, to the byte: with
// blanks at line ends and shortened names, since scripts cut columns at fixed
// places. Two things differ on purpose: a firewall mark from 2147483648 is
// not negative, and the counters of a destination are not cut to 32 bits.
// With Numeric the resolver may be nil.
func Text(w io.Writer, r *names.Resolver, o Options) Writer {
	return &text{w: bufio.NewWriterSize(w, bufferSize), names: r, o: o}
}

type text struct {
	w     *bufio.Writer
	names *names.Resolver
	o     Options
}

func (p *text) Flush() error { return p.w.Flush() }

func (p *text) Timeouts(t ipvs.Timeouts) error {
	b := append(p.w.AvailableBuffer(), "Timeout (tcp tcpfin udp):"...)
	for _, d := range [...]time.Duration{t.TCP, t.TCPFin, t.UDP} {
		b = appendSeconds(append(b, ' '), d)
	}
	return p.line(b)
}

// Daemons writes a line for each sync daemon. What kernels before 4.3 do not
// report is left out.
func (p *text) Daemons(daemons []ipvs.Daemon) error {
	for _, d := range daemons {
		b := append(p.w.AvailableBuffer(), d.State.String()...)
		b = append(append(b, " sync daemon (mcast="...), d.Interface...)
		b = appendField(b, ", syncid=", uint64(d.SyncID))
		if d.MaxLen != 0 {
			b = appendField(b, ", maxlen=", uint64(d.MaxLen))
		}
		if d.Group.IsValid() {
			b = names.AppendAddr(append(b, ", group="...), d.Group)
		}
		if d.Port != 0 {
			b = appendField(b, ", port=", uint64(d.Port))
		}
		if d.TTL != 0 {
			b = appendField(b, ", ttl=", uint64(d.TTL))
		}
		if err := p.line(append(b, ')')); err != nil {
			return err
		}
	}
	return nil
}

func (p *text) line(b []byte) error {
	_, err := p.w.Write(append(b, '\n'))
	return err
}

// maxAddr is the longest text of an address and port for which 1.31 has room.
const maxAddr = 59

func (p *text) appendAddr(ctx context.Context, b []byte, ap netip.AddrPort, proto string) []byte {
	start := len(b)
	b = p.names.AppendAddrPort(ctx, b, ap, proto, p.o.Numeric)
	return cut(b, start, maxAddr)
}

// cut drops what exceeds width bytes from start on.
func cut(b []byte, start, width int) []byte { return b[:min(len(b), start+width)] }

// padTo appends blanks up to width bytes from start on.
func padTo(b []byte, start, width int) []byte {
	for len(b) < start+width {
		b = append(b, ' ')
	}
	return b
}

// appendLeft appends a left-aligned word or number.
func appendLeft(b []byte, s string, width int) []byte { return padTo(append(b, s...), len(b), width) }

func appendLeftInt(b []byte, n int64, width int) []byte {
	return padTo(strconv.AppendInt(b, n, 10), len(b), width)
}

// appendRight appends a right-aligned number.
func appendRight(b []byte, n uint64, width int) []byte {
	var room [20]byte
	digits := strconv.AppendUint(room[:0], n, 10)
	return append(padTo(b, len(b), width-len(digits)), digits...)
}

func appendField(b []byte, name string, n uint64) []byte {
	return strconv.AppendUint(append(b, name...), n, 10)
}

func appendSeconds(b []byte, d time.Duration) []byte {
	return strconv.AppendInt(b, int64(d/time.Second), 10)
}
