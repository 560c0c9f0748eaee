// SPDX-License-Identifier: Apache-2.0

package cli

// This file contains the warnings of --check and --dry-run about valid rules
// that are rarely intended. They do not change the exit status.

import (
	"fmt"
	"slices"

	"github.com/ipvsadm-go/ipvsadm/internal/restore"
	"github.com/ipvsadm-go/ipvsadm/internal/spec"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// warning is about a line, or about the whole file if line is 0.
type warning struct {
	line int
	text string
}

// message returns the text of a warning about a file.
func (w warning) message(name string, in *restore.Wanted) string {
	if w.line == 0 {
		return fmt.Sprintf("%s: warning: %s", name, w.text)
	}
	return fmt.Sprintf("%s: %s: warning: %s", name, in.Place(w.line), w.text)
}

func moreWarningsText(name string, n int) string {
	return fmt.Sprintf("%s: and %d more warnings", name, n)
}

// warnings contains the first warnings of a file, in the order of its lines,
// and the number of further ones.
type warnings struct {
	list []warning
	more int
}

func (w *warnings) add(line int, text string) {
	if len(w.list) < restore.MaxComplaints {
		w.list = append(w.list, warning{line, text})
	} else {
		w.more++
	}
}

// withServices adds the warnings about the whole file and its services to
// those about its lines.
func withServices(ofLines warnings, f *restore.File, w *restore.Wanted) warnings {
	if f.Empty() {
		ofLines.add(0, "no commands in the file")
		return ofLines
	}
	var ofServices warnings
	lines := map[ipvs.ServiceID]int{} // that add services with a warning
	var warned []ipvs.ServiceID       // their keys, in order
	if !w.Complaints.Any() {          // a bad line may add what is missing
		for _, s := range w.Table.Services {
			if text := serviceWarning(s); text != "" {
				if ofServices.add(0, text); ofServices.more == 0 {
					lines[s.ServiceID] = 0
					warned = append(warned, s.ServiceID)
				}
			}
		}
	}
	for number, r := range f.Rules() {
		if _, named := lines[r.Service.ServiceID]; named && r.Op == ipvs.OpAddService {
			lines[r.Service.ServiceID] = number
		}
	}
	for i, id := range warned {
		ofServices.list[i].line = lines[id]
	}
	all := warnings{append(ofLines.list, ofServices.list...), ofLines.more + ofServices.more}
	slices.SortStableFunc(all.list, func(a, b warning) int { return a.line - b.line })
	if n := len(all.list) - restore.MaxComplaints; n > 0 {
		all.list, all.more = all.list[:restore.MaxComplaints], all.more+n
	}
	return all
}

func serviceWarning(s ipvs.ServiceEntry) string {
	if len(s.Destinations) == 0 {
		return fmt.Sprintf("%v has no servers", s.ServiceID)
	}
	if slices.ContainsFunc(s.Destinations, func(d ipvs.DestinationEntry) bool { return d.Weight != 0 }) {
		return ""
	}
	return fmt.Sprintf("%v: all servers have weight 0", s.ServiceID)
}

// lineWarnings returns the warnings about a line that was parsed as c.
func lineWarnings(words []string, c ipvs.Change) (texts []string) {
	warn := func(format string, a ...any) { texts = append(texts, fmt.Sprintf(format, a...)) }
	switch c.Op {
	case ipvs.OpAddService, ipvs.OpEditService:
		if !spec.IsScheduler(c.Service.Scheduler) {
			warn("no kernel has a scheduler %s", c.Service.Scheduler)
		}
		if pe := c.Service.PersistenceEngine; pe != "" && !slices.Contains(spec.Names(spec.PersistenceEngines[:]), pe) {
			warn("no kernel has a persistence engine %s", pe)
		}
		if text := netmaskWarning(c.Service); text != "" {
			warn("%s", text)
		}
	case ipvs.OpAddDestination, ipvs.OpEditDestination:
		if port, ok := unusedPort(c, words); ok {
			warn("%s", unusedPortText(port, c.Destination.Port))
		}
	default:
		return nil
	}
	for _, word := range words {
		if address, port, ok := hiddenPort(word); ok {
			warn("%s has no port: for port %s write [%s]:%[2]s", word, port, address)
		}
	}
	return texts
}

// netmaskWarning returns the warning about an IPv4 mask that is not a prefix,
// such as 24, which means 0.0.0.24.
func netmaskWarning(s ipvs.Service) string {
	if s.Family() != ipvs.IPv4 || s.Flags&ipvs.FlagPersistent == 0 {
		return ""
	}
	for n := range 33 {
		if s.Netmask == ipvs.PrefixNetmask(ipvs.IPv4, n) {
			return ""
		}
	}
	if s.Netmask <= 32 {
		return fmt.Sprintf("netmask %d means %v: for a prefix of %[1]d bits write %[3]v", s.Netmask, s.Netmask.Addr4(),
			ipvs.PrefixNetmask(ipvs.IPv4, int(s.Netmask)).Addr4())
	}
	return fmt.Sprintf("netmask %v is not contiguous", s.Netmask.Addr4())
}
