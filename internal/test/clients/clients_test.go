// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ipvsadm-go/ipvsadm/internal/test/guest/guesttest"
	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/internal/test/program"
	"github.com/ipvsadm-go/ipvsadm/internal/test/session"
)

func TestMain(m *testing.M) { program.Main(m) }

// packages are the clients, the original, and packages that they or the guest
// use without depending on them.
var packages = []string{"ipvsadm", "keepalived", "kmod", "ldirectord", "netbase"}

// place is the directory in which clients look for the programs. Some
// packages call it /sbin.
const place = "/usr/sbin"

func TestClients(t *testing.T) {
	guesttest.InGuest(t, func(t *testing.T) {
		p := prepareGuest(t)
		t.Run("ldirectord", p.testLdirectord)
		t.Run("init script", p.testInitScript)
		t.Run("keepalived", p.testKeepalived)
	}, packages...)
}

// hosts are the host names that the tests use.
const hosts = `127.0.0.1 localhost
192.0.2.1 www.example.org
192.0.2.11 web1.example.org
2001:db8::1 six.example.org
`

// programs are the versions of ipvsadm to put in place.
type programs struct{ original, ours version }

type version struct {
	name string
	dir  string
}

// prepareGuest loads the module, resolves names from files only, and keeps a
// copy of the original.
func prepareGuest(t *testing.T) programs {
	t.Helper()
	program.ResolveFrom(t, hosts)
	guesttest.Modprobe(t, "ip_vs")
	p := programs{
		original: version{"the original", t.TempDir()},
		ours:     version{"ours", program.Dir(t)},
	}
	for _, name := range program.Names {
		program.Run(t, "cp", filepath.Join(place, name), p.original.dir)
	}
	if version := p.judge(t, "-v"); !strings.HasPrefix(version, "ipvsadm v1.31 ") || !strings.Contains(version, "popt") {
		t.Fatalf("%s/ipvsadm is not the original but %s", place, version)
	}
	return p
}

// put puts the version in place.
func (v version) put(t *testing.T) {
	t.Helper()
	for _, name := range program.Names {
		program.Run(t, "ln", "-sf", filepath.Join(v.dir, name), place)
	}
}

// judge runs the original, regardless of the version in place.
func (p programs) judge(t *testing.T, args ...string) string {
	t.Helper()
	return program.Run(t, append([]string{filepath.Join(p.original.dir, "ipvsadm")}, args...)...)
}

// restore fills the table with the original.
func (p programs) restore(t *testing.T, rules string) {
	t.Helper()
	cmd := exec.Command(filepath.Join(p.original.dir, "ipvsadm"), "-R")
	cmd.Stdin = strings.NewReader(rules)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, out)
	}
}

// await waits until the kernel's table, as saved by the original, is the
// wanted one.
func (p programs) await(t *testing.T, want string) {
	t.Helper()
	got := ""
	if !must.Soon(func() bool { got = p.judge(t, "-Sn"); return got == want }) {
		t.Fatalf("the table is\n%swant\n%s", got, want)
	}
}

// inTurn runs a client with the original in place and then with ours. Both
// results must be the same.
func (p programs) inTurn(t *testing.T, client func(t *testing.T, v version) (result string)) {
	t.Helper()
	p.original.put(t)
	want := client(t, p.original)
	p.ours.put(t)
	got := client(t, p.ours)
	if !t.Failed() && got != want {
		got, want = session.Excerpts(got, want)
		t.Errorf("with ours in place\n%s\nwith the original\n%s", got, want)
	}
}

// inTurnAfresh is inTurn in two subtests, for clients that need a new world
// each time.
func (p programs) inTurnAfresh(t *testing.T, client func(t *testing.T) (result string)) {
	t.Helper()
	p.inTurn(t, func(t *testing.T, v version) (result string) {
		t.Run(v.name, func(t *testing.T) {
			result = client(t)
		})
		return result
	})
}

// answer returns a heading, both outputs and the exit status of a program.
func answer(t *testing.T, words ...string) string {
	t.Helper()
	a := program.Ask(t, words...)
	words[0] = filepath.Base(words[0])
	return fmt.Sprintf("$ %s\n%sstandard error: %q, status %d\n", strings.Join(words, " "), a.Stdout, a.Stderr, a.Status)
}
