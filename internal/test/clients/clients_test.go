// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/ipvsadm-go/ipvsadm/internal/cli" // lets "go test" see that the program has changed
	"github.com/ipvsadm-go/ipvsadm/internal/test/guest"
	"github.com/ipvsadm-go/ipvsadm/internal/test/guest/guesttest"
)

func TestMain(m *testing.M) { guesttest.Main(m) }

// packages are the clients, the original, and what they and the guest call but
// do not depend on by name.
var packages = []string{"ipvsadm", "keepalived", "kmod", "ldirectord", "munin-plugins-core", "netbase"}

const (
	// place is where clients look for the programs. Packages name it as /sbin too.
	place = "/usr/sbin"
	// binary is the environment's variable with the path of our program.
	binary = "IPVSADM_TEST_BINARY"
)

var names = [...]string{"ipvsadm", "ipvsadm-save", "ipvsadm-restore"}

func TestClients(t *testing.T) {
	if !guest.InGuest() {
		guesttest.Kernel(t, packages...) // skips before anything is built
		t.Setenv(binary, build(t))
	}
	guesttest.InGuest(t, func(t *testing.T) {
		p := prepareGuest(t)
		t.Run("ldirectord", p.testLdirectord)
		t.Run("munin", p.testMunin)
		t.Run("init script", p.testInitScript)
		t.Run("keepalived", p.testKeepalived)
	}, packages...)
}

func build(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ipvsadm")
	cmd := exec.Command("go", "build", "-o", path, "../../../cmd/ipvsadm")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

// hosts are the names of the addresses in the tests.
const hosts = `127.0.0.1 localhost
192.0.2.1 www.example.org
192.0.2.11 web1.example.org
2001:db8::1 six.example.org
`

// programs are kept in folders from which they are put in place.
type programs struct{ original, ours program }

type program struct {
	name   string
	folder string
}

// prepareGuest loads the module, keeps look-ups of names off the network, and
// keeps a copy of the original.
func prepareGuest(t *testing.T) programs {
	t.Helper()
	for path, text := range map[string]string{
		"/etc/hosts":         hosts,
		"/etc/resolv.conf":   "",
		"/etc/nsswitch.conf": "hosts: files\nservices: files\nprotocols: files\n",
	} {
		write(t, path, text)
	}
	guesttest.Modprobe(t, "ip_vs")
	p := programs{
		original: program{"the original", t.TempDir()},
		ours:     program{"ours", t.TempDir()},
	}
	for _, name := range names {
		copyFile(t, filepath.Join(place, name), filepath.Join(p.original.folder, name))
		copyFile(t, os.Getenv(binary), filepath.Join(p.ours.folder, name))
	}
	if version := p.judge(t, "-v"); !strings.HasPrefix(version, "ipvsadm v1.31 ") || !strings.Contains(version, "popt") {
		t.Fatalf("%s/ipvsadm is not the original but %s", place, version)
	}
	return p
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	// A program that runs cannot be written to, but its name can be taken.
	draft := to + ".draft"
	if err := os.WriteFile(draft, b, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(draft, to); err != nil {
		t.Fatal(err)
	}
}

// put puts the program in place.
func (p program) put(t *testing.T) {
	t.Helper()
	for _, name := range names {
		copyFile(t, filepath.Join(p.folder, name), filepath.Join(place, name))
	}
}

// judge runs the original, whichever is in place.
func (p programs) judge(t *testing.T, args ...string) string {
	t.Helper()
	return run(t, filepath.Join(p.original.folder, "ipvsadm"), args...)
}

// restore fills the table by the original.
func (p programs) restore(t *testing.T, rules string) {
	t.Helper()
	cmd := exec.Command(filepath.Join(p.original.folder, "ipvsadm"), "-R")
	cmd.Stdin = strings.NewReader(rules)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, out)
	}
}

const (
	// patience is how long a client may take for what it does in a few seconds
	// on a machine with nothing else to do.
	patience = 3 * time.Minute
	// pause is between two looks whether it has done it.
	pause = 250 * time.Millisecond
)

// await waits until the kernel's table, as the original saves it, is the wanted
// one.
func (p programs) await(t *testing.T, want string) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		got := p.judge(t, "-Sn")
		if got == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the table is after %v\n%swant\n%s", patience, got, want)
		}
		time.Sleep(pause)
	}
}

// inTurn runs a client with the original in place and then with ours. What it
// returns has to be the same.
func (p programs) inTurn(t *testing.T, client func(t *testing.T, p program) (result string)) {
	t.Helper()
	p.original.put(t)
	want := client(t, p.original)
	p.ours.put(t)
	got := client(t, p.ours)
	if !t.Failed() && got != want {
		got, want = fromDifference(got, want)
		t.Errorf("with ours in place\n%s\nwith the original\n%s", got, want)
	}
}

// fromDifference cuts two texts to some lines around the first that differs.
func fromDifference(a, b string) (string, string) {
	const before, after = 5, 15
	linesA, linesB := strings.Split(a, "\n"), strings.Split(b, "\n")
	at := 0
	for at < min(len(linesA), len(linesB)) && linesA[at] == linesB[at] {
		at++
	}
	cut := func(lines []string) string {
		return strings.Join(lines[max(0, at-before):min(len(lines), at+after)], "\n")
	}
	return cut(linesA), cut(linesB)
}

// inTurnAfresh does it in two subtests, for clients that need the namespace of a
// new world.
func (p programs) inTurnAfresh(t *testing.T, client func(t *testing.T) (result string)) {
	t.Helper()
	p.inTurn(t, func(t *testing.T, p program) (result string) {
		t.Run(p.name, func(t *testing.T) {
			result = client(t)
		})
		return result
	})
}

// run runs a program that has to succeed and returns its standard output.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	out, err := cmd.Output()
	if err != nil {
		exit := &exec.ExitError{}
		errors.As(err, &exit)
		t.Fatalf("%v: %v\n%s%s", cmd, err, out, exit.Stderr)
	}
	return string(out)
}

// answer is a heading, and what a program printed on both outputs and its
// status, whatever they are.
func answer(t *testing.T, name string, args ...string) string {
	t.Helper()
	var stdout, stderr strings.Builder
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("$ %s %s\n%sstandard error: %q, status %d\n", filepath.Base(name), strings.Join(args, " "),
		stdout.String(), stderr.String(), cmd.ProcessState.ExitCode())
}
