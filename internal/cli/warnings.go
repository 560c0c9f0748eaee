// SPDX-License-Identifier: Apache-2.0

package cli

// This file contains the warnings of --check and --dry-run about valid rules
// that are rarely intended. They do not change the exit status.

import (
	"fmt"
	"math"
	"slices"

	"github.com/ipvsadm-go/ipvsadm/internal/doctor"
	"github.com/ipvsadm-go/ipvsadm/internal/restore"
	"github.com/ipvsadm-go/ipvsadm/internal/spec"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// wholeFile is the line of warnings that are not about one line.
const wholeFile = math.MaxInt

// warning is about a line of a file, or about the whole file.
type warning struct {
	line int
	text string
}

// message returns the text of a warning about a file.
func (w warning) message(name string, in *restore.Wanted) string {
	if w.line == wholeFile {
		return fmt.Sprintf("%s: warning: %s", name, w.text)
	}
	return fmt.Sprintf("%s: %s: warning: %s", name, in.Place(w.line), w.text)
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

// withServices adds the doctor's findings about the services of a file to the
// warnings about its lines.
func withServices(ofLines warnings, f *restore.File, w *restore.Wanted) warnings {
	if f.Empty() {
		ofLines.add(wholeFile, "no commands in the file")
	}
	if w.Complaints.Any() {
		return ofLines // a bad line may add what is missing
	}
	input := doctor.Case{Host: &doctor.Host{}, Table: w.Table}
	for _, check := range [...]string{"no-servers", "all-weights-zero"} {
		for _, f := range doctor.Find(input, check) {
			ofLines.add(wholeFile, f.Service+": "+f.Text)
		}
	}
	return ofLines
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
