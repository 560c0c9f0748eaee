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

// bufferSize is the size of a write.
const bufferSize = 64 << 10

// Text returns a Writer with the output of ipvsadm 1.31. It is the same to
// the byte, including trailing blanks and truncated names, since scripts cut
// columns at fixed positions. There are two intended differences: firewall
// marks from 2147483648 are not negative, and counters of destinations are
// not truncated to 32 bits.
//
// With Numeric the resolver may be nil. With Wide no column is truncated or
// moved to the right; all lines are kept in memory until Flush.
func Text(w io.Writer, r *names.Resolver, o Options) Writer {
	p := &text{w: bufio.NewWriterSize(w, bufferSize), names: r, o: o}
	if o.Wide {
		p.wide = new(wideTable)
	}
	return p
}

type text struct {
	w     *bufio.Writer
	names *names.Resolver
	o     Options
	wide  *wideTable // nil unless Wide
}

func (p *text) Flush() error {
	if p.wide != nil {
		if err := p.wide.write(p.w); err != nil {
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

// Daemons writes a line for each sync daemon. It omits values that the kernel
// does not report: kernels before 4.3 report only some.
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
	if p.wide != nil {
		p.wide.endLine(b)
		return nil
	}
	_, err := p.w.Write(append(b, '\n'))
	return err
}

// maxAddr is the maximum length of an address and port: 1.31 truncates longer
// ones.
const maxAddr = 59

func (p *text) appendAddr(ctx context.Context, b []byte, ap netip.AddrPort, proto string) []byte {
	start := len(b)
	b = p.names.AppendAddrPort(ctx, b, ap, proto, p.o.Numeric)
	return p.truncate(b, start, maxAddr)
}

// truncate removes the bytes from start+width on, unless the listing is wide.
func (p *text) truncate(b []byte, start, width int) []byte {
	if p.wide != nil {
		return b
	}
	return b[:min(len(b), start+width)]
}

// endColumn ends the column that begins at start, and pads it to width bytes.
func (p *text) endColumn(b []byte, start, width int) []byte {
	if p.wide != nil {
		p.wide.endColumn(b)
		return b
	}
	return padTo(b, start, width)
}

// gap appends the blank between two columns.
func (p *text) gap(b []byte) []byte {
	if p.wide != nil {
		return b
	}
	return append(b, ' ')
}

// column appends a gap and a column.
func (p *text) column(b []byte, s string, width int) []byte {
	b = p.gap(b)
	start := len(b)
	return p.endColumn(append(b, s...), start, width)
}

func (p *text) intColumn(b []byte, n int64, width int) []byte {
	b = p.gap(b)
	start := len(b)
	return p.endColumn(strconv.AppendInt(b, n, 10), start, width)
}

// appendNumber appends a column with a right-aligned number and its unit.
func (p *text) appendNumber(b []byte, n uint64, unit string, width int) []byte {
	if p.wide != nil {
		b = append(strconv.AppendUint(b, n, 10), unit...)
		p.wide.endColumn(b)
		return b
	}
	return append(appendRight(b, n, width-len(unit)), unit...)
}

// padTo appends blanks until the text from start on is width bytes long.
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
	var buf [20]byte
	digits := strconv.AppendUint(buf[:0], n, 10)
	return append(padTo(b, len(b), width-len(digits)), digits...)
}

func appendField(b []byte, name string, n uint64) []byte {
	return strconv.AppendUint(append(b, name...), n, 10)
}

func appendSeconds(b []byte, d time.Duration) []byte {
	return strconv.AppendInt(b, int64(d/time.Second), 10)
}
