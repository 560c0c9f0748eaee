// SPDX-License-Identifier: Apache-2.0

package cli

// This file has what only a real kernel can show of save and restore, and how
// ipvsadm 1.31 takes what they write.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/internal/uml/umltest"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// original is where ipvsadm 1.31 is.
const original = "/usr/sbin/"

func TestApplyOnAKernel(t *testing.T) {
	umltest.InGuest(t, func(t *testing.T) {
		if out, err := exec.Command("modprobe", "ip_vs").CombinedOutput(); err != nil {
			t.Fatalf("modprobe: %v %s", err, out)
		}
		t.Run("what the kernel refuses", testRefusals)
		t.Run("a dry run through 1.31", testDryRunThroughOriginal)
		t.Run("a save through 1.31", testSaveThroughOriginal)
		t.Run("killed at random instants", testKilled)
		t.Run("two at once", testTwoAtOnce)
		t.Run("connections and counters of what stays", testConnectionsStay)
		t.Run("a sync daemon whose longest message the kernel bounds", testBoundedDaemon)
		t.Run("a save that is killed", testKilledSave)
		t.Run("a save onto a full disk", testFullDisk)
		t.Run("a save without permission", testSaveWithoutPermission)
	})
}

// director is a network namespace with its table.
type director struct {
	*testing.T
	client *ipvs.Client
	dir    string
}

func newDirector(t *testing.T) director {
	umltest.Namespace(t)
	client, err := ipvs.Dial(t.Context(), ipvs.Config{})
	must(t, err)
	d := director{t, client, t.TempDir()}
	t.Cleanup(func() {
		// Nothing may be left running in a namespace that goes away.
		if have, err := client.Table(context.Background()); err == nil {
			_ = client.Apply(context.Background(), ipvs.Diff(have, &ipvs.Table{})...)
		}
		client.Close()
	})
	return d
}

func (d director) table() *ipvs.Table {
	d.Helper()
	table, err := d.client.Table(d.Context())
	must(d.T, err)
	return table
}

func (d director) rules() string { return rulesOf(d.table()) }

// become makes the table another.
func (d director) become(want *ipvs.Table) {
	d.Helper()
	must(d.T, d.client.Apply(d.Context(), ipvs.Diff(d.table(), want)...))
}

// do runs this program, in this process.
func (d director) do(stdin string, argv ...string) answer {
	var out, errs bytes.Buffer
	status := Run(d.Context(), Process{Args: argv, Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &errs, names: noNames()})
	return answer{status, out.String(), errs.String()}
}

// restore runs ipvsadm-restore in this process.
func (d director) restore(rules string, options ...string) answer {
	return d.do(rules, append([]string{"ipvsadm-restore", "--lock", filepath.Join(d.dir, "lock")}, options...)...)
}

// command is this program as a process of its own.
func (d director) command(argv ...string) *exec.Cmd {
	exe, err := os.Executable()
	must(d.T, err)
	return &exec.Cmd{Path: exe, Args: argv, Dir: d.dir}
}

// runOriginal runs a program of 1.31.
func (d director) runOriginal(stdin, name string, words ...string) (a answer) {
	d.Helper()
	cmd := exec.CommandContext(d.Context(), original+name, words...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		d.Fatal(err)
	}
	return answer{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// file writes a file of rules.
func (d director) file(name string, table *ipvs.Table) string {
	d.Helper()
	path := filepath.Join(d.dir, name)
	must(d.T, os.WriteFile(path, []byte(rulesOf(table)), 0o600))
	return path
}

func testRefusals(t *testing.T) {
	const bad = "-a -t 12.0.0.1:80 -r 224.0.0.9:80 -m\n" // the memory knows
	for _, c := range []struct{ name, file string }{
		{"a service twice", web + web10 + web + dns},
		{"a server twice, last", web + web10 + web20 + web10},
		{"a server without its service", dns10 + web},
		{"a scheduler that the kernel lacks", "-A -t 12.0.0.2:80 -s nosuch\n-a -t 12.0.0.2:80 -r 192.168.168.10 -m\n" + web + web10},
		{"a scheduler that the kernel lacks, last", web + "-A -t 12.0.0.2:80 -s nosuch\n"},
		{"a persistence engine that the kernel lacks", "-A -t 12.0.0.2:80 -s rr -p --pe nosuch\n" + web},
		{"an address that no server has", web + bad + web10},
		{"an address that the routing tables call a broadcast, last", web + web10 + "-a -t 12.0.0.1:80 -r 127.255.255.255:80 -m\n"},
		{"an address that the routing tables call a broadcast, edited", web + "-a -t 12.0.0.1:80 -r 127.255.255.255:80 -m\n-e -t 12.0.0.1:80 -r 127.255.255.255:80 -m -w 3\n" + web10},
		{"an edit to a scheduler that the kernel lacks", web + web10 + "-E -t 12.0.0.1:80 -s nosuch\n"},
		{"an interface that is not there", web + "--start-daemon master --mcast-interface nosuch\n" + dns},
		{"a daemon that does not run is stopped", web + "--stop-daemon backup\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDirector(t)
			want := d.runOriginal(c.file, "ipvsadm-restore")
			wantRules := d.rules()
			if want.errors == "" {
				t.Fatal("1.31 finds nothing wrong")
			}
			d.become(&ipvs.Table{})

			got := d.restore(c.file)
			messages := withoutLines(got.errors)
			if got.status != want.status || messages != want.errors {
				t.Errorf("status %d\n%s1.31 has %d\n%s", got.status, messages, want.status, want.errors)
			}
			if rules := d.rules(); rules != wantRules {
				t.Errorf("the table is\n%s1.31 makes it\n%s", rules, wantRules)
			}

			d.restore(dns + dns10)
			before := d.rules()
			if a := d.restore(c.file, "--strict"); a.status != 2 || d.rules() != before {
				t.Errorf("strict: %+v, table\n%s", a, d.rules())
			}
		})
	}

	d := newDirector(t)
	d.restore("-A -t 12.0.0.1:80 -s lc -p 60\n" + web10)
	d.restore("-A -t 12.0.0.1:80 -s nosuch\n" + web10 + web20)
	if rules := d.rules(); rules != timeouts+"-A -t 12.0.0.1:80 -s lc -p 60\n"+web10+web20 {
		t.Errorf("a service whose edit is refused became\n%s", rules)
	}
}

// withoutLines takes what says where off complaints.
func withoutLines(errs string) string {
	var b strings.Builder
	for line := range strings.Lines(errs) {
		_, rest, _ := strings.Cut(line, ": line ")
		_, text, _ := strings.Cut(rest, ": ")
		b.WriteString(text)
	}
	return b.String()
}

func testDryRunThroughOriginal(t *testing.T) {
	for i := range 4 {
		t.Run(fmt.Sprintf("case %d", i), func(t *testing.T) {
			d := newDirector(t)
			r := rand.New(rand.NewPCG(8, uint64(i)))
			have, want := randomTable(r, 40), randomTable(r, 40)
			have.Daemons, want.Daemons = nil, nil // 1.31 can hang when it stops one
			d.become(have)
			dry := d.restore(rulesOf(want), "--dry-run")
			if dry.status != 0 || dry.errors != "" || !sameTable(d.table(), have) {
				t.Fatalf("dry run: %+v", dry)
			}
			if a := d.runOriginal(dry.out, "ipvsadm", "-R"); a != (answer{}) {
				t.Errorf("1.31's -R: %+v of\n%s", a, dry.out)
			}
			if got := d.table(); !sameTable(got, want) {
				t.Errorf("the table is\n%swant\n%s", rulesOf(got), rulesOf(want))
			}
			if a := d.restore(rulesOf(want), "--dry-run"); a != (answer{}) {
				t.Errorf("dry run when all is done: %+v", a)
			}
		})
	}
}

func testSaveThroughOriginal(t *testing.T) {
	for i := range 4 {
		t.Run(fmt.Sprintf("case %d", i), func(t *testing.T) {
			d := newDirector(t)
			want := randomTable(rand.New(rand.NewPCG(9, uint64(i))), 40)
			d.become(want)
			saved := d.do("", "ipvsadm-save", "--all", "-n")
			if saved.status != 0 || !sameTable(d.table(), want) {
				t.Fatalf("%+v", saved)
			}
			d.become(&ipvs.Table{Timeouts: ipvs.Timeouts{TCP: time.Second, TCPFin: time.Second, UDP: time.Second}})
			if a := d.runOriginal(saved.out, "ipvsadm", "-R"); a != (answer{}) {
				t.Errorf("1.31's -R: %+v of\n%s", a, saved.out)
			}
			if got := d.table(); !sameTable(got, want) {
				t.Errorf("the table is\n%swant\n%s", rulesOf(got), rulesOf(want))
			}
			if a := d.do("", "ipvsadm-save", "--all", "-n"); a != saved {
				t.Errorf("saved again:\n%swas\n%s", a.out, saved.out)
			}
		})
	}
}

// differing are the services that one table has otherwise than another.
func differing(a, b *ipvs.Table) map[ipvs.ServiceID]bool {
	m := map[ipvs.ServiceID]bool{}
	for _, c := range ipvs.Diff(a, b) {
		m[c.Service.ServiceID] = true
	}
	return m
}

// testKilled restores two files by turns and kills each restore but every
// tenth, so that whatever one left is where the next begins.
func testKilled(t *testing.T) {
	kills := 200
	if testing.Short() {
		kills = 40
	}
	d := newDirector(t)
	r := rand.New(rand.NewPCG(10, rand.Uint64()))
	var tables [2]*ipvs.Table
	var files [2]string
	for i := range tables {
		tables[i] = randomTable(r, 200)
		tables[i].Daemons = nil
		files[i] = d.file(fmt.Sprint(i), tables[i])
		d.become(tables[i]) // loads the modules
	}
	// start gives a restore that has read its file and waits for its turn.
	start := func(i int) (cmd *exec.Cmd, goOn func()) {
		lock, err := os.Create(filepath.Join(d.dir, "lock"))
		must(t, err)
		must(t, unix.Flock(int(lock.Fd()), unix.LOCK_EX))
		cmd = d.command("ipvsadm-restore", "--lock", lock.Name(), files[i])
		var said bytes.Buffer
		cmd.Stderr = &said
		must(t, cmd.Start())
		for late := time.Now().Add(30 * time.Second); !hasOpen(cmd.Process.Pid, lock.Name()); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(late) {
				_ = cmd.Process.Kill()
				t.Fatalf("the restore does not come to its lock: %v, %s", cmd.Wait(), said.Bytes())
			}
		}
		return cmd, func() { lock.Close() }
	}
	// Most of a restore is before and after its changes; about when they come
	// is found on the way.
	about, midway := 50*time.Millisecond, 0
	for i := range kills {
		want, file := tables[i%2], files[i%2]
		cmd, goOn := start(i % 2)
		goOn()
		if i%10 == 0 {
			must(t, cmd.Wait())
			if left := ipvs.Diff(d.table(), want); len(left) > 0 {
				t.Fatalf("a restore after %d killed ones left %v", i, left)
			}
			continue
		}
		time.Sleep(time.Duration(r.Int64N(int64(2 * about))))
		must(t, cmd.Process.Kill())
		_ = cmd.Wait()
		now := d.table()
		missing, present := differing(now, want), differing(now, tables[1-i%2])
		for id := range missing {
			if present[id] {
				t.Errorf("kill %d: %v is as in neither file:\n%s", i, id, rulesOf(&ipvs.Table{Services: []ipvs.ServiceEntry{*now.Lookup(id)}}))
			}
		}
		if t.Failed() {
			t.Fatalf("after a kill of %s", file)
		}
		switch {
		case len(missing) > 0 && len(present) > 0:
			midway++
		case len(missing) > 0:
			about += about / 20
		default:
			about -= about / 20
		}
	}
	t.Logf("%d of %d kills left a table between the two, which are %d changes apart", midway, kills, len(ipvs.Diff(tables[0], tables[1])))
	if midway == 0 {
		t.Error("no kill came midway")
	}
}

// hasOpen tells whether a process has a file open.
func hasOpen(pid int, path string) bool {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	fds, _ := os.ReadDir(dir)
	return slices.ContainsFunc(fds, func(fd os.DirEntry) bool {
		target, err := os.Readlink(filepath.Join(dir, fd.Name()))
		return err == nil && target == path
	})
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
			must(t, cmd.Start())
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

// echo answers whatever comes in on a connection.
func echo(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			_, _ = io.Copy(c, c)
			c.Close()
		}()
	}
}

func testConnectionsStay(t *testing.T) {
	d := newDirector(t)
	for _, a := range []string{"10.5.5.5/32", "10.6.6.6/32"} {
		if out, err := exec.Command("ip", "addr", "add", a, "dev", "lo").CombinedOutput(); err != nil {
			t.Fatalf("ip: %v %s", err, out)
		}
	}
	l, err := net.Listen("tcp", "10.6.6.6:8080")
	must(t, err)
	defer l.Close()
	go echo(l)
	const (
		service = "-A -t 10.5.5.5:80 -s rr\n"
		server  = "-a -t 10.5.5.5:80 -r 10.6.6.6:8080 -m -w 1\n"
		other   = "-a -t 10.5.5.5:80 -r 10.6.6.7:8080 -m -w 0\n"
	)
	if a := d.restore(service + server + other); a != (answer{}) {
		t.Fatal(a)
	}
	c, err := net.Dial("tcp", "10.5.5.5:80")
	must(t, err)
	defer c.Close()
	must(t, c.SetDeadline(time.Now().Add(10*time.Second)))
	speak := func() {
		t.Helper()
		_, err := c.Write([]byte("hello"))
		must(t, err)
		_, err = io.ReadFull(c, make([]byte, 5))
		must(t, err)
	}
	type counters struct {
		service, server ipvs.Stats
		conns           ipvs.ConnCounts
	}
	count := func() counters {
		t.Helper()
		s := d.table().Lookup(ipvs.AddrService(ipvs.TCP, netip.MustParseAddr("10.5.5.5"), 80))
		if s == nil {
			t.Fatal("the service is gone")
		}
		e := s.Lookup(netip.MustParseAddrPort("10.6.6.6:8080"))
		if e == nil {
			t.Fatal("the server is gone")
		}
		return counters{s.Stats, e.Stats, e.Conns}
	}
	speak()
	last := count()
	for range 100 { // the kernel brings its counters up to date every two seconds
		if last = count(); last.server.InPkts > 0 {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
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
		speak()
	}
	d.runOriginal(service+server, "ipvsadm-restore")
	if kept(count()) {
		t.Error("1.31's restore keeps them as well: this test shows nothing")
	}
}

func testBoundedDaemon(t *testing.T) {
	d := newDirector(t)
	if out, err := exec.Command("ip", "-6", "route", "add", "ff00::/8", "dev", "lo", "table", "local").CombinedOutput(); err != nil {
		t.Fatalf("ip: %v %s", err, out)
	}
	const file = "--start-daemon backup --mcast-interface lo --sync-maxlen 100\n" +
		"--start-daemon master --mcast-interface lo --sync-maxlen 65507 --mcast-group ff02::1\n"
	if a := d.restore(file); a != (answer{}) {
		t.Error(a)
	}
	if a := d.restore(file, "--dry-run"); a != (answer{}) {
		t.Errorf("when all is done: %+v", a)
	}
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
			must(t, cmd.Start())
			time.Sleep(whole/2 + time.Duration(rand.Int64N(int64(whole)*6/10)))
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
		t.Log("ended as", ends)
	}
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
