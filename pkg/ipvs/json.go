// SPDX-License-Identifier: Apache-2.0

package ipvs

// The JSON of the package's types, both ways. Names are in lower_snake_case,
// enumerations are words, durations are whole seconds, and fields that do not
// apply are left out. The wire structs below have the tags.
//
// Reading refuses unknown fields; its errors name the path of the value. Service
// and Destination accept the fields of their entries as well and ignore them.

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"time"

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

// required returns an error for the first field that is missing. Names and
// whether they are present alternate.
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

// wireService is a Service or a ServiceEntry. C is the type of counters and D
// that of destinations.
type wireService[C, D any] struct {
	wireID
	Scheduler      string        `json:"scheduler,omitempty"`
	SchedulerFlags []string      `json:"scheduler_flags,omitempty"`
	Timeout        *wholeSeconds `json:"persistence_timeout,omitempty"`
	Netmask        string        `json:"persistence_netmask,omitempty"`
	Engine         string        `json:"persistence_engine,omitempty"`
	OnePacket      bool          `json:"one_packet,omitempty"`
	Stats          C             `json:"stats,omitzero"`
	Rates          C             `json:"rates,omitzero"`
	Destinations   D             `json:"destinations,omitzero"`
}

type (
	wireConfig      = wireService[json.RawMessage, json.RawMessage]
	wireEntry       = wireService[*Rates, []wireServerEntry]
	wireServer      = wireDestination[json.RawMessage, json.RawMessage]
	wireServerEntry = wireDestination[*uint32, *Rates]
)

func wireOf[C, D any](s *Service) wireService[C, D] {
	w := wireService[C, D]{wireID: s.ServiceID.wire(), Scheduler: s.Scheduler, SchedulerFlags: s.SchedulerFlagNames(), Engine: s.PersistenceEngine}
	if s.Flags&FlagPersistent != 0 {
		w.Timeout = (*wholeSeconds)(&s.Timeout)
		if s.Family() == IPv6 {
			w.Netmask = strconv.Itoa(int(s.Netmask.bits(IPv6)))
		} else {
			w.Netmask = s.Netmask.Addr4().String()
		}
	}
	w.OnePacket = s.Flags&FlagOnePacket != 0
	return w
}

func (w *wireService[C, D]) service() (s Service, err error) {
	id, err := w.id()
	if err != nil {
		return s, err
	}
	s = NewService(id, "wlc")
	if w.Scheduler != "" {
		s.Scheduler = w.Scheduler
	}
	for i, name := range w.SchedulerFlags {
		f := slices.IndexFunc(schedulerFlags[:], func(f SchedulerFlag) bool {
			return f.Name == name && (f.Scheduler == "" || f.Scheduler == s.Scheduler)
		})
		if f < 0 {
			return s, fault(fmt.Sprintf("scheduler_flags[%d]", i), "the scheduler %s has no flag %q", s.Scheduler, name)
		}
		s.Flags |= schedulerFlags[f].Flag
	}
	if w.OnePacket {
		s.Flags |= FlagOnePacket
	}
	s.PersistenceEngine = w.Engine
	if w.Timeout != nil {
		s.Flags |= FlagPersistent
		s.Timeout = time.Duration(*w.Timeout)
	}
	if w.Netmask == "" {
		return s, nil
	}
	n, notNumber := strconv.ParseUint(w.Netmask, 10, 8)
	a, notAddr := netip.ParseAddr(w.Netmask)
	switch {
	case w.Timeout == nil:
		return s, fault("persistence_netmask", "there is no persistence_timeout")
	case id.Family() == IPv6 && notNumber == nil && 1 <= n && n <= 128:
		s.Netmask = Netmask(n)
	case id.Family() == IPv4 && notAddr == nil && a.Is4():
		s.Netmask = NetmaskFrom4(a)
	default:
		return s, fault("persistence_netmask", "%q is neither a dotted mask nor, for IPv6, the length of a prefix", w.Netmask)
	}
	return s, nil
}

// MarshalJSON returns the configuration of the service as a JSON object, as in
//
//	{"family":"inet","protocol":"tcp","address":"12.0.0.1","port":80,"scheduler":"rr"}
//
// A service of a firewall mark has "fwmark" instead of "protocol", "address"
// and "port".
func (s Service) MarshalJSON() ([]byte, error) {
	return strictjson.Marshal(wireOf[json.RawMessage, json.RawMessage](&s))
}

// UnmarshalJSON reads the object of MarshalJSON. The scheduler is wlc if it is
// missing.
func (s *Service) UnmarshalJSON(b []byte) error {
	var w wireConfig
	err := strictjson.Unmarshal(b, &w)
	if err == nil {
		*s, err = w.service()
	}
	return err
}

// MarshalJSON returns the service as a JSON object: the fields of
// [Service.MarshalJSON], "stats" and "rates", and as "destinations" a list of
// the objects of [DestinationEntry.MarshalJSON], which is left out if
// Destinations is nil.
func (s ServiceEntry) MarshalJSON() ([]byte, error) {
	w := wireOf[*Rates, []wireServerEntry](&s.Service)
	w.Stats, w.Rates = s.Stats.wire()
	if s.Destinations != nil {
		w.Destinations = make([]wireServerEntry, len(s.Destinations))
		for i := range s.Destinations {
			w.Destinations[i] = s.Destinations[i].wire()
		}
	}
	return strictjson.Marshal(w)
}

// UnmarshalJSON reads the object of MarshalJSON. Counters that are missing are
// zero.
func (s *ServiceEntry) UnmarshalJSON(b []byte) error {
	var w wireEntry
	if err := strictjson.Unmarshal(b, &w); err != nil {
		return err
	}
	var e ServiceEntry
	var err error
	if e.Service, err = w.service(); err != nil {
		return err
	}
	e.Stats = statsOf(w.Stats, w.Rates)
	if w.Destinations != nil {
		e.Destinations = make([]DestinationEntry, len(w.Destinations))
	}
	for i := range w.Destinations {
		if e.Destinations[i], err = entryOf(&w.Destinations[i]); err != nil {
			return strictjson.At(fmt.Sprintf("destinations[%d]", i), err)
		}
	}
	*s = e
	return nil
}

// wireDestination is a Destination or a DestinationEntry. N is the type of
// numbers of connections and C that of counters.
type wireDestination[N, C any] struct {
	Family     string            `json:"family,omitempty"`
	Address    *netip.Addr       `json:"address,omitempty"`
	Port       *uint16           `json:"port,omitempty"`
	Forward    *ForwardingMethod `json:"forward,omitempty"`
	Weight     *int32            `json:"weight,omitempty"`
	Upper      *uint32           `json:"upper_threshold,omitempty"`
	Lower      *uint32           `json:"lower_threshold,omitempty"`
	Active     N                 `json:"active_connections,omitzero"`
	Inactive   N                 `json:"inactive_connections,omitzero"`
	Persistent N                 `json:"persistent_connections,omitzero"`
	Tunnel     *TunnelInfo       `json:"tunnel,omitempty"`
	Stats      C                 `json:"stats,omitzero"`
	Rates      C                 `json:"rates,omitzero"`
}

func wireAddr[N, C any](d *Destination) wireDestination[N, C] {
	return wireDestination[N, C]{Family: FamilyOf(d.Addr).Name(), Address: &d.Addr, Port: &d.Port}
}

func wireConfigOf[N, C any](d *Destination) wireDestination[N, C] {
	w := wireAddr[N, C](d)
	w.Forward, w.Weight, w.Upper, w.Lower = &d.Forward, &d.Weight, &d.UpperThreshold, &d.LowerThreshold
	if d.Forward == Tunnel {
		w.Tunnel = &d.Tunnel
	}
	return w
}

func (w *wireDestination[N, C]) destination() (d Destination, err error) {
	if err := required("address", w.Address != nil, "port", w.Port != nil); err != nil {
		return d, err
	}
	d = Destination{Addr: *w.Address, Port: *w.Port, Forward: Route, Weight: 1}
	if w.Forward != nil {
		d.Forward = *w.Forward
	}
	if w.Weight != nil {
		d.Weight = *w.Weight
	}
	d.UpperThreshold, d.LowerThreshold = valueOf(w.Upper), valueOf(w.Lower)
	if w.Tunnel != nil {
		if d.Forward != Tunnel {
			return d, fault("tunnel", `"forward" is not "tunnel"`)
		}
		d.Tunnel = *w.Tunnel
	}
	return d, checkFamily(w.Family, FamilyOf(d.Addr))
}

// valueOf returns what p points to, or the zero value for nil.
func valueOf[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// MarshalJSON returns the configuration of the destination as a JSON object, as
// in
//
//	{"family":"inet","address":"192.168.168.10","port":80,"forward":"masquerade",
//	"weight":1,"upper_threshold":0,"lower_threshold":0}
//
// in one line. With the forwarding method Tunnel it has the object of
// [TunnelInfo.MarshalJSON] as "tunnel".
func (d Destination) MarshalJSON() ([]byte, error) {
	return strictjson.Marshal(wireConfigOf[json.RawMessage, json.RawMessage](&d))
}

// UnmarshalJSON reads the object of MarshalJSON. As in a rule file, "forward" is
// "route" and "weight" is 1 if they are missing.
func (d *Destination) UnmarshalJSON(b []byte) error {
	var w wireServer
	err := strictjson.Unmarshal(b, &w)
	if err == nil {
		*d, err = w.destination()
	}
	return err
}

func (d *DestinationEntry) wire() wireServerEntry {
	w := wireConfigOf[*uint32, *Rates](&d.Destination)
	w.Active, w.Inactive, w.Persistent = &d.Conns.Active, &d.Conns.Inactive, &d.Conns.Persistent
	w.Stats, w.Rates = d.Stats.wire()
	return w
}

// MarshalJSON returns the destination as a JSON object: the fields of
// [Destination.MarshalJSON], "active_connections", "inactive_connections" and
// "persistent_connections", "stats" and "rates".
func (d DestinationEntry) MarshalJSON() ([]byte, error) { return strictjson.Marshal(d.wire()) }

// UnmarshalJSON reads the object of MarshalJSON. Numbers of connections and
// counters that are missing are zero.
func (d *DestinationEntry) UnmarshalJSON(b []byte) error {
	var w wireServerEntry
	err := strictjson.Unmarshal(b, &w)
	if err == nil {
		*d, err = entryOf(&w)
	}
	return err
}

func entryOf(w *wireServerEntry) (e DestinationEntry, err error) {
	e.Destination, err = w.destination()
	e.Conns = ConnCounts{valueOf(w.Active), valueOf(w.Inactive), valueOf(w.Persistent)}
	e.Stats = statsOf(w.Stats, w.Rates)
	return e, err
}

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

// wire returns the counters and the rates, which have the same fields in JSON.
func (s *Stats) wire() (stats, rates *Rates) {
	return &Rates{s.Conns, s.InPkts, s.OutPkts, s.InBytes, s.OutBytes}, &s.Rates
}

func statsOf(stats, rates *Rates) Stats {
	s := valueOf(stats)
	return Stats{s.CPS, s.InPPS, s.OutPPS, s.InBPS, s.OutBPS, valueOf(rates)}
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
	virtual := netip.AddrPortFrom(valueOf(w.VirtualAddr), valueOf(w.VirtualPort))
	if w.FWMark != 0 {
		virtual = markAddr(w.FWMark, FamilyOf(w.ClientAddr))
	}
	*c = Connection{
		Protocol: w.Protocol, Client: netip.AddrPortFrom(w.ClientAddr, w.ClientPort), Virtual: virtual,
		Destination: netip.AddrPortFrom(w.DestinationAddr, w.DestinationPort),
		State:       w.State, Expires: time.Duration(w.Expires), PersistenceEngine: w.Engine, PersistenceData: valueOf(w.Data),
	}
	return nil
}

type wireTimeouts struct {
	TCP    wholeSeconds `json:"tcp"`
	TCPFin wholeSeconds `json:"tcp_fin"`
	UDP    wholeSeconds `json:"udp"`
}

// MarshalJSON returns the timeouts as a JSON object, as in
// {"tcp":900,"tcp_fin":120,"udp":300}.
func (t Timeouts) MarshalJSON() ([]byte, error) {
	return strictjson.Marshal(wireTimeouts{wholeSeconds(t.TCP), wholeSeconds(t.TCPFin), wholeSeconds(t.UDP)})
}

// UnmarshalJSON reads the object of MarshalJSON. Timeouts that are missing are
// zero.
func (t *Timeouts) UnmarshalJSON(b []byte) error {
	var w wireTimeouts
	err := strictjson.Unmarshal(b, &w)
	if err == nil {
		*t = Timeouts{time.Duration(w.TCP), time.Duration(w.TCPFin), time.Duration(w.UDP)}
	}
	return err
}

// wireChange is a Change. D is the type of a daemon.
type wireChange[D any] struct {
	Time        json.RawMessage `json:"time,omitempty"` // in the output of --monitor
	Op          Op              `json:"op"`
	Service     *wireConfig     `json:"service,omitempty"`
	Destination *wireServer     `json:"destination,omitempty"`
	Timeouts    *Timeouts       `json:"timeouts,omitempty"`
	Daemon      D               `json:"daemon,omitempty"`
}

// MarshalJSON returns the change as a JSON object, as in
//
//	{"op":"delete-destination","service":{"family":"inet","protocol":"tcp","address":"12.0.0.1","port":80},
//	"destination":{"family":"inet","address":"192.168.168.10","port":80}}
//
// in one line. A service or destination that is added or edited is whole; any
// other has the fields that identify it. Instead of these, a change of timeouts
// has "timeouts", and one of a daemon "daemon", of which a stop has the state
// alone.
func (c Change) MarshalJSON() ([]byte, error) {
	w := wireChange[any]{Op: c.Op}
	switch c.Op {
	case OpAddService, OpEditService:
		config := wireOf[json.RawMessage, json.RawMessage](&c.Service)
		w.Service = &config
	case OpAddDestination, OpEditDestination:
		d := wireConfigOf[json.RawMessage, json.RawMessage](&c.Destination)
		w.Destination = &d
	case OpDeleteDestination:
		d := wireAddr[json.RawMessage, json.RawMessage](&c.Destination)
		w.Destination = &d
	case OpSetTimeouts:
		w.Timeouts = &c.Timeouts
	case OpStartDaemon:
		w.Daemon = c.Daemon
	case OpStopDaemon:
		w.Daemon = struct {
			State DaemonState `json:"state"`
		}{c.Daemon.State}
	}
	if w.Service == nil && c.Op.onService() {
		w.Service = &wireConfig{wireID: c.Service.ServiceID.wire()}
	}
	return strictjson.Marshal(w)
}

// UnmarshalJSON reads the object of MarshalJSON, and a line of the output of
// "ipvsadm --monitor --json", whose time it ignores.
func (c *Change) UnmarshalJSON(b []byte) error {
	var w wireChange[*Daemon]
	if err := strictjson.Unmarshal(b, &w); err != nil {
		return err
	}
	op := w.Op
	for _, part := range []struct {
		name        string
		has, wanted bool
	}{
		{"op", op != 0, true},
		{"service", w.Service != nil, op.onService()},
		{"destination", w.Destination != nil, op.onDestination()},
		{"timeouts", w.Timeouts != nil, op == OpSetTimeouts},
		{"daemon", w.Daemon != nil, op.onDaemon()},
	} {
		if err := required(part.name, part.has || !part.wanted); err != nil {
			return err
		}
		if part.has && !part.wanted {
			return fault(part.name, "it does not belong to %v", op)
		}
	}
	out := Change{Op: op, Timeouts: valueOf(w.Timeouts), Daemon: valueOf(w.Daemon)}
	var err error
	if op == OpAddService || op == OpEditService {
		out.Service, err = w.Service.service()
	} else if op.onService() {
		out.Service.ServiceID, err = w.Service.id()
	}
	if err != nil {
		return strictjson.At("service", err)
	}
	if op.onDestination() {
		if out.Destination, err = w.Destination.destination(); err != nil {
			return strictjson.At("destination", err)
		}
		if op == OpDeleteDestination {
			out.Destination = Destination{Addr: out.Destination.Addr, Port: out.Destination.Port}
		}
	}
	if op.onDaemon() && w.Daemon.State == 0 {
		return fault("daemon.state", "it is missing")
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
