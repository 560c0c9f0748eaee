// SPDX-License-Identifier: Apache-2.0

package restore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ipvsadm-go/ipvsadm/internal/args"
	"github.com/ipvsadm-go/ipvsadm/internal/model"
	"github.com/ipvsadm-go/ipvsadm/internal/names"
	"github.com/ipvsadm-go/ipvsadm/internal/restore"
	"github.com/ipvsadm-go/ipvsadm/internal/rule"
	"github.com/ipvsadm-go/ipvsadm/internal/spec"
	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

type noDNS struct{}

func (noDNS) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return nil, errors.New("no such host")
}
func (noDNS) LookupAddr(context.Context, string) ([]string, error) {
	return nil, errors.New("no such address")
}

// rules returns a parser of rule text like the program's.
func rules() restore.Parse {
	p := args.New(names.NewFrom("/dev/null", "/dev/null", noDNS{}))
	return func(ctx context.Context, words []string) (restore.Rule, error) {
		cmd, err := p.ParseRule(ctx, words)
		if err != nil {
			return restore.Rule{}, err
		}
		c, ok := cmd.Change()
		if !ok {
			return restore.Rule{}, errNonsense
		}
		return restore.Rule{Change: c, Exist: cmd.Given.Has(spec.OptExist)}, nil
	}
}

// fileOf reads rule text, which may contain lines of any kind.
func fileOf(t *testing.T, text string) *restore.File {
	t.Helper()
	f, err := restore.Read(t.Context(), strings.NewReader(text), 1<<30, rules, nil)
	must.OK(t, err)
	return f
}

// changed returns a table after changes, which must not be refused.
func changed(t *testing.T, what string, table *ipvs.Table, changes []ipvs.Change) *ipvs.Table {
	t.Helper()
	m := model.New(table)
	for _, c := range changes {
		if err := m.Apply(c); err != nil {
			t.Fatalf("%s: %v: %v", what, c, err)
		}
	}
	return m.Table()
}

// FuzzTextToTableAndBack converts two texts to tables and their difference to
// changes, applies these to the first table, and converts the result to text
// and back.
func FuzzTextToTableAndBack(f *testing.F) {
	seeds := seedTexts(f)
	for i, text := range seeds {
		f.Add(text, seeds[(i+1)%len(seeds)])
	}
	f.Add("-A -f 1 -s ipvsadm\n--start-daemon backup --mcast-interface=#1", "-A -f 1 -s=#x -p --pe=#\n--start-daemon master --mcast-interface=#1 # a comment")
	f.Add("--start-daemon master", "-A -t 12.0.0.1:80\n-a -t 12.0.0.1:80 -r 2001:db8::a -i")
	none := &ipvs.Table{Services: []ipvs.ServiceEntry{}, Daemons: []ipvs.Daemon{}}
	f.Fuzz(func(t *testing.T, haveText, wantText string) {
		have := changed(t, "the first text", none, fileOf(t, haveText).Wanted(nil, false).Plan(none, false, true))
		file := fileOf(t, wantText).Wanted(nil, false)
		want := changed(t, "the second text", none, file.Plan(none, false, true))

		differences := model.Diff(have, want)
		got := changed(t, "the differences", have, differences)
		if left := model.Diff(got, want); len(left) > 0 {
			t.Fatalf("after %v these are left: %v", differences, left)
		}
		if model.MixedFamilies(want) {
			have.Daemons = nil // the text may leave them running, and then servers of another family are refused
		}
		want.Timeouts = got.Timeouts // the text may set only some
		sameTable(t, "the differences", got, want)
		for _, strict := range []bool{false, true} {
			planned := changed(t, "the plan", have, file.Plan(have, strict, true))
			planned.Daemons = want.Daemons // the text may mention only some
			sameTable(t, fmt.Sprintf("the plan, strict %v,", strict), planned, want)
		}

		var text bytes.Buffer
		must.OK(t, (rule.Writer{}).Write(&text, rule.Changes(got)))
		again := fileOf(t, text.String()).Wanted(nil, false)
		if again.Complaints.Any() {
			t.Fatalf("%s\n%s", list(again), text.String())
		}
		sameTable(t, text.String(), changed(t, "the text", none, again.Plan(none, false, true)), got)
	})
}

// sameTable compares tables in any order, except settings without effect.
func sameTable(t *testing.T, what string, got, want *ipvs.Table) {
	t.Helper()
	if got.Timeouts != want.Timeouts {
		t.Fatalf("%s gives the timeouts %v, want %v", what, got.Timeouts, want.Timeouts)
	}
	if g, w := lines(got), lines(want); !slices.Equal(g, w) {
		t.Fatalf("%s gives\n%s\nwant\n%s", what, strings.Join(g, "\n"), strings.Join(w, "\n"))
	}
}

// lines returns all settings of a table that have an effect, sorted.
func lines(table *ipvs.Table) (all []string) {
	for _, s := range table.Services {
		id := s.ServiceID
		if s.Flags&ipvs.FlagPersistent == 0 {
			s.Timeout, s.Netmask = 0, 0
		}
		all = append(all, fmt.Sprintf("%#v", s.Service))
		for _, d := range s.Destinations {
			if d.Forward != ipvs.Tunnel {
				d.Tunnel = ipvs.TunnelInfo{}
			}
			all = append(all, fmt.Sprintf("%#v %#v", id, d.Destination))
		}
	}
	for _, d := range table.Daemons {
		all = append(all, fmt.Sprintf("%#v", d))
	}
	slices.Sort(all)
	return all
}

// seedTexts returns the command lines of the tests' scripts, 20 to a text.
func seedTexts(f *testing.F) (texts []string) {
	f.Helper()
	for _, pattern := range []string{"../../testdata/script/*.txtar", "../../testdata/conformance/*.txt"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatalf("%s: %d files, %v", pattern, len(files), err)
		}
		for _, file := range files {
			b, err := os.ReadFile(file)
			must.OK(f, err)
			var rules []string
			for line := range strings.Lines(string(b)) {
				if _, typed, found := strings.Cut(line, "$'"); found { // quoted for the shell
					typed, _, _ = strings.Cut(typed, "'")
					line = strings.ReplaceAll(typed, `\n`, "\n") + "\n"
				}
				line = strings.TrimPrefix(strings.TrimPrefix(line, "$ "), "> ")
				if line = strings.TrimPrefix(line, "ipvsadm "); strings.HasPrefix(line, "-") && !strings.HasPrefix(line, "-- ") {
					rules = append(rules, line)
				}
			}
			for some := range slices.Chunk(rules, 20) {
				texts = append(texts, strings.Join(some, ""))
			}
		}
	}
	return texts
}
