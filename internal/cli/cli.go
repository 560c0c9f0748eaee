// SPDX-License-Identifier: Apache-2.0

// Package cli runs one command line, under the name ipvsadm, ipvsadm-save or
// ipvsadm-restore, and returns the exit status. It is the only place that
// knows messages and exit statuses.
package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/args"
	"github.com/ipvsadm-go/ipvsadm/internal/manual"
	"github.com/ipvsadm-go/ipvsadm/internal/names"
	"github.com/ipvsadm-go/ipvsadm/internal/spec"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// The names besides ipvsadm under which the program runs.
const (
	saveName    = "ipvsadm-save"
	restoreName = "ipvsadm-restore"
)

// Process is what a run of the program gets from its environment.
type Process struct {
	Args           []string      // with the program's name first
	Version        func() string // of this program; nil if there is none
	Stdin          io.Reader
	Stdout, Stderr io.Writer

	// dial reaches the kernel; nil for the real one.
	dial func(context.Context, ipvs.Config) (kernel, error)
	// redial reaches a kernel without loading the module; nil for the real
	// one.
	redial func(context.Context, ipvs.Config) (kernel, error)
	// names looks names up; nil for the machine's.
	names *names.Resolver
	// lockWait limits the wait for a lock, and after lockSilence a
	// message reports the wait; zero for the defaults.
	lockWait, lockSilence time.Duration
	// drainLock is the lock file of drains, "" for the default.
	drainLock string
}

// kernel is what the program needs of ipvs.Client.
type kernel interface {
	Apply(context.Context, ...ipvs.Change) error
	Info(context.Context) (ipvs.Info, error)
	Table(context.Context) (*ipvs.Table, error)
	Totals(context.Context) (ipvs.Stats, error)
	Timeouts(context.Context) (ipvs.Timeouts, error)
	Daemons(context.Context) ([]ipvs.Daemon, error)
	Service(context.Context, ipvs.ServiceID) (ipvs.ServiceEntry, error)
	Destinations(context.Context, ipvs.ServiceID) ([]ipvs.DestinationEntry, error)
	ServicesWithDestinations(context.Context) ([]ipvs.ServiceEntry, error)
	Connections(context.Context, ipvs.ConnectionFilter) iter.Seq2[ipvs.Connection, error]
	NetNS() (uint64, error)
	Close() error
}

// Run runs the process's command line and returns its exit status.
func Run(ctx context.Context, p Process) int {
	s := &session{Process: p}
	if s.dial == nil {
		s.dial = s.load
	}
	if s.redial == nil {
		s.redial = redial
	}
	if s.Version == nil {
		s.Version = func() string { return "" }
	}
	if s.names == nil {
		s.names = names.New()
	}
	s.lockWait = cmp.Or(s.lockWait, lockWait)
	s.lockSilence = cmp.Or(s.lockSilence, lockSilence)
	s.drainLock = cmp.Or(s.drainLock, drainLockFile)
	s.parser = args.New(s.names)
	if isTerminal(s.Stdout) {
		s.Stdout = screen{s.Stdout}
	}
	defer s.close()
	switch filepath.Base(p.Args[0]) {
	case saveName:
		return s.saveCommand(ctx)
	case restoreName:
		return s.restoreCommand(ctx)
	}
	return s.main(ctx)
}

// session is one run of the program. It reaches the kernel when a command
// first needs it, so that the others work without IPVS.
type session struct {
	Process
	parser *args.Parser
	netns  string // where to work, if it was named
	// noStats means that the command shows no statistics.
	noStats bool
	// patience is that of lists, zero for the usual one.
	patience time.Duration
	client   kernel
	hinted   map[string]bool // the hints that were given
	before   *ipvs.Table     // what a change is about to alter, for hints
	// tableReads counts how often hints have read the table.
	tableReads int
}

// program returns the name under which ipvsadm is called, for messages about
// its usage. The wrappers read command lines of ipvsadm too.
func (s *session) program() string {
	switch filepath.Base(s.Args[0]) {
	case saveName, restoreName:
		return filepath.Join(filepath.Dir(s.Args[0]), "ipvsadm")
	}
	return s.Args[0]
}

func (s *session) main(ctx context.Context) int {
	if len(s.Args) == 1 {
		s.noStats = true
		return s.report(s.list(ctx, args.Command{ID: spec.List}))
	}
	cmd, err := s.parse(ctx, s.Args[1:])
	switch {
	case err != nil:
		return s.report(err)
	case cmd.ID == spec.Restore:
		return s.restore(ctx, s.Stdin)
	case cmd.ID == spec.Apply:
		return s.apply(ctx, cmd)
	case cmd.ID == spec.Doctor:
		return s.doctor(ctx, cmd)
	case cmd.ID == spec.Watch:
		return s.watch(ctx, cmd)
	case cmd.Given.Has(spec.OptDrain):
		return s.drain(ctx, cmd)
	}
	if err := s.run(ctx, &cmd); err != nil {
		return s.report(err)
	}
	s.hint(subject{}, func(m machine) string { return m.successHint(cmd, s.Args) })
	return statusOK
}

// parse parses the program's command line and notes its global options; its
// error is a *failure.
func (s *session) parse(ctx context.Context, argv []string) (args.Command, error) {
	cmd, err := s.parser.Parse(ctx, argv)
	if err != nil {
		return cmd, parseFailure(err, s.program())
	}
	s.netns, s.noStats = cmd.NetNS, !showsStats(cmd)
	return cmd, nil
}

// run runs a command that is neither restore nor apply, after it has
// completed one with --keep; its error is a *failure.
func (s *session) run(ctx context.Context, cmd *args.Command) error {
	switch cmd.ID {
	case spec.Help:
		return output(manual.Help(s.Stdout, s.program()))
	case spec.Version:
		_, err := io.WriteString(s.Stdout, versionText(s.Version()))
		return output(err)
	case spec.List:
		return s.list(ctx, *cmd)
	case spec.Monitor:
		return s.monitor(ctx, *cmd)
	case spec.Save:
		return s.save(ctx, *cmd)
	}
	if cmd.Keeps() {
		return s.keep(ctx, cmd)
	}
	change, ok := cmd.Change()
	if ok && cmd.Given.Has(spec.OptExist) {
		return s.changeExisting(ctx, change)
	}
	if !ok {
		return fmt.Errorf("the command %v has no change", cmd.ID)
	}
	return s.change(ctx, change)
}

func (s *session) change(ctx context.Context, c ipvs.Change) error {
	if err := s.open(ctx); err != nil {
		return err
	}
	s.before = s.readBefore(ctx, c)
	err := s.client.Apply(ctx, c)
	if err == nil {
		return nil
	}
	if c.Op == ipvs.OpEditService && s.before != nil {
		s.keepScheduler(ctx, s.before.Services[0].Service)
	}
	return changeFailure(c.Op, err)
}

// readBefore reads what a change is about to alter: a service that it edits,
// whose scheduler may have to be restored, and on a terminal what a hint may
// need. It returns nil if that is not known.
func (s *session) readBefore(ctx context.Context, c ipvs.Change) *ipvs.Table {
	id := c.Service.ServiceID
	hints := isTerminal(s.Stderr)
	switch {
	case c.Op == ipvs.OpFlush && hints:
		return s.kernelTable()
	case c.Op == ipvs.OpEditService:
	case hints && (c.Op == ipvs.OpDeleteService || c.Op == ipvs.OpEditDestination || c.Op == ipvs.OpDeleteDestination):
	default:
		return nil
	}
	e, err := s.client.Service(ctx, id)
	if err == nil && c.Op != ipvs.OpEditService {
		e.Destinations, err = s.client.Destinations(ctx, id)
	}
	if err != nil {
		return nil
	}
	return &ipvs.Table{Services: []ipvs.ServiceEntry{e}}
}

// keepScheduler restores a service's scheduler after a refused edit: kernels
// before mid-2026 remove the old one before they find that the new one does
// not start.
func (s *session) keepScheduler(ctx context.Context, before ipvs.Service) {
	now, err := s.client.Service(ctx, before.ServiceID)
	if err != nil || now.Scheduler != noScheduler || before.Scheduler == noScheduler {
		return
	}
	err = s.client.Apply(ctx, ipvs.EditService(before))
	fmt.Fprintln(s.Stderr, schedulerText(before, err))
}

// noScheduler is the kernel's name for no scheduler.
const noScheduler = "none"

// showsStats reports whether a command may show statistics: a rule text may
// have any list in it.
func showsStats(cmd args.Command) bool {
	switch cmd.ID {
	case spec.List:
		return cmd.Given.HasAny(spec.Of(spec.OptStats, spec.OptRate, spec.OptJSON, spec.OptMetrics))
	case spec.Save, spec.Apply, spec.Monitor:
		return false
	}
	return true
}

// config says how to reach the kernel. Without handoffs a list takes a tenth
// less time, and no other goroutine has to run meanwhile.
func (s *session) config() ipvs.Config {
	return ipvs.Config{NetNS: s.netns, NoHandoff: true, NoStats: s.noStats, Patience: s.patience}
}

// open connects to the kernel; its error is a *failure.
func (s *session) open(ctx context.Context) error {
	if s.client != nil {
		return nil
	}
	k, err := s.dial(ctx, s.config())
	var unknown *ipvs.NetNSError
	switch {
	case errors.As(err, &unknown):
		return netnsFailure(unknown)
	case err != nil:
		return initFailure(err)
	}
	s.client = k
	return nil
}

// probe connects to the kernel's IPVS and asks for its information, to find
// out whether the user may. 1.31 does so before any command. The error is a
// *failure.
func (s *session) probe(ctx context.Context) error {
	if err := s.open(ctx); err != nil {
		return err
	}
	if _, err := s.client.Info(ctx); err != nil {
		return initFailure(err)
	}
	return nil
}

func (s *session) close() {
	if s.client != nil {
		s.client.Close()
	}
}

// report writes the message of an error and returns its status.
func (s *session) report(err error) int { return s.reportAbout(subject{table: s.kernelTable}, err) }

func (s *session) reportAbout(about subject, err error) int {
	if err == nil {
		return statusOK
	}
	var f *failure
	if !errors.As(err, &f) {
		f = &failure{text: err.Error(), status: statusUsage, cause: err}
	}
	text := f.text
	if f.quoted || isTerminal(s.Stderr) {
		text = plain(text)
	}
	fmt.Fprintln(s.Stderr, text)
	s.hint(about, func(m machine) string { return errorHint(err, m) })
	return f.status
}

func output(err error) error {
	if err != nil {
		return outputFailure(err)
	}
	return nil
}

// load opens the kernel's IPVS, and loads the module once if it is missing.
func (s *session) load(ctx context.Context, cfg ipvs.Config) (kernel, error) {
	k, err := connect(ctx, cfg)
	if errors.Is(err, ipvs.ErrNoIPVS) {
		modprobe := exec.CommandContext(ctx, "/sbin/modprobe", "--", "ip_vs")
		modprobe.Stderr = os.Stderr
		if modprobe.Run() == nil {
			return connect(ctx, cfg)
		}
	}
	return k, err
}

// redial opens the kernel's IPVS if it has one: to ask for it would make the
// kernel load the module.
func redial(ctx context.Context, cfg ipvs.Config) (kernel, error) {
	if is, known := loaded(); known && !is {
		return nil, ipvs.ErrNoIPVS
	}
	return connect(ctx, cfg)
}

// loaded reports whether the kernel has IPVS, and whether that is known: a
// /proc that has only processes has no /proc/net.
func loaded() (is, known bool) {
	const net = "/proc/thread-self/net"
	if _, err := os.Stat(net + "/ip_vs"); err == nil {
		return true, true
	}
	_, err := os.Stat(net)
	return false, err == nil
}

func connect(ctx context.Context, cfg ipvs.Config) (kernel, error) {
	c, err := ipvs.Dial(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return c, nil
}
