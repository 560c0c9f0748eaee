// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// What saves write into files is in testdata/script/save-into-files.txtar.
func TestNothingIsWrittenWhenTheTableCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	must.OK(t, os.Chmod(dir, 0o755)) // only its owner can write to it
	name := filepath.Join(dir, "rules")
	must.OK(t, os.WriteFile(name, []byte("-C"), 0o600))
	k := newFakeKernel(t, web)
	k.tableErr = &ipvs.QueryError{Err: unix.ENOMEM}
	want := answer{status: 1, errors: "Memory allocation problem\n"}
	if a := k.do(t, "", "ipvsadm-save", "-n", "-o", name); a != want {
		t.Errorf("answer %+v, want %+v", a, want)
	}
	files, err := os.ReadDir(dir)
	must.OK(t, err)
	if b, err := os.ReadFile(name); err != nil || string(b) != "-C" || len(files) != 1 {
		t.Errorf("%v, and %s contains %q, %v", files, name, b, err)
	}
}
