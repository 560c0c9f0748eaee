// SPDX-License-Identifier: Apache-2.0

package args

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/spec"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// scan is the state of parsing one command line, which fills in a Command.
type scan struct {
	ctx        context.Context
	names      Names
	cmd        Command
	schedFlags string // checked at the end, when the scheduler is known
}

// accept handles the current option of the reader.
func (s *scan) accept(r *reader) error {
	switch c := r.row.Command; {
	case c == nil && s.cmd.ID == 0 && !spec.Global.Has(r.row.Option.ID):
		return fault(NotACommand)
	case c == nil:
		return s.option(r.row.Option, r.value)
	case s.cmd.ID != 0:
		return fault(SecondCommand, r.lastWord)
	default:
		return s.command(c, r.value)
	}
}

// command handles a command, such as -A.
func (s *scan) command(c *spec.Command, value string) error {
	s.cmd.ID = c.ID
	switch c.ID {
	case spec.Monitor, spec.Watch:
		d, ok := interval(value)
		if !ok {
			return fault(IllegalValue, c.Noun)
		}
		s.cmd.Interval = d
	case spec.StartDaemon, spec.StopDaemon:
		switch value {
		case ipvs.Master.String():
			s.cmd.Daemon.State = ipvs.Master
		case ipvs.Backup.String():
			s.cmd.Daemon.State = ipvs.Backup
		default:
			return fault(IllegalValue, c.Noun)
		}
	}
	return nil
}

// option handles an option that is not a command.
func (s *scan) option(o *spec.Option, value string) error {
	if !spec.Uncounted.Has(o.ID) {
		name, all := o.Alternatives()
		if s.cmd.Given.HasAny(all) {
			return fault(RepeatedOption, name)
		}
		s.cmd.Given |= spec.Of(o.ID)
	}
	svc, dst, daemon := &s.cmd.Service, &s.cmd.Destination, &s.cmd.Daemon
	switch o.ID {
	case spec.OptTCPService:
		return s.service(o, ipvs.TCP, value)
	case spec.OptUDPService:
		return s.service(o, ipvs.UDP, value)
	case spec.OptSCTPService:
		return s.service(o, ipvs.SCTP, value)
	case spec.OptFWMarkService:
		n, ok := number(value, o.Min, o.Max)
		if !ok {
			return fault(InvalidMark, value)
		}
		svc.FWMark = uint32(n)
	case spec.OptIPv6:
		if svc.FWMark == 0 {
			return fault(FamilyBeforeMark)
		}
		svc.ServiceID = ipvs.MarkID(svc.FWMark, ipvs.IPv6)
		svc.Netmask = ipvs.FullNetmask(ipvs.IPv6)
	case spec.OptScheduler:
		svc.Scheduler = truncate(value, 15)
	case spec.OptSchedFlags:
		s.schedFlags = truncate(value, 127)
	case spec.OptPersistenceEngine:
		svc.PersistenceEngine = truncate(value, 16)
	case spec.OptPersistent:
		n, ok := number(value, o.Min, o.Max)
		if !ok {
			return fault(InvalidTimeout, value)
		}
		svc.Flags |= ipvs.FlagPersistent
		svc.Timeout = time.Duration(n) * time.Second
	case spec.OptNetmask:
		return s.netmask(o, value)
	case spec.OptOnePacket:
		svc.Flags |= ipvs.FlagOnePacket
	case spec.OptRealServer:
		return s.realServer(o, value)
	case spec.OptGatewaying:
		dst.Forward = ipvs.Route
	case spec.OptIPIP:
		dst.Forward = ipvs.Tunnel
	case spec.OptMasquerading:
		dst.Forward = ipvs.Masquerade
	case spec.OptTunnelType:
		i := slices.Index(spec.Names(o.Choices), value)
		if i < 0 {
			return fault(IllegalValue, o.Noun)
		}
		dst.Tunnel.Type = ipvs.TunnelType(i)
	case spec.OptTunnelPort:
		return setNumber(o, value, &dst.Tunnel.Port)
	case spec.OptTunnelCsum:
		dst.Tunnel.Flags |= ipvs.TunnelChecksum
	case spec.OptTunnelRemCsum:
		dst.Tunnel.Flags |= ipvs.TunnelRemoteChecksum
	case spec.OptWeight:
		return setNumber(o, value, &dst.Weight)
	case spec.OptUThreshold:
		return setNumber(o, value, &dst.UpperThreshold)
	case spec.OptLThreshold:
		return setNumber(o, value, &dst.LowerThreshold)
	case spec.OptSyncID:
		return setNumber(o, value, &daemon.SyncID)
	case spec.OptSyncMaxLen:
		return setNumber(o, value, &daemon.MaxLen)
	case spec.OptMcastInterface:
		daemon.Interface = truncate(value, 15)
	case spec.OptMcastGroup:
		return s.mcastGroup(value)
	case spec.OptMcastPort:
		return setNumber(o, value, &daemon.Port)
	case spec.OptMcastTTL:
		return setNumber(o, value, &daemon.TTL)
	case spec.OptClient:
		return s.client(o, value)
	case spec.OptState:
		i := slices.IndexFunc(o.Choices, func(c spec.Choice) bool { return strings.EqualFold(c.Name, value) })
		if i < 0 {
			return fault(IllegalChoice, o.Noun, strings.Join(spec.Names(o.Choices), " "))
		}
		s.cmd.State = o.Choices[i].Name
	case spec.OptOutput, spec.OptUpdate:
		s.cmd.Output = value
	case spec.OptLock:
		s.cmd.Lock = value
	case spec.OptDrain:
		n, ok := number(value, o.Min, o.Max)
		if !ok {
			return fault(IllegalValue, o.Noun)
		}
		s.cmd.Drain = time.Duration(n) * time.Second
	case spec.OptNetNS:
		if value == "" {
			return fault(IllegalValue, o.Noun)
		}
		s.cmd.NetNS = value
	}
	return nil // for other options, s.cmd.Given is enough
}

func (s *scan) service(o *spec.Option, p ipvs.Protocol, value string) error {
	s.cmd.Service.Protocol = p
	a, err := s.address(value)
	if err != nil {
		return s.addressFault(o, err)
	}
	s.cmd.Service.ServiceID = ipvs.ServiceID{Protocol: p, Addr: a.addr, Port: a.port}
	if a.addr.Is6() {
		s.cmd.Service.Netmask = ipvs.FullNetmask(ipvs.IPv6)
	}
	return nil
}

func (s *scan) realServer(o *spec.Option, value string) error {
	a, err := s.address(value)
	if err != nil {
		return s.addressFault(o, err)
	}
	if !a.hasPort && s.cmd.ID != spec.List { // in a list, port 0 means any
		a.port = s.cmd.Service.Port
	}
	s.cmd.Destination.Addr, s.cmd.Destination.Port = a.addr, a.port
	return nil
}

// client parses the value of --client: an address or name, and optionally the
// length of a prefix.
func (s *scan) client(o *spec.Option, value string) error {
	text, length, hasLength := strings.Cut(value, "/")
	if inside, ok := strings.CutPrefix(text, "["); ok {
		if text, ok = strings.CutSuffix(inside, "]"); !ok || !strings.Contains(text, ":") {
			return s.addressFault(o, errNoAddress)
		}
	}
	a, isIPv6 := parseIPv6(text)
	if !isIPv6 {
		if isNumber(text) {
			return s.addressFault(o, errNoAddress)
		}
		var err error
		if a, err = s.host4(text); err != nil {
			return s.addressFault(o, err)
		}
	}
	bits := a.BitLen()
	if hasLength {
		n, ok := number(length, 0, int64(bits))
		if !ok {
			return s.addressFault(o, errNoAddress)
		}
		bits = int(n)
	}
	s.cmd.Client = netip.PrefixFrom(a, bits)
	return nil
}

// netmask parses a persistence netmask for the current address family of the
// service, which later options may change.
func (s *scan) netmask(o *spec.Option, value string) error {
	if s.cmd.Service.Family() == ipvs.IPv6 {
		n := leadingNumber(value) // 1.31 uses atoi here, and only here
		if n < o.Min || n > o.Max {
			return fault(IllegalPrefix)
		}
		s.cmd.Service.Netmask = ipvs.PrefixNetmask(ipvs.IPv6, int(n))
		return nil
	}
	a, err := s.host4(value)
	if err != nil {
		return s.addressFault(o, err)
	}
	s.cmd.Service.Netmask = ipvs.NetmaskFrom4(a)
	return nil
}

func (s *scan) mcastGroup(value string) error {
	a, err := netip.ParseAddr(value)
	switch ok := err == nil && a.IsMulticast() && !a.Is4In6() && a.Zone() == ""; {
	case strings.Contains(value, ":"):
		if !ok {
			return fault(InvalidGroup6, value)
		}
	case !ok:
		return fault(InvalidGroup4, value)
	}
	s.cmd.Daemon.Group = a
	return nil
}

// addressFault returns the fault for an address with the error err, or the
// error of the context if that canceled the lookup.
func (s *scan) addressFault(o *spec.Option, err error) error {
	if err := s.ctx.Err(); err != nil {
		return err
	}
	f := fault(IllegalValue, o.Noun)
	if name, ok := errors.AsType[*NameError](err); ok {
		f.Cause = name
	}
	return f
}

// setNumber parses a number within the bounds of the option.
func setNumber[T ~uint8 | ~uint16 | ~uint32 | ~int32](o *spec.Option, value string, field *T) error {
	n, ok := number(value, o.Min, o.Max)
	if !ok {
		return fault(IllegalValue, o.Noun)
	}
	*field = T(n)
	return nil
}

// truncate shortens a value to the n bytes that fit in 1.31's buffer.
func truncate(s string, n int) string { return s[:min(n, len(s))] }

// finish parses the arguments, and checks conditions on several options.
func (s *scan) finish(args []string) error {
	c := spec.FindCommand(s.cmd.ID)
	if err := s.arguments(args, c.MaxArgs); err != nil {
		return err
	}
	if len(args) > c.MaxArgs {
		f := fault(UnexpectedArgument, args[c.MaxArgs])
		f.Word = args[c.MaxArgs]
		return f
	}
	if err := s.schedulerFlags(); err != nil && !s.cmd.Keeps() {
		return err
	}
	if v, bad := c.Rule.Check(s.cmd.Given); bad {
		return violation(v, [...]FaultKind{NeedsOption, IllegalOption, OptionConflict}, c.Name)
	}
	if s.cmd.ID == spec.EditServer && s.cmd.Given.Has(spec.OptDrain) && (!s.cmd.Given.Has(spec.OptWeight) || s.cmd.Destination.Weight != 0) {
		return fault(DrainWeight)
	}
	if s.cmd.Keeps() {
		s.cmd.schedFlags = s.schedFlags
		return nil // the rest depends on the entry
	}
	switch s.cmd.ID {
	case spec.AddService, spec.EditService:
		return s.finishService()
	case spec.AddServer, spec.EditServer:
		return s.finishServer()
	case spec.StartDaemon:
		if s.cmd.Daemon.Interface == "" {
			s.cmd.Daemon.Interface = "eth0"
		}
	case spec.List:
		return s.finishList()
	}
	return nil
}

// arguments parses the arguments of the command, which takes up to n.
func (s *scan) arguments(args []string, n int) error {
	switch s.cmd.ID {
	case spec.Apply, spec.Doctor:
		if len(args) > 0 {
			s.cmd.File = args[0]
		}
	case spec.SetTimeouts:
		if len(args) < n {
			return fault(TimeoutCount)
		}
		for i, t := range []*time.Duration{&s.cmd.Timeouts.TCP, &s.cmd.Timeouts.TCPFin, &s.cmd.Timeouts.UDP} {
			n, ok := number(args[i], 0, spec.TimeoutMax)
			if !ok {
				return fault(InvalidTimeout, args[i])
			}
			*t = time.Duration(n) * time.Second
		}
	}
	return nil
}

func (s *scan) schedulerFlags() error {
	if s.schedFlags == "" {
		return nil
	}
	for word := range strings.SplitSeq(s.schedFlags, ",") {
		if word == "" {
			continue
		}
		scheduler, bit := spec.FindSchedulerFlag(word)
		switch {
		case bit == 0:
			return fault(UnknownFlag, word)
		case scheduler != "" && scheduler != s.cmd.Service.Scheduler:
			return fault(IncompatibleFlag, word)
		}
		s.cmd.Service.Flags |= ipvs.ServiceFlags(bit)
	}
	return nil
}

func (s *scan) finishService() error {
	svc := &s.cmd.Service
	if svc.FWMark == 0 {
		if svc.Port == 0 && svc.Flags&ipvs.FlagPersistent == 0 {
			f := fault(ZeroPort)
			f.Word = svc.Addr.String()
			return f
		}
		if svc.Protocol != ipvs.UDP && svc.Flags&ipvs.FlagOnePacket != 0 {
			return fault(OnePacketNotUDP)
		}
	}
	if svc.Scheduler == "" {
		svc.Scheduler = "wlc"
	}
	return nil
}

func (s *scan) finishServer() error {
	svc, dst := &s.cmd.Service, &s.cmd.Destination
	if svc.FWMark == 0 && dst.Forward != ipvs.Masquerade {
		dst.Port = svc.Port // only masquerading can change it
	}
	return s.checkServer()
}

// checkServer checks the conditions on the forwarding method.
func (s *scan) checkServer() error {
	svc, dst := &s.cmd.Service, &s.cmd.Destination
	if dst.Forward != ipvs.Tunnel {
		if ipvs.FamilyOf(dst.Addr) != svc.Family() {
			return fault(MixedFamilies)
		}
		if s.cmd.Given.HasAny(spec.TunnelOptions) {
			return fault(TunnelOptions)
		}
		return nil
	}
	t := dst.Tunnel.Type
	if v, bad := spec.TunnelRules[t].Check(s.cmd.Given & spec.TunnelOptions); bad {
		return violation(v, [...]FaultKind{TunnelNeedsOption, TunnelIllegal, TunnelConflict}, spec.TunnelTypes[t].Name)
	}
	return nil
}

func (s *scan) finishList() error {
	const (
		noTable = 1<<spec.OptTimeout | 1<<spec.OptDaemon
		other   = noTable | 1<<spec.OptConnection
		formats = 1<<spec.OptStats | 1<<spec.OptRate | 1<<spec.OptThresholds
	)
	g := s.cmd.Given
	if g.HasAny(other) && g.HasAny(formats) || g.HasAny(noTable) && g.Has(spec.OptPersistentConn) {
		return fault(ListConflict)
	}
	return nil
}

// violation returns the fault for a violation of a rule. The kinds are those
// for spec.Missing, spec.Illegal and spec.Conflict.
func violation(v spec.Violation, kinds [3]FaultKind, of string) *Fault {
	k := kinds[v.Kind-spec.Missing]
	if v.Kind == spec.Conflict {
		return fault(k, v.Option.String(), v.Other.String(), of)
	}
	return fault(k, v.Option.String(), of)
}
