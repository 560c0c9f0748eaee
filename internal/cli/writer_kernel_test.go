// SPDX-License-Identifier: Apache-2.0

package cli

// This file saves and restores tables while another process keeps adding,
// changing and deleting entries.

import (
	"bytes"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/test/guest/guesttest"
	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
)

func TestAnotherWriterOnAKernel(t *testing.T) {
	guesttest.InGuest(t, func(t *testing.T) {
		guesttest.Modprobe(t, "ip_vs")
		t.Run("saves", testSavesMissNothing)
		t.Run("restores", testRestoresSayWhatDiffers)
	})
}

// writer is a process that runs lines of rule text over and over.
type writer struct {
	*exec.Cmd
	t    *testing.T
	over chan struct{} // closed to end it
	fed  chan struct{} // closed when no more lines are written
}

// write starts a process that runs the lines over and over until stop is
// called. Refusals are ignored.
func (d director) write(lines []string) *writer {
	d.Helper()
	w := &writer{Cmd: d.command("ipvsadm", "-R"), t: d.T, over: make(chan struct{}), fed: make(chan struct{})}
	in, err := w.StdinPipe()
	must.OK(d.T, err)
	must.OK(d.T, w.Start())
	go func() {
		defer close(w.fed)
		defer in.Close()
		for {
			for some := range slices.Chunk(lines, 10) {
				select {
				case <-w.over:
					return
				default:
				}
				if _, err := io.WriteString(in, strings.Join(some, "")); err != nil {
					d.Errorf("the other program exited: %v", err)
					return
				}
			}
		}
	}()
	return w
}

// stop ends the other process and waits for it.
func (w *writer) stop() {
	w.t.Helper()
	close(w.over)
	<-w.fed
	if err := w.Wait(); err != nil && w.ProcessState.ExitCode() != statusRefused {
		w.t.Errorf("the other program: %v", err)
	}
}

// opposites returns the deletions of the entries that lines of a save add.
func opposites(lines []string) []string {
	var back []string
	for _, line := range lines {
		line, _, _ = strings.Cut(line, " -s ")
		line, _, _ = strings.Cut(line, " -g")
		back = append(back, strings.NewReplacer("-A ", "-D ", "-a ", "-d ").Replace(strings.TrimSuffix(line, "\n"))+"\n")
	}
	return back
}

// linesOf returns n lines of rule text with numbers from first.
func linesOf(first, n int, line func(i int) string) []string {
	var lines []string
	for i := range n {
		lines = append(lines, line(first+i)+"\n")
	}
	return lines
}

const coming, firstComing = 200, 1 << 13

// crowds are tables in which most entries stay and some are added and deleted.
// The lines have the format of a save.
var crowds = []struct {
	name, before string
	staying      int
	line         func(i int) string
}{
	{"services", "", 2000, func(i int) string { return fmt.Sprintf("-A -t 12.0.0.1:%d -s rr", i+1) }},
	{"services of IPv6", "", 2000, func(i int) string { return fmt.Sprintf("-A -t [2001:db8::1]:%d -s rr", i+1) }},
	{"firewall marks", "", 2000, func(i int) string { return fmt.Sprintf("-A -f %d%s -s rr", i+1, []string{"", " -6"}[i%2]) }},
	{"servers of one service", "-A -t 12.0.0.1:80 -s rr\n", 3000, func(i int) string {
		return fmt.Sprintf("-a -t 12.0.0.1:80 -r 10.1.%d.%d:80 -g -w 1", i>>8, i&255)
	}},
}

// testSavesMissNothing saves large tables while another program adds and
// deletes some entries. Each save contains every untouched entry once, or
// fails with a message.
func testSavesMissNothing(t *testing.T) {
	saves := must.Count(2, 4)
	for _, crowd := range crowds {
		t.Run(crowd.name, func(t *testing.T) {
			d := newDirector(t)
			staying := linesOf(0, crowd.staying, crowd.line)
			if a := d.do(crowd.before+strings.Join(staying, ""), "ipvsadm", "-R"); a != (answer{}) {
				t.Fatal(a)
			}
			alone := d.do("", "ipvsadm-save", "-n")
			if n := strings.Count(alone.out, "\n"); n != crowd.staying+strings.Count(crowd.before, "\n") || alone.status != 0 {
				t.Fatalf("at rest %d lines, status %d, %s", n, alone.status, alone.errors)
			}
			come := linesOf(firstComing, coming, crowd.line)
			w := d.write(slices.Concat(come, opposites(come)))
			defer w.stop()
			d.awaitMore(alone.out)
			moved := false
			for n := 0; n < saves || !moved && n < 10*saves; n++ { // more on a busy machine, where many fail
				a := d.do("", "ipvsadm-save", "-n")
				if a == (answer{status: statusList, errors: "The table keeps changing while it is read\n"}) {
					continue
				}
				lines := sortedLines(a.out)
				if a.status != 0 || a.errors != "" || len(slices.Compact(slices.Clone(lines))) < len(lines) {
					t.Fatalf("status %d, %q, %d lines, some of them twice", a.status, a.errors, len(lines))
				}
				others, missing := map[string]bool{}, 0
				for _, line := range lines {
					others[line] = true
				}
				for line := range strings.Lines(alone.out) {
					if !others[line] {
						missing++
					}
					delete(others, line)
				}
				moved = moved || len(others) > 0
				for _, line := range come {
					delete(others, line)
				}
				if missing > 0 || len(others) > 0 {
					t.Errorf("a save lacks %d lines that nobody touched, and has %d that nobody wrote", missing, len(others))
				}
			}
			if !moved {
				t.Error("this shows nothing: the other program was never seen")
			}
		})
	}
}

// awaitMore waits until the table has more entries than a save.
func (d director) awaitMore(save string) {
	d.Helper()
	for end := time.Now().Add(must.Patience); len(d.do("", "ipvsadm-save", "-n").out) <= len(save); {
		if time.Now().After(end) {
			d.Fatal("the other program adds nothing")
		}
	}
}

// testRestoresSayWhatDiffers restores two files in turn, in each mode, while
// another program writes other entries or those of the file. Entries that only
// the restore writes end as in the file, or unchanged if the restore reports
// that.
func testRestoresSayWhatDiffers(t *testing.T) {
	restores := must.Count(1, 2)
	const common, each = 200, 200
	service := func(i int) string { return fmt.Sprintf("-t 12.0.%d.%d:80", i>>8, i&255) }
	part := func(first, n int, weight int) *strings.Builder {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "-A %s -s wrr\n", service(first+i))
			for j := range 3 {
				fmt.Fprintf(&b, "-a %s -r 10.0.0.%d:80 -m -w %d\n", service(first+i), j+1, weight+j)
			}
		}
		return &b
	}
	// Both files contain the first services, with different weights. Each
	// contains some that the other lacks.
	files := [2]string{
		part(0, common, 1).String() + part(common, each, 1).String(),
		part(0, common, 5).String() + part(common+each, each, 1).String(),
	}
	others := linesOf(firstComing, coming, func(i int) string { return "-A " + service(i) + " -s rr" })
	var own []string
	for i := range 20 {
		s := service(i * 7)
		own = append(own, "-D "+s+"\n", "-A "+s+" -s rr\n", "-a "+s+" -r 10.0.0.1:80 -g -w 3\n", "-a "+s+" -r 10.9.9.9:80 -m\n", "-E "+s+" -s wlc\n")
	}
	for _, other := range []struct {
		name  string
		lines []string
	}{{"that writes others", slices.Concat(others, opposites(others))}, {"that writes the file's own", own}} {
		touched := map[string]bool{} // services
		for _, line := range other.lines {
			touched[strings.Fields(line)[2]] = true
		}
		// untouched returns the rules of the other services.
		untouched := func(rules string) string {
			var b strings.Builder
			for line := range strings.Lines(rules) {
				if words := strings.Fields(line); words[0] != "--set" && !touched[words[2]] {
					b.WriteString(line)
				}
			}
			return b.String()
		}
		for _, way := range []struct {
			name   string
			words  []string
			strict bool
		}{
			{name: "standard input"},
			{name: "keep going", words: []string{"--keep-going"}},
			{name: "all or nothing", words: []string{"--strict"}, strict: true},
		} {
			t.Run("a program "+other.name+"/"+way.name, func(t *testing.T) {
				d := newDirector(t)
				if a := d.restore(files[1]); a != (answer{}) {
					t.Fatal(a)
				}
				var whole, differing, undone int
				for n := range restores {
					before := d.rules()
					w := d.write(other.lines)
					time.Sleep(time.Duration(n%5) * 10 * time.Millisecond)
					cmd := d.command(append([]string{"ipvsadm-restore", "--lock", "lock"}, way.words...)...)
					var says bytes.Buffer
					cmd.Stdin, cmd.Stderr = strings.NewReader(files[n%2]), &says
					_ = cmd.Run()
					w.stop()
					a := answer{status: cmd.ProcessState.ExitCode(), errors: says.String()}
					first, list, _ := strings.Cut(a.errors, "\n")
					want := files[n%2]
					switch differs := strings.Contains(first, "the table still differs"); {
					case a == answer{}:
						whole++
					case a.status == statusPartly && differs && list != "" && !way.strict:
						differing++
					case a.status == statusUsage && differs && strings.HasSuffix(list, ": all changes were undone\n") && way.strict:
						undone++
						list, want = list[:strings.LastIndex(list[:len(list)-1], "\n")+1], before
					default:
						t.Fatalf("status %d, and it says %q", a.status, a.errors[max(0, len(a.errors)-300):])
					}
					if left := untouched(list); left != "" {
						t.Errorf("restore %d says that there is left what nobody touched:\n%s", n, left)
					}
					if got, want := sortedLines(untouched(d.rules())), sortedLines(untouched(want)); !slices.Equal(got, want) {
						t.Errorf("restore %d, status %d: the table differs from what it should be in %d lines, such as %q",
							n, a.status, len(differences(got, want)), differences(got, want)[0])
					}
				}
				t.Logf("%d restores: %d ended in the file's table, %d said what differs, %d were undone and said what differs",
					restores, whole, differing, undone)
			})
		}
	}
}

func sortedLines(text string) []string { return slices.Sorted(strings.Lines(text)) }

// differences returns the lines that only one of two lists contains.
func differences(a, b []string) []string {
	var only []string
	for _, line := range slices.Concat(a, b) {
		if slices.Contains(a, line) != slices.Contains(b, line) {
			only = append(only, line)
		}
	}
	return only
}
