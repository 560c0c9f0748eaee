// SPDX-License-Identifier: Apache-2.0

package ipvs

// The JSON of the package's types. Each type has two methods: AppendJSON, which
// takes no memory of its own, and MarshalJSON for the package encoding/json.
// Names are in lower_snake_case, enumerations are words, durations are whole
// seconds, and what does not apply is left out. The text is what encoding/json
// makes of the same values without its escapes for HTML.

import (
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// AppendJSON appends the configuration of the service as a JSON object, as in
//
//	{"family":"inet","protocol":"tcp","address":"12.0.0.1","port":80,"scheduler":"rr"}
//
// A service of a firewall mark has "fwmark" instead of "protocol", "address"
// and "port".
func (s Service) AppendJSON(b []byte) []byte {
	return append(s.appendMembers(append(b, '{')), '}')
}

// MarshalJSON returns the object of [Service.AppendJSON].
func (s Service) MarshalJSON() ([]byte, error) { return s.AppendJSON(nil), nil }

func (id *ServiceID) appendMembers(b []byte) []byte {
	b = append(append(b, `"family":"`...), id.Family().Name()...)
	if id.FWMark != 0 {
		return appendNumber(b, `","fwmark":`, uint64(id.FWMark))
	}
	b = appendProtocol(append(b, `","protocol":"`...), id.Protocol)
	b = appendQuotedAddr(append(b, `","address":`...), id.Addr)
	return appendNumber(b, `,"port":`, uint64(id.Port))
}

func (s *Service) appendMembers(b []byte) []byte {
	b = s.ServiceID.appendMembers(b)
	b = appendQuoted(append(b, `,"scheduler":`...), s.Scheduler)
	if s.Flags == 0 {
		return b
	}
	for i, name := range s.SchedulerFlagNames() {
		if i == 0 {
			b = append(b, `,"scheduler_flags":["`...)
		} else {
			b = append(b[:len(b)-1], `,"`...)
		}
		b = append(append(b, name...), `"]`...)
	}
	if s.Flags&FlagPersistent != 0 {
		b = appendSeconds(append(b, `,"persistence_timeout":`...), s.Timeout)
		b = append(b, `,"persistence_netmask":"`...)
		if s.Family() == IPv6 {
			b = strconv.AppendUint(b, uint64(s.Netmask), 10)
		} else {
			b = s.Netmask.Addr4().AppendTo(b)
		}
		b = append(b, '"')
		if s.PersistenceEngine != "" {
			b = appendQuoted(append(b, `,"persistence_engine":`...), s.PersistenceEngine)
		}
	}
	if s.Flags&FlagOnePacket != 0 {
		b = append(b, `,"one_packet":true`...)
	}
	return b
}

// AppendJSON appends the service as a JSON object: the members of
// [Service.AppendJSON], "stats" and "rates", and as "destinations" a list of
// the objects of [DestinationEntry.AppendJSON], which is left out where
// Destinations is nil.
func (s ServiceEntry) AppendJSON(b []byte) []byte {
	b = s.Service.appendMembers(append(b, '{'))
	b = s.Stats.appendMembers(append(b, ','))
	if s.Destinations == nil {
		return append(b, '}')
	}
	b = append(b, `,"destinations":[`...)
	for i := range s.Destinations {
		if i > 0 {
			b = append(b, ',')
		}
		b = s.Destinations[i].AppendJSON(b)
	}
	return append(b, "]}"...)
}

// MarshalJSON returns the object of [ServiceEntry.AppendJSON].
func (s ServiceEntry) MarshalJSON() ([]byte, error) { return s.AppendJSON(nil), nil }

// AppendJSON appends the configuration of the destination as a JSON object, as
// in
//
//	{"family":"inet","address":"192.168.168.10","port":80,"forward":"masquerade",
//	"weight":1,"upper_threshold":0,"lower_threshold":0}
//
// in one line. With the forwarding method Tunnel it has the object of
// [TunnelInfo.AppendJSON] as "tunnel".
func (d Destination) AppendJSON(b []byte) []byte {
	b = d.appendMembers(append(b, '{'))
	return append(d.appendTunnel(b), '}')
}

// MarshalJSON returns the object of [Destination.AppendJSON].
func (d Destination) MarshalJSON() ([]byte, error) { return d.AppendJSON(nil), nil }

func (d *Destination) appendIdentity(b []byte) []byte {
	b = append(append(b, `"family":"`...), FamilyOf(d.Addr).Name()...)
	b = appendQuotedAddr(append(b, `","address":`...), d.Addr)
	return appendNumber(b, `,"port":`, uint64(d.Port))
}

func (d *Destination) appendMembers(b []byte) []byte {
	b = d.appendIdentity(b)
	b = append(append(b, `,"forward":"`...), d.Forward.jsonWord()...)
	b = strconv.AppendInt(append(b, `","weight":`...), int64(d.Weight), 10)
	b = appendNumber(b, `,"upper_threshold":`, uint64(d.UpperThreshold))
	return appendNumber(b, `,"lower_threshold":`, uint64(d.LowerThreshold))
}

func (d *Destination) appendTunnel(b []byte) []byte {
	if d.Forward != Tunnel {
		return b
	}
	return d.Tunnel.AppendJSON(append(b, `,"tunnel":`...))
}

// AppendJSON appends the destination as a JSON object: the members of
// [Destination.AppendJSON], "active_connections", "inactive_connections" and
// "persistent_connections", "stats" and "rates".
func (d DestinationEntry) AppendJSON(b []byte) []byte {
	b = d.Destination.appendMembers(append(b, '{'))
	b = appendNumber(b, `,"active_connections":`, uint64(d.Conns.Active))
	b = appendNumber(b, `,"inactive_connections":`, uint64(d.Conns.Inactive))
	b = appendNumber(b, `,"persistent_connections":`, uint64(d.Conns.Persistent))
	b = d.Destination.appendTunnel(b)
	return append(d.Stats.appendMembers(append(b, ',')), '}')
}

// MarshalJSON returns the object of [DestinationEntry.AppendJSON].
func (d DestinationEntry) MarshalJSON() ([]byte, error) { return d.AppendJSON(nil), nil }

// AppendJSON appends the encapsulation as a JSON object, as in
//
//	{"type":"gue","port":6080,"checksum":"csum"}
//
// "checksum" is "none", "csum" or "remcsum". Only GUE has "port", and IP in IP
// has no "checksum".
func (t TunnelInfo) AppendJSON(b []byte) []byte {
	b = append(append(b, `{"type":"`...), t.Type.jsonWord()...)
	b = append(b, '"')
	if t.Type == TunnelIPIP {
		return append(b, '}')
	}
	if t.Type == TunnelGUE {
		b = appendNumber(b, `,"port":`, uint64(t.Port))
	}
	checksum := "none"
	switch {
	case t.Flags&TunnelChecksum != 0:
		checksum = "csum"
	case t.Flags&TunnelRemoteChecksum != 0:
		checksum = "remcsum"
	}
	return append(append(append(b, `,"checksum":"`...), checksum...), `"}`...)
}

// MarshalJSON returns the object of [TunnelInfo.AppendJSON].
func (t TunnelInfo) MarshalJSON() ([]byte, error) { return t.AppendJSON(nil), nil }

// AppendJSON appends the counters and the rates as a JSON object with two
// members, which the objects of entries have too:
//
//	{"stats":{"connections":0,"packets_in":0,"packets_out":0,"bytes_in":0,"bytes_out":0},
//	"rates":{"connections":0,"packets_in":0,"packets_out":0,"bytes_in":0,"bytes_out":0}}
//
// in one line. Rates are per second.
func (s Stats) AppendJSON(b []byte) []byte {
	return append(s.appendMembers(append(b, '{')), '}')
}

// MarshalJSON returns the object of [Stats.AppendJSON].
func (s Stats) MarshalJSON() ([]byte, error) { return s.AppendJSON(nil), nil }

func (s *Stats) appendMembers(b []byte) []byte {
	r := &s.Rates
	b = appendCounters(append(b, `"stats":`...), s.Conns, s.InPkts, s.OutPkts, s.InBytes, s.OutBytes)
	return appendCounters(append(b, `,"rates":`...), r.CPS, r.InPPS, r.OutPPS, r.InBPS, r.OutBPS)
}

func appendCounters(b []byte, conns, inPkts, outPkts, inBytes, outBytes uint64) []byte {
	b = appendNumber(b, `{"connections":`, conns)
	b = appendNumber(b, `,"packets_in":`, inPkts)
	b = appendNumber(b, `,"packets_out":`, outPkts)
	b = appendNumber(b, `,"bytes_in":`, inBytes)
	return append(appendNumber(b, `,"bytes_out":`, outBytes), '}')
}

// AppendJSON appends the connection as a JSON object, as in
//
//	{"protocol":"tcp","client_address":"10.1.0.2","client_port":33814,
//	"virtual_address":"12.0.0.1","virtual_port":80,
//	"destination_address":"10.2.0.3","destination_port":8080,
//	"state":"ESTABLISHED","expires":893}
//
// in one line. A template of a firewall mark has "fwmark" instead of
// "virtual_address" and "virtual_port"; one of a persistence engine has
// "persistence_engine" and "persistence_data".
func (c Connection) AppendJSON(b []byte) []byte {
	b = appendProtocol(append(b, `{"protocol":"`...), c.Protocol)
	b = appendQuotedAddr(append(b, `","client_address":`...), c.Client.Addr())
	b = appendNumber(b, `,"client_port":`, uint64(c.Client.Port()))
	if mark := c.FWMark(); mark != 0 {
		b = appendNumber(b, `,"fwmark":`, uint64(mark))
	} else {
		b = appendQuotedAddr(append(b, `,"virtual_address":`...), c.Virtual.Addr())
		b = appendNumber(b, `,"virtual_port":`, uint64(c.Virtual.Port()))
	}
	b = appendQuotedAddr(append(b, `,"destination_address":`...), c.Destination.Addr())
	b = appendNumber(b, `,"destination_port":`, uint64(c.Destination.Port()))
	b = appendQuoted(append(b, `,"state":`...), c.State)
	b = appendSeconds(append(b, `,"expires":`...), c.Expires)
	if c.PersistenceEngine != "" {
		b = appendQuoted(append(b, `,"persistence_engine":`...), c.PersistenceEngine)
		b = appendQuoted(append(b, `,"persistence_data":`...), c.PersistenceData)
	}
	return append(b, '}')
}

// MarshalJSON returns the object of [Connection.AppendJSON].
func (c Connection) MarshalJSON() ([]byte, error) { return c.AppendJSON(nil), nil }

// AppendJSON appends the timeouts as a JSON object, as in
// {"tcp":900,"tcp_fin":120,"udp":300}.
func (t Timeouts) AppendJSON(b []byte) []byte {
	b = appendSeconds(append(b, `{"tcp":`...), t.TCP)
	b = appendSeconds(append(b, `,"tcp_fin":`...), t.TCPFin)
	return append(appendSeconds(append(b, `,"udp":`...), t.UDP), '}')
}

// MarshalJSON returns the object of [Timeouts.AppendJSON].
func (t Timeouts) MarshalJSON() ([]byte, error) { return t.AppendJSON(nil), nil }

// AppendJSON appends the daemon as a JSON object, as in
//
//	{"state":"master","interface":"eth0","syncid":0,"maxlen":1472,"group":"224.0.0.81","port":8848,"ttl":1}
//
// What is left to the kernel, or was not said by a kernel before 4.3, is left
// out.
func (d Daemon) AppendJSON(b []byte) []byte {
	b = append(append(b, `{"state":"`...), d.State.String()...)
	b = appendQuoted(append(b, `","interface":`...), d.Interface)
	b = appendNumber(b, `,"syncid":`, uint64(d.SyncID))
	if d.MaxLen != 0 {
		b = appendNumber(b, `,"maxlen":`, uint64(d.MaxLen))
	}
	if d.Group.IsValid() {
		b = appendQuotedAddr(append(b, `,"group":`...), d.Group)
	}
	if d.Port != 0 {
		b = appendNumber(b, `,"port":`, uint64(d.Port))
	}
	if d.TTL != 0 {
		b = appendNumber(b, `,"ttl":`, uint64(d.TTL))
	}
	return append(b, '}')
}

// MarshalJSON returns the object of [Daemon.AppendJSON].
func (d Daemon) MarshalJSON() ([]byte, error) { return d.AppendJSON(nil), nil }

// AppendJSON appends the change as a JSON object, as in
//
//	{"op":"delete-destination","service":{"family":"inet","protocol":"tcp","address":"12.0.0.1","port":80},
//	"destination":{"family":"inet","address":"192.168.168.10","port":80}}
//
// in one line. A service or destination that is added or edited is whole; any
// other has the members that identify it. Instead of these, a change of timeouts
// has "timeouts", and one of a daemon "daemon", of which a stop has the state
// alone.
func (c Change) AppendJSON(b []byte) []byte {
	b = append(append(b, `{"op":"`...), strings.ReplaceAll(c.Op.String(), " ", "-")...)
	b = append(b, '"')
	switch {
	case c.Op == OpAddService || c.Op == OpEditService:
		b = c.Service.AppendJSON(append(b, `,"service":`...))
	case c.Op.onService():
		b = append(c.Service.ServiceID.appendMembers(append(b, `,"service":{`...)), '}')
	case c.Op == OpSetTimeouts:
		b = c.Timeouts.AppendJSON(append(b, `,"timeouts":`...))
	case c.Op == OpStartDaemon:
		b = c.Daemon.AppendJSON(append(b, `,"daemon":`...))
	case c.Op == OpStopDaemon:
		b = append(append(append(b, `,"daemon":{"state":"`...), c.Daemon.State.String()...), `"}`...)
	}
	switch c.Op {
	case OpAddDestination, OpEditDestination:
		b = c.Destination.AppendJSON(append(b, `,"destination":`...))
	case OpDeleteDestination:
		b = append(c.Destination.appendIdentity(append(b, `,"destination":{`...)), '}')
	}
	return append(b, '}')
}

// MarshalJSON returns the object of [Change.AppendJSON].
func (c Change) MarshalJSON() ([]byte, error) { return c.AppendJSON(nil), nil }

// AppendJSON appends the information as a JSON object, as in
// {"ipvs_version":"1.2.1","connection_table_size":4096}.
func (i Info) AppendJSON(b []byte) []byte {
	b = append(append(b, `{"ipvs_version":"`...), i.Version.String()...)
	return append(appendNumber(b, `","connection_table_size":`, uint64(i.ConnTableSize)), '}')
}

// MarshalJSON returns the object of [Info.AppendJSON].
func (i Info) MarshalJSON() ([]byte, error) { return i.AppendJSON(nil), nil }

func (f ForwardingMethod) jsonWord() string {
	switch f {
	case Masquerade:
		return "masquerade"
	case LocalNode:
		return "local"
	case Tunnel:
		return "tunnel"
	case Route:
		return "route"
	case Bypass:
		return "bypass"
	}
	return "unknown"
}

func (t TunnelType) jsonWord() string {
	if t <= TunnelGRE {
		return t.String()
	}
	return "unknown"
}

// appendProtocol appends "tcp", or the kernel's name of another protocol in
// small letters.
func appendProtocol(b []byte, p Protocol) []byte {
	if word := p.Network(); word != "" {
		return append(b, word...)
	}
	return append(b, strings.ToLower(p.String())...)
}

func appendNumber(b []byte, name string, n uint64) []byte {
	b = append(b, name...)
	if n < 10 { // most counters of most servers
		return append(b, '0'+byte(n))
	}
	return strconv.AppendUint(b, n, 10)
}

func appendSeconds(b []byte, d time.Duration) []byte {
	return strconv.AppendInt(b, int64(d/time.Second), 10)
}

// appendQuotedAddr appends an address as a JSON string, empty for none.
func appendQuotedAddr(b []byte, a netip.Addr) []byte {
	if !a.IsValid() {
		return append(b, `""`...)
	}
	if a.Zone() != "" {
		return appendQuoted(b, a.String())
	}
	return append(a.AppendTo(append(b, '"')), '"')
}

// appendQuoted appends a text as a JSON string. As with encoding/json, each
// byte that is no UTF-8 becomes U+FFFD.
func appendQuoted(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0 // of what was not appended yet
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			if ' ' <= c && c != '"' && c != '\\' {
				i++
				continue
			}
			b = appendEscape(append(b, s[start:i]...), c)
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			b = append(append(b, s[start:i]...), `\ufffd`...)
			start = i + size
		case r == '\u2028', r == '\u2029': // line ends to JavaScript
			b = append(append(b, s[start:i]...), `\u202`...)
			b = append(b, hexDigits[r&0xf])
			start = i + size
		}
		i += size
	}
	return append(append(b, s[start:]...), '"')
}

const hexDigits = "0123456789abcdef"

func appendEscape(b []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\b':
		return append(b, `\b`...)
	case '\f':
		return append(b, `\f`...)
	case '\n':
		return append(b, `\n`...)
	case '\r':
		return append(b, `\r`...)
	case '\t':
		return append(b, `\t`...)
	}
	return append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xf])
}
