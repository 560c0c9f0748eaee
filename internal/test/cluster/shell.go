// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/internal/test/session"
)

// Original is the directory of ipvsadm 1.31 in a guest.
const Original = "/usr/sbin"

// Shell runs a command line on a host. home is its working directory and
// HOME, "" for those of this process. A nonzero status is part of the answer,
// not an error.
func Shell(host, home, command string) (answer string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), must.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", command)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	b, err := Run(host, home, cmd)
	exit := (*exec.ExitError)(nil)
	switch {
	case ctx.Err() != nil:
		return string(b), fmt.Errorf("%s# %s: no end within %v", host, command, must.Patience)
	case err != nil && !errors.As(err, &exit):
		return string(b), err
	}
	return session.Answer(string(b), cmd.ProcessState.ExitCode()), nil
}

// Run runs a command on a host and returns both its outputs.
func Run(host, home string, cmd *exec.Cmd) (output []byte, err error) {
	if home != "" {
		cmd.Dir = home
		cmd.Env = append(os.Environ(), "HOME="+home)
	}
	err = Host{Name: host}.Do(func() error {
		output, err = cmd.CombinedOutput()
		return err
	})
	return output, err
}

// Player plays sessions. Commands of the host lab are its verbs; those of
// other hosts go to their shells.
type Player struct {
	Home func(host string) string // nil for this process's directory and home
	Verb func(name, args string) (answer string, err error)
}

// Step plays a step and returns its answer. The error describes an unexpected
// answer.
func (p Player) Step(s session.Step) (answer string, err error) {
	if s.Host == "lab" {
		name, args, _ := strings.Cut(s.Command, " ")
		if answer, err = p.Verb(name, args); answer != "" {
			answer += "\n"
		}
	} else {
		home := ""
		if p.Home != nil {
			home = p.Home(s.Host)
		}
		answer, err = Shell(s.Host, home, s.Command)
	}
	return answer, errors.Join(err, session.Compare(answer, s.Answer))
}

// Play plays a session up to the first unexpected answer.
func (p Player) Play(typed string) error {
	steps, err := session.Parse(session.Host, typed)
	if err != nil {
		return err
	}
	for _, s := range steps {
		if answer, err := p.Step(s); err != nil {
			return fmt.Errorf("%s%s: %w\n%s", s.Prompt(), s.Command, err, answer)
		}
	}
	return nil
}
