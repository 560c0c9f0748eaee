// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// Applied to the save of the table, the output of --diff gives that of the
// file.
func TestDiffIsAPatch(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 2))
	differ := 0
	for range 150 {
		n := pick(r, 1, 3, 12, 60)
		have, want := randomTable(r, n), randomTable(r, n)
		if r.IntN(2) == 0 { // few differences, far apart
			want = have.Clone()
			for range 1 + r.IntN(4) {
				i := r.IntN(len(want.Services))
				switch s := &want.Services[i]; {
				case r.IntN(3) == 0 && len(want.Services) > 1:
					want.Services = append(want.Services[:i:i], want.Services[i+1:]...)
				case r.IntN(2) == 0 && len(s.Destinations) > 0:
					s.Destinations[0].Weight++
				default:
					s.Timeout, s.Flags = 42*time.Second, s.Flags|ipvs.FlagPersistent
				}
			}
		}
		a := fakeOf(have).restore(t, rulesOf(want), "--diff")
		// Daemons that the file does not mention stay, and are not
		// shown.
		have.Daemons = slices.DeleteFunc(have.Daemons, func(d ipvs.Daemon) bool {
			return !slices.ContainsFunc(want.Daemons, func(w ipvs.Daemon) bool { return w.State == d.State })
		})
		if same := rulesOf(have) == rulesOf(want); a.errors != "" || same != (a.out == "") || (a.status == statusOK) != same {
			t.Fatalf("%d, %s%s for\n%s\nand\n%s", a.status, a.errors, a.out, rulesOf(have), rulesOf(want))
		}
		if a.out == "" {
			continue
		}
		differ++
		if got, err := patched(rulesOf(have), a.out); err != nil || got != rulesOf(want) {
			t.Fatalf("%v, patched:\n%swant\n%sby\n%s", err, got, rulesOf(want), a.out)
		}
	}
	if differ < 100 {
		t.Errorf("%d tables differ: this test shows little", differ)
	}
}

// patched applies a unified diff to a text as patch(1) does, but without any
// tolerance: each hunk has to stand where it says, with its counts and
// context.
func patched(text, diff string) (string, error) {
	old := strings.SplitAfter(text, "\n")
	lines := strings.SplitAfter(diff, "\n")
	if len(lines) < 3 || !strings.HasPrefix(lines[0], "--- ") || !strings.HasPrefix(lines[1], "+++ ") {
		return "", errors.New("no header")
	}
	var b strings.Builder
	at, written := 0, 0 // lines of the old text that were read, and of the new one
	for lines = lines[2:]; len(lines) > 0 && lines[0] != ""; {
		m := hunkHeader.FindStringSubmatch(lines[0])
		if m == nil {
			return "", fmt.Errorf("no hunk: %q", lines[0])
		}
		n := [...]int{0, 1, 0, 1}
		for i := range n {
			if m[i+1] != "" {
				n[i], _ = strconv.Atoi(m[i+1])
			}
		}
		start := n[0]
		if n[1] > 0 {
			start-- // the first line has number 1; no line stands behind the one before
		}
		for ; at < start; at, written = at+1, written+1 {
			b.WriteString(old[at])
		}
		if first := written + min(1, n[3]); first != n[2] {
			return "", fmt.Errorf("%q begins at line %d of the new text", lines[0], first)
		}
		for lines = lines[1:]; n[1]+n[3] > 0; lines = lines[1:] {
			sign, line := lines[0][0], lines[0][1:]
			if sign != '+' {
				if at == len(old) || old[at] != line {
					return "", fmt.Errorf("line %d is not %q", at+1, line)
				}
				at, n[1] = at+1, n[1]-1
			}
			if sign != '-' {
				b.WriteString(line)
				written, n[3] = written+1, n[3]-1
			}
		}
	}
	return b.String() + strings.Join(old[at:], ""), nil
}

var hunkHeader = regexp.MustCompile(`^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@\n$`)
