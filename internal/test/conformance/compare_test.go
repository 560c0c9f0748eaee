// SPDX-License-Identifier: Apache-2.0

package conformance

// This file runs a script with both programs and compares the results.

import (
	"fmt"
	"iter"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/test/session"
)

// step is a command with the answers of both programs.
type step struct {
	command
	ours, original answer
	before, after  string // ours
	theirs         string // the original's table after the command
	diverged       bool   // a rule allows the tables to differ from here on
}

// comparison is the result of a script.
type comparison struct {
	steps    int      // compared commands
	used     []string // rules that applied
	mismatch string   // "" if there is no difference
}

// listAttempts is how often a list is retried until both programs see the
// same: on newer kernels the connection table grows on its own.
const listAttempts = 3

// compare runs a script with both programs in a new arena.
func (p programs) compare(s script) (c comparison, err error) {
	a, err := p.enter()
	if err != nil {
		return c, err
	}
	defer func() {
		defer watch(s, time.Minute)()
		if e := a.close(); err == nil {
			err = e
		}
	}()
	before, err := a.state(a.ours)
	if err != nil {
		return c, err
	}
	for _, cmd := range s.commands {
		if !cmd.underTest() {
			if err := a.prepare(cmd); err != nil {
				return c, err
			}
			continue
		}
		var s step
		for try := 1; try == 1 || c.mismatch != "" && cmd.lists() && try <= listAttempts; try++ {
			s = step{command: cmd, before: before}
			if err := s.run(a); err != nil {
				return c, fmt.Errorf("%v: %w", cmd, err)
			}
			c.mismatch = s.compare(&c)
		}
		c.steps++
		if c.mismatch != "" || s.diverged {
			return c, nil
		}
		before = s.after
	}
	return c, nil
}

// run collects the answers. Both programs list our namespace: 1.31 lists in
// the kernel's order, which differs between namespaces.
func (s *step) run(a *arena) (err error) {
	if s.lists() {
		return s.ask(a, a.ours)
	}
	if s.program() == "ipvsadm-restore" && !a.anyOrder {
		a.anyOrder = true
		if s.before, err = a.state(a.ours); err != nil {
			return err
		}
	}
	return s.ask(a, a.original)
}

// ask runs both programs, the original in the namespace of theirs.
func (s *step) ask(a *arena, theirs director) (err error) {
	defer watch(s.command, 5*a.limit(s.command))()
	if s.ours, err = a.runOurs(a.ours, s.command); err != nil {
		return err
	}
	if s.original, err = a.runOriginal(theirs, s.command); err != nil {
		return err
	}
	if s.after, err = a.state(a.ours); err != nil {
		return err
	}
	s.theirs, err = a.state(a.original)
	return err
}

// watch ends the test, with the stacks of all goroutines, if something hangs
// and cannot be killed.
func watch(what fmt.Stringer, limit time.Duration) (stop func() bool) {
	return time.AfterFunc(limit, func() {
		debug.SetTraceback("all")
		panic(fmt.Sprintf("no end after %v:\n%v", limit, what))
	}).Stop
}

// same reports whether the answers are the same. Lists that a restore prints
// come from two namespaces.
func (s *step) same() bool {
	return s.ours.Status == s.original.Status && s.ours.hung == s.original.hung && s.ours.Stderr == s.original.Stderr &&
		(s.ours.Stdout == s.original.Stdout || s.restores() && sortedBlocks(s.ours.Stdout) == sortedBlocks(s.original.Stdout))
}

// connectionTable matches the connection table's size in a list. Since Linux
// 7.0 each namespace has its own table, which grows some time after the first
// service is added.
var connectionTable = regexp.MustCompile(`\(size=\d+\)`)

func sortedBlocks(listing string) string {
	b := blocks(connectionTable.ReplaceAllString(listing, "(size)"))
	slices.Sort(b)
	return strings.Join(b, "")
}

// feederStopped matches the message of the shell in the original's restore
// when ipvsadm exits before the end of the input.
var feederStopped = regexp.MustCompile(`(?m)^\S*ipvsadm-restore: line \d+: echo: write error: Broken pipe\n`)

// compare describes how the answers and the tables differ, or returns "".
func (s *step) compare(c *comparison) string {
	if s.program() == "ipvsadm-restore" {
		s.original.Stderr = feederStopped.ReplaceAllString(s.original.Stderr, "")
	}
	ours, original := s.ours, s.original
	for _, r := range rules {
		if s.same() && s.after == s.theirs || s.diverged {
			break
		}
		if r.apply == nil {
			continue
		}
		was := *s
		r.apply(s)
		if was.ours != s.ours || was.original != s.original || s.diverged {
			c.used = append(c.used, r.id)
		}
	}
	if s.diverged || s.same() && s.after == s.theirs {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "> %v\n", s.command)
	show := func(what, ours, original string) {
		if ours == original {
			fmt.Fprintf(&b, "%s of both:\n%s", what, indent(ours))
		} else {
			ours, original = session.Excerpts(ours, original)
			fmt.Fprintf(&b, "our %s:\n%sthe original's:\n%s", what, indent(ours), indent(original))
		}
	}
	show("answer", ours.String(), original.String())
	if s.after != s.theirs {
		show("table", s.after, s.theirs)
	}
	return b.String()
}

func (a answer) String() string {
	s := fmt.Sprintf("status %d\n", a.Status)
	if a.hung {
		s = "no end\n"
	}
	if a.Stdout != "" {
		s += "stdout " + lines(a.Stdout)
	}
	if a.Stderr != "" {
		s += "stderr " + lines(a.Stderr)
	}
	return s
}

// lines makes trailing blanks and unprintable bytes visible.
func lines(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		fmt.Fprintf(&b, "%q\n", line)
	}
	return b.String()
}

func indent(text string) string {
	return "    " + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n    ") + "\n"
}

// shrinkLimit is how long shrink searches for a shorter script.
const shrinkLimit = 20 * time.Second

// shrink returns a shorter script that still differs.
func (p programs) shrink(s script, c comparison) (script, comparison) {
	start := time.Now()
	for again := true; again; {
		again = false
		for shorter := range s.shorter() {
			if time.Since(start) > shrinkLimit {
				return s, c
			}
			if got, err := p.compare(shorter); err == nil && got.mismatch != "" {
				s, c, again = shorter, got, true
				break
			}
		}
	}
	return s, c
}

// shorter yields scripts without some commands, lines of input or words, the
// largest omissions first.
func (s script) shorter() iter.Seq[script] {
	return func(yield func(script) bool) {
		for commands := range without(s.commands) {
			if len(commands) > 0 && !yield(script{s.name, commands}) {
				return
			}
		}
		for i, c := range s.commands {
			for c := range c.shorter() {
				commands := slices.Clone(s.commands)
				commands[i] = c
				if !yield(script{s.name, commands}) {
					return
				}
			}
		}
	}
}

func (c command) shorter() iter.Seq[command] {
	return func(yield func(command) bool) {
		for _, sep := range []string{"\n", " "} {
			for parts := range without(strings.SplitAfter(c.stdin, sep)) {
				if text := strings.Join(parts, ""); text != c.stdin && !yield(command{c.words, text}) {
					return
				}
			}
		}
		for words := range without(c.words[1:]) {
			if !yield(command{append(c.words[:1:1], words...), c.stdin}) {
				return
			}
		}
	}
}

// without yields the list without each half, each quarter, and so on.
func without[T any](list []T) iter.Seq[[]T] {
	return func(yield func([]T) bool) {
		for size := (len(list) + 1) / 2; size > 0; size /= 2 {
			for end := len(list); end > 0; end -= size {
				if !yield(slices.Concat(list[:max(0, end-size)], list[end:])) {
					return
				}
			}
		}
	}
}
