// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/internal/render"
	"github.com/ipvsadm-go/ipvsadm/internal/restore"
	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/internal/test/terminal"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

const (
	timeouts = "--set 900 120 300\n" // initial timeouts of every fake kernel
	web      = "-A -t 12.0.0.1:80 -s rr\n"
	web10    = "-a -t 12.0.0.1:80 -r 192.168.168.10:80 -m -w 1\n"
	web20    = "-a -t 12.0.0.1:80 -r 192.168.168.20:80 -m -w 1\n"
	dns      = "-A -u 12.0.0.1:53 -s wrr\n"
	dns10    = "-a -u 12.0.0.1:53 -r 192.168.168.10:53 -m -w 1\n"

	daemonRest = " --mcast-group 224.0.0.81 --mcast-port 8848 --mcast-ttl 1\n"
	masterLo   = "--start-daemon master --mcast-interface lo --syncid 0" + daemonRest
	masterEth  = "--start-daemon master --mcast-interface eth1 --syncid 7" + daemonRest
	backupLo   = "--start-daemon backup --mcast-interface lo --syncid 0" + daemonRest
)

func TestRestoreMakesTheTableWhatTheFileSays(t *testing.T) {
	for _, c := range []struct {
		name, have, file string
		want             string // rules; without timeouts, those of the fake kernel apply
		again            string // the complaint of a second restore
	}{
		{"services and servers are added", "", web + web10 + dns, web + web10 + dns, ""},
		{"what the file does not have goes", web + web10 + dns + dns10, web + web20, web + web20, ""},
		{"an empty file empties the table", web + web10, "", "", ""},
		{"a file of comments empties the table", web + web10, "# nothing\n", "", ""},
		{"comments and blank lines are nothing", "", "#-A\n\n \t \n   # indented\n\t#\n#\n" + web + "\r\n", web, ""},
		{"timeouts that the file speaks of are set", "", "--set 1 2 3\n", "--set 1 2 3\n", ""},
		{"a daemon is started", "", masterLo, masterLo, ""},
		{"a daemon that runs already is left alone", masterLo, "--start-daemon master --mcast-interface lo\n", masterLo, ""},
		{"a daemon with other settings is replaced", masterLo, masterEth, masterEth, ""},
		{"daemons that the file does not speak of stay", masterLo + backupLo, masterEth, masterEth + backupLo, ""},
		{"a daemon is stopped", masterLo + backupLo, "--stop-daemon master\n", backupLo, "<stdin>: line 1: No daemon is running\n"},
		{"a daemon is stopped and started", masterLo, "--stop-daemon master\n" + masterEth, masterEth, ""},
		{"a daemon is started and stopped", masterLo, masterEth + "--stop-daemon master\n", "", ""},
		{"a tunnel to another family once the daemon is stopped", masterLo + web,
			web + "-a -t 12.0.0.1:80 -r [2001:db8::1]:80 -i\n--stop-daemon master\n", web + "-a -t 12.0.0.1:80 -r [2001:db8::1]:80 -i -w 1 --tun-type ipip\n",
			"<stdin>: line 3: No daemon is running\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newFakeKernel(t, c.have)
			if a := k.restore(t, c.file); a != (answer{}) {
				t.Errorf("answer %+v, want a silent one", a)
			}
			want := c.want
			if !strings.Contains(want, "--set") {
				want = timeouts + want
			}
			if got := k.rules(); got != want {
				t.Errorf("the table is\n%swant\n%s", got, want)
			}
			sent := len(k.Batches())
			again := answer{}
			if c.again != "" {
				again = answer{status: 255, errors: c.again}
			}
			if a := k.restore(t, c.file); a != again || len(k.Batches()) != sent {
				t.Errorf("again: answer %+v, want %+v, sent %v", a, again, k.Batches()[sent:])
			}
		})
	}
}

func TestRefusedLinesAreLeftOutAndTheRestApplied(t *testing.T) {
	const (
		noScheduler = "Scheduler or persistence engine not found"
		invalid     = "Invalid operation.  Possibly wrong module version, address not unicast, ..."
		bad         = "-a -t 12.0.0.1:80 -r 10.9.9.9:80 -m -w 1\n"
		unknown     = "-A -t 12.0.0.2:80 -s nosuch\n"
	)
	for _, c := range []struct {
		name, have, file, want string
		errors                 []string // without the file's name
		status                 int
		early                  bool // reported before any change is sent
	}{
		{name: "a daemon that does not run is stopped and started", file: "--stop-daemon backup\n" + backupLo, want: backupLo,
			errors: []string{"line 1: No daemon is running"}, early: true},
		{name: "a daemon is started twice", have: masterLo, file: masterEth + masterLo, want: masterEth, status: 255,
			errors: []string{"line 2: Daemon has already run"}, early: true},
		{name: "a scheduler that the kernel lacks", have: dns, file: unknown + "-a -t 12.0.0.2:80 -r 192.168.168.10 -m\n" + web, want: web,
			errors: []string{"line 1: " + noScheduler, "line 2: Service not defined"}},
		{name: "a service that the kernel takes at the third attempt", file: unknown + unknown + "-A -t 12.0.0.2:80 -s rr\n" + web, want: web + "-A -t 12.0.0.2:80 -s rr\n",
			errors: []string{"line 1: " + noScheduler, "line 2: " + noScheduler}},
		{name: "a service whose edit is refused stays as it was", have: "-A -t 12.0.0.2:80 -s wlc -p 60\n-a -t 12.0.0.2:80 -r 192.168.168.10:80 -m -w 1\n",
			file:   unknown + "-a -t 12.0.0.2:80 -r 192.168.168.10:80 -m -w 5\n",
			want:   "-A -t 12.0.0.2:80 -s wlc -p 60\n-a -t 12.0.0.2:80 -r 192.168.168.10:80 -m -w 5\n",
			errors: []string{"line 1: " + noScheduler}},
		{name: "an edit in the file that is refused leaves a standing service as it was", have: "-A -t 12.0.0.1:80 -s lc\n",
			file: web + web10 + "-E -t 12.0.0.1:80 -s nosuch\n" + dns, want: "-A -t 12.0.0.1:80 -s lc\n" + web10 + dns,
			errors: []string{"line 3: " + noScheduler}},
		{name: "a replaced daemon whose successor is refused is started again", have: masterEth, file: "--start-daemon master --mcast-interface nosuch\n", want: masterEth, status: 255,
			errors: []string{"line 1: No such device"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			complaints := "<stdin>: " + strings.Join(c.errors, "\n<stdin>: ") + "\n"
			want := answer{status: c.status, errors: complaints}
			k := newFakeKernel(t, c.have)
			k.Refuse = refuseLikeAKernel
			a := k.restore(t, c.file)
			if a != want {
				t.Errorf("answer %+v, want %+v", a, want)
			}
			if got := k.rules(); got != timeouts+c.want {
				t.Errorf("the table is\n%swant\n%s", got, timeouts+c.want)
			}
			if a2 := k.restore(t, c.file); a2.status != a.status || k.rules() != timeouts+c.want {
				t.Errorf("again: %+v, table\n%s", a2, k.rules())
			}

			k = newFakeKernel(t, c.have)
			before := k.rules()
			k.Refuse = refuseLikeAKernel
			a = k.restore(t, c.file, "--strict")
			if a.status != 2 || k.rules() != before {
				t.Errorf("strict: status %d, table\n%swant\n%s", a.status, k.rules(), before)
			}
			switch {
			case c.early && (a.errors != complaints || len(k.Batches()) > 0):
				t.Errorf("strict: sent %v, said\n%s", k.Batches(), a.errors)
			case !c.early && len(k.Batches()) > 0 && !strings.HasSuffix(a.errors, "\n<stdin>: all changes were undone\n"):
				t.Errorf("strict: said\n%s", a.errors)
			}

			if !c.early || strings.Contains(c.name, "does not run") {
				return
			}
			k = newFakeKernel(t, c.have)
			for _, options := range [][]string{{"--check"}, {"--check", "--strict"}} {
				wanted := want
				wanted.status = 2
				if a := k.restore(t, c.file, options...); a != wanted || k.dials > 0 {
					t.Errorf("%v: %+v, want %+v, and %d connections to the kernel", options, a, wanted, k.dials)
				}
			}
		})
	}
}

// manyServices returns the rules of n services with a server each.
func manyServices(n int, rest string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "-A -t 10.1.%d.%d:80 -s rr\n-a -t 10.1.%[1]d.%[2]d:80 -r 192.168.0.1:80 %[3]s\n", i/256, i%256, rest)
	}
	return b.String()
}

func TestStrictTriesFirstWhatOnlyTheKernelCanJudge(t *testing.T) {
	have := web + dns + manyServices(1000, "-m -w 1")
	for _, c := range []struct {
		name, file string
		batches    int
	}{
		{"a scheduler", manyServices(1000, "-m -w 2") + "-A -t 12.0.0.1:80 -s nosuch\n", 1},
		{"an address", manyServices(1000, "-m -w 2") + web + "-a -t 12.0.0.1:80 -r 10.9.9.9:80 -m\n", 1},
		{"an interface", manyServices(1000, "-m -w 2") + "--start-daemon master --mcast-interface nosuch\n", 1},
		{"an interface where the kernel bears no other order", web + "-a -t 12.0.0.1:80 -r [2001:db8::1]:80 -i\n" +
			"-d -t 12.0.0.1:80 -r [2001:db8::1]:80\n" + "--start-daemon master --mcast-interface nosuch\n", 1},
	} {
		k := newFakeKernel(t, have)
		before := k.rules()
		k.Refuse = refuseLikeAKernel
		a := k.restore(t, c.file, "--strict")
		if a.status != 2 || k.rules() != before {
			t.Errorf("%s: %+v, table\n%s", c.name, a, k.rules())
		}
		first := k.Batches()[0]
		if !slices.ContainsFunc(first, func(ch ipvs.Change) bool { return refuseLikeAKernel(ch) != 0 }) {
			t.Errorf("%s is not in the first batch of %d", c.name, len(first))
		}
	}

	// A daemon can only be started after servers of another address family
	// have been removed.
	k := newFakeKernel(t, web+"-a -t 12.0.0.1:80 -r [2001:db8::1]:80 -i\n")
	if a := k.restore(t, web+web10+masterLo, "--strict"); a != (answer{}) || k.rules() != timeouts+web+web10+masterLo {
		t.Errorf("mixed families: %+v, table\n%s", a, k.rules())
	}
}

func TestStrictSaysWhenItCannotUndo(t *testing.T) {
	for _, c := range []struct {
		name   string
		after  func(*fakeKernel)
		errors string
	}{
		{"the kernel refuses", func(k *fakeKernel) {
			k.Refuse = func(c ipvs.Change) syscall.Errno {
				if c.Op == ipvs.OpEditService {
					return unix.ENOENT
				}
				return 0
			}
		}, ""},
		{"the kernel is gone", func(k *fakeKernel) { k.down = errors.New("socket closed") }, "socket closed\n"},
		{"the table cannot be read", func(k *fakeKernel) { k.tableErr = unix.ENOMEM }, "Memory allocation problem\n"},
	} {
		k := newFakeKernel(t, web)
		k.Refuse = refuseLikeAKernel
		k.beforeTable = func(n int) {
			if n == 2 {
				c.after(k)
			}
		}
		a := k.restore(t, "-A -t 12.0.0.1:80 -s wlc\n-A -t 12.0.0.2:80 -s nosuch\n", "--strict")
		want := answer{status: 1, errors: "<stdin>: line 2: Scheduler or persistence engine not found\n" + c.errors +
			"<stdin>: some changes could not be undone\n"}
		if a != want {
			t.Errorf("%s: answer %+v, want %+v", c.name, a, want)
		}
	}
}

func TestDryRunPrintsWhatWouldBeSentInTheOrderOfAList(t *testing.T) {
	const have, file = web + web10 + dns + dns10 + masterLo + timeouts,
		"--set 1 2 3\n-A -t 12.0.0.1:80 -s wlc\n" + web20 + "-A -f 77 -6 -s sh -b sh-port\n" + masterEth
	const changes = "--set 1 2 3\n--stop-daemon master\n" +
		"-E -t 12.0.0.1:80 -s wlc\n" + "-d -t 12.0.0.1:80 -r 192.168.168.10:80\n" + web20 +
		"-D -u 12.0.0.1:53\n" +
		"-A -f 77 -6 -s sh -b sh-port\n" + masterEth
	const warning = "<stdin>: warning: FWM 77 IPv6: it has no real servers, so connections are refused\n"
	for _, options := range [][]string{nil, {"--strict"}} {
		k := newFakeKernel(t, have)
		dry := k.restore(t, file, append(options, "--dry-run")...)
		if dry.status != 0 || dry.errors != warning || len(k.Batches()) > 0 {
			t.Errorf("%v: %+v, and %v was sent", options, dry, k.Batches())
		}
		if dry.out != changes {
			t.Errorf("printed\n%swant\n%s", dry.out, changes)
		}

		// Run line by line, the changes lead to the same table.
		if a := k.do(t, dry.out, "ipvsadm", "-R"); a != (answer{}) {
			t.Errorf("%v: -R of it: %+v", options, a)
		}
		byLine, sentByLine := k.rules(), k.changes()
		if a := k.restore(t, file, append(options, "--dry-run")...); a != (answer{errors: warning}) {
			t.Errorf("%v: when all is done: %+v", options, a)
		}
		k = newFakeKernel(t, have)
		if a := k.restore(t, file, options...); a != (answer{}) || k.rules() != byLine {
			t.Errorf("%v: %+v, table\n%swant\n%s", options, a, k.rules(), byLine)
		}
		if sent := k.changes(); !slices.Equal(render.SortChanges(sent), render.SortChanges(sentByLine)) {
			t.Errorf("%v: sent %v, printed %v", options, sent, sentByLine)
		}
	}

	k := newFakeKernel(t, web)
	want := answer{status: 2, out: dns, errors: "<stdin>: line 3: Service already exists\n"}
	if a := k.restore(t, web+dns+web, "--dry-run"); a != want {
		t.Errorf("with a refused line: %+v, want %+v", a, want)
	}
	if a := k.restore(t, web+dns+web, "--dry-run", "--strict"); a.status != 2 || a.out != "" {
		t.Errorf("strict, with a refused line: %+v", a)
	}
	if a := k.restore(t, web, "--check", "--dry-run"); a.status != 2 {
		t.Errorf("--check and --dry-run: %+v", a)
	}
}

func TestAnotherWriterIsMended(t *testing.T) {
	const file, mended = web + web10 + web20, timeouts + web + web10 + web20
	for _, c := range []struct {
		name, have string
		other      string // changes by others between reading the table and the first batch
		back       string // changes by others before the second read
	}{
		{"another writer adds the same entry", "", web + "-a -t 12.0.0.1:80 -r 192.168.168.10:80 -g -w 9\n", ""},
		{"another writer deletes the edited entry", "-A -t 12.0.0.1:80 -s lc\n-a -t 12.0.0.1:80 -r 192.168.168.10:80 -m -w 7\n", "-D -t 12.0.0.1:80\n", ""},
		{"it deletes a server that is edited here", web + "-a -t 12.0.0.1:80 -r 192.168.168.10:80 -m -w 7\n", "-d -t 12.0.0.1:80 -r 192.168.168.10:80\n", ""},
		{"another writer deletes the same entry", dns, "-D -u 12.0.0.1:53\n", ""},
		{"it adds something else", "", dns + dns10, ""},
		{"it clears the table afterwards", dns, "", "-C\n"},
		{"it edits afterwards", dns, "", "-e -t 12.0.0.1:80 -r 192.168.168.10:80 -m -w 0\n" + dns},
	} {
		for _, options := range [][]string{nil, {"--strict"}} {
			k := newFakeKernel(t, c.have)
			k.beforeApply = func(n int) {
				if n == 1 {
					k.run(t, c.other)
				}
			}
			k.beforeTable = func(n int) {
				if n == 2 {
					k.run(t, c.back)
				}
			}
			if a := k.restore(t, file, options...); a != (answer{}) || k.rules() != mended {
				t.Errorf("%s, %v: %+v, table\n%s", c.name, options, a, k.rules())
			}
		}
	}
}

func TestDaemonThatAnotherWriterStartsOrStopsIsNotTouched(t *testing.T) {
	for _, c := range []struct{ name, have, other, want string }{
		{"started", dns, backupLo, masterLo + backupLo},
		{"stopped", dns + backupLo, "--stop-daemon backup\n", masterLo},
	} {
		k := newFakeKernel(t, c.have)
		k.beforeTable = func(n int) {
			if n == 2 {
				k.run(t, c.other+dns) // dns causes another round
			}
		}
		if a := k.restore(t, web+masterLo); a != (answer{}) || k.rules() != timeouts+web+c.want {
			t.Errorf("%s: %+v, table\n%s", c.name, a, k.rules())
		}
	}
}

func TestAnotherWriterWhoNeverStops(t *testing.T) {
	k := newFakeKernel(t, web)
	k.beforeTable = func(n int) {
		if n > 1 {
			k.run(t, dns)
		}
	}
	a := k.restore(t, web+web10)
	want := answer{status: 1, errors: "<stdin>: after 5 attempts the table still differs, another program may be changing it; remaining changes:\n-D -u 12.0.0.1:53\n"}
	if a != want {
		t.Errorf("answer %+v, want %+v", a, want)
	}
	if k.reads != 1+restore.MaxRounds || len(k.Batches()) != restore.MaxRounds {
		t.Errorf("%d readings and %d batches", k.reads, len(k.Batches()))
	}
}

func TestKernelThatCannotBeUsed(t *testing.T) {
	const must = "Can't initialize ipvs: Permission denied (you must be root)\nAre you sure that IP Virtual Server is built in the kernel or as module?\n"
	const line = "<stdin>: line 1: Service not defined\n" // reported however the run ends
	for _, c := range []struct {
		name   string
		break_ func(*fakeKernel)
		want   answer
	}{
		{"no privilege", func(k *fakeKernel) { k.infoErr = &ipvs.QueryError{Err: unix.EPERM} }, answer{status: 2, errors: must}},
		{"no privilege to read", func(k *fakeKernel) { k.tableErr = &ipvs.QueryError{Err: unix.EPERM} }, answer{status: 2, errors: must}},
		{"the table cannot be read", func(k *fakeKernel) { k.tableErr = &ipvs.QueryError{Err: unix.ENOMEM} }, answer{status: 2, errors: "Memory allocation problem\n"}},
		{"no privilege to change", func(k *fakeKernel) { k.Refuse = func(ipvs.Change) syscall.Errno { return unix.EPERM } }, answer{status: 2, errors: line + must}},
		{"the kernel goes away", func(k *fakeKernel) { k.down = errors.New("socket closed") }, answer{status: 1, errors: line + "socket closed\n"}},
	} {
		k := newFakeKernel(t, web)
		before := k.rules()
		c.break_(k)
		if a := k.restore(t, web10+dns); a != c.want || k.rules() != before {
			t.Errorf("%s: %+v, want %+v, table\n%s", c.name, a, c.want, k.rules())
		}
	}
}

// TestWhatBecomesOfAFileWithMistakes restores each kind of mistake in each
// mode.
func TestWhatBecomesOfAFileWithMistakes(t *testing.T) {
	const (
		old     = web + web10
		word    = "-A -t 12.0.0.1:443 -q\n"             // unknown option
		value   = "-a -t 12.0.0.1:80 -r 1.2.3.4 -w x\n" // invalid number
		twice   = web + dns + web
		typo    = web + "-a -t 12.0.0.1:81 -r 192.168.168.10:80 -m\n"
		kernels = web + web20 + "-A -t 12.0.0.2:80 -s nosuch\n"
	)
	const empty, comment = "", "# a save that failed\n\n"
	const undone = "NAME: all changes were undone\n"
	type outcome struct {
		status int
		errors string
		rules  string
	}
	no := func(name, line, text string) string { return name + ": line " + line + ": " + text + "\n" }
	for _, c := range []struct {
		name, file string
		in         outcome // standard input
		strict     outcome // FILE, or --strict
		keep       outcome // --keep-going
	}{
		{"nothing", web + dns, outcome{0, "", web + dns}, outcome{0, "", web + dns}, outcome{0, "", web + dns}},
		{"a word that is no option", web + dns + word,
			outcome{2, no("NAME", "3", "-q: unknown option"), old},
			outcome{2, no("NAME", "3", "-q: unknown option"), old},
			outcome{1, no("NAME", "3", "-q: unknown option"), web + dns}},
		{"a value that is no number", value + web + dns,
			outcome{2, no("NAME", "1", "illegal weight specified"), old},
			outcome{2, no("NAME", "1", "illegal weight specified"), old},
			outcome{1, no("NAME", "1", "illegal weight specified"), web + dns}},
		{"a service twice", twice,
			outcome{255, no("NAME", "3", "Service already exists"), web + dns},
			outcome{2, no("NAME", "3", "Service already exists"), old},
			outcome{1, no("NAME", "3", "Service already exists"), web + dns}},
		{"a service twice, not last", twice + dns10,
			outcome{0, no("NAME", "3", "Service already exists"), web + dns + dns10},
			outcome{2, no("NAME", "3", "Service already exists"), old},
			outcome{1, no("NAME", "3", "Service already exists"), web + dns + dns10}},
		{"a server of a service that is not there", typo,
			outcome{255, no("NAME", "2", "Service not defined"), web},
			outcome{2, no("NAME", "2", "Service not defined"), old},
			outcome{1, no("NAME", "2", "Service not defined"), web}},
		{"what only the kernel refuses", kernels,
			outcome{255, no("NAME", "3", "Scheduler or persistence engine not found"), web + web20},
			outcome{2, no("NAME", "3", "Scheduler or persistence engine not found") + undone, old},
			outcome{1, no("NAME", "3", "Scheduler or persistence engine not found"), web + web20}},
		{"no command", empty, outcome{0, "", ""}, outcome{2, "NAME: no commands in the file, nothing was changed; use -C to delete all services\n", old},
			outcome{2, "NAME: no commands in the file, nothing was changed; use -C to delete all services\n", old}},
		{"nothing but a comment", comment, outcome{0, "", ""}, outcome{2, "NAME: no commands in the file, nothing was changed; use -C to delete all services\n", old},
			outcome{2, "NAME: no commands in the file, nothing was changed; use -C to delete all services\n", old}},
		{"-C alone", "-C\n", outcome{0, "", ""}, outcome{0, "", ""}, outcome{0, "", ""}},
	} {
		file := filepath.Join(t.TempDir(), "rules")
		must.OK(t, os.WriteFile(file, []byte(c.file), 0o600))
		for _, way := range []struct {
			name, stdin string
			options     []string
			want        outcome
		}{
			{"<stdin>", c.file, nil, c.in},
			{"<stdin>", c.file, []string{"--strict"}, c.strict},
			{"<stdin>", c.file, []string{"--keep-going"}, c.keep},
			{file, "", []string{file}, c.strict},
			{file, "", []string{file, "--strict"}, c.strict},
			{file, "", []string{file, "--keep-going"}, c.keep},
		} {
			k := newFakeKernel(t, old)
			k.Refuse = refuseLikeAKernel
			a := k.restore(t, way.stdin, way.options...)
			want := answer{status: way.want.status, errors: strings.ReplaceAll(way.want.errors, "NAME", way.name)}
			if a != want || k.rules() != timeouts+way.want.rules {
				t.Errorf("%s, %v: %+v, want %+v, table\n%s", c.name, way.options, a, want, k.rules())
			}
		}
	}
	// An empty file is accepted if the table is empty, as at boot.
	file := filepath.Join(t.TempDir(), "rules")
	must.OK(t, os.WriteFile(file, nil, 0o600))
	for _, options := range [][]string{{file}, {file, "--keep-going"}} {
		if a := newFakeKernel(t, "").restore(t, "", options...); a != (answer{}) {
			t.Errorf("an empty table and file: %+v", a)
		}
	}
	if a := newFakeKernel(t, "").restore(t, "", file, "--strict", "--keep-going"); a.status != 2 ||
		a.errors != "The option 'keep-going' conflicts with the 'strict' option in the 'apply' command\n" {
		t.Errorf("%+v", a)
	}
}

// sendSignal sends this process a signal and returns when all its listeners
// have received it.
func sendSignal(t *testing.T, sig syscall.Signal) {
	heard := make(chan os.Signal, 1)
	signal.Notify(heard, sig)
	if err := unix.Kill(os.Getpid(), sig); err != nil {
		t.Error(err)
	}
	<-heard
	signal.Stop(heard) // waits until other listeners have the signal
}

// mindSignals stops ignoring signals that the parent process may have ignored,
// as a shell's & does.
func mindSignals(sigs ...os.Signal) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, sigs...)
	signal.Stop(c)
}

func TestIgnoredSignalStaysIgnored(t *testing.T) {
	signal.Ignore(unix.SIGINT)
	defer func() { // signal.Reset alone would keep it ignored
		heard := make(chan os.Signal, 1)
		signal.Notify(heard, unix.SIGINT)
		signal.Stop(heard)
	}()
	k := newFakeKernel(t, "")
	k.beforeApply = func(int) {
		if err := unix.Kill(os.Getpid(), unix.SIGINT); err != nil {
			t.Error(err)
		}
	}
	if a := k.restore(t, manyServices(800, "-m")); a != (answer{}) || len(k.Now().Services) != 800 {
		t.Errorf("%+v, %d services", a, len(k.Now().Services))
	}
}

func TestSecondRestoreWaitsForTheFirst(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	held, err := os.Create(path)
	must.OK(t, err)
	defer held.Close()
	// A shared lock blocks an exclusive one and nothing else.
	must.OK(t, unix.Flock(int(held.Fd()), unix.LOCK_SH))

	k := newFakeKernel(t, dns)
	var a answer
	waiting := fmt.Sprintf("waiting for lock %s, held by cli.test (process %d)\n", path, os.Getpid())
	p, _ := k.process(&a, web, "ipvsadm-restore", "--lock", path)
	p.lockSilence = time.Millisecond
	r, w := io.Pipe()
	p.Stderr = w
	var free atomic.Bool
	k.beforeTable = func(int) {
		if !free.Load() {
			t.Error("the table is read before the lock is released")
		}
	}
	ended := make(chan int, 1)
	go func() {
		ended <- p.start(context.Background())
		w.Close()
	}()
	said := make([]byte, len(waiting))
	if _, err := io.ReadFull(r, said); err != nil || string(said) != waiting {
		t.Errorf("said %q, %v", said, err)
	}
	free.Store(true)
	held.Close()
	if status := <-ended; status != 0 || k.rules() != timeouts+web {
		t.Errorf("after the release: status %d, table\n%s", status, k.rules())
	}
	k.beforeTable = nil

	// A run that changes nothing does not wait.
	held, err = os.Open(path)
	must.OK(t, err)
	defer held.Close()
	must.OK(t, unix.Flock(int(held.Fd()), unix.LOCK_EX))
	if a := k.do(t, dns, "ipvsadm-restore", "--lock", path, "--dry-run"); a.status != 0 {
		t.Errorf("a dry run: %+v", a)
	}

	for path, why := range map[string]string{"/dev/null/lock": "Not a directory", "/no-directory/lock": "No such file or directory"} {
		want := answer{status: 2, errors: "can't lock " + path + ": " + why + "\n"}
		if a := k.do(t, dns, "ipvsadm-restore", "--lock", path); a != want || k.rules() != timeouts+web {
			t.Errorf("a lock that cannot be: %+v, want %+v", a, want)
		}
	}
}

// The lock of a file that was removed after it was opened is no lock.
func TestLockFileThatWasRemovedIsNoLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	removed, err := os.Create(path)
	must.OK(t, err)
	defer removed.Close()
	must.OK(t, os.Remove(path))
	for range 2 { // first without a new file, then with one
		if err := lockNamed(removed, path); err != unix.EWOULDBLOCK {
			t.Errorf("%v", err)
		}
		other, err := tryLock(path)
		must.OK(t, err)
		defer other.Close()
		must.OK(t, os.Rename(path, path+".old"))
		must.OK(t, os.WriteFile(path, nil, 0o600))
	}
}

func TestLongWorkShowsProgressOnATerminalOnly(t *testing.T) {
	on := terminal.New(t, 80, 24)
	toFile, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	must.OK(t, err)
	defer toFile.Close()
	run := func(stderr *os.File, delay time.Duration) {
		k := newFakeKernel(t, "")
		k.beforeApply = func(int) { time.Sleep(delay) }
		var a answer
		p, _ := k.process(&a, manyServices(800, "-m"), restoreArgs(t)...)
		p.Stderr = stderr
		if status := p.start(t.Context()); status != 0 {
			t.Errorf("status %d", status)
		}
	}
	run(toFile, 200*time.Millisecond)
	run(on.Slave, 0)
	run(on.Slave, 200*time.Millisecond)
	const did = "<stdin>: 800 services, 800 servers: 1600 added, 0 removed, 0 changed\r\n"
	shown := strings.Replace(on.Output(t), "\r512 of 1600 changes", "", 1) // on a busy machine
	if want := did + "\r1024 of 1600 changes\r1536 of 1600 changes\r1600 of 1600 changes\r\x1b[K" + did; shown != want {
		t.Errorf("a terminal shows %q, want %q", shown, want)
	}
	if b, err := os.ReadFile(toFile.Name()); err != nil || len(b) > 0 {
		t.Errorf("a file gets %q, %v", b, err)
	}
}

// The last line on a terminal is a summary of the changes.
func TestLastLineOnATerminal(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rules")
	for _, c := range []struct{ have, file, want string }{
		{"", web + web10, "1 service, 1 server: 2 added, 0 removed, 0 changed"},
		{web, web, "1 service, 0 servers: nothing to change"},
		{web, web + "-A -t 12.0.0.2:80 -s nosuch\n", "1 service, 0 servers: nothing was changed"},
		{web, web + web10 + "-A -t 12.0.0.2:80 -s nosuch\n", "1 service, 1 server: 1 added, 0 removed, 0 changed"},
		{web, web + "foo\n", "nothing was changed"},
		{web, "FILE" + web + "foo\n", "nothing was changed"},
		{web, "FILE" + web + web, "nothing was changed"},
		{web, "FILE" + web + web10 + "-A -t 12.0.0.2:80 -s nosuch\n", "all changes were undone"},
	} {
		on := terminal.New(t, 80, 24)
		k := newFakeKernel(t, c.have)
		k.Refuse = refuseLikeAKernel
		name, stdin, argv := "<stdin>", c.file, restoreArgs(t)
		if text, named := strings.CutPrefix(c.file, "FILE"); named {
			must.OK(t, os.WriteFile(file, []byte(text), 0o600))
			name, argv = file, append(argv, file)
		}
		var a answer
		p, _ := k.process(&a, stdin, argv...)
		p.Stderr = on.Slave
		p.start(t.Context())
		shown := on.Output(t)
		if want := name + ": " + c.want + "\r\n"; !strings.Contains(shown, want) {
			t.Errorf("%q on %q: %q, want %q", c.file, c.have, shown, want)
		}
	}
}
