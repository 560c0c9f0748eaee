// SPDX-License-Identifier: Apache-2.0

package ipvs_test

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// crowd is a table of which most entries stay and some come and go.
type crowd struct {
	name       string
	before     []ipvs.Change // needed by both
	stay, come func(i int) ipvs.Change
	staying    int
}

const coming = 200

var crowds = []crowd{
	serviceCrowd("services", func(i int) ipvs.ServiceID { return ipvs.AddrID(ipvs.TCP, addr("12.0.0.1"), uint16(i+1)) }),
	serviceCrowd("services of IPv6", func(i int) ipvs.ServiceID { return ipvs.AddrID(ipvs.TCP, addr("2001:db8::1"), uint16(i+1)) }),
	serviceCrowd("firewall marks", func(i int) ipvs.ServiceID { return ipvs.MarkID(uint32(i+1), []ipvs.Family{ipvs.IPv4, ipvs.IPv6}[i%2]) }),
	{
		name:    "servers of one service",
		before:  []ipvs.Change{ipvs.AddService(ipvs.NewService(large, "rr"))},
		staying: 3000,
		stay:    func(i int) ipvs.Change { return ipvs.AddDestination(large, serverOf(i)) },
		come:    func(i int) ipvs.Change { return ipvs.AddDestination(large, serverOf(1<<13+i)) },
	},
}

var large = ipvs.AddrID(ipvs.TCP, netip.MustParseAddr("12.0.0.1"), 80)

func serverOf(i int) ipvs.Destination {
	return ipvs.Destination{Addr: netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), Port: 80, Weight: 1}
}

func serviceCrowd(name string, id func(int) ipvs.ServiceID) crowd {
	add := func(i int) ipvs.Change { return ipvs.AddService(ipvs.NewService(id(i), "rr")) }
	return crowd{name: name, staying: 2000, stay: add, come: func(i int) ipvs.Change { return add(1<<13 + i) }}
}

// opposite returns the change that takes an added entry away.
func opposite(c ipvs.Change) ipvs.Change {
	if c.Op == ipvs.OpAddService {
		return ipvs.DeleteService(c.Service.ServiceID)
	}
	return ipvs.DeleteDestination(c.Service.ServiceID, c.Destination.AddrPort())
}

// TestWriter is the other program of testListsMissNothing: it adds and deletes
// entries until its standard input ends.
func TestWriter(t *testing.T) {
	n, err := strconv.Atoi(os.Getenv("IPVSADM_TEST_WRITER"))
	if err != nil {
		return // this is not that program
	}
	c := dial(t)
	over := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(over)
	}()
	const together = 10
	for {
		for _, back := range []bool{false, true} {
			for i := 0; i < coming; i += together {
				var changes []ipvs.Change
				for j := range together {
					ch := crowds[n].come(i + j)
					if back {
						ch = opposite(ch)
					}
					changes = append(changes, ch)
				}
				must.OK(t, c.Apply(t.Context(), changes...))
			}
		}
		select {
		case <-over:
			return
		default:
		}
	}
}

// testListsMissNothing lists a large table while another program adds and
// deletes entries without pause: what is not touched is in each list, once.
// IPVSADM_TEST_LISTS is how many lists of each kind.
func testListsMissNothing(t *testing.T) {
	lists := 20
	if s := os.Getenv("IPVSADM_TEST_LISTS"); s != "" {
		var err error
		lists, err = strconv.Atoi(s)
		must.OK(t, err)
	}
	for n, crowd := range crowds {
		t.Run(crowd.name, func(t *testing.T) {
			c := inNamespace(t)
			changes := crowd.before
			staying := map[string]bool{}
			for i := range crowd.staying {
				changes = append(changes, crowd.stay(i))
				staying[nameOf(crowd.stay(i))] = true
			}
			must.OK(t, c.Apply(t.Context(), changes...))
			names := func() ([]string, error) {
				var names []string
				if crowd.before != nil {
					list, err := c.Destinations(t.Context(), large)
					for _, d := range list {
						names = append(names, d.AddrPort().String())
					}
					return names, err
				}
				list, err := c.Services(t.Context())
				for _, s := range list {
					names = append(names, s.ServiceID.String())
				}
				return names, err
			}
			if list, err := names(); err != nil || len(list) != crowd.staying {
				t.Fatalf("at rest %d entries, %v", len(list), err)
			}
			writer := exec.Command(os.Args[0], "-test.run=^TestWriter$")
			writer.Env = append(os.Environ(), fmt.Sprint("IPVSADM_TEST_WRITER=", n))
			writer.Stdout, writer.Stderr = os.Stderr, os.Stderr
			stop, err := writer.StdinPipe()
			must.OK(t, err)
			must.OK(t, writer.Start())
			defer func() {
				stop.Close()
				if err := writer.Wait(); err != nil {
					t.Error(err)
				}
			}()
			for range 1000 { // until it has begun
				if list, _ := names(); len(list) > crowd.staying {
					break
				}
				time.Sleep(10 * time.Millisecond)
			}
			var short, worst, changing, moved, twice int
			var sum, longest time.Duration
			for range lists {
				start := time.Now()
				list, err := names()
				took := time.Since(start)
				sum, longest = sum+took, max(longest, took)
				seen := map[string]bool{}
				found := 0
				for _, name := range list {
					if seen[name] {
						twice++
					} else if staying[name] {
						found++
					}
					seen[name] = true
				}
				missing := crowd.staying - found
				if len(list) != crowd.staying {
					moved++
				}
				switch {
				case errors.Is(err, ipvs.ErrChanging):
					changing++
				case err != nil:
					t.Fatal(err)
				case missing > 0:
					short++
					worst = max(worst, missing)
				}
			}
			t.Logf("%d lists in %v, the longest in %v; %d with others than those that stay; %d ended in ErrChanging; %d short, by %d at most",
				lists, sum.Round(time.Millisecond), longest.Round(time.Millisecond), moved, changing, short, worst)
			if short > 0 {
				t.Errorf("%d of %d lists lack up to %d entries that nobody touched", short, lists, worst)
			}
			if twice > 0 {
				t.Errorf("%d entries were listed twice", twice)
			}
			if changing > lists/2 {
				t.Errorf("%d of %d lists came to no end", changing, lists)
			}
			if moved == 0 {
				t.Error("this shows nothing: the other program was never seen")
			}
		})
	}
}

func nameOf(c ipvs.Change) string {
	if c.Op == ipvs.OpAddService {
		return c.Service.ServiceID.String()
	}
	return c.Destination.AddrPort().String()
}
