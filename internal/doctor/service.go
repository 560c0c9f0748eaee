// SPDX-License-Identifier: Apache-2.0

package doctor

// The checks of a virtual service and its servers, those of the way that
// packets take apart.

import (
	"fmt"
	"strings"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

func noServers(c *Case, s *ipvs.ServiceEntry) []Finding {
	if len(s.Destinations) > 0 {
		return nil
	}
	// The method is the operator's choice. Direct routing is the default.
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

func overloaded(c *Case, s *ipvs.ServiceEntry) (all []Finding) {
	for i := range s.Destinations {
		e := &s.Destinations[i]
		n := uint64(e.Conns.Active) + uint64(e.Conns.Inactive)
		if e.UpperThreshold == 0 || n < uint64(e.UpperThreshold) {
			continue
		}
		d := e.Destination
		d.UpperThreshold *= 2
		all = append(all, Finding{
			Text: fmt.Sprintf("server %v has %s and an upper threshold of %d, so it gets no new ones", d.AddrPort(), connections(n), e.UpperThreshold),
			Fix:  c.edit(s, d),
		})
	}
	return all
}

func connections(n uint64) string {
	if n == 1 {
		return "1 connection"
	}
	return fmt.Sprintf("%d connections", n)
}

func quiescentTemplate(c *Case, s *ipvs.ServiceEntry) []Finding {
	name := vsSetting("expire_quiescent_template")
	if s.Flags&ipvs.FlagPersistent == 0 || !c.Host.isZero(name) {
		return nil
	}
	for i := range s.Destinations {
		if d := &s.Destinations[i]; d.Weight == 0 {
			return []Finding{{
				Text: fmt.Sprintf("server %v has weight 0, but persistent clients still return to it", d.AddrPort()),
				Fix:  c.sysctl(name + "=1"),
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

// schedulerModule is about a file: the kernel's own table has no scheduler
// that the kernel lacks.
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
