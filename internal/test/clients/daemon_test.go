// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
)

// daemon is a client that runs in the foreground until it is stopped.
type daemon struct {
	cmd *exec.Cmd

	mu  sync.Mutex
	log bytes.Buffer // both outputs
}

// startDaemon starts a daemon in the namespace of the calling goroutine. It
// is killed at the end of the test, which prints the end of its log on
// failure.
func startDaemon(t *testing.T, name string, args ...string) *daemon {
	t.Helper()
	d := &daemon{cmd: exec.Command(name, args...)}
	d.cmd.Env = append(os.Environ(), "PERL_HASH_SEED=0") // the same order in each run
	d.cmd.Stdout, d.cmd.Stderr = d, d
	must.OK(t, d.cmd.Start())
	t.Cleanup(func() {
		if d.cmd.ProcessState == nil {
			d.cmd.Process.Kill()
			d.cmd.Wait()
		}
		if t.Failed() {
			lines := strings.SplitAfter(d.log.String(), "\n")
			t.Logf("the last of %d lines from %s:\n%s", len(lines), name, strings.Join(lines[max(0, len(lines)-100):], ""))
		}
	})
	return d
}

// Write appends output of the daemon to the log.
func (d *daemon) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.log.Write(p)
}

// said returns the log from an offset on, and its current length.
func (d *daemon) said(from int) (text string, length int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return string(d.log.Bytes()[from:]), d.log.Len()
}

// stop terminates the daemon and waits until it has exited.
func (d *daemon) stop(t *testing.T) {
	t.Helper()
	must.OK(t, d.cmd.Process.Signal(unix.SIGTERM))
	if err := d.cmd.Wait(); err != nil {
		t.Errorf("%v: %v", d.cmd, err)
	}
}
