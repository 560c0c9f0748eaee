// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ipvsadm-go/ipvsadm/internal/restore"
)

// Warnings are in the order of the lines, whether they concern one line or a
// service that several lines describe, and only the first are kept.
func TestWarningsAreOrderedAndCounted(t *testing.T) {
	const n = 150
	var file strings.Builder
	for i := range n {
		fmt.Fprintf(&file, "-A -f %d -s bogus\n", i+1) // one about the line, one about the service
	}
	a := newFakeKernel(t, "").restore(t, file.String(), "--check")
	lines := strings.Split(strings.TrimSuffix(a.errors, "\n"), "\n")
	if a.status != 0 || len(lines) != restore.MaxComplaints+1 {
		t.Fatalf("status %d, %d lines", a.status, len(lines))
	}
	for i, line := range lines[:restore.MaxComplaints] {
		what := []string{"no kernel has a scheduler bogus", fmt.Sprintf("FWM %d has no servers", i/2+1)}[i%2]
		if want := fmt.Sprintf("<stdin>: line %d: warning: %s", i/2+1, what); line != want {
			t.Fatalf("%q, want %q", line, want)
		}
	}
	if want := fmt.Sprintf("<stdin>: and %d more warnings", 2*n-restore.MaxComplaints); lines[restore.MaxComplaints] != want {
		t.Errorf("%q, want %q", lines[restore.MaxComplaints], want)
	}
}

// A warning names the last line that adds its service. A file with mistakes
// has no warnings about missing entries.
func TestWarningsAboutServices(t *testing.T) {
	for file, want := range map[string]string{
		"-A -f 1\n-D -f 1\n-A -f 2\n-a -f 2 -r 10.0.0.1\n-A -f 1\n":         "<stdin>: line 5: warning: FWM 1 has no servers\n",
		"-A -f 1\n-a -f 1 -r 10.0.0.1 -w 0\n-A -f 2\n-a -f 2 -r 10.0.0.1\n": "<stdin>: line 1: warning: FWM 1: all servers have weight 0\n",
		"-A -f 1\n-A -f 1\n": "<stdin>: line 2: Service already exists\n",
	} {
		if a := newFakeKernel(t, "").restore(t, file, "--check"); a.errors != want {
			t.Errorf("%s says\n%swant\n%s", file, a.errors, want)
		}
	}
}
