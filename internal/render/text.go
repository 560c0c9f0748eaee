// SPDX-License-Identifier: Apache-2.0

package render

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
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
	return &text{w: bufio.NewWriterSize(w, bufferSize), names: r, o: o, pad: left}
}

type text struct {
	w     *bufio.Writer
	names *names.Resolver
	o     Options
	// rows contains the unpadded cells of all rows, and pad pads them; only
	// for Wide.
	rows [][]string
	pad  func(s string, width int) string
}

// row writes a row. Its cells are padded for a listing that is not wide. A
// row of one cell is not in columns.
func (p *text) row(cells ...string) {
	if !p.o.Wide {
		for _, c := range cells {
			_, _ = p.w.WriteString(c) // see err
		}
		_ = p.w.WriteByte('\n')
		return
	}
	for i := range cells {
		cells[i] = strings.TrimRight(cells[i], " ")
		if i > 0 {
			cells[i] = strings.TrimLeft(cells[i], " ")
		}
	}
	p.rows = append(p.rows, cells)
}

// err returns the first error of a write.
func (p *text) err() error {
	_, err := p.w.Write(nil)
	return err
}

func (p *text) Flush() error {
	var widths []int
	for _, cells := range p.rows {
		for i, c := range cells {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			if len(cells) > 1 {
				widths[i] = max(widths[i], len(c))
			}
		}
	}
	for _, cells := range p.rows {
		line := left(cells[0], widths[0])
		for i, c := range cells[1:] {
			line += " " + p.pad(c, widths[i+1])
		}
		_, _ = p.w.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	p.rows = nil
	return p.w.Flush()
}

func (p *text) Timeouts(t ipvs.Timeouts) error {
	p.row(fmt.Sprintf("Timeout (tcp tcpfin udp): %d %d %d", seconds(t.TCP), seconds(t.TCPFin), seconds(t.UDP)))
	return p.err()
}

// Daemons writes a line for each sync daemon. It omits values that the kernel
// does not report: kernels before 4.3 report only some.
func (p *text) Daemons(daemons []ipvs.Daemon) error {
	for _, d := range daemons {
		line := fmt.Sprintf("%s sync daemon (mcast=%s, syncid=%d", d.State, d.Interface, d.SyncID)
		if d.MaxLen != 0 {
			line += fmt.Sprintf(", maxlen=%d", d.MaxLen)
		}
		if d.Group.IsValid() {
			line += ", group=" + string(names.AppendAddr(nil, d.Group))
		}
		if d.Port != 0 {
			line += fmt.Sprintf(", port=%d", d.Port)
		}
		if d.TTL != 0 {
			line += fmt.Sprintf(", ttl=%d", d.TTL)
		}
		p.row(line + ")")
	}
	return p.err()
}

// maxAddr is the maximum length of an address and port: 1.31 truncates longer
// ones.
const maxAddr = 59

func (p *text) addr(ctx context.Context, ap netip.AddrPort, proto string) string {
	return p.truncate(string(p.names.AppendAddrPort(ctx, nil, ap, proto, p.o.Numeric)), maxAddr)
}

// truncate returns the first width bytes of s, or all if the listing is wide.
func (p *text) truncate(s string, width int) string {
	if p.o.Wide {
		return s
	}
	return s[:min(len(s), width)]
}

// left returns s padded to width bytes, at the left of its column.
func left(s string, width int) string { return s + strings.Repeat(" ", max(0, width-len(s))) }

// right returns s padded to width bytes, at the right of its column.
func right(s string, width int) string { return strings.Repeat(" ", max(0, width-len(s))) + s }

// column returns the cell of a column after the first: a gap and the text.
func column(s string, width int) string { return " " + left(s, width) }

func intColumn[N int32 | uint32](n N, width int) string {
	return column(strconv.FormatInt(int64(n), 10), width)
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }
