// SPDX-License-Identifier: Apache-2.0

// Package cli runs one command line of ipvsadm, ipvsadm-save or
// ipvsadm-restore and returns the exit status. It is the only package that
// contains messages and exit statuses.
//
// Each command is a type in a file of its own. It embeds the session, which
// contains the environment and the connection to the kernel and reports
// errors.
package cli

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"github.com/ipvsadm-go/ipvsadm/internal/args"
	"github.com/ipvsadm-go/ipvsadm/internal/manual"
	"github.com/ipvsadm-go/ipvsadm/internal/spec"
)

// Exit runs the process's command line and exits. The main thread only waits:
// the kernel prefers it for signals, which would be delayed if it were blocked
// in the kernel, for example while a module is loaded.
func Exit(p Process) {
	runtime.LockOSThread()
	status := make(chan int)
	go func() { status <- Main(context.Background(), p) }()
	os.Exit(<-status)
}

// Main runs the process's command line and returns its exit status.
func Main(ctx context.Context, p Process) int { return newSession(p).start(ctx) }

func (s *session) start(ctx context.Context) int {
	s.parser = args.New(s.names)
	defer s.close()
	cmd, err := commandLine(ctx, s)
	if err != nil {
		return s.report(err)
	}
	c := commandOf(s, &cmd)
	if err := c.Run(ctx); err != nil {
		return s.report(err)
	}
	if c, ok := c.(interface{ successHint(machine) string }); ok {
		s.hint(subject{}, c.successHint)
	}
	return statusOK
}

// commandLine parses the command line, depending on the program's name. Its
// error is a *failure.
func commandLine(ctx context.Context, s *session) (args.Command, error) {
	words := s.Args[1:]
	switch {
	case filepath.Base(s.Args[0]) == saveName:
		return saveLine(ctx, s, words)
	case filepath.Base(s.Args[0]) == restoreName:
		return restoreLine(ctx, s, words)
	case len(words) == 0:
		words = []string{"--list"}
	}
	return s.parse(ctx, words)
}

// commandOf returns the command of the first row that matches a command line.
// If none does, it is a single change.
func commandOf(s *session, cmd *args.Command) runner {
	change, restore := changeCommand{s, cmd}, restoreCommand{session: s, cmd: cmd}
	for _, row := range [...]struct {
		id      spec.CommandID // any command if 0
		options spec.Set       // at least one must be given, unless empty
		runner
	}{
		{spec.Help, 0, helpCommand{s}},
		{spec.Version, 0, versionCommand{s}},
		{spec.List, 0, &listCommand{session: s, cmd: cmd}},
		{spec.Save, 0, saveCommand{s, cmd}},
		{spec.Apply, spec.Of(spec.OptDiff), &diffCommand{restore}},
		{spec.Apply, 0, &restore},
		{spec.Restore, 0, &batchCommand{session: s, find: commandOf}},
		{spec.Monitor, 0, monitorCommand{s, cmd}},
		{spec.Watch, 0, &watchCommand{session: s, cmd: cmd}},
		{spec.Doctor, 0, doctorCommand{s, cmd}},
		{0, spec.Of(spec.OptDrain), &drainCommand{session: s, cmd: cmd}},
		{0, spec.Of(spec.OptKeep), keepCommand{change}},
	} {
		if (row.id == 0 || row.id == cmd.ID) && (row.options == 0 || cmd.Given.HasAny(row.options)) {
			return row.runner
		}
	}
	return change
}

type helpCommand struct{ *session }

func (c helpCommand) Run(context.Context) error { return output(manual.Help(c.Stdout, c.program())) }

type versionCommand struct{ *session }

func (c versionCommand) Run(context.Context) error {
	_, err := io.WriteString(c.Stdout, versionText(c.Version()))
	return output(err)
}
