// SPDX-License-Identifier: Apache-2.0

// The guest's side of a run: the guest's first process sets it up, runs the
// job, and powers it off.

package guest

import (
	"bytes"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// exchangeWord is the kernel parameter with the exchange directory. The
// kernel passes unknown parameters to init in the environment.
const exchangeWord = "guest_exchange"

// Init does the work of the guest's init if this process is one: it sets up
// the guest, runs the job, powers off and never returns. In any other process
// it returns at once. Call it first in main or TestMain.
func Init() {
	dir := os.Getenv(exchangeWord)
	if os.Getpid() != 1 || dir == "" {
		return
	}
	if err := serve(dir); err != nil {
		fmt.Fprintln(os.Stderr, "init:", err)
	}
	powerOff()
}

func powerOff() {
	err := unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	panic(err) // a panic of init also ends the guest
}

// InGuest reports whether this process runs in a guest that [Run] booted.
func InGuest() bool {
	line, err := os.ReadFile("/proc/cmdline")
	return err == nil && strings.Contains(string(line), " "+exchangeWord+"=")
}

// serve runs one job. Its error means that no result could be written.
func serve(dir string) error {
	var o order
	b, err := os.ReadFile(filepath.Join(dir, "job"))
	if err == nil {
		err = gob.NewDecoder(bytes.NewReader(b)).Decode(&o)
	}
	if err != nil {
		return fmt.Errorf("read the job: %w", err)
	}
	if !o.QEMU {
		go endWithHost(dir)
	}
	if err := setUp(dir, o); err != nil {
		return err
	}
	var r result
	if r.Status, err = do(dir, o); err != nil {
		r.Err = err.Error()
	}
	var out bytes.Buffer
	if err := gob.NewEncoder(&out).Encode(r); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "result"), out.Bytes(), 0o600)
}

// do runs the command and returns when it has exited, all its remaining
// processes are killed, and the host has all output.
func do(dir string, o order) (status int, err error) {
	pid, pipes, err := start(o)
	if err != nil {
		return 0, err
	}
	var outputs sync.WaitGroup
	var failed [2]error
	for i, name := range []string{"stdout", "stderr"} {
		outputs.Go(func() { failed[i] = send(filepath.Join(dir, name), pipes[i]) })
	}
	status = reapUntil(pid)
	unix.Kill(-1, unix.SIGKILL)
	reapUntil(-1)
	outputs.Wait()
	return status, errors.Join(failed[:]...)
}

// start starts the command with pipes as its outputs, and returns init's ends.
// They are not the exchange's files, because a program that opens /dev/stderr
// again would truncate a file.
func start(o order) (pid int, pipes [2]*os.File, err error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return 0, pipes, err
	}
	defer null.Close()
	attr := &syscall.ProcAttr{Dir: o.Dir, Env: o.Env, Files: []uintptr{null.Fd()}, Sys: &syscall.SysProcAttr{Setsid: true}}
	for i := range pipes {
		r, w, err := os.Pipe()
		if err != nil {
			return 0, pipes, err
		}
		defer w.Close()
		pipes[i] = r
		attr.Files = append(attr.Files, w.Fd())
	}

	path := o.Args[0]
	if !strings.Contains(path, "/") {
		for _, kv := range o.Env {
			if list, ok := strings.CutPrefix(kv, "PATH="); ok {
				os.Setenv("PATH", list)
			}
		}
		if path, err = exec.LookPath(path); err != nil {
			return 0, pipes, err
		}
	}
	if pid, err = syscall.ForkExec(path, o.Args, attr); err != nil {
		return 0, pipes, fmt.Errorf("start %s in %s: %w", path, o.Dir, err)
	}
	return pid, pipes, nil
}

// reapUntil waits for processes, including orphans, which become init's
// children, until pid has exited, or with -1 until none is left.
func reapUntil(pid int) (status int) {
	for {
		var ws syscall.WaitStatus
		got, err := syscall.Wait4(-1, &ws, 0, nil)
		switch {
		case err == syscall.EINTR || got != pid && err == nil:
		case err != nil:
			return 0
		case ws.Signaled():
			return 128 + int(ws.Signal())
		default:
			return ws.ExitStatus()
		}
	}
}

func send(path string, from *os.File) error {
	to, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	defer to.Close()
	_, err = io.Copy(to, from)
	return err
}
