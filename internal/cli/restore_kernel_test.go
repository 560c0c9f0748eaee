// SPDX-License-Identifier: Apache-2.0

package cli

// This file tests save and restore where a real kernel is needed, and that
// ipvsadm 1.31 accepts the files that they write.

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/args"
	"github.com/ipvsadm-go/ipvsadm/internal/model"
	"github.com/ipvsadm-go/ipvsadm/internal/test/cluster"
	"github.com/ipvsadm-go/ipvsadm/internal/test/guest/guesttest"
	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

func TestApplyOnAKernel(t *testing.T) {
	guesttest.InGuest(t, func(t *testing.T) {
		t.Run("without the module", testModuleStaysAway)
		guesttest.Modprobe(t, "ip_vs")
		t.Run("two at once", testTwoAtOnce)
		t.Run("connections and counters of what stays", testConnectionsStay)
		t.Run("a sync daemon whose longest message the kernel bounds", testBoundedDaemon)
	})
}

// director is a network namespace with its table.
type director struct {
	*testing.T
	client *ipvs.Client
	dir    string
}

func newDirector(t *testing.T) director {
	guesttest.Namespace(t)
	client, err := ipvs.Dial(t.Context(), ipvs.Config{})
	must.OK(t, err)
	d := director{t, client, t.TempDir()}
	t.Cleanup(func() {
		// Daemons must not keep running in a deleted namespace.
		if have, err := client.Table(context.Background()); err == nil {
			_ = client.Apply(context.Background(), model.Diff(have, nothing())...)
		}
		client.Close()
	})
	return d
}

func (d director) table() *ipvs.Table {
	d.Helper()
	table, err := d.client.Table(d.Context())
	must.OK(d.T, err)
	return table
}

func (d director) rules() string { return rulesOf(d.table()) }

// testModuleStaysAway checks that a restore of a large file with a mistake,
// and a monitor that waits for the module, do not load the module.
func testModuleStaysAway(t *testing.T) {
	if is, known := loaded(); is || !known {
		t.Fatalf("IPVS is loaded: %t, known: %t", is, known)
	}
	before := runtime.GOMAXPROCS(0)
	runtime.GOMAXPROCS(max(2, before))
	t.Cleanup(func() { runtime.GOMAXPROCS(before) })
	file := filepath.Join(t.TempDir(), "rules")
	must.OK(t, os.WriteFile(file, []byte(manyServices(1000, "-m")+"-A\n"), 0o600))
	var errs bytes.Buffer
	status := Main(t.Context(), Process{
		Args: []string{"ipvsadm-restore", "--lock", file + ".lock", file}, Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: &errs,
	})
	if want := file + ": line 2001: "; status != statusUsage || !strings.HasPrefix(errs.String(), want) {
		t.Errorf("status %d, %s", status, errs.String())
	}
	s := newSession(Process{})
	if _, err := s.readAgain(t.Context(), &args.Command{}, services, &ipvs.Table{}); !errors.Is(err, ipvs.ErrNoIPVS) {
		t.Errorf("without the module a monitor is told %v", err)
	}
	if is, _ := loaded(); is {
		t.Error("the module has been loaded")
	}
}

// nothing returns a table without services and daemons.
func nothing() *ipvs.Table {
	return &ipvs.Table{Services: []ipvs.ServiceEntry{}, Daemons: []ipvs.Daemon{}}
}

// setTable changes the table to match want.
func (d director) setTable(want *ipvs.Table) {
	d.Helper()
	must.OK(d.T, d.client.Apply(d.Context(), model.Diff(d.table(), want)...))
}

// do runs this program in this process.
func (d director) do(stdin string, argv ...string) answer {
	var out, errs bytes.Buffer
	s := newSession(Process{Args: argv, Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &errs})
	s.names = noNames()
	return answer{s.start(d.Context()), out.String(), errs.String()}
}

// restore runs ipvsadm-restore in this process.
func (d director) restore(rules string, options ...string) answer {
	return d.do(rules, append([]string{"ipvsadm-restore", "--lock", filepath.Join(d.dir, "lock")}, options...)...)
}

// command returns a command that runs this program as a process of its own.
func (d director) command(argv ...string) *exec.Cmd {
	exe, err := os.Executable()
	must.OK(d.T, err)
	return &exec.Cmd{Path: exe, Args: argv, Dir: d.dir}
}

// runOriginal runs a program of 1.31.
func (d director) runOriginal(stdin, name string, words ...string) (a answer) {
	d.Helper()
	cmd := exec.CommandContext(d.Context(), filepath.Join(cluster.Original, name), words...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		d.Fatal(err)
	}
	return answer{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// ip runs ip(8).
func (d director) ip(words string) {
	d.Helper()
	if out, err := exec.Command("ip", strings.Fields(words)...).CombinedOutput(); err != nil {
		d.Fatalf("ip %s: %v %s", words, err, out)
	}
}

// talk is a connection to an echo server.
type talk struct{ net.Conn }

func (d director) talk(service string) talk {
	d.Helper()
	c, err := net.Dial("tcp", service)
	must.OK(d.T, err)
	d.Cleanup(func() { c.Close() })
	must.OK(d.T, c.SetDeadline(time.Now().Add(must.Patience)))
	return talk{c}
}

// speak sends a message and reads the echo.
func (c talk) speak() error {
	if _, err := c.Write([]byte("hello")); err != nil {
		return err
	}
	_, err := io.ReadFull(c, make([]byte, 5))
	return err
}

// file writes the rules of a table to a file and returns its path.
func (d director) file(name string, table *ipvs.Table) string {
	d.Helper()
	path := filepath.Join(d.dir, name)
	must.OK(d.T, os.WriteFile(path, []byte(rulesOf(table)), 0o600))
	return path
}

// withoutLines returns complaints without the names of files and lines.
func withoutLines(errs string) string {
	var b strings.Builder
	for line := range strings.Lines(errs) {
		_, rest, _ := strings.Cut(line, ": line ")
		_, text, _ := strings.Cut(rest, ": ")
		b.WriteString(text)
	}
	return b.String()
}

func testTwoAtOnce(t *testing.T) {
	d := newDirector(t)
	r := rand.New(rand.NewPCG(11, rand.Uint64()))
	a, b := randomTable(r, 100), randomTable(r, 100)
	a.Daemons, b.Daemons = nil, nil
	files := []string{d.file("a", a), d.file("b", b)}
	ends := map[string]int{}
	for range 10 {
		var running []*exec.Cmd
		for _, f := range files {
			cmd := d.command("ipvsadm-restore", "--lock", "lock", f)
			must.OK(t, cmd.Start())
			running = append(running, cmd)
		}
		for _, cmd := range running {
			if err := cmd.Wait(); err != nil {
				t.Error(err)
			}
		}
		switch now := d.table(); {
		case sameTable(now, a):
			ends["a"]++
		case sameTable(now, b):
			ends["b"]++
		default:
			t.Fatalf("the table is a mixture:\n%s", rulesOf(now))
		}
		slices.Reverse(files)
	}
	t.Log("ended as", ends)
}

func testConnectionsStay(t *testing.T) {
	d := newDirector(t)
	d.ip("addr add 10.5.5.5/32 dev lo")
	d.ip("addr add 10.6.6.6/32 dev lo")
	must.OK(t, cluster.Echo(t, "tcp", "10.6.6.6:8080"))
	const (
		service = "-A -t 10.5.5.5:80 -s rr\n"
		server  = "-a -t 10.5.5.5:80 -r 10.6.6.6:8080 -m -w 1\n"
		other   = "-a -t 10.5.5.5:80 -r 10.6.6.7:8080 -m -w 0\n"
	)
	if a := d.restore(service + server + other); a != (answer{}) {
		t.Fatal(a)
	}
	c := d.talk("10.5.5.5:80")
	type counters struct {
		service, server ipvs.Stats
		conns           ipvs.ConnCounts
	}
	count := func() counters {
		t.Helper()
		s := d.table().Lookup(ipvs.AddrID(ipvs.TCP, netip.MustParseAddr("10.5.5.5"), 80))
		if s == nil {
			t.Fatal("the service is gone")
		}
		e := s.Lookup(netip.MustParseAddrPort("10.6.6.6:8080"))
		if e == nil {
			t.Fatal("the server is gone")
		}
		return counters{s.Stats, e.Stats, e.Conns}
	}
	must.OK(t, c.speak())
	last := count()
	must.Soon(func() bool { // the kernel updates its counters every two seconds
		last = count()
		return last.server.InPkts > 0 && last.service.InPkts > 0
	})
	kept := func(now counters) bool {
		return now.conns.Active == 1 && now.service.Conns == 1 && now.server.Conns == 1 &&
			now.service.InPkts >= last.service.InPkts && now.server.InBytes >= last.server.InBytes
	}
	if !kept(last) || last.server.InPkts == 0 {
		t.Fatalf("%+v does not count the connection", last)
	}
	for _, file := range []string{
		service + server + other,
		service + server,
		"-A -t 10.5.5.5:80 -s wlc -p 60\n" + "-a -t 10.5.5.5:80 -r 10.6.6.6:8080 -m -w 7 -x 9\n" + other + web + web10,
		"-A -t 10.5.5.5:80 -s rr\n-a -t 10.5.5.5:80 -r 10.6.6.6:8080 -m -w 0\n",
		"-C\n-Z\n" + service + server + other,
	} {
		if a := d.restore(file); a != (answer{}) {
			t.Fatal(a)
		}
		if now := count(); !kept(now) {
			t.Errorf("after the restore of\n%scounted %+v, before %+v", file, now, last)
		}
		must.OK(t, c.speak())
	}
	d.runOriginal(service+server, "ipvsadm-restore")
	if kept(count()) {
		t.Error("1.31's restore keeps them as well: this test shows nothing")
	}
}

func testBoundedDaemon(t *testing.T) {
	d := newDirector(t)
	d.ip("-6 route add ff00::/8 dev lo table local")
	const file = "--start-daemon backup --mcast-interface lo --sync-maxlen 100\n" +
		"--start-daemon master --mcast-interface lo --sync-maxlen 65507 --mcast-group ff02::1\n"
	if a := d.restore(file); a != (answer{}) {
		t.Error(a)
	}
	if a := d.restore(file, "--dry-run"); a != (answer{}) {
		t.Errorf("when all is done: %+v", a)
	}
}
