// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// patch(1) makes of the save of one table that of the other, with the output
// of --diff for a file that has it.
func TestDiffIsAPatch(t *testing.T) {
	if _, err := exec.LookPath("patch"); err != nil {
		t.Skip("no patch(1)")
	}
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
		// Daemons that the file does not mention stay, and are not shown.
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
		save := filepath.Join(t.TempDir(), "save")
		if err := os.WriteFile(save, []byte(rulesOf(have)), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("patch", "-s", "--fuzz=0", "-r", "-", save)
		cmd.Stdin = bytes.NewReader([]byte(a.out))
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Fatalf("patch: %v %s\n%s", err, out, a.out)
		}
		if b, err := os.ReadFile(save); err != nil || string(b) != rulesOf(want) {
			t.Fatalf("patched:\n%swant\n%s%v\n%s", b, rulesOf(want), err, a.out)
		}
	}
	if differ < 100 {
		t.Errorf("%d tables differ: this test shows little", differ)
	}
}
