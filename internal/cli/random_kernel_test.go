// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/test/guest/guesttest"
	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// TestRandomRestoresOnAKernel restores random files on random tables for the
// time IPVSADM_TEST_RANDOM, with this program and with 1.31, and compares
// tables and messages. 1.31 also reads the dry run and the save of the result.
// A failure shows its seed; set IPVSADM_TEST_RANDOM_SEED to run it again.
func TestRandomRestoresOnAKernel(t *testing.T) {
	guesttest.InGuest(t, func(t *testing.T) {
		guesttest.Modprobe(t, "ip_vs")
		seed := must.Number(t, "IPVSADM_TEST_RANDOM_SEED", int(rand.Uint32()))
		limit := 5 * time.Second
		if text := os.Getenv("IPVSADM_TEST_RANDOM"); text != "" {
			var err error
			limit, err = time.ParseDuration(text)
			must.OK(t, err)
		}
		d := newDirector(t)
		n := 0
		for start := time.Now(); n < 4 || time.Since(start) < limit; n++ {
			d.compareRandom(uint64(seed + n))
		}
		t.Logf("%d cases from seed %d on", n, seed)
	})
}

var maxLen = regexp.MustCompile(" --sync-maxlen [0-9]+")

// randomFile returns the rules of a table, mixed with lines that change it or
// are refused.
func randomFile(r *rand.Rand, want, have *ipvs.Table) (lines []string) {
	rules := rulesOf(want)
	if r.IntN(2) == 0 {
		rules = maxLen.ReplaceAllString(rules, "")
	}
	lines = strings.SplitAfter(strings.TrimSuffix(rules, "\n"), "\n")
	lines[len(lines)-1] += "\n"
	insert := func(line string) { lines = slices.Insert(lines, r.IntN(len(lines)+1), line) }
	for range r.IntN(4) {
		line := lines[r.IntN(len(lines))]
		from := pick(r, want, have)
		switch r.IntN(8) {
		case 0:
			insert(line) // a duplicate
		case 1:
			insert(strings.Replace(strings.Replace(line, "-A ", "-E ", 1), "-a ", "-e ", 1))
		case 2:
			if len(from.Services) > 0 {
				insert("-D " + selector(from, r.IntN(len(from.Services))) + "\n")
			}
		case 3:
			insert("-A -t 10.9.9.9:80 -s nosuch\n")
			insert("-a -t 10.9.9.9:80 -r 192.168.0.1 -m\n")
		case 4:
			if i := r.IntN(max(1, len(want.Services))); i == len(want.Services) || want.Services[i].Family() == ipvs.IPv4 {
				insert("-a " + selector(want, i) + " -r 127.255.255.255:80 -m\n") // a broadcast address
			}
		case 5:
			// Kernels differ in the error for a running daemon combined with a
			// missing interface.
			if state := pick(r, ipvs.Master, ipvs.Backup); len(starts(strings.Join(lines, ""), state)) == 0 {
				insert(fmt.Sprintf("--start-daemon %v --mcast-interface %s --syncid %d\n", state, pick(r, "lo", "lo", "nosuch"), r.IntN(256)))
			}
		case 6:
			insert(fmt.Sprintf("--set %d %d %d\n", r.IntN(3), r.IntN(1000), r.IntN(3)))
		case 7:
			insert("-C\n")
		}
	}
	if file := strings.Join(lines, ""); r.IntN(8) == 0 && !slices.ContainsFunc(have.Daemons, func(d ipvs.Daemon) bool { return d.State == ipvs.Master }) && len(starts(file, ipvs.Master)) == 0 {
		insert("--stop-daemon master\n")
	}
	// 1.31 does not start a daemon that is running, so the file stops it.
	for _, running := range have.Daemons {
		if mentioned := len(starts(strings.Join(lines, ""), running.State)) > 0; mentioned || r.IntN(4) > 0 {
			lines = slices.Insert(lines, 0, "--stop-daemon "+running.State.String()+"\n")
		}
	}
	return lines
}

// selector returns the options that select a service of a table.
func selector(t *ipvs.Table, i int) string {
	if len(t.Services) == 0 {
		return "-t 10.9.9.9:80"
	}
	words := strings.Fields(rulesOf(&ipvs.Table{Services: []ipvs.ServiceEntry{{Service: t.Services[i].Service}}}))
	end := slices.Index(words, "-s")
	return strings.Join(words[1:end], " ")
}

// starts returns the lines that start a daemon with a state.
func starts(rules string, state ipvs.DaemonState) (list []string) {
	for line := range strings.Lines(rules) {
		if strings.HasPrefix(line, "--start-daemon "+state.String()) {
			list = append(list, line)
		}
	}
	return list
}

// original restores a file with 1.31. It makes the file's stops of running
// daemons itself, since 1.31 can hang when it stops one.
func (d director) original(have *ipvs.Table, lines []string) (a answer, table *ipvs.Table) {
	begin := have.Clone()
	for len(lines) > 0 && strings.HasPrefix(lines[0], "--stop-daemon ") {
		running := len(begin.Daemons)
		begin.Daemons = slices.DeleteFunc(begin.Daemons, func(d ipvs.Daemon) bool { return strings.Contains(lines[0], d.State.String()) })
		if len(begin.Daemons) == running {
			break
		}
		lines = lines[1:]
	}
	d.setTable(begin)
	a = d.runOriginal(strings.Join(lines, ""), "ipvsadm-restore")
	return a, d.table()
}

// compareRandom tests the case of one seed.
func (d director) compareRandom(seed uint64) {
	d.Helper()
	r := rand.New(rand.NewPCG(12, seed))
	have, want := randomTable(r, 1+r.IntN(30)), randomTable(r, 1+r.IntN(30))
	lines := randomFile(r, want, have)
	file := strings.Join(lines, "")
	fail := func(format string, a ...any) {
		d.Helper()
		d.Fatalf("seed %d: %s\nof the table\n%sand the file\n%s", seed, fmt.Sprintf(format, a...), rulesOf(have), file)
	}
	said, theirs := d.original(have, lines)
	stops := len(lines) - len(slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return strings.HasPrefix(l, "--stop-daemon ") }))

	d.setTable(nothing())
	d.setTable(have)
	before := d.do("", "ipvsadm-save", "--all", "-n")
	dry, diff := d.restore(file, "--dry-run"), d.restore(file, "--diff")
	if a := d.do("", "ipvsadm-save", "--all", "-n"); a != before {
		fail("a preview changes the table: %+v", a)
	}
	a := d.restore(file)
	ours := d.table()
	if !sameTable(ours, theirs) {
		fail("ours makes the table\n%s1.31 makes it\n%s%+v", rulesOf(ours), rulesOf(theirs), a)
	}
	// The kernel does not see lines whose effect the file itself deletes.
	has := func(part string) bool { return strings.Contains("\n"+file, part) }
	unseen := (has("\n-C") || has("\n-D ")) && (has(" nosuch") || has(" 127.255.255.255:") || len(have.Daemons) > 0)
	// If a daemon keeps running, the kernel refuses servers of another address
	// family before it checks that they exist.
	unseen = unseen || len(have.Daemons) > stops
	if messages := withoutLines(a.errors); !unseen && (messages != said.errors || a.status != said.status) {
		fail("ours says %d\n%s1.31 says %d\n%s", a.status, messages, said.status, said.errors)
	}
	after := d.do("", "ipvsadm-save", "--all", "-n")
	// The kernel may refuse changes that a preview accepts, with a message.
	silent := a.errors == ""
	if previewed := dry.status == 0; previewed != (diff.status < 2) || silent && !previewed {
		fail("--dry-run: %+v, --diff: %+v, but the restore says %s", dry, diff, a.errors)
	}
	if silent {
		d.comparePreviews(fail, have, lines, dry, diff, before, after)
	}
	// A second run changes nothing, unless the file stops daemons.
	if again := d.restore(file, "--dry-run"); silent && stops == 0 && (again.out != "" || again.status != 0) {
		fail("then there is left %+v", again)
	}
	if again := d.restore(file); silent && stops == 0 && again != (answer{}) || !sameTable(d.table(), ours) {
		fail("a second run says %+v, and makes the table\n%s", again, rulesOf(d.table()))
	}
	// All or nothing.
	d.setTable(nothing())
	d.setTable(have)
	strict := d.restore(file, "--strict")
	switch table := d.table(); {
	case silent && (strict != (answer{}) || !sameTable(table, ours)):
		fail("--strict: %+v, table\n%s", strict, rulesOf(table))
	case !silent && (strict.status != 2 || strict.errors == "" || !sameTable(table, have)):
		fail("--strict: %+v, table\n%s", strict, rulesOf(table))
	}
	// With 1.31, the save makes the same table of an empty one.
	empty := nothing()
	empty.Timeouts = ipvs.Timeouts{TCP: time.Second, TCPFin: time.Second, UDP: time.Second}
	d.setTable(empty)
	if a := d.runOriginal(after.out, "ipvsadm", "-R"); a != (answer{}) || d.do("", "ipvsadm-save", "--all", "-n") != after {
		fail("its save makes %+v, and the table\n%s", a, rulesOf(d.table()))
	}
	d.setTable(nothing())
}

// comparePreviews checks that the changes of the dry run and of the diff lead
// to the table after the restore.
func (d director) comparePreviews(fail func(string, ...any), have *ipvs.Table, lines []string, dry, diff, before, after answer) {
	d.Helper()
	from, to := strings.SplitAfter(before.out, "\n"), strings.SplitAfter(after.out, "\n")
	for _, state := range []ipvs.DaemonState{ipvs.Master, ipvs.Backup} {
		if file := strings.Join(lines, ""); !strings.Contains(file, "-daemon "+state.String()) {
			drop := func(l string) bool { return len(starts(l, state)) > 0 }
			from, to = slices.DeleteFunc(from, drop), slices.DeleteFunc(to, drop)
		}
	}
	if !strings.Contains(strings.Join(lines, ""), "--set ") {
		drop := func(l string) bool { return strings.HasPrefix(l, "--set ") }
		from, to = slices.DeleteFunc(from, drop), slices.DeleteFunc(to, drop)
	}
	trim := func(lines []string) []string {
		return strings.Split(strings.TrimSuffix(strings.Join(lines, ""), "\n"), "\n")
	}
	got, err := patched(trim(from), strings.Replace(diff.out, "+++ <stdin>", "+++ FILE", 1))
	if err != nil || strings.Join(got, "\n") != strings.Join(trim(to), "\n") {
		fail("%v, the diff\n%smakes of\n%s\n%s\nwant\n%s", err, diff.out, strings.Join(trim(from), "\n"), strings.Join(got, "\n"), strings.Join(trim(to), "\n"))
	}
	d.setTable(nothing())
	d.setTable(have)
	lineByLine := d.runOriginal
	if strings.Contains(dry.out, "--stop-daemon") { // 1.31 can hang
		lineByLine = func(stdin, name string, words ...string) answer {
			return d.do(stdin, append([]string{name}, words...)...)
		}
	}
	if a := lineByLine(dry.out, "ipvsadm", "-R"); a != (answer{}) || d.do("", "ipvsadm-save", "--all", "-n") != after {
		fail("-R of the dry run says %+v of\n%sand the table is\n%swant\n%s", a, dry.out, rulesOf(d.table()), after.out)
	}
}
