// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"debug/elf"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
)

func TestSetInterpreterNamesTheOtherLoader(t *testing.T) {
	b, err := os.ReadFile("/bin/sh")
	must.OK(t, err)
	path := filepath.Join(t.TempDir(), "program")
	must.OK(t, os.WriteFile(path, b, 0o755))
	loader := "/" + strings.Repeat("long/", 50) + "ld.so"
	for range 2 {
		must.OK(t, setInterpreter(path, loader))
	}
	program, err := elf.Open(path)
	must.OK(t, err)
	defer program.Close()
	for _, header := range program.Progs {
		if header.Type == elf.PT_INTERP {
			got, err := io.ReadAll(header.Open())
			if err != nil || string(got) != loader+"\x00" {
				t.Errorf("loader %q, %v, want %q", got, err, loader)
			}
			return
		}
	}
	t.Error("the program names no loader any more")
}

func TestSuiteSourcesHaveTheMachinesMirrors(t *testing.T) {
	sources, err := suiteSources(t.Context(), "sid")
	must.OK(t, err)
	if line := regexp.MustCompile(`^deb \[signed-by=/\S+\] \w+:/\S+ sid \w+\n`); !line.Match(sources) {
		t.Errorf("sources of sid:\n%s", sources)
	}
}

// TestPackageManagerIsQuiet checks that output of the package manager is
// hidden, by make deps and by a fetch without root.
func TestPackageManagerIsQuiet(t *testing.T) {
	dir := t.TempDir()
	tool := func(name, script string) {
		must.OK(t, os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script), 0o755))
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	tool("go", "")
	tool("id", "echo 0")
	tool("dpkg", "exit 0")
	tool("dpkg-query", `case "$*" in *zsh) exit 1 ;; *ipvsadm-go) ;; *) echo "install ok installed" ;; esac`)
	const broken = `echo "Get:1 of a hundred lines"; echo "E: no such package" >&2; case "$*" in *install*) exit 100 ;; esac`
	deps := func() (string, error) {
		out, err := exec.Command("../../../.ci/deps", "ipvsadm", "zsh").CombinedOutput()
		return string(out), err
	}
	tool("apt-get", `echo "Get:1 of a hundred lines"`)
	if out, err := deps(); err != nil || out != "deps: installing zsh\n" {
		t.Errorf("deps: %v, %q", err, out)
	}
	tool("apt-get", broken)
	all := func(who, out string, err error) {
		if err == nil || strings.Count(out, "Get:1") != 2 || strings.Count(out, "E: no such package") != 2 {
			t.Errorf("%s: %v, %q: the package manager's output is not whole", who, err, out)
		}
	}
	out, err := deps()
	all("deps", out, err)
	var log strings.Builder
	_, err = FetchPackages(t.Context(), "", &log, "zsh")
	all("FetchPackages", log.String(), err)
}

// TestDemoInstallsNothing reads the commands that make would run.
func TestDemoInstallsNothing(t *testing.T) {
	out, err := exec.Command("make", "-n", "-C", "../../..", "demo").Output()
	if err != nil || !strings.Contains(string(out), "\n.ci/deps\n") || strings.Contains(string(out), ".ci/deps ") {
		t.Errorf("make demo: %v\n%s", err, out)
	}
}

// TestFetchedToolsAreLentToTheGuest downloads, so it runs only if no test may
// be skipped.
func TestFetchedToolsAreLentToTheGuest(t *testing.T) {
	if os.Getenv("REQUIRE_KERNEL") != "1" {
		t.Skip("downloads packages: set REQUIRE_KERNEL=1")
	}
	kernel, err := Find("")
	must.OK(t, err)
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	var log strings.Builder
	root, err := FetchPackages(t.Context(), "", &log, "hello")
	if err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	if want := "guest: fetching hello into " + root + "\n"; log.String() != want {
		t.Errorf("said %q, want %q", log.String(), want)
	}
	if again, err := FetchPackages(t.Context(), "", io.Discard, "hello"); err != nil || again != root {
		t.Errorf("again: %s, %v, want %s", again, err, root)
	}
	if found, err := FindPackages("", "hello"); err != nil || found != root {
		t.Errorf("found: %s, %v, want %s", found, err, root)
	}
	kernel.Tools = root
	var out strings.Builder
	status, err := Run(t.Context(), Job{Kernel: kernel, Args: []string{"hello"}, Stdout: &out})
	if err != nil || status != 0 || out.String() != "Hello, world!\n" {
		t.Errorf("status %d, %v, %q", status, err, out.String())
	}
}
