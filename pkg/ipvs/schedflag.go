// SPDX-License-Identifier: Apache-2.0

package ipvs

import "slices"

// SchedulerFlag is a word for one of the flags that a scheduler reads.
type SchedulerFlag struct {
	Name      string
	Scheduler string // the only one that knows the word; empty for any
	Flag      ServiceFlags
}

// SchedulerFlags returns the words for scheduler flags, those of one scheduler
// first.
func SchedulerFlags() []SchedulerFlag { return slices.Clone(schedulerFlags[:]) }

var schedulerFlags = [...]SchedulerFlag{
	{"sh-fallback", "sh", FlagSched1},
	{"sh-port", "sh", FlagSched2},
	{"mh-fallback", "mh", FlagSched1},
	{"mh-port", "mh", FlagSched2},
	{"flag-1", "", FlagSched1},
	{"flag-2", "", FlagSched2},
	{"flag-3", "", FlagSched3},
}

// SchedulerFlagNames returns the names of the scheduler flags that are set: the
// scheduler's own words where it has any, then those for any scheduler.
func (s *Service) SchedulerFlagNames() []string {
	left := s.Flags & (FlagSched1 | FlagSched2 | FlagSched3)
	if left == 0 {
		return nil
	}
	var names []string
	for _, f := range schedulerFlags {
		if left&f.Flag != 0 && (f.Scheduler == "" || f.Scheduler == s.Scheduler) {
			names = append(names, f.Name)
			left &^= f.Flag
		}
	}
	return names
}
