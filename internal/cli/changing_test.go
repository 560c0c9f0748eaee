// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"strings"
	"testing"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// serversChanging is a kernel whose lists of servers another writer keeps
// changing: each lacks the first server, unless full returns true for the
// number of the list.
type serversChanging struct {
	*fakeKernel
	full func(n int) bool
}

func (k *serversChanging) Destinations(ctx context.Context, id ipvs.ServiceID) ([]ipvs.DestinationEntry, error) {
	list, err := k.fakeKernel.Destinations(ctx, id)
	if err == nil && !k.full(k.asked) && len(list) > 0 {
		return list[1:], &ipvs.QueryError{Query: "list destinations", Err: ipvs.ErrChanging}
	}
	return list, err
}

// An entry that is missing from a changing list does not count as deleted.
func TestListsThatKeepChanging(t *testing.T) {
	const (
		rules    = "-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.0.0.3:80 -m -w 5\n-a -t 10.0.0.1:80 -r 10.0.0.4:80 -m -w 5\n"
		timeouts = "--set 900 120 300\n"
		changes  = "The table keeps changing while it is read\n"
	)
	never := func(int) bool { return false }
	first := func(n int) bool { return n == 1 }
	for _, c := range []struct {
		line string
		full func(int) bool
		want answer
		left string
	}{
		{"-e -t 10.0.0.1:80 -r 10.0.0.3:80 --keep -w 1", never, answer{255, "", changes}, rules},
		{"-e -t 10.0.0.1:80 -r 10.0.0.4:80 --keep -w 1", never, answer{}, strings.Replace(rules, "4:80 -m -w 5", "4:80 -m -w 1", 1)},
		{"-d -t 10.0.0.1:80 -r 10.0.0.3:80 --drain 1", never, answer{255, "", changes}, rules},
		{"-d -t 10.0.0.1:80 -r 10.0.0.3:80 --drain 1 --exist", never, answer{255, "", changes}, rules},
		{"-D -t 10.0.0.1:80 --drain 1", never, answer{255, "", changes}, rules},
		// Connections count although their server is missing from a
		// list.
		{"-d -t 10.0.0.1:80 -r 10.0.0.3:80 --drain 1", func(n int) bool { return n != 2 }, answer{1, "", "the drain time is over, with 1 connection left\n"},
			"-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.0.0.4:80 -m -w 5\n"},
		// Another writer ends the drain, and the weight cannot be
		// restored.
		{"-D -t 10.0.0.1:80 --drain 1", first, answer{1, "", "another program set the weight of 10.0.0.4:80 in TCP 10.0.0.1:80 to 7\n" + changes + notPutBackText + "\n"},
			"-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.0.0.3:80 -m -w 0\n-a -t 10.0.0.1:80 -r 10.0.0.4:80 -m -w 7\n"},
	} {
		k := newFakeKernel(t, rules)
		k.edit(func(t *ipvs.Table) { setConns(t, ipvs.ConnCounts{Active: 1}) })
		if c.want.status == 1 && strings.HasPrefix(c.line, "-D") {
			k.beforeDestinations = func(n int) {
				if n == 2 {
					k.run(t, "-e -t 10.0.0.1:80 -r 10.0.0.4:80 -m -w 7\n")
				}
			}
		}
		var a answer
		p, done := k.process(&a, "", append([]string{"ipvsadm"}, strings.Fields(c.line)...)...)
		p.dial = func(context.Context, ipvs.Config) (kernel, error) { return &serversChanging{k, c.full}, nil }
		p.drainLock = t.TempDir() + "/lock"
		a.status = p.start(t.Context())
		done()
		if a != c.want || k.rules() != timeouts+c.left {
			t.Errorf("%s: %+v, want %+v; left\n%s", c.line, a, c.want, k.rules())
		}
	}
}

// A restore continues although the lists of draining servers keep changing.
func TestRestoreDrainsThoughListsKeepChanging(t *testing.T) {
	k := newFakeKernel(t, "-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.0.0.3:80 -m -w 5\n")
	k.edit(func(t *ipvs.Table) { setConns(t, ipvs.ConnCounts{Active: 1}) })
	var a answer
	p, done := k.process(&a, "-A -t 10.0.0.1:80 -s rr\n", restoreArgs(t, "--drain", "1", "--strict")...)
	p.dial = func(context.Context, ipvs.Config) (kernel, error) {
		return &serversChanging{k, func(n int) bool { return n > 3 }}, nil
	}
	a.status = p.start(t.Context())
	done()
	if want := "--set 900 120 300\n-A -t 10.0.0.1:80 -s rr\n"; a != (answer{}) || k.rules() != want {
		t.Errorf("%+v, left\n%s", a, k.rules())
	}
}
