// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
)

const module = "github.com/ipvsadm-go/ipvsadm/"

// workshop is the directory of the packages that only tests and each other
// may import. They may import any package.
const workshop = "internal/test/"

// imports lists the packages of this module that each package of the product
// imports and, after the bar, those that only its tests import, without the
// workshop. Data flows one way: from words to changes to the kernel, and from
// the kernel to text.
var imports = map[string]string{
	"cmd/ipvsadm":          "internal/cli",
	"internal/args":        "internal/names internal/spec pkg/ipvs | internal/rule",
	"internal/cli":         "internal/args internal/doctor internal/manual internal/model internal/names internal/netns internal/outfile internal/render internal/restore internal/rule internal/spec internal/strictjson internal/watch pkg/ipvs | pkg/ipvs/ipvstest",
	"internal/doctor":      "internal/netns internal/rule internal/spec pkg/ipvs",
	"internal/manual":      "internal/spec",
	"internal/model":       "pkg/ipvs",
	"internal/names":       "",
	"internal/netns":       "",
	"internal/outfile":     "",
	"internal/render":      "internal/names internal/rule internal/strictjson pkg/ipvs",
	"internal/restore":     "internal/model internal/rule internal/strictjson pkg/ipvs | internal/args internal/names internal/spec pkg/ipvs/ipvstest",
	"internal/rule":        "internal/names internal/spec pkg/ipvs",
	"internal/spec":        "",
	"internal/strictjson":  "",
	"internal/watch":       "pkg/ipvs",
	"packaging":            "| internal/spec",
	"pkg/ipvs":             "internal/netns internal/spec internal/strictjson pkg/ipvs/internal/nl | internal/model pkg/ipvs/ipvstest",
	"pkg/ipvs/internal/nl": "",
	"pkg/ipvs/ipvstest":    "internal/model pkg/ipvs",
}

// users lists the only packages that may import a dependency. The benchmark
// measures and uses dependencies too.
var users = map[string]string{
	"github.com/spf13/pflag":        "internal/args internal/test/bench/start",
	"github.com/mdlayher/genetlink": "internal/test/bench internal/test/bench/start pkg/ipvs",
	"github.com/mdlayher/netlink":   "internal/doctor internal/test/bench pkg/ipvs",
}

func TestPackagesImportWhatTheTableSays(t *testing.T) {
	gotImports, gotUsers := make(map[string]string), make(map[string]string)
	list := exec.Command("go", "list", "-f", "{{.ImportPath}}|{{.Imports}}|{{.TestImports}} {{.XTestImports}}", "./...")
	list.Dir = "../.."
	out, err := list.Output()
	must.OK(t, err)
	for line := range strings.Lines(string(out)) {
		fields := strings.Split(strings.TrimSpace(line), "|")
		pkg := strings.TrimPrefix(fields[0], module)
		program, tests := split(fields[1]), split(fields[2])
		for dependency := range users {
			if slices.Contains(program, dependency) || slices.Contains(tests, dependency) {
				gotUsers[dependency] = strings.TrimSpace(gotUsers[dependency] + " " + pkg)
			}
		}
		if strings.HasPrefix(pkg, workshop) {
			continue
		}
		ours := own(program)
		besides := slices.DeleteFunc(own(tests), func(path string) bool {
			return path == pkg || slices.Contains(ours, path) || strings.HasPrefix(path, workshop)
		})
		row := strings.Join(ours, " ")
		if len(besides) > 0 {
			row = strings.TrimSpace(row + " | " + strings.Join(besides, " "))
		}
		gotImports[pkg] = row
	}
	compareTables(t, "imports", gotImports, imports)
	compareTables(t, "is imported by", gotUsers, users)
}

// split returns the contents of the brackets in lists.
func split(lists string) []string {
	return strings.FieldsFunc(lists, func(r rune) bool { return strings.ContainsRune("[] ", r) })
}

// own returns those of paths that belong to this module, sorted and without
// duplicates.
func own(paths []string) []string {
	var list []string
	for _, path := range paths {
		if name, found := strings.CutPrefix(path, module); found {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func compareTables(t *testing.T, verb string, got, want map[string]string) {
	t.Helper()
	for name, row := range got {
		if entry, found := want[name]; !found || entry != row {
			t.Errorf("%s %s %q, in the table %q", name, verb, row, entry)
		}
	}
	for name := range want {
		if _, found := got[name]; !found {
			t.Errorf("%s is in the table and not there", name)
		}
	}
}
