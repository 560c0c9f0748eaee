// SPDX-License-Identifier: Apache-2.0

// Package rule reads and writes rule text, the format of saved tables: each
// line is a command line without the program's name. The package splits lines
// into words, for package args to parse, and writes changes as lines.
package rule

import (
	"bufio"
	"io"
	"iter"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/names"
	"github.com/ipvsadm-go/ipvsadm/internal/spec"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// AppendWords appends the words of a line. Like 1.31 it splits the line at
// blanks, tabs, CR and LF, without quoting, and drops every word "ipvsadm", so
// that whole command lines can be pasted. A zero byte ends a word, and words
// longer than maxWord bytes are split.
func AppendWords(words []string, line []byte) []string {
	for word := range strings.FieldsFuncSeq(string(line), isBlank) {
		for len(word) > 0 {
			part := word[:min(maxWord, len(word))]
			word = word[len(part):]
			if part, _, _ = strings.Cut(part, "\x00"); part != programName {
				words = append(words, part)
			}
		}
	}
	return words
}

func isBlank(c rune) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

const (
	maxWord     = 4096 // the size of 1.31's buffer
	programName = "ipvsadm"
)

// AppendFileWords appends the words of a line of a rule file. Unlike
// AppendWords it also drops a path to ipvsadm at the start of the line, and
// comments, which begin with a word that starts with #.
func AppendFileWords(words []string, line []byte) []string {
	first := len(words)
	words = AppendWords(words, line)
	for i := first; i < len(words); i++ {
		if strings.HasPrefix(words[i], "#") {
			words = words[:i]
			break
		}
	}
	if len(words) > first && strings.HasSuffix(words[first], "/"+programName) {
		words = slices.Delete(words, first, first+1)
	}
	return words
}

// Changes returns the changes that create a table: its timeouts if it has
// any, its services with their servers, and its sync daemons. Daemons come
// last: while one runs, the kernel rejects a server whose address family
// differs from that of its service.
func Changes(t *ipvs.Table) iter.Seq[ipvs.Change] {
	return func(yield func(ipvs.Change) bool) {
		if t.Timeouts != (ipvs.Timeouts{}) && !yield(ipvs.Change{Op: ipvs.OpSetTimeouts, Timeouts: t.Timeouts}) {
			return
		}
		for i := range t.Services {
			s := &t.Services[i]
			if !yield(ipvs.Change{Op: ipvs.OpAddService, Service: s.Service}) {
				return
			}
			for j := range s.Destinations {
				add := ipvs.Change{Op: ipvs.OpAddDestination, Destination: s.Destinations[j].Destination}
				if add.Service.ServiceID = s.ServiceID; !yield(add) {
					return
				}
			}
		}
		for _, d := range t.Daemons {
			if !yield(ipvs.Change{Op: ipvs.OpStartDaemon, Daemon: d}) {
				return
			}
		}
	}
}

// commands are the commands that make the changes.
var commands = [...]spec.CommandID{
	ipvs.OpAddService: spec.AddService, ipvs.OpEditService: spec.EditService, ipvs.OpDeleteService: spec.DeleteService,
	ipvs.OpAddDestination: spec.AddServer, ipvs.OpEditDestination: spec.EditServer, ipvs.OpDeleteDestination: spec.DeleteServer,
	ipvs.OpFlush: spec.Flush, ipvs.OpZero: spec.Zero, ipvs.OpZeroService: spec.Zero, ipvs.OpSetTimeouts: spec.SetTimeouts,
	ipvs.OpStartDaemon: spec.StartDaemon, ipvs.OpStopDaemon: spec.StopDaemon,
}

// Writer writes changes as lines that AppendWords and package args parse.
type Writer struct {
	// Names are written instead of addresses and ports; nil for none.
	Names *names.Book
}

// Write writes each change as a line.
func (w Writer) Write(out io.Writer, changes iter.Seq[ipvs.Change]) error {
	buf := bufio.NewWriterSize(out, 64<<10)
	for c := range changes {
		if _, err := buf.Write(append(w.Append(buf.AvailableBuffer(), c), '\n')); err != nil {
			return err
		}
	}
	return buf.Flush()
}

// Append appends a change as a line, without the line end. Like 1.31 it omits
// the netmask of a service that is not persistent, and thresholds of 0.
func (w Writer) Append(b []byte, c ipvs.Change) []byte {
	if c.Op == 0 {
		return b
	}
	b = command(b, commands[c.Op])
	switch c.Op {
	case ipvs.OpAddService, ipvs.OpEditService:
		return w.service(b, &c.Service)
	case ipvs.OpDeleteService, ipvs.OpZeroService:
		return w.serviceID(b, c.Service.ServiceID)
	case ipvs.OpAddDestination, ipvs.OpEditDestination:
		return destination(w.server(b, &c), &c.Destination)
	case ipvs.OpDeleteDestination:
		return w.server(b, &c)
	case ipvs.OpSetTimeouts:
		for _, t := range [...]time.Duration{c.Timeouts.TCP, c.Timeouts.TCPFin, c.Timeouts.UDP} {
			b = appendNumber(append(b, ' '), seconds(t))
		}
	case ipvs.OpStartDaemon:
		return daemon(b, &c.Daemon)
	case ipvs.OpStopDaemon:
		return append(append(b, ' '), c.Daemon.State.String()...)
	}
	return b
}

func (w Writer) service(b []byte, s *ipvs.Service) []byte {
	b = w.serviceID(b, s.ServiceID)
	b = text(b, spec.OptScheduler, s.Scheduler)
	if s.Flags&ipvs.FlagPersistent != 0 {
		b = num(b, spec.OptPersistent, seconds(s.Timeout))
		if s.Netmask != 0 && s.Netmask != ipvs.FullNetmask(s.Family()) {
			b = option(b, spec.OptNetmask)
			if b = append(b, ' '); s.Family() == ipvs.IPv6 {
				b = appendNumber(b, uint64(s.Netmask))
			} else {
				b = s.Netmask.Addr4().AppendTo(b)
			}
		}
	}
	if s.PersistenceEngine != "" {
		b = text(b, spec.OptPersistenceEngine, s.PersistenceEngine)
	}
	if s.Flags&ipvs.FlagOnePacket != 0 {
		b = option(b, spec.OptOnePacket)
	}
	if flags := spec.SchedulerFlagNames(s.Scheduler, uint32(s.Flags)); len(flags) > 0 {
		b = text(b, spec.OptSchedFlags, strings.Join(flags, ","))
	}
	return b
}

// ListedFlags returns the names of a service's scheduler flags as 1.31 lists
// them. If the scheduler has its own flag names, other flags are omitted.
func ListedFlags(s *ipvs.Service) []string {
	list := spec.SchedulerFlagNames(s.Scheduler, uint32(s.Flags))
	if own, _ := spec.FindSchedulerFlag(s.Scheduler + "-port"); own != "" {
		list = slices.DeleteFunc(list, func(name string) bool {
			scheduler, _ := spec.FindSchedulerFlag(name)
			return scheduler == ""
		})
	}
	return list
}

func (w Writer) serviceID(b []byte, id ipvs.ServiceID) []byte {
	switch {
	case id.FWMark != 0:
		b = num(b, spec.OptFWMarkService, uint64(id.FWMark))
		if id.Family() == ipvs.IPv6 {
			b = option(b, spec.OptIPv6)
		}
		return b
	case id.Protocol == ipvs.UDP:
		b = option(b, spec.OptUDPService)
	case id.Protocol == ipvs.SCTP:
		b = option(b, spec.OptSCTPService)
	default:
		b = option(b, spec.OptTCPService)
	}
	return w.addrPort(append(b, ' '), id, netip.AddrPortFrom(id.Addr, id.Port))
}

func (w Writer) server(b []byte, c *ipvs.Change) []byte {
	b = option(w.serviceID(b, c.Service.ServiceID), spec.OptRealServer)
	return w.addrPort(append(b, ' '), c.Service.ServiceID, c.Destination.AddrPort())
}

func (w Writer) addrPort(b []byte, of ipvs.ServiceID, ap netip.AddrPort) []byte {
	return w.Names.AppendAddrPort(b, ap, of.Protocol.Network())
}

func destination(b []byte, d *ipvs.Destination) []byte {
	switch d.Forward {
	case ipvs.Masquerade:
		b = option(b, spec.OptMasquerading)
	case ipvs.Tunnel:
		b = option(b, spec.OptIPIP)
	default:
		// The kernel reports LocalNode for a server on the director
		// itself, with any forwarding method; 1.31 saves it as -g.
		b = option(b, spec.OptGatewaying)
	}
	b = num(b, spec.OptWeight, uint64(uint32(d.Weight)))
	if d.UpperThreshold != 0 {
		b = num(b, spec.OptUThreshold, uint64(d.UpperThreshold))
	}
	if d.LowerThreshold != 0 {
		b = num(b, spec.OptLThreshold, uint64(d.LowerThreshold))
	}
	if d.Forward == ipvs.Tunnel {
		b = tunnel(b, d.Tunnel)
	}
	return b
}

func tunnel(b []byte, t ipvs.TunnelInfo) []byte {
	b = text(b, spec.OptTunnelType, t.Type.String())
	if t.Type == ipvs.TunnelIPIP {
		return b
	}
	if t.Type == ipvs.TunnelGUE {
		b = num(b, spec.OptTunnelPort, uint64(t.Port))
	}
	switch {
	case t.Flags&ipvs.TunnelChecksum != 0:
		return option(b, spec.OptTunnelCsum)
	case t.Flags&ipvs.TunnelRemoteChecksum != 0:
		return option(b, spec.OptTunnelRemCsum)
	}
	return option(b, spec.OptTunnelNoCsum)
}

func daemon(b []byte, d *ipvs.Daemon) []byte {
	b = append(append(b, ' '), d.State.String()...)
	b = text(b, spec.OptMcastInterface, d.Interface)
	b = num(b, spec.OptSyncID, uint64(d.SyncID))
	if d.MaxLen != 0 {
		b = num(b, spec.OptSyncMaxLen, uint64(d.MaxLen))
	}
	if d.Group.IsValid() {
		b = option(b, spec.OptMcastGroup)
		b = d.Group.AppendTo(append(b, ' '))
	}
	if d.Port != 0 {
		b = num(b, spec.OptMcastPort, uint64(d.Port))
	}
	if d.TTL != 0 {
		b = num(b, spec.OptMcastTTL, uint64(d.TTL))
	}
	return b
}

// command appends the shortest spelling of a command.
func command(b []byte, id spec.CommandID) []byte {
	c := spec.FindCommand(id)
	return spelling(b, c.Long, c.Short)
}

// option appends the shortest spelling of an option.
func option(b []byte, id spec.OptionID) []byte {
	o := spec.FindOption(id)
	return spelling(append(b, ' '), o.Long, o.Short)
}

func spelling(b []byte, long string, short byte) []byte {
	if short != 0 {
		return append(b, '-', short)
	}
	return append(append(b, "--"...), long...)
}

// text appends an option with its value. Reading would drop a word "ipvsadm",
// and take a word that begins with # for a comment, so that such a value is
// written in the same word as its option.
func text(b []byte, id spec.OptionID, v string) []byte {
	separator := byte(' ')
	if v == programName || strings.HasPrefix(v, "#") {
		separator = '='
	}
	return append(append(option(b, id), separator), v...)
}

func num(b []byte, id spec.OptionID, v uint64) []byte {
	return appendNumber(append(option(b, id), ' '), v)
}

func appendNumber(b []byte, v uint64) []byte { return strconv.AppendUint(b, v, 10) }

func seconds(d time.Duration) uint64 { return uint64(d / time.Second) }
