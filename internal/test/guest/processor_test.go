// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

func TestEachGuestHasAProcessorOfItsOwn(t *testing.T) {
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		t.Fatal(err)
	}
	taken := map[unix.CPUSet]bool{}
	claim := func() (release func()) {
		release = claimProcessor()
		var now unix.CPUSet
		if err := unix.SchedGetaffinity(0, &now); err != nil {
			t.Error(err)
		}
		if now != before && taken[now] {
			t.Errorf("processors %v are claimed twice", now)
		}
		taken[now] = true
		return release
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	first := claim()
	done := make(chan bool)
	go func() {
		defer close(done)
		runtime.LockOSThread() // the thread ends with it
		claim()()
	}()
	<-done
	first()
	var after unix.CPUSet
	if err := unix.SchedGetaffinity(0, &after); err != nil || after != before {
		t.Errorf("processors %v afterwards, %v before: %v", after, before, err)
	}
}
