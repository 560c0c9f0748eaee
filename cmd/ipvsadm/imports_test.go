// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/ipvsadm-go/ipvsadm/"

// mayImport says which packages of this module each package may import. What
// goes through the program flows one way only: from words to changes to the
// kernel, and from the kernel to text.
var mayImport = map[string][]string{
	"cmd/ipvsadm":                   {"internal/cli"},
	"internal/args":                 {"internal/names", "internal/spec", "pkg/ipvs"},
	"internal/test/bench":           {"internal/test/guest"},
	"internal/test/bench/empty":     {},
	"internal/test/bench/floor":     {},
	"internal/test/bench/library":   {"pkg/ipvs"},
	"internal/test/bench/start":     {},
	"internal/test/bench/timed":     {},
	"internal/cli":                  {"internal/args", "internal/manual", "internal/names", "internal/outfile", "internal/render", "internal/rule", "internal/spec", "pkg/ipvs"},
	"internal/test/clients":         {},
	"internal/test/conformance":     {},
	"internal/test/lab":             {"internal/test/guest"},
	"internal/manual":               {"internal/names", "internal/spec", "pkg/ipvs"},
	"internal/names":                {},
	"internal/outfile":              {},
	"internal/render":               {"internal/names", "internal/rule", "pkg/ipvs"},
	"internal/rule":                 {"internal/names", "internal/spec", "pkg/ipvs"},
	"internal/spec":                 {},
	"internal/test/guest":           {},
	"internal/test/guest/run":       {"internal/test/guest"},
	"internal/test/guest/guesttest": {"internal/test/guest"},
	"packaging":                     {},
	"pkg/ipvs":                      {"pkg/ipvs/internal/nl"},
	"pkg/ipvs/internal/nl":          {},
}

// onlyUsers says which packages alone may import a dependency; one of the
// benchmark's programs measures what they take.
var onlyUsers = map[string][]string{
	"github.com/spf13/pflag":        {"internal/args", "internal/test/bench/start"},
	"github.com/mdlayher/genetlink": {"pkg/ipvs", "internal/test/bench/start"},
	"github.com/mdlayher/netlink":   {"pkg/ipvs"},
}

func TestPackagesImportOnlyWhatTheTableAllows(t *testing.T) {
	list := exec.Command("go", "list", "-f", `{{.ImportPath}}{{range .Imports}} {{.}}{{end}}`, "./...")
	list.Dir = "../.."
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(bytes.NewReader(out))
	seen := 0
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		pkg := strings.TrimPrefix(words[0], module)
		allowed, known := mayImport[pkg]
		if !known {
			t.Errorf("%s is not in the table", pkg)
			continue
		}
		seen++
		for _, path := range words[1:] {
			if own, ok := strings.CutPrefix(path, module); ok && !slices.Contains(allowed, own) {
				t.Errorf("%s imports %s", pkg, own)
			}
			if users, some := onlyUsers[path]; some && !slices.Contains(users, pkg) {
				t.Errorf("%s imports %s, which is for %v alone", pkg, path, users)
			}
		}
	}
	if seen < len(mayImport) {
		t.Errorf("%d packages of the table's %d are there", seen, len(mayImport))
	}
}
