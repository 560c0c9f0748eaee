// SPDX-License-Identifier: Apache-2.0

// The tests here install what is to be installed in a guest and use it there:
// manual pages, completions, units and packages.

package packaging

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ipvsadm-go/ipvsadm/internal/cli"
	"github.com/ipvsadm-go/ipvsadm/internal/test/guest/guesttest"
)

// TestMain lets this test binary be the program as well, under its names.
func TestMain(m *testing.M) {
	if strings.HasPrefix(filepath.Base(os.Args[0]), "ipvsadm") {
		os.Exit(cli.Run(context.Background(), cli.Process{
			Args: os.Args, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		}))
	}
	guesttest.Main(m)
}

// install runs make install with this test binary as the program.
func install(t *testing.T) {
	t.Helper()
	bin, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	run(t, "rm", "-f", "/etc/default/ipvsadm", "/etc/ipvsadm.rules")
	run(t, "make", "-C", "..", "-o", bin, "install", "BIN="+bin, "FAMILY=debian")
}

// run runs a command that has to succeed and gives its output.
func run(t *testing.T, words ...string) string {
	t.Helper()
	out, err := try(words...)
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(words, " "), err, out)
	}
	return out
}

func try(words ...string) (out string, err error) {
	b, err := exec.Command(words[0], words[1:]...).CombinedOutput()
	return string(bytes.ReplaceAll(b, []byte("\r"), nil)), err
}

// need ends a test that has to do without a program.
func need(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		guesttest.Lacks(t, "no "+program+" on this machine: make deps, or make kernel")
	}
}
