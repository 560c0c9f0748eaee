// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ipvsadm-go/ipvsadm/internal/restore"
)

// Warnings about lines come first, then those about services, and only the
// first are kept.
func TestWarningsAreOrderedAndCounted(t *testing.T) {
	const n = restore.MaxComplaints - 10
	var file strings.Builder
	for i := range n {
		fmt.Fprintf(&file, "-A -f %d -s bogus\n", i+1) // one about the line, one about the service
	}
	a := newFakeKernel(t, "").restore(t, file.String(), "--check")
	var want strings.Builder
	for i := range restore.MaxComplaints {
		if i < n {
			fmt.Fprintf(&want, "<stdin>: line %d: warning: no kernel has a scheduler bogus\n", i+1)
		} else {
			fmt.Fprintf(&want, "<stdin>: warning: FWM %d: it has no real servers, so connections are refused\n", i-n+1)
		}
	}
	fmt.Fprintf(&want, "<stdin>: and %d more warnings\n", 2*n-restore.MaxComplaints)
	if a.status != 0 || a.errors != want.String() {
		t.Errorf("status %d:\n%s", a.status, a.errors)
	}
}

// A file with mistakes has no warnings about missing entries.
func TestWarningsAboutServices(t *testing.T) {
	for file, want := range map[string]string{
		"-A -f 1\n-a -f 1 -r 10.0.0.1 -w 0\n-A -f 2\n-a -f 2 -r 10.0.0.1\n": "<stdin>: warning: FWM 1: all its servers have weight 0, so no new connection is accepted\n",
		"-A -f 1\n-A -f 1\n": "<stdin>: line 2: Service already exists\n",
	} {
		if a := newFakeKernel(t, "").restore(t, file, "--check"); a.errors != want {
			t.Errorf("%s says\n%swant\n%s", file, a.errors, want)
		}
	}
}
