// SPDX-License-Identifier: Apache-2.0

package outfile

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/internal/test/guest/guesttest"
	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
)

// childTask is the variable that names the task of a child process, which
// runs instead of tests.
const childTask = "OUTFILE_CHILD"

func TestMain(m *testing.M) {
	if task := os.Getenv(childTask); task != "" {
		if err := tasks[task](os.Args[1:]); err != nil {
			fmt.Fprint(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	guesttest.Main(m)
}

// tasks are the tasks of child processes.
var tasks = map[string]func(args []string) error{
	// write writes standard input to a file.
	"write": func(args []string) error {
		text, err := io.ReadAll(os.Stdin)
		if err != nil {
			return err
		}
		return Write(args[0], text)
	},
	"writeForever": writeForever,
	"attack":       attack,
}

// program is the program that child processes run: this one.
var program = os.Args[0]

func child(task string, args ...string) *exec.Cmd {
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), childTask+"="+task)
	return cmd
}

// writeByChild calls Write in a child process; its error has the text of
// Write's.
func writeByChild(text, path string, prepare func(*exec.Cmd)) error {
	cmd := child("write", path)
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = strings.NewReader(text), &stderr
	if prepare != nil {
		prepare(cmd)
	}
	if err := cmd.Run(); err != nil {
		return errors.New(cmp.Or(stderr.String(), err.Error()))
	}
	return nil
}

func writeFile(t testing.TB, path, text string, mode fs.FileMode) {
	t.Helper()
	must.OK(t, os.WriteFile(path, []byte(text), 0o600))
	must.OK(t, os.Chmod(path, mode))
}

func readFile(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	must.OK(t, err)
	return string(b)
}

// tree returns the files below a directory with their texts, and the links
// with their targets.
func tree(t testing.TB, dir string) map[string]string {
	t.Helper()
	m := map[string]string{}
	must.OK(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(path, dir+"/")
		switch e.Type() {
		case 0:
			m[name] = readFile(t, path)
		case fs.ModeSymlink:
			target, err := os.Readlink(path)
			must.OK(t, err)
			m[name] = "-> " + target
		}
		return nil
	}))
	return m
}

func stat(t testing.TB, path string) (st unix.Stat_t) {
	t.Helper()
	must.OK(t, unix.Stat(path, &st))
	return st
}

// newDir returns a new directory that no other user can write to, whatever
// the umask is.
func newDir(t testing.TB, parent string) string {
	t.Helper()
	dir, err := os.MkdirTemp(parent, "")
	must.OK(t, err)
	must.OK(t, os.Chmod(dir, 0o755))
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

type way string

const (
	replaced way = "replaced"
	inPlace  way = "written in place"
)

// writeCase is a write to the file rules in a directory, with mode 0640 and
// text "old" unless prepare changes that.
type writeCase struct {
	name    string
	prepare func(t *testing.T)
	path    string // rules if empty
	err     error
	file    string // file that changes; rules if empty
	way     way    // empty for a new file
}

// run changes to a new directory below parent.
func (c writeCase) run(t *testing.T, parent string) {
	dir := newDir(t, parent)
	t.Chdir(dir)
	defer unix.Umask(unix.Umask(0o027))
	if c.way != "" || c.err != nil {
		writeFile(t, "rules", "old", 0o604)
	}
	if c.prepare != nil {
		c.prepare(t)
	}
	file := cmp.Or(c.file, "rules")
	want := tree(t, dir)
	var before unix.Stat_t
	if c.way != "" {
		before = stat(t, file)
	}
	const text = "new text"
	path := strings.NewReplacer("$dir", filepath.Base(dir), "$empty", "").Replace(cmp.Or(c.path, "rules"))
	if err := Write(path, []byte(text)); !errors.Is(err, c.err) {
		t.Fatalf("%v, want %v", err, c.err)
	}
	if c.err == nil {
		want[file] = text
		if before.Nlink > 1 {
			want["other"] = text
		}
	}
	if got := tree(t, dir); !maps.Equal(got, want) {
		t.Fatalf("the directory has %q, want %q", got, want)
	}
	if c.err != nil {
		return
	}
	after := stat(t, file)
	switch mode := after.Mode & 0o7777; {
	case c.way == "" && mode != 0o640:
		t.Errorf("mode %o of a new file", mode)
	case c.way != "" && (mode != before.Mode&0o7777 || after.Uid != before.Uid || after.Gid != before.Gid):
		t.Errorf("mode %o, owner %d, group %d, want %o, %d, %d", mode, after.Uid, after.Gid, before.Mode&0o7777, before.Uid, before.Gid)
	case c.way == replaced && after.Ino == before.Ino, c.way == inPlace && after.Ino != before.Ino:
		t.Errorf("it was not %s", c.way)
	}
}

func mkdir(t *testing.T, path string, mode uint32) {
	t.Helper()
	must.OK(t, os.Mkdir(path, 0o755))
	must.OK(t, unix.Chmod(path, mode))
}

func symlink(t *testing.T, target, path string) {
	t.Helper()
	must.OK(t, os.Symlink(target, path))
}

// writeCases hold for any user.
var writeCases = []writeCase{
	{name: "a new file"},
	{name: "a new file by a longer way", path: "./..///$dir/rules"},
	{name: "a file", way: replaced},
	{name: "a file that cannot be written to", way: replaced, prepare: func(t *testing.T) { must.OK(t, os.Chmod("rules", 0o400)) }},
	{name: "a file with other names", way: inPlace, prepare: func(t *testing.T) { must.OK(t, os.Link("rules", "other")) }},
	{name: "a link", path: "link", way: replaced, prepare: func(t *testing.T) {
		dir, _ := os.Getwd()
		symlink(t, "rules", "between")
		symlink(t, dir+"/between", "link")
	}},
	{name: "a link to a file with other names", path: "link", way: inPlace, prepare: func(t *testing.T) {
		symlink(t, "rules", "link")
		must.OK(t, os.Link("rules", "other"))
	}},
	{name: "a link to where nothing is", path: "link", prepare: func(t *testing.T) {
		symlink(t, "between", "link")
		symlink(t, "rules", "between")
	}},
	{name: "a relative link to where nothing is, below a linked directory", path: "linked/link", file: "real/rules", prepare: func(t *testing.T) {
		must.OK(t, os.MkdirAll("real/sub", 0o755))
		symlink(t, "real/sub", "linked")
		symlink(t, "../rules", "real/sub/link")
	}},
	{name: "as many links as the kernel follows", path: "39", way: replaced, prepare: func(t *testing.T) { chain(t, 40) }},
	{name: "one more", path: "40", err: unix.ELOOP, prepare: func(t *testing.T) { chain(t, 41) }},
	{name: "a link to itself", path: "link", err: unix.ELOOP, prepare: func(t *testing.T) { symlink(t, "link", "link") }},
	{name: "a directory", path: "sub", err: unix.EISDIR, prepare: func(t *testing.T) { mkdir(t, "sub", 0o755) }},
	{name: "a directory with a slash", path: "sub/", err: unix.EISDIR, prepare: func(t *testing.T) { mkdir(t, "sub", 0o755) }},
	{name: "a link to a directory", path: "link", err: unix.EISDIR, prepare: func(t *testing.T) { symlink(t, "/", "link") }},
	{name: "this directory", path: ".", err: unix.EISDIR},
	{name: "no name", path: "$empty", err: unix.ENOENT},
	{name: "a name that is too long", path: strings.Repeat("x", 256), err: unix.ENAMETOOLONG},
	{name: "the longest name", path: strings.Repeat("x", 255), file: strings.Repeat("x", 255), way: replaced,
		prepare: func(t *testing.T) { writeFile(t, strings.Repeat("x", 255), "old", 0o600) }},
	{name: "a directory that is not there", path: "sub/rules", err: unix.ENOENT},
	{name: "below a file", path: "rules/rules", err: unix.ENOTDIR},
	{name: "a device that is full", path: "/dev/full", err: unix.ENOSPC},

	{name: "a directory that a group can write to", err: DirShared, prepare: func(t *testing.T) { must.OK(t, os.Chmod(".", 0o775)) }},
	{name: "a directory that anybody can write to", err: DirShared, prepare: func(t *testing.T) { must.OK(t, os.Chmod(".", 0o757)) }},
	{name: "a new file in a shared directory", path: "sub/new", err: DirShared, prepare: func(t *testing.T) { mkdir(t, "sub", 0o777) }},
	{name: "a link in a shared directory", path: "sub/link", err: DirShared, prepare: func(t *testing.T) {
		mkdir(t, "sub", 0o777)
		symlink(t, "../rules", "sub/link")
	}},
	{name: "a link into a shared directory", path: "link", err: DirShared, prepare: func(t *testing.T) {
		mkdir(t, "sub", 0o777)
		writeFile(t, "sub/rules", "old", 0o600)
		symlink(t, "sub/rules", "link")
	}},
	{name: "a link through a shared directory", path: "link", err: DirShared, prepare: func(t *testing.T) {
		mkdir(t, "sub", 0o777)
		symlink(t, "../rules", "sub/between")
		symlink(t, "sub/between", "link")
	}},
	{name: "a pipe in a shared directory", path: "sub/pipe", err: DirShared, prepare: func(t *testing.T) {
		mkdir(t, "sub", 0o777)
		must.OK(t, unix.Mkfifo("sub/pipe", 0o600))
	}},
	{name: "a new file in a sticky directory", prepare: func(t *testing.T) { must.OK(t, unix.Chmod(".", 0o1777)) }},
	{name: "the own file in a sticky directory", way: replaced, prepare: func(t *testing.T) { must.OK(t, unix.Chmod(".", 0o1777)) }},
	{name: "the own link in a sticky directory", path: "link", way: replaced, prepare: func(t *testing.T) {
		must.OK(t, unix.Chmod(".", 0o1777))
		symlink(t, "rules", "link")
	}},
	{name: "a file with other names in a sticky directory", err: FileLinked, prepare: func(t *testing.T) {
		must.OK(t, os.Link("rules", "other"))
		must.OK(t, unix.Chmod(".", 0o1777))
	}},
	{name: "a file with other names in a sticky directory of its owner's", way: inPlace, prepare: func(t *testing.T) {
		must.OK(t, os.Link("rules", "other"))
		must.OK(t, unix.Chmod(".", 0o1755))
	}},
	{name: "what looks like the temporary file of another program", way: replaced, prepare: func(t *testing.T) {
		for _, name := range []string{".rules.20241125.new", ".rules.999999999.new", ".ipvsadm-", ".ipvsadm-0123456789abcdeg", ".ipvsadm-0123456789abcdef0", "ipvsadm-0123456789abcdef"} {
			writeFile(t, name, "of another", 0o600)
		}
	}},
}

// chain makes n links, the last of which leads through the others to rules.
func chain(t *testing.T, n int) {
	t.Helper()
	target := "rules"
	for i := range n {
		symlink(t, target, fmt.Sprint(i))
		target = fmt.Sprint(i)
	}
}

func TestWrite(t *testing.T) {
	for _, c := range writeCases {
		t.Run(c.name, func(t *testing.T) { c.run(t, t.TempDir()) })
	}
}

func TestAFileThatIsLargerThanTheProcessMayWrite(t *testing.T) {
	dir := newDir(t, t.TempDir())
	t.Chdir(dir)
	for _, links := range []int{1, 2} {
		writeFile(t, "rules", "old", 0o600)
		if links == 2 {
			must.OK(t, os.Link("rules", "other"))
		}
		want := tree(t, dir)
		err := writeByChild(strings.Repeat("x", 64<<10), "rules", func(cmd *exec.Cmd) { wrap(cmd, "prlimit", "--fsize=4096") })
		if err == nil || err.Error() != unix.EFBIG.Error() {
			t.Errorf("%v", err)
		}
		if got := tree(t, dir); !maps.Equal(got, want) {
			t.Errorf("the directory has %d files, the first %d bytes", len(got), len(got["rules"]))
		}
	}
}

// A change by another process between examine and open is detected.
func TestAFileThatIsNoLongerTheOneLookedAtIsNotWritten(t *testing.T) {
	dir := newDir(t, t.TempDir())
	t.Chdir(dir)
	for _, links := range []int{1, 2} { // replaced, in place
		writeFile(t, "rules", "old", 0o600)
		if links == 2 {
			must.OK(t, os.Link("rules", "link"))
		}
		p, err := find("rules")
		must.OK(t, err)
		defer p.dir.Close()
		writeFile(t, "another", "another", 0o600)
		must.OK(t, os.Rename("another", "rules"))
		if err := p.replace([]byte("new")); links == 1 && err != Changing || err == nil {
			t.Errorf("replace: %v", err)
		}
		if err := p.writeInPlace([]byte("new")); err != Changing {
			t.Errorf("in place: %v", err)
		}
		if got := readFile(t, "rules"); got != "another" {
			t.Errorf("the file has %q", got)
		}
	}
}

func TestFilesThatKilledWritesLeftGo(t *testing.T) {
	dir := newDir(t, t.TempDir())
	t.Chdir(dir)
	writeFile(t, "rules", "old", 0o600)
	stale, living := temporaryPrefix+"0123456789abcdef", temporaryPrefix+"fedcba9876543210"
	writeFile(t, stale, "half", 0o600)
	writeFile(t, living, "of a process that lives", 0o600)
	f, err := os.Open(living)
	must.OK(t, err)
	defer f.Close()
	must.OK(t, unix.Flock(int(f.Fd()), unix.LOCK_EX))
	must.OK(t, Write("rules", []byte("new")))
	if got := tree(t, dir); !maps.Equal(got, map[string]string{"rules": "new", living: "of a process that lives"}) {
		t.Errorf("the directory has %q", got)
	}
}

func TestWriteIntoAPipe(t *testing.T) {
	pipe := filepath.Join(newDir(t, t.TempDir()), "pipe")
	must.OK(t, unix.Mkfifo(pipe, 0o600))
	text := strings.Repeat("more than a pipe holds\n", 10000)
	read := make(chan string)
	go func() {
		b, err := os.ReadFile(pipe)
		if err != nil {
			t.Error(err)
		}
		read <- string(b)
	}()
	must.OK(t, Write(pipe, []byte(text)))
	if got := <-read; got != text {
		t.Errorf("the pipe gave %d bytes, want %d", len(got), len(text))
	}
}

// A name of an open descriptor is written through the descriptor, at its
// offset.
func TestWriteIntoADescriptor(t *testing.T) {
	dir := newDir(t, t.TempDir())
	for _, c := range []struct {
		name, path string
		flags      int
		stdout     bool
	}{
		{"standard output that appends", "/dev/stdout", os.O_APPEND, true},
		{"standard output after a head", "/dev/stdout", 0, true},
		{"its number", "/dev/fd/1", 0, true},
		{"its number in proc", "/proc/self/fd/1", os.O_APPEND, true},
		{"a link to it", filepath.Join(dir, "link"), 0, true},
		{"another descriptor", "/dev/fd/3", 0, false},
		{"another descriptor that appends", "/proc/self/fd/3", os.O_APPEND, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(dir, "file")
			writeFile(t, file, "", 0o666)
			_ = os.Symlink("/dev/stdout", filepath.Join(dir, "link"))
			before := stat(t, file)
			f, err := os.OpenFile(file, os.O_WRONLY|c.flags, 0)
			must.OK(t, err)
			defer f.Close()
			_, err = f.WriteString("head\n")
			must.OK(t, err)
			must.OK(t, writeByChild("text\n", c.path, func(cmd *exec.Cmd) {
				if c.stdout {
					cmd.Stdout = f
				} else {
					cmd.ExtraFiles = []*os.File{f}
				}
			}))
			_, err = f.WriteString("tail\n")
			must.OK(t, err)
			if got := readFile(t, file); got != "head\ntext\ntail\n" {
				t.Errorf("the file has %q", got)
			}
			if after := stat(t, file); after.Ino != before.Ino {
				t.Error("the file was replaced")
			}
		})
	}
	for fd := 3; fd < 10; fd++ { // descriptors that the runtime opened
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			continue // inherited from the shell that runs the tests
		}
		if err := writeByChild("text", fmt.Sprint("/dev/fd/", fd), nil); err == nil {
			t.Errorf("descriptor %d, which it was not started with, was written to", fd)
		}
	}
	cmd := child("write", "/dev/stdout")
	cmd.Stdin = strings.NewReader("text")
	if out, err := cmd.Output(); err != nil || string(out) != "text" {
		t.Errorf("into a pipe: %q, %v", out, err)
	}
}

func TestWritesAtTheSameTimeAllSucceed(t *testing.T) {
	dir := newDir(t, t.TempDir())
	path := filepath.Join(dir, "rules")
	texts := map[string]bool{}
	var writers sync.WaitGroup
	for i := range 8 {
		text := strings.Repeat(fmt.Sprintln("writer", i), 5000)
		texts[text] = true
		writers.Go(func() {
			for range 20 {
				if err := Write(path, []byte(text)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	if got := tree(t, dir); len(got) != 1 || !texts[got["rules"]] {
		t.Errorf("the directory has %d files, the text is none of those written", len(got))
	}
}
