// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"debug/elf"
	"io"
	"os"
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

func TestSetInterpreterRefusesWhatIsNoProgram(t *testing.T) {
	path := filepath.Join(t.TempDir(), "program")
	for _, text := range []string{"", "#!/bin/sh\n", "\x7fELF\x02" + strings.Repeat("\xff", 60)} {
		must.OK(t, os.WriteFile(path, []byte(text), 0o755))
		if err := setInterpreter(path, "/ld.so"); err == nil {
			t.Errorf("no error for %q", text)
		}
	}
}

func TestSuiteSourcesHaveTheMachinesMirrors(t *testing.T) {
	sources, err := suiteSources(t.Context(), "sid")
	must.OK(t, err)
	if line := regexp.MustCompile(`^deb \[signed-by=/\S+\] \w+:/\S+ sid \w+\n`); !line.Match(sources) {
		t.Errorf("sources of sid:\n%s", sources)
	}
}

// Fetches from the network, so only where tests have to have everything.
func TestFetchedToolsAreLentToTheGuest(t *testing.T) {
	if os.Getenv("REQUIRE_KERNEL") != "1" {
		t.Skip("downloads packages: set REQUIRE_KERNEL=1")
	}
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	root, err := FetchPackages(t.Context(), "", os.Stderr, "hello")
	must.OK(t, err)
	if again, err := FetchPackages(t.Context(), "", io.Discard, "hello"); err != nil || again != root {
		t.Errorf("again: %s, %v, want %s", again, err, root)
	}
	if found, err := FindPackages("", "hello"); err != nil || found != root {
		t.Errorf("found: %s, %v, want %s", found, err, root)
	}
	kernel, err := Find("")
	must.OK(t, err)
	kernel.Tools = root
	var out strings.Builder
	status, err := Run(t.Context(), Job{Kernel: kernel, Args: []string{"hello"}, Stdout: &out})
	if err != nil || status != 0 || out.String() != "Hello, world!\n" {
		t.Errorf("status %d, %v, %q", status, err, out.String())
	}
}
