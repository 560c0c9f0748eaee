// SPDX-License-Identifier: Apache-2.0

package ipvstest_test

import (
	"context"
	"errors"
	"net/netip"
	"reflect"
	"syscall"
	"testing"

	"github.com/ipvsadm-go/ipvsadm/internal/test/change"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs/ipvstest"
)

var (
	web    = ipvs.AddrID(ipvs.TCP, netip.MustParseAddr("12.0.0.1"), 80)
	server = ipvs.Destination{Addr: netip.MustParseAddr("192.168.168.10"), Port: 80, Weight: 1}
)

func TestKernelHasTheMethodsOfAClient(t *testing.T) {
	client, kernel := reflect.TypeFor[*ipvs.Client](), reflect.TypeFor[*ipvstest.Kernel]()
	for i := range client.NumMethod() {
		m := client.Method(i)
		own, found := kernel.MethodByName(m.Name)
		if !found {
			t.Errorf("it lacks %s", m.Name)
			continue
		}
		signature := func(m reflect.Method) (s []string) {
			for j := 1; j < m.Type.NumIn(); j++ {
				s = append(s, m.Type.In(j).String())
			}
			for j := range m.Type.NumOut() {
				s = append(s, m.Type.Out(j).String())
			}
			return s
		}
		if a, b := signature(m), signature(own); !reflect.DeepEqual(a, b) {
			t.Errorf("%s: %v, want %v", m.Name, b, a)
		}
	}
}

func TestKernelAnswers(t *testing.T) {
	ctx := t.Context()
	k := ipvstest.New(nil)
	err := k.Apply(ctx, change.AddService(ipvs.NewService(web, "rr")), change.AddDestination(web, server), change.AddDestination(web, server),
		change.StartDaemon(ipvs.Daemon{State: ipvs.Backup, Interface: "lo"}), change.StartDaemon(ipvs.Daemon{State: ipvs.Master, Interface: "lo"}))
	var refused ipvs.ChangeErrors
	if !errors.As(err, &refused) || len(refused) != 1 || refused[0].Index != 2 || !errors.Is(err, ipvs.ErrDestinationExists) {
		t.Fatalf("%v", err)
	}
	if s, err := k.Service(ctx, web); err != nil || s.Scheduler != "rr" || s.Destinations != nil {
		t.Errorf("%v, %v", s, err)
	}
	if _, err := k.Service(ctx, ipvs.MarkID(1, ipvs.IPv4)); !errors.Is(err, ipvs.ErrNoService) {
		t.Errorf("%v", err)
	}
	if _, err := k.Service(ctx, ipvs.ServiceID{}); !errors.Is(err, ipvs.ErrInvalid) {
		t.Errorf("%v", err)
	}
	if d, err := k.Destinations(ctx, web); err != nil || len(d) != 1 || d[0].Destination != server {
		t.Errorf("%v, %v", d, err)
	}
	if d, err := k.Destinations(ctx, ipvs.MarkID(1, ipvs.IPv4)); err != nil || d == nil || len(d) != 0 {
		t.Errorf("%v, %v", d, err)
	}
	if s, err := k.Services(ctx); err != nil || len(s) != 1 || s[0].Destinations != nil {
		t.Errorf("%v, %v", s, err)
	}
	if d, err := k.Daemons(ctx); err != nil || len(d) != 2 || d[0].State != ipvs.Master {
		t.Errorf("%v, %v", d, err)
	}
	if err := k.Apply(ctx, change.AddService(ipvs.Service{}), change.Flush()); !errors.Is(err, ipvs.ErrInvalid) || len(k.Now().Services) != 0 {
		t.Errorf("an invalid change: %v, and %v", err, k.Now())
	}
	if len(k.Batches()) != 2 || len(k.Batches()[0]) != 5 {
		t.Errorf("%v", k.Batches())
	}
	k.Rows = []ipvs.Connection{{Protocol: ipvs.TCP}, {Protocol: ipvs.UDP}}
	n := 0
	for c, err := range k.Connections(ctx, ipvs.ConnectionFilter{}) {
		if err != nil || c.Protocol == 0 {
			t.Errorf("%v, %v", c, err)
		}
		n++
	}
	for c := range k.Connections(ctx, ipvs.ConnectionFilter{State: "none"}) {
		t.Errorf("%v fits", c)
	}
	if n != 2 {
		t.Errorf("%d connections", n)
	}
}

func TestKernelFailsAsItIsTold(t *testing.T) {
	k := ipvstest.New(&ipvs.Table{Services: []ipvs.ServiceEntry{{Service: ipvs.NewService(web, "rr")}}})
	k.Refuse = func(c ipvs.Change) syscall.Errno {
		if c.Daemon.Interface == "nosuch" {
			return syscall.ENODEV
		}
		return 0
	}
	broken := errors.New("broken")
	var called []string
	k.Before = func(method string) error {
		called = append(called, method)
		if len(called) > 2 {
			return broken
		}
		return k.Do(change.Zero()) // it is not held up by its own lock
	}
	if err := k.Apply(t.Context(), change.StartDaemon(ipvs.Daemon{State: ipvs.Master, Interface: "nosuch"})); !errors.Is(err, syscall.ENODEV) {
		t.Errorf("%v", err)
	}
	if err := k.Do(change.StartDaemon(ipvs.Daemon{State: ipvs.Master, Interface: "nosuch"})); err != nil {
		t.Errorf("another program is refused: %v", err)
	}
	if _, err := k.Table(t.Context()); err != nil {
		t.Error(err)
	}
	var applying *ipvs.ApplyError
	if err := k.Apply(t.Context(), change.Flush()); !errors.As(err, &applying) || !errors.Is(err, broken) || len(k.Now().Services) != 1 {
		t.Errorf("%v", err)
	}
	if _, err := k.Table(t.Context()); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	if want := []string{"Apply", "Table", "Apply", "Table"}; !reflect.DeepEqual(called, want) {
		t.Errorf("%v", called)
	}
	k.Before = nil
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := k.Services(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	k.Close()
	if _, err := k.Info(t.Context()); err != nil {
		t.Error(err)
	}
}
