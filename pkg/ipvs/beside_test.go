// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"errors"
	"runtime"
	"syscall"
	"testing"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs/internal/nl"
)

// TestManyServicesAreListedSideBySide lists services with one destination
// each, whose address has the number of the service. Two sockets, which wait
// for each other at first, have to take part where there are two processors
// and the second can be opened.
func TestManyServicesAreListedSideBySide(t *testing.T) {
	const many = parallelServices
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	none, gone, refused := many+1, 0, many/2
	for _, c := range []struct {
		name            string
		services        int
		one             bool // socket
		empty, deleted  int  // the service without destinations, and the one that is not there any more
		refused, listed int
	}{
		{"many", many, false, none, none, none, many},
		{"few", many - 1, true, none, none, none, many - 1},
		{"one socket", many, true, none, none, none, many},
		{"one is empty, and the first is gone", many, false, 9, gone, none, many - 1},
		{"a refusal", many, false, none, none, refused, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			both := make(chan struct{})
			kernel := func(second bool) func(m message) [][]byte {
				met := c.one
				return func(m message) [][]byte {
					end := status(nl.MsgDone, m.seq, 0)
					body, err := m.body()
					if err != nil {
						t.Error(err)
					}
					if len(body) == 0 {
						var all [][]byte
						for i := range c.services {
							all = append(all, answer(m.seq, serviceEntry(web(uint16(i)))))
						}
						return append(all, end)
					}
					if !met {
						met = true
						if second {
							close(both)
						} else {
							<-both
						}
					}
					id, err := new(decoder).serviceID(body)
					if err != nil {
						t.Error(err)
					}
					n := int(id.Port)
					switch {
					case m.data[0] == nl.CmdGetService && n == c.deleted:
						return [][]byte{status(nl.MsgError, m.seq, syscall.ESRCH)}
					case m.data[0] == nl.CmdGetService:
						return [][]byte{answer(m.seq, serviceEntry(id)), status(nl.MsgError, m.seq, 0)}
					case n == c.empty || n == c.deleted:
						return [][]byte{end}
					case n == c.refused:
						return [][]byte{status(nl.MsgError, m.seq, syscall.EIO)}
					}
					d := server(n)
					return [][]byte{answer(m.seq, destinationEntry(&d)), end}
				}
			}
			cl, w := client(kernel(false))
			if !c.one || c.services < many {
				w.beside = &wire{kernel: kernel(true)}
			}
			list, err := cl.ServicesWithDestinations(t.Context())
			if c.refused != none {
				if !errors.Is(err, syscall.EIO) || list != nil {
					t.Fatalf("%d services, %v", len(list), err)
				}
				return
			}
			if err != nil || len(list) != c.listed {
				t.Fatalf("%d services, %v, want %d", len(list), err, c.listed)
			}
			for i, s := range list {
				n := int(s.Port)
				if i > 0 && s.Port <= list[i-1].Port {
					t.Errorf("service %d comes after %d", n, list[i-1].Port)
				}
				if n == c.empty && len(s.Destinations) == 0 {
					continue
				}
				if len(s.Destinations) != 1 || s.Destinations[0].Destination != server(n) {
					t.Errorf("service %d has %v", n, s.Destinations)
				}
			}
		})
	}
}
