// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs/internal/nl"
)

// TestErrors compares the texts of the package's errors. Those of refusals
// begin with the subject and end with the reason, without repetition.
func TestErrors(t *testing.T) {
	ctx := t.Context()
	answering := func(data []byte) *Client {
		c, _ := client(func(m message) [][]byte { return [][]byte{answer(m.seq, data), status(nl.MsgError, m.seq, 0)} })
		return c
	}
	refusing, _ := client(func(m message) [][]byte {
		if m.typ == nl.MsgNoop {
			return [][]byte{status(nl.MsgError, m.seq, 0)}
		}
		return [][]byte{status(nl.MsgError, m.seq, syscall.EPERM)}
	})
	ended, cancel := context.WithCancel(ctx)
	cancel()
	info := func(c *Client) error { _, err := c.Info(ctx); return err }
	table := func(c *Client, ctx context.Context) error { _, err := c.Table(ctx); return err }
	service := func(c *Client, id ServiceID) error { _, err := c.Service(ctx, id); return err }
	reconcile := func(c *Client, want ...ServiceEntry) error {
		_, err := c.Reconcile(ctx, want, func(id ServiceID) bool { return id.Port == 80 })
		return err
	}
	short := append(appendU32(nil, nl.InfoVersion, 1), 7)
	d := Destination{Addr: netip.MustParseAddr("2001:db8::1"), Port: 80}
	add := Change{Op: OpAddDestination, Service: Service{ServiceID: MarkID(77, IPv6)}, Destination: d}
	odd := &ChangeError{Change: Change{Op: OpAddService, Service: NewService(web(80), "nosuch")}, Err: syscall.ENOENT}
	rows := func(table string) (last error) {
		for _, err := range connectionsOf(ctx, strings.NewReader("title\n"+table), ConnectionFilter{}) {
			last = err
		}
		return last
	}
	for _, c := range []struct {
		err  error
		want string
	}{
		{&ChangeError{Change: add, Err: syscall.EEXIST}, "add destination [2001:db8::1]:80 Masq weight 0 of FWM 77 IPv6: destination already exists"},
		{&ChangeError{Change: add, Err: syscall.ESRCH}, "add destination [2001:db8::1]:80 Masq weight 0 of FWM 77 IPv6: no such service"},
		{&ChangeError{Change: flush(), Err: syscall.EPERM}, "flush: operation not permitted"},
		{&ChangeError{Change: flush()}, "flush: <nil>"},
		{&ChangeError{Change: one(func(b *Batch) { b.StopDaemon(Master) }), Err: syscall.ESRCH}, "stop daemon master: no such sync daemon runs"},
		{&QueryError{Query: "get service"}, "get service: <nil>"},
		{&ApplyError{Sent: 2, Refused: ChangeErrors{odd}, Err: context.Canceled},
			"add service TCP 12.0.0.1:80 nosuch: scheduler or persistence engine not found\nafter 2 changes: context canceled"},
		{&NetNSError{"one", syscall.ENOENT}, "network namespace one: no such file or directory"},
		{&NetNSError{"one", syscall.EINVAL}, "network namespace one: not a network namespace"},
		{info(refusing), "get information: operation not permitted"},
		{info(answering(short)), "get information: malformed message from the kernel: in a set of information: 1 stray bytes after the attributes"},
		{info(answering(nil)), "get information: malformed message from the kernel: a set of information without version"},
		{table(refusing, ctx), "list services: operation not permitted"},
		{table(refusing, ended), "list services: context canceled"},
		{table(new(Client), ctx), "list services: file already closed"},
		{service(refusing, web(80)), "get service TCP 12.0.0.1:80: operation not permitted"},
		{service(refusing, ServiceID{}), "get service: invalid value: the service has no address"},
		{refusing.Apply(ended, flush()), "after 0 changes: context canceled"},
		{refusing.Flush(ctx), "flush: operation not permitted"},
		{refusing.AddService(ctx, Service{}), "add service IP invalid AddrPort: invalid value: the service has no address"},
		{refusing.SetWeight(ctx, web(80), server(1).AddrPort(), 1), "list destinations of TCP 12.0.0.1:80: operation not permitted"},
		{reconcile(refusing), "list services: operation not permitted"},
		{reconcile(refusing, ServiceEntry{Service: NewService(web(81), "rr")}), "invalid value: the service TCP 12.0.0.1:81 is wanted but not owned"},
		{rows("nonsense"), `list connections: line 2: malformed message from the kernel: the connection "nonsense" has 1 fields, want 9`},
		{new(Timeouts).UnmarshalJSON([]byte(`{"tcp":-1}`)), "tcp: -1 is not a number of seconds from 0 to 4294967295"},
	} {
		if c.err == nil || c.err.Error() != c.want {
			t.Errorf("%v, want %s", c.err, c.want)
			continue
		}
		for line := range strings.Lines(c.err.Error()) {
			parts := strings.Split(strings.TrimSpace(line), ": ")
			slices.Sort(parts)
			if len(slices.Compact(parts)) != len(strings.Split(line, ": ")) {
				t.Errorf("%q has a part twice", line)
			}
		}
	}
	if !errors.Is(odd, ErrNoScheduler) || errors.Is(odd, ErrNoService) || !errors.Is(odd, syscall.ENOENT) {
		t.Errorf("%v matches the wrong errors", odd)
	}
}
