// SPDX-License-Identifier: Apache-2.0

package cli

// This file saves into files on disks that are full or out of reach, and kills
// saves.

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/internal/test/guest/guesttest"
)

func TestSaveIntoAFileOnAKernel(t *testing.T) {
	guesttest.InGuest(t, func(t *testing.T) {
		guesttest.Modprobe(t, "ip_vs")
		t.Run("killed at random instants", testKilledSave)
		t.Run("onto a full disk", testFullDisk)
		t.Run("without permission", testSaveWithoutPermission)
		t.Run("the owner stays", testSaveKeepsTheOwner)
	})
}

// mountTmpfs gives a folder on a disk of its own.
func mountTmpfs(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	must(t, unix.Mount("tmpfs", dir, "tmpfs", 0, options))
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// testKilledSave kills some saves at any instant, others while they write.
func testKilledSave(t *testing.T) {
	kills := 25
	if testing.Short() {
		kills = 5
	}
	d := newDirector(t)
	d.become(randomTable(rand.New(rand.NewPCG(12, 12)), 150))
	for _, dir := range []string{mountTmpfs(t, "size=10m"), t.TempDir()} { // the second on hostfs, where no file is without a name
		path := filepath.Join(dir, "rules")
		save := func() *exec.Cmd { return d.command("ipvsadm-save", "-n", "-o", path) }
		start := time.Now()
		must(t, save().Run())
		whole := time.Since(start)
		saved := tree(t, dir)
		if len(saved) != 1 {
			t.Fatalf("saved %d files", len(saved))
		}
		ends := map[string]int{}
		for i := range kills {
			must(t, os.WriteFile(path, []byte("old"), 0o600))
			cmd := save()
			startBehind(t, cmd)
			if i%2 == 0 {
				time.Sleep(whole/2 + rand.N(whole*6/10))
			} else {
				for end := time.Now().Add(10 * whole); !writes(cmd.Process.Pid, dir) && time.Now().Before(end); {
					time.Sleep(time.Millisecond)
				}
			}
			if writes(cmd.Process.Pid, dir) {
				ends["while it wrote"]++
			}
			must(t, cmd.Process.Kill())
			_ = cmd.Wait()
			got := tree(t, dir)
			switch got["rules"] {
			case "old":
				ends["old"]++
			case saved["rules"]:
				ends["new"]++
			default:
				t.Fatalf("kill %d left %q", i, got["rules"])
			}
			ends["left over"] += len(got) - 1
			if a := d.do("", "ipvsadm-save", "-n", "-o", path); a != (answer{}) {
				t.Fatal(a)
			}
			if got := tree(t, dir); !maps.Equal(got, saved) {
				t.Fatalf("kill %d: after the next save there are %v", i, slices.Collect(maps.Keys(got)))
			}
		}
		t.Logf("%d kills ended as %v", kills, ends)
		if ends["while it wrote"] < kills/5 {
			t.Error("too few came while a file was written to show anything")
		}
	}
}

// writes tells whether a process has a file of the folder open.
func writes(pid int, dir string) bool {
	fds := fmt.Sprintf("/proc/%d/fd", pid)
	list, _ := os.ReadDir(fds)
	return slices.ContainsFunc(list, func(fd os.DirEntry) bool {
		target, err := os.Readlink(filepath.Join(fds, fd.Name()))
		return err == nil && strings.HasPrefix(target, dir+"/")
	})
}

func testFullDisk(t *testing.T) {
	d := newDirector(t)
	d.become(randomTable(rand.New(rand.NewPCG(13, 13)), 400))
	dir := mountTmpfs(t, "size=8k")
	path := filepath.Join(dir, "rules")
	must(t, os.WriteFile(path, []byte("old"), 0o600))
	want := answer{status: 2, errors: "can't write " + path + ": No space left on device\n"}
	if a := d.do("", "ipvsadm-save", "-n", "-o", path); a != want {
		t.Errorf("%+v, want %+v", a, want)
	}
	if got := tree(t, dir); !maps.Equal(got, map[string]string{"rules": "old"}) {
		t.Errorf("the disk has %q", got)
	}
	var fs unix.Statfs_t
	must(t, unix.Statfs(dir, &fs))
	if fs.Bfree != fs.Blocks-1 {
		t.Errorf("%d of %d blocks are free", fs.Bfree, fs.Blocks)
	}
}

// testSaveWithoutPermission saves as a root who may do no more with files
// than anybody.
func testSaveWithoutPermission(t *testing.T) {
	d := newDirector(t)
	d.become(randomTable(rand.New(rand.NewPCG(14, 14)), 5))
	exe, err := os.Executable()
	must(t, err)
	program := filepath.Join(d.dir, saveName)
	must(t, os.Symlink(exe, program))
	dir := mountTmpfs(t, "mode=755,uid=1")
	sub := filepath.Join(dir, "sub")
	must(t, os.Mkdir(sub, 0o777))
	must(t, os.Chmod(sub, 0o777))
	for _, path := range []string{filepath.Join(dir, "rules"), filepath.Join(sub, "rules")} {
		write(t, path, "old", 0o644)
		must(t, os.Chown(path, 1, 1))
	}
	for _, c := range []struct{ path, errors string }{
		{filepath.Join(dir, "rules"), "Permission denied"},
		{filepath.Join(dir, "new"), "Permission denied"},
		{filepath.Join(sub, "rules"), "Operation not permitted"}, // cannot be given to its owner
		{filepath.Join(sub, "new"), ""},
	} {
		want := ""
		if c.errors != "" {
			want = fmt.Sprintf("can't write %s: %s\n", c.path, c.errors)
		}
		out, err := exec.Command("setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner,-chown", program, "-n", "-o", c.path).CombinedOutput()
		if string(out) != want || (err == nil) != (want == "") {
			t.Errorf("%s: %v, %q, want %q", c.path, err, out, want)
		}
	}
	if got := tree(t, dir); !maps.Equal(got, map[string]string{"rules": "old", "sub": "d---------"}) {
		t.Errorf("the folder has %q", got)
	}
	if got := tree(t, sub); len(got) != 2 || got["rules"] != "old" || !strings.HasPrefix(got["new"], "-A ") {
		t.Errorf("the folder below has %q", got)
	}
}

// testSaveKeepsTheOwner is in the guest since only root can give files away.
func testSaveKeepsTheOwner(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rules")
	write(t, file, "old", 0o600)
	must(t, os.Chown(file, 12, 34))
	must(t, os.Chmod(file, 0o654))
	if a := newFakeKernel(t, web).do(t, "", "ipvsadm", "-S", "-n", "--output", file); a != (answer{}) {
		t.Fatal(a)
	}
	info, err := os.Stat(file)
	must(t, err)
	if st := info.Sys().(*syscall.Stat_t); st.Uid != 12 || st.Gid != 34 || info.Mode() != 0o654 {
		t.Errorf("owner %d, group %d, mode %v", st.Uid, st.Gid, info.Mode())
	}
}
