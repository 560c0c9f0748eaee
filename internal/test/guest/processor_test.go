// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
)

func TestEachGuestHasAProcessorOfItsOwn(t *testing.T) {
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		t.Fatal(err)
	}
	taken := map[unix.CPUSet]bool{}
	claim := func() (release func()) {
		release = claimProcessor()
		var now unix.CPUSet
		if err := unix.SchedGetaffinity(0, &now); err != nil {
			t.Error(err)
		}
		if now != before && taken[now] {
			t.Errorf("processors %v are claimed twice", now)
		}
		taken[now] = true
		return release
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	first := claim()
	done := make(chan bool)
	go func() {
		defer close(done)
		runtime.LockOSThread() // the thread ends with the goroutine
		claim()()
	}()
	<-done
	first()
	var after unix.CPUSet
	if err := unix.SchedGetaffinity(0, &after); err != nil || after != before {
		t.Errorf("processors %v afterwards, %v before: %v", after, before, err)
	}
}

// SetProcessor replaces the flags of the machine's processor during the test.
func SetProcessor(t *testing.T, flag string) {
	t.Helper()
	before := cpuInfo
	t.Cleanup(func() { cpuInfo = before })
	cpuInfo = filepath.Join(t.TempDir(), "cpuinfo")
	must.OK(t, os.WriteFile(cpuInfo, []byte("flags\t\t: fpu "+flag+" md_clear\n"), 0o644))
}

// putUML puts a fake kernel below a directory; it only prints its release.
func putUML(t *testing.T, root, release string) {
	t.Helper()
	for file, text := range map[string]string{
		umlProgram: "#!/bin/sh\necho " + release + "\n",
		filepath.Join(umlModules, release, "modules.dep"): "",
	} {
		path := filepath.Join(root, file)
		must.OK(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must.OK(t, os.WriteFile(path, []byte(text), 0o755))
	}
}

func TestAKernelThatRunsOnTheProcessor(t *testing.T) {
	for _, c := range []struct {
		processor, kernel, own, want string
		suites                       map[string]string // the cache's releases
	}{
		{"avx2", "", "6.1.176", "7.3.1", map[string]string{"sid": "7.3.1"}},
		{"avx2", "", "6.1.176", "make deps", map[string]string{"bookworm": "6.1.176"}},
		{"avx2", "6.1", "6.1.176", "6.1.176", nil},
		{"avx2", "6.1", "", "6.1.176", map[string]string{"bookworm": "6.1.176"}},
		{"amx_tile", "", "6.1.176", "7.3.1", map[string]string{"sid": "7.3.1"}},
		{"amx_tile", "6.1", "", "the processor has AMX, which User Mode Linux 6.1.176 does not support", map[string]string{"bookworm": "6.1.176"}},
		{"amx_tile", "6.12", "", "the processor has AMX, which User Mode Linux 6.12.9 does not support", map[string]string{"trixie": "6.12.9"}},
		{"amx_tile", "7.2", "", "7.2.3", map[string]string{"sid": "7.2.3"}},
	} {
		t.Run(fmt.Sprintf("%s of %v and %q with %s", c.kernel, c.suites, c.own, c.processor), func(t *testing.T) {
			SetProcessor(t, c.processor)
			t.Setenv("XDG_CACHE_HOME", t.TempDir())
			own := t.TempDir()
			t.Setenv("PATH", filepath.Join(own, "usr/bin"))
			if c.own != "" {
				putUML(t, own, c.own)
			}
			for suite, release := range c.suites {
				root, err := packagesDir(suite, umlPackage)
				must.OK(t, err)
				putUML(t, root, release)
			}
			k, err := Find(c.kernel)
			if got := fmt.Sprint(k.Version, err); !strings.Contains(got, c.want) {
				t.Errorf("found %v: %v, want %s", k, err, c.want)
			}
		})
	}
}
