// SPDX-License-Identifier: Apache-2.0

package doctor

// The checks of a virtual service and its servers, except those of the
// packets' path.

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

func noServers(c *Case, s *ipvs.ServiceEntry) []Finding {
	if len(s.Destinations) > 0 {
		return nil
	}
	// The forwarding method is the operator's choice; the default is direct
	// routing.
	server := ipvs.Destination{Addr: s.Addr, Port: s.Port, Forward: ipvs.Route, Weight: 1}
	line := c.ipvsadm(ipvs.Change{Op: ipvs.OpAddDestination, Service: s.Service, Destination: server})
	before, _, _ := strings.Cut(line, " -r ")
	return []Finding{{Text: "it has no real servers, so connections are refused", Fix: before + " -r SERVER"}}
}

func allWeightsZero(c *Case, s *ipvs.ServiceEntry) []Finding {
	for i := range s.Destinations {
		if s.Destinations[i].Weight > 0 {
			return nil
		}
	}
	if len(s.Destinations) == 0 {
		return nil
	}
	d := s.Destinations[0].Destination
	d.Weight = 1
	return []Finding{{Text: "all its servers have weight 0, so no new connection is accepted", Fix: c.edit(s, d)}}
}

// total returns the number of connections that thresholds limit.
func total(e *ipvs.DestinationEntry) uint64 {
	return uint64(e.Conns.Active) + uint64(e.Conns.Inactive)
}

// isFull reports whether a server is at its upper threshold.
func isFull(e *ipvs.DestinationEntry) bool {
	return e.UpperThreshold != 0 && total(e) >= uint64(e.UpperThreshold)
}

const fallback = ipvs.FlagSched1 // sh-fallback, mh-fallback

// RefusesDrained reports whether a service's scheduler refuses the clients of
// a server with weight 0 instead of sending them to another server.
func RefusesDrained(s *ipvs.Service) bool {
	return s.Scheduler == "dh" || (s.Scheduler == "sh" || s.Scheduler == "mh") && s.Flags&fallback == 0
}

// hashWeight checks schedulers that refuse clients whose server they may not
// use. It cannot see which server dh uses, or whether mh has ever used a
// server with weight 0.
func hashWeight(c *Case, s *ipvs.ServiceEntry) []Finding {
	if !RefusesDrained(&s.Service) || !slices.ContainsFunc(s.Destinations, usable) {
		return nil
	}
	for i := range s.Destinations {
		e := &s.Destinations[i]
		if usable(*e) {
			continue
		}
		f := Finding{Server: e.AddrPort().String(), Text: fmt.Sprintf("clients that %s assigns to server %%s, which gets no new connections, are refused instead of going to another server", s.Scheduler)}
		if s.Scheduler != "sh" {
			f.Level = Note
		}
		if s.Scheduler != "dh" {
			edited := s.Service
			edited.Flags |= fallback
			f.Fix = c.ipvsadm(ipvs.Change{Op: ipvs.OpEditService, Service: edited})
		}
		return []Finding{f}
	}
	return nil
}

// usable reports whether schedulers may choose a server.
func usable(e ipvs.DestinationEntry) bool { return e.Weight > 0 && !isFull(&e) }

// overloaded infers the kernel's overload flag, which is not visible. It is
// set at the upper threshold and cleared below the lower one, or below three
// quarters of the upper one if there is no lower one.
func overloaded(_ *Case, s *ipvs.ServiceEntry) (all []Finding) {
	for i := range s.Destinations {
		e := &s.Destinations[i]
		n, upper, lower := total(e), uint64(e.UpperThreshold), uint64(e.LowerThreshold)
		server := e.AddrPort().String()
		switch {
		case isFull(e):
			all = append(all, Finding{Server: server, Text: fmt.Sprintf("server %%s has %s and an upper threshold of %d, so it gets no new ones", plural(n, "connection"), upper)})
		case upper != 0 && (lower != 0 && n >= lower || lower == 0 && n*4 >= upper*3):
			all = append(all, Finding{Level: Note, Server: server, Text: fmt.Sprintf("server %%s has %s, between its thresholds: if it has been at the upper one, %d, it gets no new ones yet", plural(n, "connection"), upper)})
		}
	}
	return all
}

func quiescentTemplate(c *Case, s *ipvs.ServiceEntry) []Finding {
	name := vsSetting("expire_quiescent_template")
	if s.Flags&ipvs.FlagPersistent == 0 || !c.Host.isZero(name) {
		return nil
	}
	for i := range s.Destinations {
		if d := &s.Destinations[i]; d.Weight == 0 && d.Conns.Persistent > 0 {
			return []Finding{{
				Server: d.AddrPort().String(),
				Text:   "server %s has weight 0, but persistent clients still return to it",
				Fix:    c.sysctl(name + "=1"),
			}}
		}
	}
	return nil
}

func nodestConn(c *Case, s *ipvs.ServiceEntry) []Finding {
	name := vsSetting("expire_nodest_conn")
	if s.Protocol != ipvs.UDP || s.Flags&ipvs.FlagOnePacket != 0 || !c.Host.isZero(name) {
		return nil
	}
	return []Finding{{
		Text: "once a server is deleted, packets of its UDP clients are dropped for as long as they keep coming",
		Fix:  c.sysctl(name + "=1"),
	}}
}

// markUnset also looks at connections, since counters lag and are not updated
// while estimation is off.
func markUnset(c *Case, s *ipvs.ServiceEntry) []Finding {
	used := func(e ipvs.DestinationEntry) bool { return total(&e) > 0 || e.Conns.Persistent > 0 }
	if s.FWMark == 0 || c.File != "" || s.Stats.InPkts > 0 || slices.ContainsFunc(s.Destinations, used) || c.Host.isZero(vsSetting("run_estimation")) {
		return nil
	}
	return []Finding{{Text: "no packet with this mark has reached IPVS: check the firewall rule that sets it, and that such packets are addressed to this director"}}
}

// portUnused concerns tables made by other programs: ipvsadm replaces such a
// port.
func portUnused(_ *Case, s *ipvs.ServiceEntry) (all []Finding) {
	for i := range s.Destinations {
		d := &s.Destinations[i].Destination
		if (d.Forward == ipvs.Route || d.Forward == ipvs.Tunnel) && s.FWMark == 0 && s.Port != 0 && d.Port != s.Port {
			all = append(all, Finding{Server: d.AddrPort().String(), Text: fmt.Sprintf("the port of server %%s is not used: with -g and -i packets keep port %d", s.Port)})
		}
	}
	return all
}

// schedulerModule checks files only: the kernel's own table contains no
// scheduler that the kernel lacks.
func schedulerModule(c *Case, s *ipvs.ServiceEntry) (all []Finding) {
	if c.File == "" {
		return nil
	}
	for _, name := range modulesOf(s) {
		if c.Host.Modules[name] == Missing {
			all = append(all, Finding{Text: fmt.Sprintf("Linux %s has no module %s, so the service cannot be added", c.Host.Kernel, name)})
		}
	}
	return all
}

// modulesOf returns the names of the modules that a service needs.
func modulesOf(s *ipvs.ServiceEntry) (names []string) {
	if s.Scheduler != "" && s.Scheduler != "none" {
		names = append(names, "ip_vs_"+s.Scheduler)
	}
	if s.PersistenceEngine != "" {
		names = append(names, "ip_vs_pe_"+s.PersistenceEngine)
	}
	return names
}
