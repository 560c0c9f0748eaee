// SPDX-License-Identifier: Apache-2.0

package main

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ipvsadm-go/ipvsadm/internal/test/guest/guesttest"
	"github.com/ipvsadm-go/ipvsadm/internal/test/program"
)

func TestMain(m *testing.M) { program.Main(m) }

func TestNAT(t *testing.T)  { testShort(t, nat) }
func TestDR(t *testing.T)   { testShort(t, dr) }
func TestTUN(t *testing.T)  { testShort(t, tun) }
func TestMark(t *testing.T) { testShort(t, mark) }

// testShort counts the cluster's short scenarios.
func testShort(t *testing.T, c cluster) {
	guesttest.InGuest(t, func(t *testing.T) {
		program.InPath(t)
		m, err := c.make()
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range c.scenarios {
			if !s.short {
				continue
			}
			t.Run(s.name, func(t *testing.T) {
				switch counted, verdict := m.judge(s); verdict {
				case "NO":
					t.Errorf("counted %s, expected %s", counted, s.expected)
				case "-":
					t.Log(counted)
				}
			})
		}
	}, slices.Collect(maps.Values(packages))...)
}

func TestClustersAreWhole(t *testing.T) {
	line := regexp.MustCompile(`^(\w+)# \S`)
	seen := map[string]bool{}
	for _, c := range clusters {
		for _, s := range c.scenarios {
			name := c.fullName(s)
			if seen[name] || strings.Contains(name, " ") || s.expected == "" || s.count == nil {
				t.Errorf("%s is there twice, or no word, or expects or counts nothing", name)
			}
			seen[name] = true
			if s.after != "" && !seen[c.name+"/"+s.after] {
				t.Errorf("%s comes after %s, which does not stand before it", name, s.after)
			}
			if _, err := linePattern(s.expected); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			for typed := range strings.Lines(c.typed + c.prepared + s.typed) {
				if typed = strings.TrimSpace(typed); typed == "" {
					continue
				}
				match := line.FindStringSubmatch(typed)
				if match == nil || !slices.ContainsFunc(c.hosts, func(h host) bool { return h.name == match[1] }) {
					t.Errorf("%s: %q is typed on no host", name, typed)
				}
			}
		}
	}
}

func TestNamesChooseScenarios(t *testing.T) {
	for name, c := range map[string]struct {
		names []string
		want  int
	}{
		"no name chooses all":                      {nil, len(dr.scenarios)},
		"the cluster's name chooses all":           {[]string{"dr"}, len(dr.scenarios)},
		"a scenario's name chooses it":             {[]string{"dr/rr", "nat/rr"}, 1},
		"another cluster's name chooses none":      {[]string{"nat"}, 0},
		"the name after the slash chooses nothing": {[]string{"rr"}, 0},
	} {
		if got := len(dr.chosen(c.names).scenarios); got != c.want {
			t.Errorf("%s: %d chosen, want %d", name, got, c.want)
		}
	}
}

func TestTally(t *testing.T) {
	got := nat.newTally()
	got.add(tally{"nginx3": 1, "nginx1": 20, "nginx4": 0})
	got.add(tally{"nginx1": 2})
	if got.String() != "22 0 1" {
		t.Errorf("%v, want 22 0 1: the servers in their order, those without calls too", got)
	}
}

func TestTunnelOf(t *testing.T) {
	ip4 := func(protocol byte, rest ...byte) []byte {
		return append(append([]byte{0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol}, make([]byte, 10)...), rest...)
	}
	ip6 := func(next byte, rest ...byte) []byte {
		return append(append([]byte{0x60, 0, 0, 0, 0, 0, next, 64}, make([]byte, 32)...), rest...)
	}
	udp := func(port0, port1, sum byte, rest ...byte) []byte {
		return append([]byte{0, 0, port0, port1, 0, 0, 0, sum}, rest...)
	}
	plain := []byte{0, 4, 0, 0, 0, 0, 0, 0}
	for name, c := range map[string]struct {
		packet []byte
		want   string
	}{
		"TCP is no tunnel":          {ip4(6, make([]byte, 20)...), ""},
		"other UDP is none":         {ip4(17, udp(0, 53, 1, plain...)...), ""},
		"ipip":                      {ip4(4, make([]byte, 20)...), "ipip"},
		"gre":                       {ip4(47, 0, 0, 8, 0), "gre"},
		"gre with a checksum":       {ip4(47, 0x80, 0, 8, 0), "gre, checksum"},
		"gue without a checksum":    {ip4(17, udp(0x17, 0xc0, 0, plain...)...), "gue"},
		"gue with a checksum":       {ip4(17, udp(0x17, 0xc0, 9, plain...)...), "gue, checksum"},
		"gue with a remote one":     {ip4(17, udp(0x17, 0xc0, 9, 2, 4, 0, 1, 0x80, 0, 0, 0)...), "gue, remote checksum"},
		"IPv4 in IPv6":              {ip6(4, make([]byte, 20)...), "ipip over IPv6"},
		"IPv4 in IPv6 with a limit": {ip6(60, 4, 0, 4, 1, 0, 1, 0, 0, 0), "ipip over IPv6"},
		"nothing":                   {nil, ""},
	} {
		if got := tunnelOf(c.packet); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
