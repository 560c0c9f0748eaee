// SPDX-License-Identifier: Apache-2.0

// The clusters: networks with a director, in which traffic is counted. The
// commands that set up a cluster are those shown in clusters.md.

package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/test/cluster"
	"github.com/ipvsadm-go/ipvsadm/internal/test/guest"
	"github.com/ipvsadm-go/ipvsadm/internal/test/session"
)

// example is a network and the session that makes it an LVS cluster. On the
// host lab, sessions use the commands of play.go.
type example struct {
	name      string
	hosts     string // for cluster.Parse
	files     []file
	typed     string // a session, shown on the page
	prepared  string // another, not shown
	scenarios []scenario
	// warned means that the doctor warns of a setting that the scenarios
	// need. In the other clusters it must find nothing.
	warned bool
}

// file is a file to write before the session starts.
type file struct{ host, name, text string }

// scenario is a session in a cluster with commands that count.
type scenario struct {
	name  string
	short bool   // part of make test
	needs string // kernel modules, separated by blanks
	after string // scenario to play first, "" for none
	typed string // a session
	page  string // shown on the page, by default all steps that do not count
}

// clusters are the clusters of make lab.
var clusters = []example{nat, dr, tun, mark, limits, pair, upkeep, drain}

// fullName returns the name that selects a scenario.
func (c example) fullName(s scenario) string { return c.name + "/" + s.name }

// chosen returns the cluster with the scenarios selected by name, their own
// or the cluster's. Without names all are selected.
func (c example) chosen(names []string) example {
	c.scenarios = slices.DeleteFunc(slices.Clone(c.scenarios), func(s scenario) bool {
		return len(names) > 0 && !slices.Contains(names, c.name) && !slices.Contains(names, c.fullName(s))
	})
	return c
}

// clusters runs the selected scenarios of a list, each cluster in its own
// guest, and reports whether all counts were as expected.
func (l lab) clusters(ctx context.Context, list []example, names []string) (ok bool, err error) {
	if guest.InGuest() {
		return playClusters(os.Stdout, list, names)
	}
	var all []string
	for _, c := range list {
		all = append(all, c.name)
		for _, s := range c.scenarios {
			all = append(all, c.fullName(s))
		}
	}
	for _, name := range names {
		if !slices.Contains(all, name) {
			return false, fmt.Errorf("there is no cluster or scenario %q: there are %s", name, strings.Join(all, " "))
		}
	}
	kernel, err := guest.Obtain(ctx, l.version, l.fetch, os.Stderr, packages...)
	if err != nil {
		return false, err
	}
	start := time.Now()
	fmt.Printf("Linux %s:\n", kernel.Version)
	printCounted(os.Stdout, "scenario", "expected", "counted", "ok", "seconds")
	ok = true
	for _, c := range list {
		args := []string{flag.Arg(0)}
		for _, s := range c.chosen(names).scenarios {
			args = append(args, c.fullName(s))
		}
		if len(args) == 1 {
			continue
		}
		fine, err := l.boot(ctx, kernel, args...)
		if err != nil {
			return false, fmt.Errorf("%s: %w", c.name, err)
		}
		ok = ok && fine
	}
	fmt.Printf("%.0f seconds.\n", time.Since(start).Seconds())
	return ok, nil
}

// printCounted prints a row of the table of results.
func printCounted(out io.Writer, scenario, expected, counted, ok, seconds string) {
	fmt.Fprintf(out, "%-20s  %-54s  %-54s  %-3s  %7s\n", scenario, expected, counted, ok, seconds)
}

// playClusters runs scenarios of one cluster, in the guest.
func playClusters(out io.Writer, list []example, names []string) (ok bool, err error) {
	ok = true
	for _, c := range list {
		chosen := c.chosen(names).scenarios
		if len(chosen) == 0 {
			continue
		}
		m, err := c.make()
		if err != nil {
			return false, err
		}
		for _, s := range chosen {
			start := time.Now()
			counted, verdict := m.judge(s)
			ok = ok && verdict != "NO"
			printCounted(out, c.fullName(s), s.expected(), counted, verdict, fmt.Sprintf("%.1f", time.Since(start).Seconds()))
		}
	}
	return ok, nil
}

// made is a cluster that has been set up.
type made struct {
	example
	player
	typed map[string]bool // scenarios that have been played
}

// make builds the network and sets up the cluster.
func (c example) make() (*made, error) {
	m := &made{c, player{hosts: cluster.Parse(c.hosts)}, map[string]bool{}}
	if err := build(m.player.hosts); err != nil {
		return m, err
	}
	for _, f := range c.files {
		if err := os.WriteFile(filepath.Join(home(f.host), f.name), []byte(f.text), 0o644); err != nil {
			return m, err
		}
	}
	return m, m.sessions().Play(c.typed + c.prepared)
}

// judge plays a scenario, after the one that it builds on, and returns the
// counts up to the first unexpected answer. The verdict is NO, yes, or - if
// the kernel lacks a module that the scenario needs.
func (m *made) judge(s scenario) (counted, verdict string) {
	if absent := absentModules(s.needs); len(absent) > 0 {
		return "not in this kernel: " + strings.Join(absent, " "), "-"
	}
	for _, base := range m.scenarios {
		if base.name == s.after && !m.typed[base.name] {
			if counted, verdict := m.judge(base); verdict != "yes" {
				return base.name + ": " + counted, verdict
			}
		}
	}
	m.typed[s.name] = true
	m.held = held{}
	defer m.held.closeAll()
	var answers []string
	for _, step := range s.steps() {
		answer, err := m.sessions().Step(step)
		if step.Host == counts && answer != "" {
			answers = append(answers, strings.TrimSpace(answer))
		}
		if err != nil {
			return strings.Join(append(answers, err.Error()), ", "), "NO"
		}
	}
	if advice, err := m.examine(); !m.warned && (err != nil || advice != "") {
		return fmt.Sprintf("doctor: %q (%v)", advice, err), "NO"
	}
	return strings.Join(answers, ", "), "yes"
}

// examine returns the doctor's warnings and errors on all directors.
func (m *made) examine() (advice string, err error) {
	for _, h := range m.player.hosts {
		if !strings.HasPrefix(h.Name, "director") {
			continue
		}
		answer, err := shell(h.Name, "ipvsadm --doctor")
		if err != nil || !strings.Contains(answer, " checks") {
			return answer, cmp.Or(err, errors.New("it did not work"))
		}
		for line := range strings.Lines(answer) {
			if strings.HasPrefix(line, "error: ") || strings.HasPrefix(line, "warning: ") {
				advice += line
			}
		}
	}
	return advice, nil
}

// steps returns the steps of the session. It panics on a bad session; a test
// reads them all.
func (s scenario) steps() []session.Step {
	steps, err := session.Parse(session.Host, s.typed)
	if err != nil {
		panic(err)
	}
	return steps
}

// expected returns the counts that the scenario must have.
func (s scenario) expected() string {
	var answers []string
	for _, step := range s.steps() {
		if step.Host == counts && step.Answer != "" {
			answers = append(answers, strings.TrimSpace(step.Answer))
		}
	}
	return strings.Join(answers, ", ")
}

// absentModules returns the modules that are neither files nor built in.
func absentModules(needs string) (absent []string) {
	for _, need := range strings.Fields(needs) {
		if exec.Command("modprobe", "--quiet", "--dry-run", need).Run() != nil {
			absent = append(absent, need)
		}
	}
	return absent
}
