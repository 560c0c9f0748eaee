// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// tree returns the contents of the files in a directory.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must.OK(t, err)
	m := map[string]string{}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		must.OK(t, err)
		m[e.Name()] = string(b)
	}
	return m
}

func TestSaveIntoADashIsStandardOutput(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, argv := range [][]string{
		{"ipvsadm-save", "-n", "-o", "-"},
		{"ipvsadm-save", "-n", "--output=-"},
		{"ipvsadm", "-S", "-n", "--output", "-"},
	} {
		if a := newFakeKernel(t, web).do(t, "", argv...); a != (answer{out: web}) {
			t.Errorf("%v: %+v", argv, a)
		}
	}
	if got := tree(t, "."); len(got) != 0 {
		t.Errorf("the directory contains %q", got)
	}
}

// TestSaveKeepsOtherFiles saves over files without rules, and over those that
// a save may replace.
func TestSaveKeepsOtherFiles(t *testing.T) {
	t.Chdir(newDirectory(t))
	const refused = "can't write file: it has text but no rules (to overwrite it, redirect standard output)\n"
	for text, want := range map[string]answer{
		"":                                 {},
		"# ipvsadm.rules\n":                {},
		"# old\n/sbin/ipvsadm -At a b\n-x": {},
		"stray\n--set 1 2 3\n":             {},
		"AUTO=\"true\"\n":                  {status: 2, errors: refused},
		"virtual_server 12.0.0.1 80 {\n\tdelay_loop 6\n}\n": {status: 2, errors: refused},
	} {
		for _, option := range []string{"--output", "--update", "-o=file"} {
			must.OK(t, os.WriteFile("file", []byte(text), 0o600))
			argv := []string{"ipvsadm-save", "-n", option, "file"}
			if option == "-o=file" {
				argv = argv[:3]
			}
			if a := newFakeKernel(t, web).do(t, "", argv...); a != want {
				t.Errorf("%q over %q: %+v", argv, text, a)
			}
			if got := tree(t, "."); (got["file"] == text) != (want.status != 0) || len(got) != 1 {
				t.Errorf("%q over %q: the directory has %q", argv, text, got)
			}
		}
	}
	want := answer{status: 2, errors: "--update needs a file, not standard output\n"}
	if a := newFakeKernel(t, web).do(t, "", "ipvsadm-save", "--update", "-"); a != want {
		t.Errorf("--update -: %+v", a)
	}
}

// newDirectory returns a new directory that only its owner can write to.
func newDirectory(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	must.OK(t, os.Chmod(dir, 0o755))
	return dir
}

func TestNothingIsWrittenWhenTheTableCannotBeRead(t *testing.T) {
	dir := newDirectory(t)
	must.OK(t, os.WriteFile(filepath.Join(dir, "rules"), []byte("-C"), 0o600))
	before := tree(t, dir)
	k := newFakeKernel(t, web)
	k.tableErr = &ipvs.QueryError{Err: unix.ENOMEM}
	want := answer{status: 1, errors: "Memory allocation problem\n"}
	if a := k.do(t, "", "ipvsadm-save", "-n", "-o", filepath.Join(dir, "rules")); a != want {
		t.Errorf("answer %+v, want %+v", a, want)
	}
	if got := tree(t, dir); !maps.Equal(got, before) {
		t.Errorf("the directory contains %q", got)
	}
}

// An update saves timeouts and sync daemons if the file contains them.
func TestUpdateOfAFile(t *testing.T) {
	const (
		timeouts = "--set 900 120 300\n"
		daemon   = "--start-daemon master --mcast-interface lo\n"
		running  = "--start-daemon master --mcast-interface lo --syncid 0 --mcast-group 224.0.0.81 --mcast-port 8848 --mcast-ttl 1\n"
		other    = "-A -f 5 -s rr\n"
	)
	for name, c := range map[string]struct {
		old, rules string
		options    string
		want       string
	}{
		"services":                            {other, web + daemon, "", web},
		"timeouts":                            {"--set 1 2 3\n" + other, web + daemon, "", timeouts + web},
		"a daemon":                            {other + " ipvsadm --start-daemon=backup\n", web + daemon, "", web + daemon},
		"a daemon that runs no more":          {other + daemon, web, "", web},
		"both":                                {"--set 1 2 3\n" + daemon, web + daemon, "", timeouts + web + daemon},
		"none in comments":                    {"#--set 1 2 3\n# --start-daemon master\n" + other, web + daemon, "", web},
		"all, whatever it has":                {other, web + daemon, " --all", timeouts + web + daemon},
		"a line that cannot be read":          {"--set 1 2\n-A -q\n", web, "", timeouts + web},
		"an empty file":                       {"", web + daemon, "", web},
		"rules stay where no service is":      {other, daemon, "", other},
		"and so does an empty file":           {"", "", "", ""},
		"and one with timeouts and no daemon": {"--set 1 2 3\n", "", "", "--set 1 2 3\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			must.OK(t, os.Chmod(".", 0o755))
			must.OK(t, os.WriteFile("rules", []byte(c.old), 0o600))
			k := newFakeKernel(t, c.rules)
			want := answer{}
			if len(k.Now().Services) == 0 {
				want.errors = "rules: not saved, there are no virtual services\n"
			}
			argv := strings.Fields("ipvsadm-save -n --update rules" + c.options)
			if a := k.do(t, "", argv...); a != want {
				t.Errorf("answer %+v, want %+v", a, want)
			}
			c.want = strings.ReplaceAll(c.want, daemon, running)
			if got := tree(t, "."); !maps.Equal(got, map[string]string{"rules": c.want}) {
				t.Errorf("the directory contains %q, want %q", got, c.want)
			}
		})
	}
}

func TestUpdateOfWhatIsNoFileYet(t *testing.T) {
	t.Chdir(t.TempDir())
	must.OK(t, os.Chmod(".", 0o755))
	want := answer{errors: "rules: not saved, there are no virtual services\n"}
	if a := newFakeKernel(t, "").do(t, "", "ipvsadm", "-S", "-n", "--update=rules"); a != want {
		t.Errorf("answer %+v, want %+v", a, want)
	}
	if got := tree(t, "."); len(got) != 0 {
		t.Errorf("an empty table makes %q", got)
	}
	if a := newFakeKernel(t, web).do(t, "", "ipvsadm", "-S", "-n", "--update=rules"); a != (answer{}) {
		t.Errorf("answer %+v", a)
	}
	if got := tree(t, "."); got["rules"] != web {
		t.Errorf("the directory contains %q", got)
	}
	want = answer{status: 2, errors: "can't write .: Is a directory\n"}
	if a := newFakeKernel(t, web).do(t, "", "ipvsadm-save", "-n", "--update", "."); a != want {
		t.Errorf("answer %+v, want %+v", a, want)
	}
	want = answer{status: 2, errors: "The option 'update' conflicts with the 'output' option in the 'save' command\n"}
	if a := newFakeKernel(t, web).do(t, "", "ipvsadm", "-S", "--update", "a", "--output", "b"); a != want {
		t.Errorf("answer %+v, want %+v", a, want)
	}
}
