// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
)

// TestOtherGoroutinesRunWhileAWriteSleeps has a write sleep for a while, with one
// processor for all goroutines.
func TestOtherGoroutinesRunWhileAWriteSleeps(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for _, noHandoff := range []bool{false, true} {
		var ends [2]int
		must.OK(t, unix.Pipe2(ends[:], unix.O_CLOEXEC))
		out, in := os.NewFile(uintptr(ends[0]), "out"), os.NewFile(uintptr(ends[1]), "in") // which block
		size, err := unix.FcntlInt(in.Fd(), unix.F_GETPIPE_SZ, 0)
		must.OK(t, err)
		if _, err := in.Write(make([]byte, size)); err != nil {
			t.Fatal(err)
		}
		reader := exec.Command("sh", "-c", "sleep 0.3; exec cat >/dev/null")
		reader.Stdin = out
		must.OK(t, reader.Start())
		var ticks atomic.Int64
		over := make(chan struct{})
		go func() {
			for {
				select {
				case <-over:
					return
				default:
					ticks.Add(1)
					time.Sleep(time.Millisecond)
				}
			}
		}()
		runtime.Gosched()
		raw, err := in.SyscallConn()
		must.OK(t, err)
		before := ticks.Load()
		err = (&socket{raw: raw, noHandoff: noHandoff}).Write(make([]byte, size))
		meanwhile := ticks.Load() - before
		close(over)
		in.Close()
		out.Close()
		_ = reader.Wait()
		must.OK(t, err)
		if ran := meanwhile > 10; ran == noHandoff {
			t.Errorf("NoHandoff %v: another goroutine went round %d times while a write slept", noHandoff, meanwhile)
		}
	}
}
