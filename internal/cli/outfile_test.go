// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// tree is what is in a folder: the text of files, the mode of the rest.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]string{}
	for _, e := range entries {
		m[e.Name()] = e.Type().String()
		if e.Type().IsRegular() {
			b, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			m[e.Name()] = string(b)
		}
	}
	return m
}

func write(t *testing.T, path, text string, mode fs.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// Which way a file is written is tested where that is done, with package
// outfile; here are what reaches the file and what is said if nothing does.
func TestSaveIntoAFile(t *testing.T) {
	const rules = web + web10
	hasLinks := func(t *testing.T) { must(t, os.Link("rules", "other")) }
	chmod := func(mode uint32) func(*testing.T) { return func(t *testing.T) { must(t, unix.Chmod(".", mode)) } }
	for _, c := range []struct {
		name, path string
		prepare    func(t *testing.T) // the folder, in which rules has "old"
		want       map[string]string  // of the folder afterwards; nil for as before
		reason     string
	}{
		{"a new file", "new", nil, map[string]string{"rules": "old", "new": rules}, ""},
		{"a file", "rules", nil, map[string]string{"rules": rules}, ""},
		{"a file with other names", "rules", hasLinks, map[string]string{"rules": rules, "other": rules}, ""},
		{"a link", "link", func(t *testing.T) { must(t, os.Symlink("rules", "link")) },
			map[string]string{"rules": rules, "link": "L---------"}, ""},
		{"a link to itself", "link", func(t *testing.T) { must(t, os.Symlink("link", "link")) }, nil, "Too many levels of symbolic links"},
		{"a folder", ".", nil, nil, "Is a directory"},
		{"a folder that is not there", "sub/rules", nil, nil, "No such file or directory"},
		{"a folder that is a file", "rules/rules", nil, nil, "Not a directory"},
		{"no name", "", nil, nil, "No such file or directory"},
		{"a device that is full", "/dev/full", nil, nil, "No space left on device"},
		{"a device", "/dev/null", nil, nil, ""},
		{"a folder that others can write to", "new", chmod(0o777), nil, "other users can write to its folder"},
		{"other names in a sticky folder", "rules", func(t *testing.T) { hasLinks(t); chmod(0o1777)(t) }, nil,
			"it has other hard links, and its folder is sticky"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			must(t, os.Chmod(dir, 0o755)) // whatever the umask is
			t.Chdir(dir)
			write(t, "rules", "old", 0o600)
			if c.prepare != nil {
				c.prepare(t)
			}
			if c.want == nil {
				c.want = tree(t, dir)
			}
			var want answer
			if c.reason != "" {
				want = answer{status: 2, errors: "can't write " + c.path + ": " + c.reason + "\n"}
			}
			if a := newFakeKernel(t, rules).do(t, "", "ipvsadm-save", "-n", "-o", c.path); a != want {
				t.Errorf("answer %+v, want %+v", a, want)
			}
			if got := tree(t, dir); !maps.Equal(got, c.want) {
				t.Errorf("the folder has %q, want %q", got, c.want)
			}
		})
	}
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
		t.Errorf("the folder has %q", got)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestNothingIsWrittenWhenTheTableCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o755))
	write(t, filepath.Join(dir, "rules"), "old", 0o600)
	before := tree(t, dir)
	k := newFakeKernel(t, web)
	k.tableErr = &ipvs.QueryError{Err: unix.ENOMEM}
	want := answer{status: 1, errors: "Memory allocation problem\n"}
	if a := k.do(t, "", "ipvsadm-save", "-n", "-o", filepath.Join(dir, "rules")); a != want {
		t.Errorf("answer %+v, want %+v", a, want)
	}
	if got := tree(t, dir); !maps.Equal(got, before) {
		t.Errorf("the folder has %q", got)
	}
}

func TestSaveAllHasTimeoutsAndDaemons(t *testing.T) {
	k := newFakeKernel(t, web+web10+masterLo+backupLo+"-A -t 12.0.0.9:80 -s rr\n-a -t 12.0.0.9:80 -r 192.168.168.10:80 -m -w 3 -x 9 -y 4\n")
	const plain = web + web10 + "-A -t 12.0.0.9:80 -s rr\n-a -t 12.0.0.9:80 -r 192.168.168.10:80 -m -w 3 -x 9 -y 4\n"
	for _, c := range []struct {
		argv []string
		want string
	}{
		{[]string{"ipvsadm", "-S", "-n"}, plain},
		{[]string{"ipvsadm-save", "-n"}, plain},
		{[]string{"ipvsadm-save", "-n", "--all"}, timeouts + plain + masterLo + backupLo},
		{[]string{"ipvsadm", "--save", "--all", "-n"}, timeouts + plain + masterLo + backupLo},
	} {
		if a := k.do(t, "", c.argv...); a != (answer{out: c.want}) {
			t.Errorf("%v: %+v, want\n%s", c.argv, a, c.want)
		}
	}
	all := k.do(t, "", "ipvsadm-save", "-n", "--all").out
	other := newFakeKernel(t, dns+"--set 1 2 3\n")
	if a := other.restore(t, all); a != (answer{}) || other.rules() != k.rules() {
		t.Errorf("restored elsewhere: %+v, table\n%s", a, other.rules())
	}
}
