// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
)

func TestOwnVersion(t *testing.T) {
	const revision = "0123456789abcdef0123456789abcdef01234567"
	fromTool := &debug.BuildInfo{
		Main:     debug.Module{Version: "v1.2.4-0.20261122120000-0123456789ab"},
		Settings: []debug.BuildSetting{{Key: "vcs", Value: "git"}, {Key: "vcs.revision", Value: revision}},
	}
	for name, c := range map[string]struct {
		version, commit string
		info            *debug.BuildInfo
		want            string
	}{
		"make has set it":             {"v1.2.3", "89abcdef", fromTool, "v1.2.3, commit 89abcdef"},
		"go build in a clone":         {"", "", fromTool, "v1.2.4-0.20261122120000-0123456789ab, commit " + revision},
		"go install of a version":     {"", "", &debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}}, "v1.2.3, commit unknown"},
		"nothing is known of a build": {"", "", nil, "(unknown version), commit unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := ownVersion(c.version, c.commit, c.info); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// build returns the program that make builds, with the names it has beside it.
func build(t *testing.T) string {
	bin := filepath.Join(t.TempDir(), "ipvsadm")
	build := exec.Command("make", "-C", "../..", bin, "BIN="+bin, "VERSION=v1.2.3", "COMMIT=89abcdef")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("make: %v\n%s", err, out)
	}
	return bin
}

// TestVersionOfWhatMakeBuilds reads the first line as scripts do: the second
// word is the version of the original that this program is like.
func TestVersionOfWhatMakeBuilds(t *testing.T) {
	out, err := exec.Command(build(t), "-v").Output()
	must.OK(t, err)
	first, second, _ := strings.Cut(string(out), "\n")
	if words := strings.Fields(first); len(words) < 2 || words[0] != "ipvsadm" || words[1] != "v1.31" {
		t.Errorf("the first line is %q", first)
	}
	if want := "ipvsadm-go v1.2.3, commit 89abcdef\n"; second != want {
		t.Errorf("the second line is %q, want %q", second, want)
	}
}

// TestClosedOutput closes standard output, or opens /dev/null for reading and
// writing, as Python and daemon(3) do for programs without output.
func TestClosedOutput(t *testing.T) {
	bin := build(t)
	for _, c := range []struct {
		command string
		status  int
		errs    string
	}{
		{"-v >&-", 1, "can't write to standard output: Bad file descriptor\n"},
		{"-v >&- 2>&-", 1, ""},
		{"-v 1<>/dev/null", 0, ""},
		{"-v <&- >/dev/null", 0, ""},
	} {
		var errs strings.Builder
		cmd := exec.Command("sh", "-c", "exec "+bin+" "+c.command)
		cmd.Stderr = &errs
		if err := cmd.Run(); cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != c.status || errs.String() != c.errs {
			t.Errorf("%s: %v, %s", c.command, err, errs.String())
		}
	}
}
