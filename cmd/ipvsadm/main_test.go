// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/zip"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/internal/test/program"
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
		"go install of a version":     {"", "", &debug.BuildInfo{Main: debug.Module{Version: "v1.2.3", Sum: "h1:x="}}, "v1.2.3, module h1:x="},
		"go build without git":        {"", "", &debug.BuildInfo{Main: debug.Module{Version: "(devel)"}}, "(devel), commit unknown"},
		"nothing is known of a build": {"", "", nil, "(unknown version), commit unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := ownVersion(c.version, c.commit, c.info); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// build returns the program that make builds, next to its links.
func build(t *testing.T) string {
	bin := filepath.Join(t.TempDir(), "ipvsadm")
	build := exec.Command("make", "-C", "../..", bin, "BIN="+bin, "VERSION=v1.2.3", "COMMIT=89abcdef")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("make: %v\n%s", err, out)
	}
	return bin
}

// TestVersionOfWhatMakeBuilds parses the first line as scripts do: the second
// word is the version of the original.
func TestVersionOfWhatMakeBuilds(t *testing.T) {
	first, second, _ := strings.Cut(program.Run(t, build(t), "-v"), "\n")
	if words := strings.Fields(first); len(words) < 2 || words[0] != "ipvsadm" || words[1] != "v1.31" {
		t.Errorf("the first line is %q", first)
	}
	if want := "ipvsadm-go v1.2.3, commit 89abcdef\n"; second != want {
		t.Errorf("the second line is %q, want %q", second, want)
	}
}

// TestVersionOfWhatGoBuilds uses go build. The Go tool records the commit of
// a clone, but not that of a second work tree or an archive.
func TestVersionOfWhatGoBuilds(t *testing.T) {
	stamp, want := "auto", `^ipvsadm-go \S+, commit unknown$`
	if info, err := os.Stat("../../.git"); err == nil && info.IsDir() {
		stamp, want = "true", `^ipvsadm-go v\S+, commit `+strings.TrimSpace(program.Run(t, "git", "rev-parse", "HEAD"))+"$"
	}
	bin := filepath.Join(t.TempDir(), "ipvsadm")
	program.Run(t, "go", "build", "-buildvcs="+stamp, "-o", bin, ".")
	if got := secondLine(t, bin); !regexp.MustCompile(want).MatchString(got) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestVersionOfWhatGoInstalls downloads the module from a proxy, a directory
// in which this source has a version.
func TestVersionOfWhatGoInstalls(t *testing.T) {
	const module, version = "github.com/ipvsadm-go/ipvsadm", "v1.2.3"
	proxy := t.TempDir()
	folder := filepath.Join(proxy, module, "@v")
	must.OK(t, os.MkdirAll(folder, 0o755))
	program.Write(t, filepath.Join(folder, "list"), version+"\n")
	program.Write(t, filepath.Join(folder, version+".info"), `{"Version":"`+version+`"}`)
	program.Write(t, filepath.Join(folder, version+".mod"), program.Read(t, "../../go.mod"))
	file, err := os.Create(filepath.Join(folder, version+".zip"))
	must.OK(t, err)
	defer file.Close()
	archive := zip.NewWriter(file)
	for _, top := range []string{"go.mod", "go.sum", "LICENSE", "cmd", "internal", "pkg"} {
		must.OK(t, filepath.WalkDir(filepath.Join("../..", top), func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && path == "../../internal/test":
				return fs.SkipDir
			case d.IsDir():
				return nil
			}
			w, err := archive.Create(module + "@" + version + "/" + strings.TrimPrefix(path, "../../"))
			if err == nil {
				_, err = io.WriteString(w, program.Read(t, path))
			}
			return err
		}))
	}
	must.OK(t, archive.Close())

	cache := strings.TrimSpace(program.Run(t, "go", "env", "GOMODCACHE"))
	bin := t.TempDir()
	for name, value := range map[string]string{
		"GOPROXY":    "file://" + proxy + ",file://" + cache + "/cache/download",
		"GOMODCACHE": t.TempDir(), "GOFLAGS": "-modcacherw", "GOSUMDB": "off", "GOBIN": bin,
	} {
		t.Setenv(name, value)
	}
	program.Run(t, "go", "install", module+"/cmd/ipvsadm@"+version)
	if got := secondLine(t, bin+"/ipvsadm"); !strings.HasPrefix(got, "ipvsadm-go "+version+", module h1:") {
		t.Errorf("the second line is %q", got)
	}
}

func secondLine(t *testing.T, bin string) string {
	t.Helper()
	_, second, _ := strings.Cut(program.Run(t, bin, "-v"), "\n")
	return strings.TrimSuffix(second, "\n")
}
