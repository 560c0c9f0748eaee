// SPDX-License-Identifier: Apache-2.0

// Package program is for tests that run programs: ipvsadm under its three
// names, which the test binary itself provides, and programs that call it. A
// package with such tests contains
//
//	func TestMain(m *testing.M) { program.Main(m) }
package program

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/ipvsadm-go/ipvsadm/internal/cli"
	"github.com/ipvsadm-go/ipvsadm/internal/test/guest/guesttest"
	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
)

// Names are the names of ipvsadm.
var Names = [...]string{"ipvsadm", "ipvsadm-save", "ipvsadm-restore"}

// Main is the body of a TestMain. Called as one of Names, the test binary is
// ipvsadm; otherwise it runs the tests, in the guest or on the host.
func Main(m *testing.M) {
	if slices.Contains(Names[:], filepath.Base(os.Args[0])) {
		cli.Exit(cli.Process{Args: os.Args, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr})
	}
	guesttest.Main(m)
}

// Dir returns a directory that contains ipvsadm under its names.
func Dir(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	exe, err := os.Executable()
	for _, name := range Names {
		err = errors.Join(err, os.Symlink(exe, filepath.Join(dir, name)))
	}
	must.OK(t, err)
	return dir
}

// InPath puts ipvsadm first in the PATH.
func InPath(t testing.TB) { t.Setenv("PATH", Dir(t)+":"+os.Getenv("PATH")) }

// Answer is the result of a program.
type Answer struct {
	Stdout, Stderr string
	Status         int // 128 plus the signal number after a signal
}

// Collect runs a command and accepts any result. If the command has its own
// standard error, that is not collected.
func Collect(cmd *exec.Cmd) (a Answer, err error) {
	var stdout, stderr strings.Builder
	if cmd.Stdout = &stdout; cmd.Stderr == nil {
		cmd.Stderr = &stderr
	}
	err = cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		err = nil
		if a.Status = exit.ExitCode(); a.Status < 0 {
			a.Status = 128 + int(exit.Sys().(syscall.WaitStatus).Signal())
		}
	}
	a.Stdout, a.Stderr = stdout.String(), stderr.String()
	return a, err
}

// Here runs ipvsadm in this process, because a process is slow to start in a
// guest. It uses the kernel's table of the calling thread's namespace.
func Here(stdin string, words ...string) Answer { return HereOn(nil, stdin, words...) }

// HereOn is Here with a terminal for standard error, if it is not nil.
func HereOn(terminal *os.File, stdin string, words ...string) (a Answer) {
	var stdout, stderr strings.Builder
	p := cli.Process{Args: words, Stdin: strings.NewReader(stdin), Stdout: &stdout, Stderr: &stderr}
	if terminal != nil {
		p.Stderr = terminal
	}
	defer func() {
		// Programs started later would inherit the ignored SIGPIPE, which
		// outlasts signal.Reset.
		signal.Notify(brokenPipe, syscall.SIGPIPE)
		signal.Stop(brokenPipe)
		a.Stdout, a.Stderr = stdout.String(), stderr.String()
		if p := recover(); p != nil {
			a.Status = 128 + int(syscall.SIGABRT)
			a.Stderr += fmt.Sprintf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	a.Status = cli.Main(context.Background(), p)
	return a
}

var brokenPipe = make(chan os.Signal, 1)

// Ask runs a program and accepts any result.
func Ask(t testing.TB, words ...string) Answer {
	t.Helper()
	a, err := Collect(exec.Command(words[0], words[1:]...))
	must.OK(t, err)
	return a
}

// Run runs a program that must succeed and returns its standard output.
func Run(t testing.TB, words ...string) string {
	t.Helper()
	a := Ask(t, words...)
	if a.Status != 0 {
		t.Fatalf("%s: status %d\n%s%s", strings.Join(words, " "), a.Status, a.Stdout, a.Stderr)
	}
	return a.Stdout
}

// Try runs a program and returns both its outputs.
func Try(words ...string) (out string, err error) {
	b, err := exec.Command(words[0], words[1:]...).CombinedOutput()
	return strings.ReplaceAll(string(b), "\r", ""), err
}

// Need skips or fails a test if a program is missing.
func Need(t testing.TB, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		guesttest.Lacks(t, fmt.Sprintf("no %s on this machine: make deps", name))
	}
}

// Read reads a file.
func Read(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	must.OK(t, err)
	return string(b)
}

// Current checks that a generated file is what make generate would write now.
func Current(t testing.TB, name, want string) {
	t.Helper()
	if Read(t, name) != want {
		t.Errorf("%s is not current: make generate", name)
	}
}

// Write writes a file.
func Write(t testing.TB, name, text string) {
	t.Helper()
	must.OK(t, os.WriteFile(name, []byte(text), 0o644))
}

// Replace writes a file in place of an existing one, which may be a link to a
// file that the guest does not have.
func Replace(t testing.TB, name, text string) {
	t.Helper()
	must.OK(t, os.RemoveAll(name))
	Write(t, name, text)
}

// ResolveFrom makes the guest resolve names only from files, with these
// hosts, so that no name server delays a program.
func ResolveFrom(t testing.TB, hosts string) {
	t.Helper()
	Replace(t, "/etc/hosts", hosts)
	Replace(t, "/etc/resolv.conf", "")
	Replace(t, "/etc/nsswitch.conf", "hosts: files\nservices: files\nprotocols: files\n")
}
