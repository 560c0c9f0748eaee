// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/args"
	"github.com/ipvsadm-go/ipvsadm/internal/names"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// Process is the environment of a run of the program.
type Process struct {
	Args           []string      // with the program's name first
	Version        func() string // of this program; nil if unknown
	Stdin          io.Reader
	Stdout, Stderr io.Writer
}

// session is one run of the program: its environment, its connection to the
// kernel, and its messages. Tests replace fields before the run.
type session struct {
	Process
	connection
	names       *names.Resolver
	lockSilence time.Duration // after which a message reports the wait for a lock
	drainLock   string        // the lock file of drains

	parser     *args.Parser
	before     *ipvs.Table     // the entries that a change will alter, for hints
	hinted     map[string]bool // the hints given so far
	tableReads int             // number of times that hints have read the table
}

// runner is a parsed command. The error of Run is a *failure.
type runner interface{ Run(context.Context) error }

func newSession(p Process) *session {
	s := &session{
		Process:     p,
		connection:  connection{config: ipvs.Config{IPv4Mapped: true}, dial: load, redial: redial},
		names:       names.New(),
		lockSilence: 5 * time.Second, drainLock: "/run/ipvsadm-drain.lock",
	}
	if s.Version == nil {
		s.Version = func() string { return "" }
	}
	if isTerminal(s.Stdout) {
		s.Stdout = escaper{s.Stdout}
	}
	return s
}

// The program's names in addition to ipvsadm.
const (
	saveName    = "ipvsadm-save"
	restoreName = "ipvsadm-restore"
)

// program returns the name of ipvsadm as called, for messages about its usage.
// The wrappers read command lines of ipvsadm too.
func (s *session) program() string {
	switch filepath.Base(s.Args[0]) {
	case saveName, restoreName:
		return filepath.Join(filepath.Dir(s.Args[0]), "ipvsadm")
	}
	return s.Args[0]
}

// parse parses the program's command line and applies its global options; its
// error is a *failure.
func (s *session) parse(ctx context.Context, argv []string) (args.Command, error) {
	cmd, err := s.parser.Parse(ctx, argv)
	if err != nil {
		return cmd, parseFailure(err, s.program())
	}
	s.config.NetNS = cmd.NetNS
	return cmd, nil
}

// report writes the message of an error and returns its exit status.
func (s *session) report(err error) int { return s.reportAbout(subject{table: s.kernelTable}, err) }

func (s *session) reportAbout(about subject, err error) int {
	if err == nil {
		return statusOK
	}
	f := asFailure(err)
	text := f.text
	if text == "" {
		return f.status
	}
	if f.quoted || isTerminal(s.Stderr) {
		text = escape(text)
	}
	fmt.Fprintln(s.Stderr, text)
	s.hint(about, func(m machine) string { return errorHint(err, m) })
	return f.status
}

// reportPartial handles an error of reading a table. If entries may be missing
// it writes a hint; any other error it returns as a *failure.
func (s *session) reportPartial(err error) error {
	switch {
	case errors.Is(err, ipvs.ErrChanging):
		s.say(changingHint)
	case err != nil:
		return listFailure(err)
	}
	return nil
}

const (
	// maxHints is the maximum number of hints in one run.
	maxHints = 20
	// hintTime is the time limit for reading the table and the machine.
	hintTime = 2 * time.Second
)

// hint writes a hint to a terminal, unless it was written before.
func (s *session) hint(about subject, find func(machine) string) {
	if !isTerminal(s.Stderr) || len(s.hinted) == maxHints {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), hintTime)
	defer cancel()
	text := find(s.machine(ctx, about))
	if text == "" || s.hinted[text] {
		return
	}
	if s.hinted == nil {
		s.hinted = map[string]bool{}
	}
	s.hinted[text] = true
	fmt.Fprintln(s.Stderr, hintText(text))
}

// say writes a hint with a fixed text.
func (s *session) say(text string) {
	s.hint(subject{}, func(machine) string { return text })
}
