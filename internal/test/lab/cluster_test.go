// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/test/cluster"
	"github.com/ipvsadm-go/ipvsadm/internal/test/guest/guesttest"
	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/internal/test/program"
	"github.com/ipvsadm-go/ipvsadm/internal/test/session"
)

func TestMain(m *testing.M) { program.Main(m) }

func TestNAT(t *testing.T)  { testShort(t, nat) }
func TestDR(t *testing.T)   { testShort(t, dr) }
func TestTUN(t *testing.T)  { testShort(t, tun) }
func TestMark(t *testing.T) { testShort(t, mark) }

// testShort runs the short scenarios of a cluster.
func testShort(t *testing.T, c example) {
	guesttest.InGuest(t, func(t *testing.T) {
		program.InPath(t)
		m, err := c.make()
		must.OK(t, err)
		for _, s := range c.scenarios {
			if !s.short {
				continue
			}
			t.Run(s.name, func(t *testing.T) {
				switch counted, verdict := m.judge(s); verdict {
				case "NO":
					t.Errorf("counted %s, expected %s", counted, s.expected())
				case "-":
					t.Log(counted)
				}
			})
		}
	}, packages...)
}

func TestPageIsCurrent(t *testing.T) {
	const root = "../../../"
	want, err := fillPage(root + page)
	must.OK(t, err)
	program.Current(t, root+page, want)
}

func TestSessionsAreWhole(t *testing.T) {
	check := func(name, hosts string, steps []session.Step) {
		for _, step := range steps {
			verb, _, _ := strings.Cut(step.Command, " ")
			if step.Host == counts && verbs[verb] == nil || step.Host != counts &&
				!slices.ContainsFunc(cluster.Parse(hosts), func(h cluster.Host) bool { return h.Name == step.Host }) {
				t.Errorf("%s: %q is typed on no host, or nothing that counts", name, step)
			}
			if err := session.Compare("", step.Answer); err != nil && strings.Contains(err.Error(), "expected answer") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	steps, err := session.Parse(session.Host, demo)
	must.OK(t, err)
	check("demo", demoHosts, steps)
	seen := map[string]bool{}
	for _, c := range slices.Concat(clusters, gaps, []example{soak(time.Minute)}) {
		check(c.name, c.hosts, scenario{typed: c.typed + c.prepared}.steps())
		for _, s := range c.scenarios {
			name := c.fullName(s)
			if seen[name] || strings.Contains(name, " ") || s.expected() == "" {
				t.Errorf("%s is there twice, or no word, or expects nothing", name)
			}
			seen[name] = true
			if s.after != "" && !seen[c.name+"/"+s.after] {
				t.Errorf("%s comes after %s, which is not before it", name, s.after)
			}
			check(name, c.hosts, s.steps())
		}
	}
}

func TestExpand(t *testing.T) {
	got, want := expand("10.0.8-9.99-101:80"), []string{"10.0.8.99:80", "10.0.8.100:80", "10.0.8.101:80", "10.0.9.99:80", "10.0.9.100:80", "10.0.9.101:80"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
