// SPDX-License-Identifier: Apache-2.0

package ipvs

// This file encodes and decodes the package's types as JSON. Names are in
// lower_snake_case, enumerations are words, durations are whole seconds, and
// fields that do not apply are left out. The wire structs below have the
// tags.
//
// Unknown fields are errors, which name the path of the value. Service and
// Destination accept the fields of their entries as well and ignore them.

import (
	"cmp"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/spec"
	"github.com/ipvsadm-go/ipvsadm/internal/strictjson"
)

type wireID struct {
	Family   string      `json:"family,omitempty"`
	FWMark   uint32      `json:"fwmark,omitempty"`
	Protocol *Protocol   `json:"protocol,omitempty"`
	Address  *netip.Addr `json:"address,omitempty"`
	Port     *uint16     `json:"port,omitempty"`
}

func (id *ServiceID) wire() wireID {
	if id.FWMark != 0 {
		return wireID{Family: id.Family().Name(), FWMark: id.FWMark}
	}
	return wireID{Family: id.Family().Name(), Protocol: &id.Protocol, Address: &id.Addr, Port: &id.Port}
}

func (w *wireID) id() (ServiceID, error) {
	if w.FWMark != 0 {
		switch {
		case w.Protocol != nil || w.Address != nil || w.Port != nil:
			return ServiceID{}, fault("fwmark", "a service has either a firewall mark or protocol, address and port")
		case w.Family == IPv6.Name():
			return MarkID(w.FWMark, IPv6), nil
		}
		return MarkID(w.FWMark, IPv4), checkFamily(w.Family, IPv4)
	}
	if err := required("protocol", w.Protocol != nil, "address", w.Address != nil, "port", w.Port != nil); err != nil {
		return ServiceID{}, err
	}
	id := ServiceID{Protocol: *w.Protocol, Addr: *w.Address, Port: *w.Port}
	return id, checkFamily(w.Family, id.Family())
}

// required returns an error for the first field that is missing. The
// arguments are pairs of a name and whether it is present.
func required(fields ...any) error {
	for i := 0; i < len(fields); i += 2 {
		if fields[i+1] == false {
			return fault(fields[i].(string), "it is missing")
		}
	}
	return nil
}

func checkFamily(name string, f Family) error {
	if name != "" && name != f.Name() {
		return fault("family", "%q, but the address has the family %q", name, f.Name())
	}
	return nil
}

func fault(path, format string, a ...any) error {
	return &strictjson.Error{Path: path, Err: fmt.Errorf(format, a...)}
}

// wireService is a Service or a ServiceEntry. An interface contains the value
// to encode, or a pointer to decode into; nil is omitted or ignored.
type wireService struct {
	wireID
	Scheduler      string        `json:"scheduler,omitempty"`
	SchedulerFlags []string      `json:"scheduler_flags,omitempty"`
	Timeout        *wholeSeconds `json:"persistence_timeout,omitempty"`
	Netmask        string        `json:"persistence_netmask,omitempty"`
	Engine         string        `json:"persistence_engine,omitempty"`
	OnePacket      bool          `json:"one_packet,omitempty"`
	Stats          any           `json:"stats,omitempty"`
	Rates          any           `json:"rates,omitempty"`
	Destinations   any           `json:"destinations,omitempty"`
}

func (s *Service) wire() wireService {
	w := wireService{wireID: s.ServiceID.wire(), Scheduler: s.Scheduler, Engine: s.PersistenceEngine, OnePacket: s.Flags&FlagOnePacket != 0}
	w.SchedulerFlags = spec.SchedulerFlagNames(s.Scheduler, uint32(s.Flags))
	if s.Flags&FlagPersistent != 0 {
		w.Timeout, w.Netmask = (*wholeSeconds)(&s.Timeout), s.netmaskText()
	}
	return w
}

// read decodes an object into the service, and its other fields into the
// pointers in the interfaces of w.
func (s *Service) read(b []byte, w wireService) error {
	if err := strictjson.Unmarshal(b, &w); err != nil {
		return err
	}
	id, err := w.id()
	if err != nil {
		return err
	}
	*s = NewService(id, cmp.Or(w.Scheduler, "wlc"))
	s.PersistenceEngine = w.Engine
	for i, name := range w.SchedulerFlags {
		scheduler, bit := spec.FindSchedulerFlag(name)
		if bit == 0 || scheduler != "" && scheduler != s.Scheduler {
			return fault(fmt.Sprintf("scheduler_flags[%d]", i), "the scheduler %s has no flag %q", s.Scheduler, name)
		}
		s.Flags |= ServiceFlags(bit)
	}
	if w.OnePacket {
		s.Flags |= FlagOnePacket
	}
	if w.Timeout != nil {
		s.Flags |= FlagPersistent
		s.Timeout = time.Duration(*w.Timeout)
	}
	if w.Netmask == "" {
		return nil
	}
	n, notNumber := strconv.ParseUint(w.Netmask, 10, 8)
	a, notAddr := netip.ParseAddr(w.Netmask)
	switch {
	case w.Timeout == nil:
		return fault("persistence_netmask", "there is no persistence_timeout")
	case id.Family() == IPv6 && notNumber == nil && 1 <= n && n <= 128:
		s.Netmask = Netmask(n)
	case id.Family() == IPv4 && notAddr == nil && a.Is4():
		s.Netmask = NetmaskFrom4(a)
	default:
		return fault("persistence_netmask", "%q is neither a dotted mask nor, for IPv6, the length of a prefix", w.Netmask)
	}
	return nil
}

// MarshalJSON returns the configuration of the service as a JSON object, as in
//
//	{"family":"inet","protocol":"tcp","address":"12.0.0.1","port":80,"scheduler":"rr"}
//
// A service of a firewall mark has "fwmark" instead of "protocol", "address"
// and "port".
func (s Service) MarshalJSON() ([]byte, error) { return strictjson.Marshal(s.wire()) }

// UnmarshalJSON reads the object of MarshalJSON. The scheduler is wlc if it is
// missing.
func (s *Service) UnmarshalJSON(b []byte) error {
	var r Service
	err := r.read(b, wireService{})
	if err == nil {
		*s = r
	}
	return err
}

// MarshalJSON returns the service as a JSON object: the fields of
// [Service.MarshalJSON], "stats" and "rates", and as "destinations" a list of
// the objects of [DestinationEntry.MarshalJSON], which is left out if
// Destinations is nil.
func (s ServiceEntry) MarshalJSON() ([]byte, error) {
	w := s.Service.wire()
	w.Stats, w.Rates = s.Stats.wire(), &s.Stats.Rates
	if s.Destinations != nil {
		list := make([]wireDestination, len(s.Destinations))
		for i := range s.Destinations {
			list[i] = s.Destinations[i].wire()
		}
		w.Destinations = list
	}
	return strictjson.Marshal(w)
}

// UnmarshalJSON reads the object of MarshalJSON. Counters that are missing are
// zero.
func (s *ServiceEntry) UnmarshalJSON(b []byte) error {
	var r ServiceEntry
	var stats Rates
	err := r.Service.read(b, wireService{Stats: &stats, Rates: &r.Stats.Rates, Destinations: &r.Destinations})
	if err == nil {
		r.Stats.set(stats)
		*s = r
	}
	return err
}

// wireDestination is a Destination or a DestinationEntry. Its interfaces are
// like those of wireService.
type wireDestination struct {
	Family     string            `json:"family,omitempty"`
	Address    *netip.Addr       `json:"address,omitempty"`
	Port       *uint16           `json:"port,omitempty"`
	Forward    *ForwardingMethod `json:"forward,omitempty"`
	Weight     *int32            `json:"weight,omitempty"`
	Upper      *uint32           `json:"upper_threshold,omitempty"`
	Lower      *uint32           `json:"lower_threshold,omitempty"`
	Active     any               `json:"active_connections,omitempty"`
	Inactive   any               `json:"inactive_connections,omitempty"`
	Persistent any               `json:"persistent_connections,omitempty"`
	Tunnel     *TunnelInfo       `json:"tunnel,omitempty"`
	Stats      any               `json:"stats,omitempty"`
	Rates      any               `json:"rates,omitempty"`
}

// wireAddr returns the address and port of the destination.
func (d *Destination) wireAddr() wireDestination {
	return wireDestination{Family: FamilyOf(d.Addr).Name(), Address: &d.Addr, Port: &d.Port}
}

func (d *Destination) wire() wireDestination {
	w := d.wireAddr()
	w.Forward, w.Weight, w.Upper, w.Lower = &d.Forward, &d.Weight, &d.UpperThreshold, &d.LowerThreshold
	if d.Forward == Tunnel {
		w.Tunnel = &d.Tunnel
	}
	return w
}

func (d *DestinationEntry) wire() wireDestination {
	w := d.Destination.wire()
	w.Active, w.Inactive, w.Persistent = &d.Conns.Active, &d.Conns.Inactive, &d.Conns.Persistent
	w.Stats, w.Rates = d.Stats.wire(), &d.Stats.Rates
	return w
}

// read is like Service.read.
func (d *Destination) read(b []byte, w wireDestination) error {
	*d = Destination{Forward: Route, Weight: 1}
	w.Forward, w.Weight, w.Upper, w.Lower = &d.Forward, &d.Weight, &d.UpperThreshold, &d.LowerThreshold
	if err := strictjson.Unmarshal(b, &w); err != nil {
		return err
	}
	if err := required("address", w.Address != nil, "port", w.Port != nil); err != nil {
		return err
	}
	d.Addr, d.Port = *w.Address, *w.Port
	if w.Tunnel != nil {
		if d.Forward != Tunnel {
			return fault("tunnel", `"forward" is not "tunnel"`)
		}
		d.Tunnel = *w.Tunnel
	}
	return checkFamily(w.Family, FamilyOf(d.Addr))
}

// MarshalJSON returns the configuration of the destination as a JSON object, as
// in
//
//	{"family":"inet","address":"192.168.168.10","port":80,"forward":"masquerade",
//	"weight":1,"upper_threshold":0,"lower_threshold":0}
//
// in one line. With the forwarding method Tunnel it has the object of
// [TunnelInfo.MarshalJSON] as "tunnel".
func (d Destination) MarshalJSON() ([]byte, error) { return strictjson.Marshal(d.wire()) }

// UnmarshalJSON reads the object of MarshalJSON. As in a rule file, "forward" is
// "route" and "weight" is 1 if they are missing.
func (d *Destination) UnmarshalJSON(b []byte) error {
	var r Destination
	err := r.read(b, wireDestination{})
	if err == nil {
		*d = r
	}
	return err
}

// MarshalJSON returns the destination as a JSON object: the fields of
// [Destination.MarshalJSON], "active_connections", "inactive_connections" and
// "persistent_connections", "stats" and "rates".
func (d DestinationEntry) MarshalJSON() ([]byte, error) { return strictjson.Marshal(d.wire()) }

// UnmarshalJSON reads the object of MarshalJSON. Numbers of connections and
// counters that are missing are zero.
func (d *DestinationEntry) UnmarshalJSON(b []byte) error {
	var r DestinationEntry
	var stats Rates
	err := r.Destination.read(b, wireDestination{
		Active: &r.Conns.Active, Inactive: &r.Conns.Inactive, Persistent: &r.Conns.Persistent, Stats: &stats, Rates: &r.Stats.Rates,
	})
	if err == nil {
		r.Stats.set(stats)
		*d = r
	}
	return err
}

// wire returns the counters as rates, which have the same fields in JSON; set
// is the inverse.
func (s *Stats) wire() *Rates { return &Rates{s.Conns, s.InPkts, s.OutPkts, s.InBytes, s.OutBytes} }

func (s *Stats) set(r Rates) { *s = Stats{r.CPS, r.InPPS, r.OutPPS, r.InBPS, r.OutBPS, s.Rates} }

// MarshalJSON returns the encapsulation as a JSON object, as in
//
//	{"type":"gue","port":6080,"checksum":"csum"}
//
// "checksum" is "none", "csum" or "remcsum". Only GUE has "port", and IP in IP
// has no "checksum".
func (t TunnelInfo) MarshalJSON() ([]byte, error) {
	w := struct {
		Type     TunnelType   `json:"type"`
		Port     *uint16      `json:"port,omitempty"`
		Checksum *TunnelFlags `json:"checksum,omitempty"`
	}{Type: t.Type}
	if t.Type == TunnelGUE {
		w.Port = &t.Port
	}
	if t.Type != TunnelIPIP {
		w.Checksum = &t.Flags
	}
	return strictjson.Marshal(w)
}

type wireConnection struct {
	Protocol        Protocol     `json:"protocol"`
	ClientAddr      netip.Addr   `json:"client_address"`
	ClientPort      uint16       `json:"client_port"`
	FWMark          uint32       `json:"fwmark,omitempty"`
	VirtualAddr     *netip.Addr  `json:"virtual_address,omitempty"`
	VirtualPort     *uint16      `json:"virtual_port,omitempty"`
	DestinationAddr netip.Addr   `json:"destination_address"`
	DestinationPort uint16       `json:"destination_port"`
	State           string       `json:"state"`
	Expires         wholeSeconds `json:"expires"`
	Engine          string       `json:"persistence_engine,omitempty"`
	Data            *string      `json:"persistence_data,omitempty"`
}

// MarshalJSON returns the connection as a JSON object, as in
//
//	{"protocol":"tcp","client_address":"10.1.0.2","client_port":33814,
//	"virtual_address":"12.0.0.1","virtual_port":80,
//	"destination_address":"10.2.0.3","destination_port":8080,
//	"state":"ESTABLISHED","expires":893}
//
// in one line. A template of a firewall mark has "fwmark" instead of
// "virtual_address" and "virtual_port"; one of a persistence engine has
// "persistence_engine" and "persistence_data".
func (c Connection) MarshalJSON() ([]byte, error) {
	w := wireConnection{
		Protocol: c.Protocol, ClientAddr: c.Client.Addr(), ClientPort: c.Client.Port(),
		FWMark: c.FWMark(), DestinationAddr: c.Destination.Addr(), DestinationPort: c.Destination.Port(),
		State: c.State, Expires: wholeSeconds(c.Expires), Engine: c.PersistenceEngine,
	}
	if w.FWMark == 0 {
		a, p := c.Virtual.Addr(), c.Virtual.Port()
		w.VirtualAddr, w.VirtualPort = &a, &p
	}
	if c.PersistenceEngine != "" {
		w.Data = &c.PersistenceData
	}
	return strictjson.Marshal(w)
}

// UnmarshalJSON reads the object of MarshalJSON.
func (c *Connection) UnmarshalJSON(b []byte) error {
	var w wireConnection
	if err := strictjson.Unmarshal(b, &w); err != nil {
		return err
	}
	virtual := markAddr(w.FWMark, FamilyOf(w.ClientAddr))
	if w.VirtualAddr != nil && w.VirtualPort != nil {
		virtual = netip.AddrPortFrom(*w.VirtualAddr, *w.VirtualPort)
	}
	*c = Connection{
		Protocol: w.Protocol, Client: netip.AddrPortFrom(w.ClientAddr, w.ClientPort), Virtual: virtual,
		Destination: netip.AddrPortFrom(w.DestinationAddr, w.DestinationPort),
		State:       w.State, Expires: time.Duration(w.Expires), PersistenceEngine: w.Engine,
	}
	if w.Data != nil {
		c.PersistenceData = *w.Data
	}
	return nil
}

type wireTimeouts struct {
	TCP    *wholeSeconds `json:"tcp"`
	TCPFin *wholeSeconds `json:"tcp_fin"`
	UDP    *wholeSeconds `json:"udp"`
}

func (t *Timeouts) wire() wireTimeouts {
	return wireTimeouts{(*wholeSeconds)(&t.TCP), (*wholeSeconds)(&t.TCPFin), (*wholeSeconds)(&t.UDP)}
}

// MarshalJSON returns the timeouts as a JSON object, as in
// {"tcp":900,"tcp_fin":120,"udp":300}.
func (t Timeouts) MarshalJSON() ([]byte, error) { return strictjson.Marshal(t.wire()) }

// UnmarshalJSON reads the object of MarshalJSON. Timeouts that are missing are
// zero.
func (t *Timeouts) UnmarshalJSON(b []byte) error {
	var r Timeouts
	w := r.wire()
	err := strictjson.Unmarshal(b, &w)
	if err == nil {
		*t = r
	}
	return err
}

// wireChange is a Change. Its interfaces are like those of wireService.
type wireChange struct {
	Time        any `json:"time,omitempty"` // in the output of --monitor
	Op          Op  `json:"op"`
	Service     any `json:"service,omitempty"`
	Destination any `json:"destination,omitempty"`
	Timeouts    any `json:"timeouts,omitempty"`
	Daemon      any `json:"daemon,omitempty"`
}

// MarshalJSON returns the change as a JSON object, as in
//
//	{"op":"delete-destination","service":{"family":"inet","protocol":"tcp","address":"12.0.0.1","port":80},
//	"destination":{"family":"inet","address":"192.168.168.10","port":80}}
//
// in one line. A service or destination that is added or edited has all
// fields; any other only those that identify it. A change of timeouts has
// "timeouts" instead, one of a sync daemon "daemon", with only the state for
// a stop.
func (c Change) MarshalJSON() ([]byte, error) {
	w := wireChange{Op: c.Op}
	if c.Op.onService() {
		w.Service = c.Service.ServiceID.wire()
	}
	switch c.Op {
	case OpAddService, OpEditService:
		w.Service = c.Service
	case OpAddDestination, OpEditDestination:
		w.Destination = c.Destination
	case OpDeleteDestination:
		w.Destination = c.Destination.wireAddr()
	case OpSetTimeouts:
		w.Timeouts = c.Timeouts
	case OpStartDaemon:
		w.Daemon = c.Daemon
	case OpStopDaemon:
		w.Daemon = map[string]DaemonState{"state": c.Daemon.State}
	}
	return strictjson.Marshal(w)
}

// UnmarshalJSON reads the object of MarshalJSON, and a line of the output of
// "ipvsadm --monitor --json", whose time it ignores.
func (c *Change) UnmarshalJSON(b []byte) error {
	var s *Service
	var d *Destination
	var t *Timeouts
	var daemon *Daemon
	w := wireChange{Service: &s, Destination: &d, Timeouts: &t, Daemon: &daemon}
	if err := strictjson.Unmarshal(b, &w); err != nil {
		return err
	}
	op := w.Op
	for _, part := range []struct {
		name        string
		has, wanted bool
	}{
		{"op", op != 0, true},
		{"service", s != nil, op.onService()},
		{"destination", d != nil, op.onDestination()},
		{"timeouts", t != nil, op == OpSetTimeouts},
		{"daemon", daemon != nil, op.onDaemon()},
		{"daemon.state", daemon != nil && daemon.State != 0, op.onDaemon()},
	} {
		switch {
		case part.wanted && !part.has:
			return fault(part.name, "it is missing")
		case part.has && !part.wanted:
			return fault(part.name, "it does not belong to %v", op)
		}
	}
	out := Change{Op: op}
	switch {
	case op == OpAddService || op == OpEditService:
		out.Service = *s
	case op.onService():
		out.Service.ServiceID = s.ServiceID
	case op == OpSetTimeouts:
		out.Timeouts = *t
	case op.onDaemon():
		out.Daemon = *daemon
	}
	switch {
	case op == OpDeleteDestination:
		out.Destination = Destination{Addr: d.Addr, Port: d.Port}
	case op.onDestination():
		out.Destination = *d
	}
	*c = out
	return nil
}

// wholeSeconds is a duration as a number of seconds.
type wholeSeconds time.Duration

func (s wholeSeconds) MarshalJSON() ([]byte, error) {
	return strconv.AppendInt(nil, int64(time.Duration(s)/time.Second), 10), nil
}

func (s *wholeSeconds) UnmarshalJSON(b []byte) error {
	n, err := strconv.ParseUint(string(b), 10, 32)
	if err != nil {
		return fmt.Errorf("%s is not a number of seconds from 0 to 4294967295", b)
	}
	*s = wholeSeconds(time.Duration(n) * time.Second)
	return nil
}
