// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/ipvsadm-go/ipvsadm/internal/manual"
)

// TestGeneratedFilesAreCurrent compares the files that are written from the
// tables with what would be written now, and writes them where
// IPVSADM_TEST_UPDATE is set: that is make generate.
func TestGeneratedFilesAreCurrent(t *testing.T) {
	files := map[string]string{"README.md": readmeWithDifferences(t)}
	for name, text := range manual.Pages() {
		files["packaging/man/"+name] = text
	}
	for name, text := range manual.Completions() {
		files["packaging/completion/"+name] = text
	}
	for name, want := range files {
		path := filepath.Join("../..", name)
		if have, err := os.ReadFile(path); err == nil && string(have) == want {
			continue
		}
		if os.Getenv("IPVSADM_TEST_UPDATE") == "" {
			t.Errorf("%s is not what the tables say: make generate", name)
			continue
		}
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Error(err)
		}
	}
}
