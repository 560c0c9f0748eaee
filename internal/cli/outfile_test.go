// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strconv"
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

func TestSaveIntoAFile(t *testing.T) {
	const rules = web + web10
	for _, c := range []struct {
		name, path string
		prepare    func(t *testing.T, dir string)
		want       map[string]string // of the folder afterwards; nil for as before
		mode       fs.FileMode
		errors     string // with DIR for the folder
	}{
		{"a new file", "rules", nil, map[string]string{"rules": rules}, 0o640, ""},
		{"a relative name", "./rules", nil, map[string]string{"rules": rules}, 0o640, ""},
		{"a file in place of another keeps its mode", "rules",
			func(t *testing.T, dir string) { write(t, filepath.Join(dir, "rules"), "old", 0o604) },
			map[string]string{"rules": rules}, 0o604, ""},
		{"a link stays a link", "link",
			func(t *testing.T, dir string) {
				write(t, filepath.Join(dir, "rules"), "old", 0o604)
				must(t, os.Symlink("rules", filepath.Join(dir, "between")))
				must(t, os.Symlink(filepath.Join(dir, "between"), filepath.Join(dir, "link")))
			},
			map[string]string{"rules": rules, "between": "L---------", "link": "L---------"}, 0o604, ""},
		{"a link to where nothing is", "link",
			func(t *testing.T, dir string) {
				must(t, os.Symlink("between", filepath.Join(dir, "link")))
				must(t, os.Symlink("rules", filepath.Join(dir, "between")))
			},
			map[string]string{"rules": rules, "between": "L---------", "link": "L---------"}, 0o640, ""},
		{"a link to itself", "link",
			func(t *testing.T, dir string) { must(t, os.Symlink("link", filepath.Join(dir, "link"))) },
			nil, 0, "can't write link: Too many levels of symbolic links\n"},
		{"what killed saves left goes", "rules",
			func(t *testing.T, dir string) {
				write(t, filepath.Join(dir, ".rules.999999999.new"), "half", 0o600)
				write(t, filepath.Join(dir, besideName("rules", strconv.Itoa(os.Getpid()))), "half", 0o600)
				write(t, filepath.Join(dir, ".rules.1.new"), "of one that lives", 0o600)
				write(t, filepath.Join(dir, ".rules.x.new"), "of nobody", 0o600)
				write(t, filepath.Join(dir, ".rule.999999999.new"), "of another", 0o600)
			},
			map[string]string{"rules": rules, ".rules.1.new": "of one that lives", ".rules.x.new": "of nobody", ".rule.999999999.new": "of another"}, 0o640, ""},
		{"a folder", "sub", func(t *testing.T, dir string) { must(t, os.Mkdir(filepath.Join(dir, "sub"), 0o700)) },
			nil, 0, "can't write sub: Is a directory\n"},
		{"a folder that is not there", "sub/rules", nil, nil, 0, "can't write sub/rules: No such file or directory\n"},
		{"a folder that is a file", "sub/rules", func(t *testing.T, dir string) { write(t, filepath.Join(dir, "sub"), "x", 0o600) },
			nil, 0, "can't write sub/rules: Not a directory\n"},
		{"no name", "", nil, nil, 0, "can't write : No such file or directory\n"},
		{"a device that is full", "/dev/full", nil, nil, 0, "can't write /dev/full: No space left on device\n"},
		{"a device", "/dev/null", nil, nil, 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			t.Chdir(dir)
			defer unix.Umask(unix.Umask(0o027))
			if c.prepare != nil {
				c.prepare(t, dir)
			}
			if c.want == nil {
				c.want = tree(t, dir)
			}
			want := answer{errors: c.errors}
			if c.errors != "" {
				want.status = 2
			}
			if a := newFakeKernel(t, rules).do(t, "", "ipvsadm-save", "-n", "-o", c.path); a != want {
				t.Errorf("answer %+v, want %+v", a, want)
			}
			if got := tree(t, dir); !maps.Equal(got, c.want) {
				t.Errorf("the folder has %q, want %q", got, c.want)
			}
			if c.mode != 0 {
				info, err := os.Stat("rules")
				must(t, err)
				if info.Mode() != c.mode {
					t.Errorf("mode %v, want %v", info.Mode(), c.mode)
				}
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestSaveIntoAPipe(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	must(t, unix.Mkfifo(pipe, 0o600))
	read := make(chan string)
	go func() {
		b, err := os.ReadFile(pipe)
		if err != nil {
			t.Error(err)
		}
		read <- string(b)
	}()
	if a := newFakeKernel(t, web).do(t, "", "ipvsadm-save", "-n", "-o", pipe); a != (answer{}) {
		t.Error(a)
	}
	if got := <-read; got != web {
		t.Errorf("the pipe gave %q", got)
	}
}

func TestNothingIsWrittenWhenTheTableCannotBeRead(t *testing.T) {
	dir := t.TempDir()
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

func TestFileSystemWithoutNamelessFiles(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "rules")
	write(t, path, "old", 0o600)
	begin := func() *outFile {
		o := &outFile{target: path, beside: filepath.Join(dir, besideName("rules", strconv.Itoa(os.Getpid()))), named: true}
		var err error
		o.File, err = os.OpenFile(o.beside, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		must(t, err)
		_, err = o.WriteString("new")
		must(t, err)
		return o
	}
	begin().discard()
	if got := tree(t, dir); !maps.Equal(got, map[string]string{"rules": "old"}) {
		t.Errorf("after a failure the folder has %q", got)
	}
	must(t, begin().commit())
	if got := tree(t, dir); !maps.Equal(got, map[string]string{"rules": "new"}) {
		t.Errorf("after a save the folder has %q", got)
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
