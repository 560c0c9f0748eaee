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
//
// With Wide no column is cut or pushed to the right. All lines are then kept
// in memory until the last is known.
func Text(w io.Writer, r *names.Resolver, o Options) Writer {
	p := &text{w: bufio.NewWriterSize(w, bufferSize), names: r, o: o}
	if o.Wide {
		p.sheet = new(sheet)
	}
	return p
}

type text struct {
	w     *bufio.Writer
	names *names.Resolver
	o     Options
	sheet *sheet // nil unless Wide
}

func (p *text) Flush() error {
	if p.sheet != nil {
		if err := p.sheet.write(p.w); err != nil {
			return err
		}
	}
	return p.w.Flush()
}

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
	if p.sheet != nil {
		p.sheet.add(b)
		return nil
	}
	_, err := p.w.Write(append(b, '\n'))
	return err
}

// maxAddr is the longest text of an address and port for which 1.31 has room.
const maxAddr = 59

func (p *text) appendAddr(ctx context.Context, b []byte, ap netip.AddrPort, proto string) []byte {
	start := len(b)
	b = p.names.AppendAddrPort(ctx, b, ap, proto, p.o.Numeric)
	return p.cut(b, start, maxAddr)
}

// cut drops what exceeds width bytes from start on.
func (p *text) cut(b []byte, start, width int) []byte {
	if p.sheet != nil {
		return b
	}
	return b[:min(len(b), start+width)]
}

// end ends a column of so many bytes that begins at start.
func (p *text) end(b []byte, start, width int) []byte {
	if p.sheet != nil {
		p.sheet.end(b)
		return b
	}
	return padTo(b, start, width)
}

// gap separates a column from the one before.
func (p *text) gap(b []byte) []byte {
	if p.sheet != nil {
		return b
	}
	return append(b, ' ')
}

// left appends a column behind a gap.
func (p *text) left(b []byte, s string, width int) []byte {
	b = p.gap(b)
	start := len(b)
	return p.end(append(b, s...), start, width)
}

func (p *text) leftInt(b []byte, n int64, width int) []byte {
	b = p.gap(b)
	start := len(b)
	return p.end(strconv.AppendInt(b, n, 10), start, width)
}

// right appends a column that is a number at its right end and a unit.
func (p *text) right(b []byte, n uint64, unit string, width int) []byte {
	if p.sheet != nil {
		b = append(strconv.AppendUint(b, n, 10), unit...)
		p.sheet.end(b)
		return b
	}
	return append(appendRight(b, n, width-len(unit)), unit...)
}

// padTo appends blanks up to width bytes from start on.
func padTo(b []byte, start, width int) []byte {
	for len(b) < start+width {
		b = append(b, ' ')
	}
	return b
}

// appendLeft appends a left-aligned word or number.
func appendLeft(b []byte, s string, width int) []byte { return padTo(append(b, s...), len(b), width) }

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
