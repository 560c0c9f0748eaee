// SPDX-License-Identifier: Apache-2.0

// The clusters: networks with a director in which traffic is counted. What makes
// each of them is typed, and stands on the page of the clusters as it is typed.

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// cluster is a network and what is typed to make an LVS of it.
type cluster struct {
	name      string
	hosts     []host
	files     []file
	typed     string // lines of a host, #, and a command for its shell
	prepared  string // more of them, for what is counted alone
	scenarios []scenario
}

// file is written before anything is typed.
type file struct{ host, name, text string }

// scenario counts something in a cluster.
type scenario struct {
	name     string
	needs    string // modules of the kernel with blanks between
	after    string // scenario of the cluster on top of whose lines its own are typed, "" for none
	typed    string // on top of what the cluster has
	steps    []step // that count types in its course
	expected string // what is counted, as compare takes it
	short    bool   // part of make test
	count    func(cluster) (counted string, err error)
}

// clusters is the table of all that make lab counts.
var clusters = []cluster{nat, dr, tun, mark, limits, pair, upkeep}

// fullName is what selects a scenario.
func (c cluster) fullName(s scenario) string { return c.name + "/" + s.name }

// chosen is the cluster with those scenarios only that the names, of clusters or
// scenarios, choose. No names choose all.
func (c cluster) chosen(names []string) cluster {
	c.scenarios = slices.DeleteFunc(slices.Clone(c.scenarios), func(s scenario) bool {
		return len(names) > 0 && !slices.Contains(names, c.name) && !slices.Contains(names, c.fullName(s))
	})
	return c
}

// clusters counts the chosen scenarios, each cluster in a guest of its own, and
// reports whether all was as expected.
func (l lab) clusters(ctx context.Context, names []string) (ok bool, err error) {
	for _, name := range names {
		if !slices.ContainsFunc(clusters, func(c cluster) bool { return len(c.chosen([]string{name}).scenarios) > 0 }) {
			return false, fmt.Errorf("there is no cluster or scenario %q: there are %s", name, strings.Join(allNames(), " "))
		}
	}
	kernel, err := l.equip(ctx)
	if err != nil {
		return false, err
	}
	start := time.Now()
	fmt.Printf("Linux %s:\n", kernel.Version)
	printCounted(os.Stdout, "scenario", "expected", "counted", "ok", "seconds")
	ok = true
	for _, c := range clusters {
		if len(c.chosen(names).scenarios) == 0 {
			continue
		}
		args := []string{"clusters"}
		for _, s := range c.chosen(names).scenarios {
			args = append(args, c.fullName(s))
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

func allNames() []string {
	var names []string
	for _, c := range clusters {
		for _, s := range c.scenarios {
			names = append(names, c.fullName(s))
		}
	}
	return names
}

// printCounted prints a row of the table of results.
func printCounted(out io.Writer, scenario, expected, counted, ok, seconds string) {
	fmt.Fprintf(out, "%-20s  %-54s  %-54s  %-3s  %7s\n", scenario, expected, counted, ok, seconds)
}

// playClusters counts, in the guest, scenarios of one cluster.
func playClusters(out io.Writer, names []string) (ok bool, err error) {
	ok = true
	for _, c := range clusters {
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
			printCounted(out, c.fullName(s), s.expected, counted, verdict, fmt.Sprintf("%.1f", time.Since(start).Seconds()))
		}
	}
	return ok, nil
}

// made is a cluster that is there.
type made struct {
	cluster
	typed map[string]bool // scenarios whose lines have been typed
}

// make builds the network and types what makes the cluster.
func (c cluster) make() (made, error) {
	m := made{c, map[string]bool{}}
	if err := linkIptables(); err != nil {
		return m, err
	}
	if err := build(c.hosts); err != nil {
		return m, err
	}
	for _, f := range c.files {
		if err := os.WriteFile(filepath.Join(host{name: f.host}.home(), f.name), []byte(f.text), 0o644); err != nil {
			return m, err
		}
	}
	return m, enter(c.typed + c.prepared)
}

// enter types the scenario's lines, after those on which they build.
func (m made) enter(s scenario) error {
	for _, base := range m.scenarios {
		if base.name == s.after && !m.typed[base.name] {
			if err := m.enter(base); err != nil {
				return err
			}
		}
	}
	m.typed[s.name] = true
	return enter(s.typed)
}

// judge counts a scenario. The verdict is NO, yes, or - where the kernel lacks
// a module that the scenario needs.
func (m made) judge(s scenario) (counted, verdict string) {
	if absent := absentModules(s.needs); len(absent) > 0 {
		return "not in this kernel: " + strings.Join(absent, " "), "-"
	}
	err := m.enter(s)
	if err == nil {
		counted, err = s.count(m.cluster)
	}
	if err != nil {
		return strings.TrimSpace(counted + " " + err.Error()), "NO"
	}
	if compare(counted, s.expected) != nil {
		return counted, "NO"
	}
	return counted, "yes"
}

// absentModules are those of which the kernel has neither a module nor the thing
// built in.
func absentModules(needs string) (absent []string) {
	for _, need := range strings.Fields(needs) {
		if exec.Command("modprobe", "--quiet", "--dry-run", need).Run() != nil {
			absent = append(absent, need)
		}
	}
	return absent
}

// enter types lines, each empty or "host# command". A command that fails ends it.
func enter(lines string) error {
	for line := range strings.Lines(lines) {
		line = strings.TrimSpace(line)
		name, command, found := strings.Cut(line, "# ")
		if line == "" {
			continue
		}
		if !found {
			return fmt.Errorf("%q is no line to type", line)
		}
		if _, err := (host{name: name}).shell(command); err != nil {
			return err
		}
	}
	return nil
}

// typeAll types steps, up to the first that does not go as expected.
func typeAll(steps []step) error {
	for _, s := range steps {
		if err := s.run(io.Discard); err != nil {
			return fmt.Errorf("%s%s: %w", s.prompt(), s.command, err)
		}
	}
	return nil
}

// shell runs a command line on the host. The error has its output.
func (h host) shell(command string) (output string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	b, err := h.run(exec.CommandContext(ctx, "sh", "-c", command))
	if err != nil {
		err = fmt.Errorf("%s# %s: %w: %s", h.name, command, err, strings.TrimSpace(string(b)))
	}
	return string(b), err
}

// linkIptables puts iptables and ip6tables into the PATH, where a package that
// is only unpacked does not put them: the old ones, for whose tables some of the
// kernels have modules.
func linkIptables() error {
	const folder = "/run/lab/bin"
	path, err := exec.LookPath("xtables-legacy-multi")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for _, name := range []string{"iptables", "ip6tables"} {
		err = errors.Join(err, os.Symlink(path, filepath.Join(folder, name)))
	}
	return errors.Join(err, os.Setenv("PATH", folder+":"+os.Getenv("PATH")))
}

// soon waits until a condition holds. The error says what was waited for.
func soon(what string, condition func() (bool, error)) error {
	for end := time.Now().Add(patience); ; time.Sleep(pause / 3) {
		holds, err := condition()
		switch {
		case err != nil:
			return err
		case holds:
			return nil
		case time.Now().After(end):
			return fmt.Errorf("%s: not within %v", what, patience)
		}
	}
}
