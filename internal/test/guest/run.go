// SPDX-License-Identifier: Apache-2.0

// The host's side of a run. Host and guest share one directory, the exchange:
//
//	init            link to the program, the guest's first process
//	job             what to run, written before the boot
//	stdout, stderr  the command's output, appended as it comes
//	result          how it ended, written last
//
// The guest's writes to it reach the host's files at once.

package guest

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Job is a command to run in a guest.
type Job struct {
	Kernel Kernel // zero for what Find("") finds

	Args []string // the command and its arguments; a command without a slash is looked up in Env's PATH
	Env  []string // nil for this process's own with GuestPath
	Dir  string   // working directory, "" for this process's own

	Stdout, Stderr io.Writer // get the exact bytes as they are written, from one goroutine; nil discards them
}

// order is the Job as sent to the guest. It is encoded with gob, which,
// unlike JSON, keeps arguments that are not UTF-8.
type order struct {
	Args, Env        []string
	Dir              string
	Release, Modules string
	Tools            string
	QEMU             bool // the kind of kernel
}

// result is the guest's report.
type result struct {
	Status int
	Err    string
}

// poll is the interval at which either side checks for the other's files.
const poll = 5 * time.Millisecond

// Run boots a guest, runs the job in it and returns its exit status, 128 plus
// the signal number after a signal. An error means that there is no status:
// no kernel, a command that could not be started, a guest that died (the
// error ends with the last lines of its console, and the last output may be
// lost), or a context that ended, in which case the guest is killed and the
// error wraps the context's cause.
func Run(ctx context.Context, job Job) (status int, err error) {
	if len(job.Args) == 0 {
		return 0, errors.New("guest: the job has no command")
	}
	k := job.Kernel
	if k == (Kernel{}) {
		if k, err = Find(""); err != nil {
			return 0, err
		}
	}
	dir, err := os.MkdirTemp(exchangeParent(), "guest-")
	if err != nil {
		return 0, fmt.Errorf("guest: exchange directory: %w", err)
	}
	defer os.RemoveAll(dir)
	if err := writeOrder(dir, k, job); err != nil {
		return 0, fmt.Errorf("guest: exchange directory: %w", err)
	}
	stdout := stream{to: job.Stdout}
	stderr := stream{to: job.Stderr}
	for name, s := range map[string]*stream{"stdout": &stdout, "stderr": &stderr} {
		if s.from, err = os.Create(filepath.Join(dir, name)); err != nil {
			return 0, fmt.Errorf("guest: exchange directory: %w", err)
		}
		defer s.from.Close()
	}

	m, err := boot(dir, k)
	if err != nil {
		return 0, fmt.Errorf("guest: boot: %w", err)
	}
	defer m.kill()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for running := true; running; {
		select {
		case <-ctx.Done():
			m.kill()
			running = false
		case <-m.ended:
			running = false
		case <-tick.C:
		}
		if err := errors.Join(stdout.drain(), stderr.drain()); err != nil {
			return 0, fmt.Errorf("guest: output of %s: %w", job.Args[0], err)
		}
	}
	return readResult(ctx, dir)
}

// Again runs this program in a guest of a kernel, with other arguments, and
// reports whether it exited with status 0. The host's environment is not
// passed on: it could configure a proxy.
func Again(ctx context.Context, k Kernel, env, args []string) (ok bool, err error) {
	exe, err := os.Executable()
	if err != nil {
		return false, err
	}
	status, err := Run(ctx, Job{
		Kernel: k, Args: append([]string{exe}, args...), Env: env, Dir: "/", Stdout: os.Stdout, Stderr: os.Stderr,
	})
	return err == nil && status == 0, err
}

// Exit runs the rest of a main, whose context ends at a signal, and exits: with
// status 0 if run reports true and no error, else with 1.
func Exit(name string, run func(ctx context.Context) (ok bool, err error)) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ok, err := run(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, name+":", err)
	}
	if !ok || err != nil {
		os.Exit(1)
	}
}

// GuestPath returns this process's PATH followed by the sbin directories,
// where a user who is root only in the guest finds ipvsadm and ip.
func GuestPath() string {
	return strings.TrimLeft(os.Getenv("PATH")+":/usr/local/sbin:/usr/sbin:/sbin", ":")
}

// exchangeParent returns a directory whose path can be used on a kernel
// command line, where a blank ends a word.
func exchangeParent() string {
	if dir := os.TempDir(); !strings.ContainsAny(dir, " \t\n\"") && filepath.IsAbs(dir) {
		return dir
	}
	return "/tmp"
}

func writeOrder(dir string, k Kernel, job Job) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	if err := os.Symlink(exe, filepath.Join(dir, "init")); err != nil {
		return err
	}
	o := order{
		Args: job.Args, Env: job.Env, Dir: job.Dir,
		Release: k.Version, Modules: k.Modules, Tools: k.Tools, QEMU: k.Image != "",
	}
	if o.Env == nil {
		o.Env = (&exec.Cmd{Env: append(os.Environ(), "PATH="+GuestPath())}).Environ() // without the first PATH
	}
	if o.Dir == "" {
		if o.Dir, err = os.Getwd(); err != nil {
			return err
		}
	}
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(o); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "job"), b.Bytes(), 0o600)
}

// machine is a running guest.
type machine struct {
	*exec.Cmd
	input io.Closer     // input of the guest's console
	ended chan struct{} // closed when the guest has ended
}

// boot starts the program that boots the guest, as the leader of a process group.
func boot(dir string, k Kernel) (m machine, err error) {
	console, err := os.OpenFile(filepath.Join(dir, "console"), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return machine{}, err
	}
	defer console.Close()
	if m.Cmd, err = k.command(dir); err != nil {
		return machine{}, err
	}
	m.ended = make(chan struct{})
	m.Dir = dir
	m.Stdout, m.Stderr = console, console
	// QEMU is killed when the thread that started it ends, so this thread
	// is kept until the guest has ended. User Mode Linux ends with its
	// input, with all its processes.
	m.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if k.Image != "" {
		m.SysProcAttr.Pdeathsig = syscall.SIGKILL
	}
	if m.input, err = m.StdinPipe(); err != nil {
		return machine{}, err
	}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if k.Image == "" {
			defer claimProcessor()()
		}
		err := m.Start()
		started <- err
		if err == nil {
			m.Wait() // the program's exit status is not the job's
			close(m.ended)
		}
	}()
	if err := <-started; err != nil {
		return machine{}, err
	}
	allowFiles(m.Process.Pid)
	return m, nil
}

func (m machine) kill() {
	unix.Kill(-m.Process.Pid, unix.SIGKILL)
	<-m.ended
	m.input.Close()
}

// allowFiles raises a process's limit of open files to the maximum: linux.uml
// and QEMU keep a host file open for each file that the guest has cached, and
// the usual 1024 are soon in use.
func allowFiles(pid int) {
	var l unix.Rlimit
	if unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &l) == nil {
		l.Cur = l.Max
		_ = unix.Prlimit(pid, unix.RLIMIT_NOFILE, &l, nil) // most jobs need fewer files
	}
}

func readResult(ctx context.Context, dir string) (int, error) {
	var r result
	f, err := os.Open(filepath.Join(dir, "result"))
	if err == nil {
		defer f.Close()
		err = gob.NewDecoder(f).Decode(&r)
	}
	switch {
	case err == nil && r.Err == "":
		return r.Status, nil
	case err == nil:
		return 0, fmt.Errorf("guest: %s", r.Err)
	case ctx.Err() != nil:
		return 0, fmt.Errorf("guest: killed: %w\n%s", context.Cause(ctx), consoleTail(dir))
	}
	return 0, fmt.Errorf("guest: ended without a result\n%s", consoleTail(dir))
}

// consoleTail returns the end of the guest's console output: a kernel panic
// with its call trace, or else the last lines.
func consoleTail(dir string) string {
	b, err := os.ReadFile(filepath.Join(dir, "console"))
	if err != nil {
		return err.Error()
	}
	const enough = 30
	text := strings.ReplaceAll(string(b), "\r\n", "\n") // from a serial line
	lines := strings.Split(strings.TrimSpace(text), "\n")
	from := slices.IndexFunc(lines, func(line string) bool { return strings.Contains(line, "Kernel panic") })
	if from < 0 {
		from = max(0, len(lines)-enough)
	}
	return "console: " + strings.Join(lines[from:min(from+enough, len(lines))], "\nconsole: ")
}

// stream copies one of the command's outputs to the Job's writer.
type stream struct {
	from *os.File
	to   io.Writer
}

// drain copies the output since the last call.
func (s *stream) drain() error {
	if s.to == nil {
		return nil
	}
	_, err := io.Copy(s.to, s.from)
	return err
}
