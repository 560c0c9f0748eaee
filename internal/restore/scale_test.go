// SPDX-License-Identifier: Apache-2.0

package restore_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/model"
	"github.com/ipvsadm-go/ipvsadm/internal/restore"
	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs/ipvstest"
)

// serviceWith returns a file with one service that has n servers of a weight,
// whose addresses start at host.
func serviceWith(n, host, weight int, more ...string) string {
	var b strings.Builder
	b.WriteString("add 80 wlc\n")
	for i := range n {
		fmt.Fprintf(&b, "server 80 %d %d\n", host+i, weight)
	}
	b.WriteString(strings.Join(more, "\n"))
	return b.String()
}

// nothing is an empty file.
func nothing(int) string { return "" }

// servers is a file with one service that has n servers of weight 1.
func servers(n int) string { return serviceWith(n, 1, 1) }

// scaled are the runs to measure, as functions of the number of servers n.
var scaled = map[string]struct {
	have, file func(n int) string
	how        restore.Ending
}{
	"restore":     {nothing, servers, restore.Finished},
	"undo":        {nothing, func(n int) string { return serviceWith(n, 1, 1, "backup nosuch") }, restore.Refused},
	"undo edits":  {servers, func(n int) string { return serviceWith(n, 1, 2, "backup nosuch") }, restore.Refused},
	"replace all": {servers, func(n int) string { return serviceWith(n, 1+n, 1) }, restore.Finished},
	"drain all": {
		func(n int) string { return serviceWith(n, 1, 0) },
		func(int) string { return serviceWith(1, 60_000, 1) }, restore.Finished,
	},
}

// BenchmarkServersOfOneService measures how many times as long the runs take
// with 40,000 servers as with 2,500: at most 20 times, if they are linear.
// The small runs are repeated, so that garbage collection has the same share.
func BenchmarkServersOfOneService(b *testing.B) {
	for name, c := range scaled {
		b.Run(name, func(b *testing.B) {
			var few, many time.Duration
			for b.Loop() {
				for range 16 {
					few += runScaled(b, c.have(2500), c.file(2500), c.how) / 16
				}
				many += runScaled(b, c.have(40_000), c.file(40_000), c.how)
			}
			b.ReportMetric(many.Seconds()/few.Seconds(), "times")
		})
	}
}

// TestServersOfOneService checks that the runs of the benchmark end as they
// should.
func TestServersOfOneService(t *testing.T) {
	for name, c := range scaled {
		t.Run(name, func(t *testing.T) { runScaled(t, c.have(300), c.file(300), c.how) })
	}
}

// runScaled returns the duration of a run.
func runScaled(t testing.TB, have, text string, how restore.Ending) time.Duration {
	k := ipvstest.New(nil)
	read := func(text string) *restore.Wanted {
		var r reader
		f, err := restore.Read(t.Context(), strings.NewReader(text), 1<<30, r.parser, nil)
		must.OK(t, err)
		return f.Wanted(nil, false)
	}
	before := read(have).Table
	for i := range before.Services {
		for j := range before.Services[i].Destinations {
			before.Services[i].Destinations[j].Conns.Inactive = 1
		}
	}
	k.Set(before)
	k.Refuse = func(c ipvs.Change) syscall.Errno {
		if c.Op == ipvs.OpStartDaemon {
			return syscall.ENODEV
		}
		return 0
	}
	o := options
	o.Strict = true
	w, begin := read(text), time.Now()
	end := w.Run(t.Context(), k, before, o)
	took := time.Since(begin)
	if end.How != how || how == restore.Refused && end.Undo != restore.Undone {
		t.Errorf("%+v", end)
	}
	if d := model.Diff(k.Now(), before); how == restore.Refused && len(d) > 0 {
		t.Errorf("%d changes are not undone", len(d))
	}
	return took
}
