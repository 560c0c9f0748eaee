// SPDX-License-Identifier: Apache-2.0

package cli

// This file contains the hints about the table: why a change was refused,
// which entries are similar, and which side effects a change had.

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/internal/args"
	"github.com/ipvsadm-go/ipvsadm/internal/doctor"
	"github.com/ipvsadm-go/ipvsadm/internal/rule"
	"github.com/ipvsadm-go/ipvsadm/internal/spec"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// refusalHint returns the hint for a change that was refused.
func (m machine) refusalHint(e *ipvs.ChangeError) string {
	id, server := e.Change.Service.ServiceID, e.Change.Destination.AddrPort()
	switch {
	case errors.Is(e, ipvs.ErrNoScheduler):
		return moduleHint(e.Change.Service)
	case m.inFile && (errors.Is(e, ipvs.ErrServiceExists) || errors.Is(e, ipvs.ErrDestinationExists)):
		return "a line above adds the same: remove one of them"
	case errors.Is(e, ipvs.ErrServiceExists):
		return fmt.Sprintf("%v exists: use -E to edit it", id)
	case errors.Is(e, ipvs.ErrDestinationExists):
		return fmt.Sprintf("%v is already a server of %v: use -e to edit it", server, id)
	case errors.Is(e, ipvs.ErrDaemonRunning):
		return fmt.Sprintf("the %v daemon is running: --stop-daemon %[1]v stops it, ipvsadm -L --daemon lists it", e.Change.Daemon.State)
	case errors.Is(e, ipvs.ErrNoDaemon):
		return fmt.Sprintf("the %v daemon is not running: ipvsadm -L --daemon lists those that are", e.Change.Daemon.State)
	case errors.Is(e, unix.ERANGE):
		return fmt.Sprintf("the lower threshold, %d, is above the upper, %d", e.Change.Destination.LowerThreshold, e.Change.Destination.UpperThreshold)
	case errors.Is(e, unix.ENODEV):
		return fmt.Sprintf("%s does not exist: name another with --mcast-interface; ip link lists them", e.Change.Daemon.Interface)
	case errors.Is(e, unix.EINVAL) && e.Change.Op == ipvs.OpAddDestination && id.Family() != ipvs.FamilyOf(server.Addr()):
		return "while a sync daemon runs, service and server must both be IPv4 or both IPv6: --stop-daemon stops it"
	case errors.Is(e, unix.EINVAL) && e.Change.Op == ipvs.OpStartDaemon:
		return "no sync daemon can run while a server is of another family than its service: ipvsadm -Ln lists them"
	case errors.Is(e, unix.EINVAL) && e.Change.Op == ipvs.OpAddDestination:
		return "the kernel refuses addresses that are not unicast, IPv6 addresses without a route, and all addresses while lo is down"
	}
	noService, noServer := errors.Is(e, ipvs.ErrNoService), errors.Is(e, ipvs.ErrNoDestination)
	if !noService && !noServer || m.table == nil {
		return ""
	}
	t := m.table()
	switch {
	case t == nil:
		return ""
	case noService:
		return noServiceHint(id, t)
	}
	if s := t.Lookup(id); s != nil {
		return noServerHint(s, server)
	}
	return ""
}

// moduleHint returns the hint for a scheduler or a persistence engine that
// the kernel does not find.
func moduleHint(s ipvs.Service) string {
	if !spec.IsScheduler(s.Scheduler) {
		return unknownNameHint("scheduler", s.Scheduler, spec.Names(spec.Schedulers[:]))
	}
	modules := []string{"ip_vs_" + s.Scheduler}
	if pe := s.PersistenceEngine; pe != "" {
		if !slices.Contains(spec.Names(spec.PersistenceEngines[:]), pe) {
			return unknownNameHint("persistence engine", pe, spec.Names(spec.PersistenceEngines[:]))
		}
		modules = append(modules, "ip_vs_pe_"+pe)
	}
	return fmt.Sprintf("the kernel lacks %s: to see why, run modprobe -a %s", someOf(modules), strings.Join(modules, " "))
}

// unknownNameHint returns the hint for strange characters in a name, or else
// suggests known names of its kind.
func unknownNameHint(kind, word string, candidates []string) string {
	if text := strangeHint(word); text != "" {
		return text
	}
	return guess(word, fmt.Sprintf("no kernel has a %s %q", kind, shorten(word)), candidates)
}

// noServiceHint names services similar to a missing one: that of the same
// address and port, or those of the same mark, address or port.
func noServiceHint(id ipvs.ServiceID, t *ipvs.Table) string {
	var similar []string
	for i := range t.Services {
		s := t.Services[i].ServiceID
		if s.FWMark == 0 && s.Addr == id.Addr && s.Port == id.Port {
			similar = []string{s.String()}
			break
		}
		if s.FWMark == id.FWMark && (id.FWMark != 0 || s.Addr == id.Addr || s.Port == id.Port && s.Family() == id.Family()) {
			similar = append(similar, s.String())
		}
	}
	switch {
	case len(t.Services) == 0:
		return "there are no virtual services"
	case similar == nil:
		return fmt.Sprintf("there is no %v: ipvsadm -Ln lists all services", id)
	}
	slices.Sort(similar)
	return fmt.Sprintf("there is no %v, but there is %s", id, someOf(similar))
}

// noServerHint names servers similar to a missing one: of the same address, or
// else all.
func noServerHint(s *ipvs.ServiceEntry, server netip.AddrPort) string {
	var all, similar []string
	for i := range s.Destinations {
		d := s.Destinations[i].AddrPort()
		all = append(all, d.String())
		if d.Addr() == server.Addr() {
			similar = append(similar, d.String())
		}
	}
	switch {
	case all == nil:
		return fmt.Sprintf("%v has no servers", s.ServiceID)
	case similar == nil:
		similar = all
	}
	slices.Sort(similar)
	return fmt.Sprintf("the real servers of %v: %s", s.ServiceID, someOf(similar))
}

// successHint returns the hint for a change that succeeded, but may not have
// the intended effect; words are the command line.
func (m machine) successHint(cmd args.Command, words []string) string {
	switch cmd.ID {
	case spec.AddService, spec.EditService:
		return cmp.Or(m.resetHint(cmd), netmaskWarning(cmd.Service))
	case spec.AddServer, spec.EditServer:
		return cmp.Or(m.resetHint(cmd), m.serverHint(cmd, words))
	}
	return ""
}

// serverHint returns the hint for a server that was added or edited.
func (m machine) serverHint(cmd args.Command, words []string) string {
	c, _ := cmd.Change()
	if port, ok := unusedPort(c, words); ok {
		return unusedPortText(port, cmd.Destination.Port)
	}
	s := ipvs.ServiceEntry{Service: cmd.Service, Destinations: []ipvs.DestinationEntry{{Destination: cmd.Destination}}}
	input := doctor.Case{Host: m.facts(), Table: &ipvs.Table{Services: []ipvs.ServiceEntry{s}}, NetNS: m.netns}
	for _, f := range doctor.Find(input, "ip-forward") {
		return f.Text + ": " + f.Fix
	}
	return ""
}

func unusedPortText(typed, kept uint16) string {
	return fmt.Sprintf("port %d is not used: with -g and -i packets keep the service's port, %d; only -m changes it", typed, kept)
}

// unusedPort returns a port that was given for a server and is ignored: only
// masquerading can change the port.
func unusedPort(c ipvs.Change, words []string) (port uint16, ok bool) {
	d := &c.Destination
	if d.Forward == ipvs.Masquerade || c.Service.FWMark != 0 {
		return 0, false
	}
	for _, word := range words {
		word = word[strings.IndexByte(word, '=')+1:]
		typed, err := netip.ParseAddrPort(strings.TrimPrefix(word, "-r"))
		if err == nil && typed.Addr() == d.Addr && typed.Port() != d.Port {
			return typed.Port(), true
		}
	}
	return 0, false
}

// resetHint returns the hint for settings that an edit reset to their
// defaults, as in 1.31.
func (m machine) resetHint(cmd args.Command) string {
	if m.before == nil {
		return ""
	}
	s := m.before.Lookup(cmd.Service.ServiceID)
	if s == nil {
		return ""
	}
	kept, err := cmd, error(nil)
	if cmd.ID == spec.EditService {
		err = kept.KeepService(s.Service)
	} else if old := s.Lookup(cmd.Destination.AddrPort()); old != nil {
		err = kept.KeepServer(old.Destination)
	}
	line := func(cmd args.Command) string {
		c, _ := cmd.Change()
		return string(rule.Writer{}.Append(nil, c))
	}
	if err != nil || line(kept) == line(cmd) {
		return ""
	}
	return "settings that are not named are reset; with --keep this would be " + line(kept)
}
