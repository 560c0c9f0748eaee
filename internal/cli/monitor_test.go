// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/internal/args"
	"github.com/ipvsadm-go/ipvsadm/internal/model"
	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// monitored runs --monitor for some seconds and calls act before each read of
// the table except the first.
func monitored(t *testing.T, k *fakeKernel, seconds int, act func(n int), options ...string) (out, errs string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		k.beforeTable = func(n int) {
			if n > 1 {
				act(n - 1)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(seconds)*time.Second+time.Second/2)
		defer cancel()
		var stdout, stderr bytes.Buffer
		s := k.session(Process{Stdout: &stdout, Stderr: &stderr})
		s.client = k
		cmd, err := args.New(noNames()).Parse(ctx, append([]string{"--monitor"}, options...))
		if err == nil {
			err = monitorCommand{s, &cmd}.follow(ctx)
		}
		if err != nil {
			t.Error(err)
		}
		out, errs = stdout.String(), stderr.String()
	})
	return out, errs
}

func TestMonitorPrintsWhatChanges(t *testing.T) {
	k := newFakeKernel(t, web+web10+dns)
	out, errs := monitored(t, k, 5, func(n int) {
		switch n {
		case 1:
			k.run(t, web20+"-e -t 12.0.0.1:80 -r 192.168.168.10:80 -m -w 9\n")
		case 2: // counters do not count as changes
			k.edit(func(t *ipvs.Table) { t.Services[0].Stats.Conns = 77 })
		case 3: // several changes of one entry count as one
			k.run(t, "-D -u 12.0.0.1:53\n-A -u 12.0.0.1:53 -s rr\n"+dns10+"--set 1 2 3\n")
		case 4:
			k.run(t, "-C\n"+masterEth)
		}
	})
	const want = web20 + "-e -t 12.0.0.1:80 -r 192.168.168.10:80 -m -w 9\n" +
		"--set 1 2 3\n" + "-E -u 12.0.0.1:53 -s rr\n" + dns10 +
		"-D -t 12.0.0.1:80\n-D -u 12.0.0.1:53\n" + masterEth
	// Services of different kinds are in the order of the table.
	if !slices.Equal(sortedLines(out), sortedLines(want)) || errs != "" {
		t.Errorf("%s%s, want\n%s", out, errs, want)
	}
	// Applied to the old table, the changes lead to the same table.
	again := newFakeKernel(t, web+web10+dns)
	if a := again.do(t, out, "ipvsadm", "-R"); a != (answer{}) || again.rules() != k.rules() {
		t.Errorf("%+v, table\n%swant\n%s", a, again.rules(), k.rules())
	}
}

func TestMonitorLooksAsOftenAsItIsTold(t *testing.T) {
	for option, want := range map[string]int{"1": 6, "3": 2, "7": 0} {
		looks := 0
		monitored(t, newFakeKernel(t, ""), 6, func(int) { looks++ }, option)
		if looks != want {
			t.Errorf("every %s seconds: %d looks in 6, want %d", option, looks, want)
		}
	}
}

func TestMonitorTellsTheTime(t *testing.T) {
	k := newFakeKernel(t, "")
	add := func(n int) {
		if n == 2 {
			k.run(t, web+web10)
		}
	}
	out, _ := monitored(t, k, 3, add, "--timestamp")
	if !regexp.MustCompile(`^\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\] -A -t 12\.0\.0\.1:80 -s \w+\n\[[^]]*\] -a -t `).MatchString(out) {
		t.Errorf("%q", out)
	}
	k = newFakeKernel(t, "")
	out, _ = monitored(t, k, 3, add, "--json")
	var event struct{ Time time.Time }
	first, _, _ := strings.Cut(out, "\n")
	if err := json.Unmarshal([]byte(first), &event); err != nil || event.Time.Year() < 2000 {
		t.Errorf("%s, %v", out, err)
	}
}

// TestMonitorWithASnapshotIsAJournal changes a table at random, and restores it
// from each part of the output.
func TestMonitorWithASnapshotIsAJournal(t *testing.T) {
	for seed := range uint64(10) {
		r := rand.New(rand.NewPCG(seed, 1))
		k := newFakeKernel(t, web+web10+dns)
		var tables []string // tables at each reading
		random := func(int) {
			tables = append(tables, k.rules())
			for range r.IntN(4) {
				changeAtRandom(t, k, r)
			}
		}
		out, errs := monitored(t, k, 20, random, "--snapshot")
		if !strings.HasPrefix(out, "-C\n--set 900 120 300\n"+web) || errs != "" {
			t.Fatalf("%s%s", out, errs)
		}
		tables = append(tables, k.rules())
		lines, matched := strings.SplitAfter(strings.TrimSuffix(out, "\n"), "\n"), 0
		for n := range lines {
			again := newFakeKernel(t, dns+dns10)
			if a := again.restore(t, strings.Join(lines[:n+1], ""), "--strict"); a.status != statusOK {
				t.Fatalf("%d lines of\n%s: %+v", n+1, out, a)
			}
			if now := again.rules(); slices.Contains(tables, now) {
				matched++
			}
		}
		again := newFakeKernel(t, dns+dns10)
		if a := again.restore(t, out, "--strict"); a.status != statusOK || again.rules() != k.rules() {
			t.Fatalf("%+v, table\n%swant\n%s", a, again.rules(), k.rules())
		}
		different := slices.Compact(slices.Sorted(slices.Values(tables)))
		if matched < len(different) {
			t.Errorf("%d of %d tables are in the journal", matched, len(different))
		}
	}
}

// changeAtRandom adds, edits or deletes an entry, or all of them.
func changeAtRandom(t *testing.T, k *fakeKernel, r *rand.Rand) {
	id := ipvs.AddrID(ipvs.TCP, netip.AddrFrom4([4]byte{12, 0, 0, byte(r.IntN(4))}), 80)
	s := ipvs.NewService(id, []string{"rr", "wlc"}[r.IntN(2)])
	d := ipvs.Destination{Addr: netip.AddrFrom4([4]byte{10, 0, 0, byte(r.IntN(4))}), Port: 80, Weight: int32(r.IntN(3))}
	service := ipvs.Service{ServiceID: id}
	changes := []ipvs.Change{
		{Op: ipvs.OpAddService, Service: s}, {Op: ipvs.OpEditService, Service: s}, {Op: ipvs.OpDeleteService, Service: service},
		{Op: ipvs.OpAddDestination, Service: service, Destination: d}, {Op: ipvs.OpAddDestination, Service: service, Destination: d},
		{Op: ipvs.OpEditDestination, Service: service, Destination: d}, {Op: ipvs.OpDeleteDestination, Service: service, Destination: d},
		{Op: ipvs.OpSetTimeouts, Timeouts: ipvs.Timeouts{TCP: time.Duration(1+r.IntN(9)) * time.Minute}},
		{Op: ipvs.OpFlush},
	}
	_ = k.Do(changes[r.IntN(len(changes))]) // some are refused
}

func TestMonitorFollowsAService(t *testing.T) {
	signal.Reset(unix.SIGPIPE) // starts the runtime's signal thread, which cannot be in the bubble
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		k := newFakeKernel(t, web+dns)
		go func() {
			for _, rules := range []string{web10 + dns10, "-C\n--set 5 5 5\n", dns + web} {
				time.Sleep(time.Second + time.Second/4)
				k.run(t, rules)
			}
		}()
		var out bytes.Buffer
		p := k.session(Process{Args: []string{"ipvsadm", "--monitor", "0.5", "--snapshot", "-t", "12.0.0.1:80"}, Stdout: &out, Stderr: &out})
		status := p.start(ctx)
		if want := web + web10 + "-D -t 12.0.0.1:80\n" + web; status != 0 || out.String() != want {
			t.Errorf("status %d, %s, want\n%s", status, out.String(), want)
		}
	})
}

// A monitor does not load the module, and shows additions once another
// program has loaded it.
func TestMonitorWaitsForTheModule(t *testing.T) {
	k := newFakeKernel(t, "")
	begin := 0
	var out bytes.Buffer
	signal.Reset(unix.SIGPIPE) // starts the runtime's signal thread, which cannot be in the bubble
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 6500*time.Millisecond)
		defer cancel()
		p := k.session(Process{Args: []string{"ipvsadm", "--monitor"}, Stdout: &out, Stderr: &out})
		p.dial = nil
		redial := p.redial
		p.redial = func(ctx context.Context, cfg ipvs.Config) (kernel, error) {
			if begin++; begin < 4 {
				return nil, ipvs.ErrNoIPVS
			}
			k.run(t, web)
			return redial(ctx, cfg)
		}
		if status := p.start(ctx); status != 0 || out.String() != web {
			t.Errorf("status %d, %s", status, out.String())
		}
	})
}

// A table that cannot be read is reported once. When it can be read again, the
// changes made meanwhile are printed.
func TestMonitorWaitsForATableThatHasGone(t *testing.T) {
	k := newFakeKernel(t, web+web10)
	out, errs := monitored(t, k, 6, func(n int) {
		k.tableErr = nil
		if n == 2 || n == 3 {
			k.tableErr = unix.ENOENT
		}
		if n == 3 {
			k.run(t, "-d -t 12.0.0.1:80 -r 192.168.168.10:80\n")
		}
	})
	if out != "-d -t 12.0.0.1:80 -r 192.168.168.10:80\n" ||
		errs != "can't read the table: No such file or directory; retrying\nthe table can be read again\n" {
		t.Errorf("%s%s", out, errs)
	}
}

// An entry that is missing from a read during other changes does not count as
// deleted.
func TestMonitorDoesNotTakeWhatWasMissedForDeleted(t *testing.T) {
	have := newFakeKernel(t, web+web10+web20+dns+dns10).Now()
	is := newFakeKernel(t, web+web10+web20+"-A -f 1 -s rr\n") // the DNS service was deleted
	m := monitorCommand{is.session(Process{}), &args.Command{}}
	m.client = is
	missed := newFakeKernel(t, "-A -f 1 -s rr\n").Now()
	must.OK(t, m.complete(t.Context(), have, missed))
	if d := model.Diff(missed, is.Now()); len(d) > 0 {
		t.Errorf("it differs by %v", d)
	}
	half := newFakeKernel(t, web+web20).Now()
	if err := m.complete(t.Context(), have, half); err != nil || len(model.Diff(have, half)) != 1 {
		t.Errorf("%v, %v", model.Diff(have, half), err)
	}
}

// busyKernel is a table that other programs change continuously: each list
// gives up after patience.
type busyKernel struct {
	changingKernel
	patience time.Duration
}

func (k busyKernel) Table(ctx context.Context) (*ipvs.Table, error) {
	time.Sleep(k.patience)
	return k.changingKernel.Table(ctx)
}

func TestMonitorShowsChangesAmongWriters(t *testing.T) {
	signal.Reset(unix.SIGPIPE) // starts the runtime's signal thread, which cannot be in the bubble
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		begin, k, dials := time.Now(), newFakeKernel(t, web), 0
		dial := func(_ context.Context, cfg ipvs.Config) (kernel, error) {
			dials++
			return busyKernel{changingKernel{k}, cfg.Patience}, nil
		}
		var writer sync.WaitGroup
		defer writer.Wait()
		writer.Go(func() {
			for n := 1; ctx.Err() == nil && n < 1000; n++ { // ten changes a second
				k.run(t, fmt.Sprintf("-A -f %d -s rr\n", n))
				time.Sleep(time.Second / 10)
			}
		})
		first := time.Duration(0)
		p := k.session(Process{Args: []string{"ipvsadm", "--monitor"}, Stderr: io.Discard,
			Stdout: writerFunc(func(b []byte) (int, error) { first = time.Since(begin); cancel(); return len(b), nil })})
		p.dial, p.redial = dial, dial
		if status := p.start(ctx); status != 0 || dials != 1 || first == 0 || first > 5*time.Second {
			t.Errorf("status %d, %d connections, the first change after %v", status, dials, first)
		}
	})
}

// A closed pipe ends --monitor before the end of its interval.
func TestMonitorWithALongIntervalEndsWithItsReader(t *testing.T) {
	read, write, err := os.Pipe()
	must.OK(t, err)
	defer write.Close()
	synctest.Test(t, func(t *testing.T) {
		go func() {
			time.Sleep(10 * time.Minute)
			read.Close()
		}()
		begin := time.Now()
		k := newFakeKernel(t, web)
		s := k.session(Process{Stdout: write, Stderr: new(bytes.Buffer)})
		s.client = k
		if err := (monitorCommand{s, &args.Command{Interval: 24 * time.Hour}}).follow(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(begin); took > 10*time.Minute+2*time.Second {
			t.Errorf("it ended after %v", took)
		}
	})
}
