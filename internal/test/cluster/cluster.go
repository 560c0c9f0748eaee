// SPDX-License-Identifier: Apache-2.0

// Package cluster builds networks of namespaces: each host is a network
// namespace, and each wire is a bridge in another namespace, the switch. A
// card is one end of a veth pair, whose other end is a port of the bridge.
package cluster

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
)

// Here names the host whose namespace is that of the calling thread.
const Here = "here"

const switchName = "switch"

// Host is a machine of the network.
type Host struct {
	Name     string
	cards    []card
	gateways []string
}

type card struct {
	name, wire string
	addresses  []string // with prefix length
}

// Parse reads one card per line: the names of the host, the card and the
// wire, the card's addresses with prefix length, and optionally "via" with
// gateways of default routes. Hosts on the same wire reach each other. Parse
// panics on a bad line, because hosts are part of the tests' source.
func Parse(text string) (hosts Hosts) {
	for line := range strings.Lines(text) {
		fields, gateways, _ := strings.Cut(line, " via ")
		words := strings.Fields(fields)
		switch {
		case len(words) == 0:
			continue
		case len(words) < 4:
			panic("a card needs a host, a name, a wire and an address: " + line)
		}
		i := slices.IndexFunc(hosts, func(h Host) bool { return h.Name == words[0] })
		if i < 0 {
			i = len(hosts)
			hosts = append(hosts, Host{Name: words[0]})
		}
		hosts[i].cards = append(hosts[i].cards, card{words[1], words[2], words[3:]})
		hosts[i].gateways = append(hosts[i].gateways, strings.Fields(gateways)...)
	}
	return hosts
}

// Build creates the hosts and the wires between them.
func Build(hosts []Host) error {
	var world, here, ports strings.Builder
	fmt.Fprintln(&world, "netns add", switchName)
	fmt.Fprintln(&ports, "link set lo up")
	wires := map[string]bool{}
	for _, h := range hosts {
		links, where := &here, ""
		if h.Name != Here {
			fmt.Fprintln(&world, "netns add", h.Name)
			links, where = &world, "netns "+h.Name
		}
		for _, c := range h.cards {
			if !wires[c.wire] {
				wires[c.wire] = true
				fmt.Fprintf(&world, "link add %s netns %s type bridge\n", c.wire, switchName)
				fmt.Fprintf(&ports, "link set %s up\n", c.wire)
			}
			fmt.Fprintf(links, "link add %s %s type veth peer name %s netns %s\n", c.name, where, h.port(c), switchName)
			fmt.Fprintf(&ports, "link set %s master %s up\n", h.port(c), c.wire)
		}
	}
	// The kernel refuses to create a card in another namespace if its
	// name is in use in this one.
	if err := ip(Here, world.String()+here.String()); err != nil {
		return err
	}
	if err := ip(switchName, ports.String()); err != nil {
		return err
	}
	for _, h := range hosts {
		if err := ip(h.Name, h.lines()); err != nil {
			return err
		}
	}
	return nil
}

// New builds the hosts of the rows, and removes them when the test ends.
func New(t testing.TB, rows string) Hosts {
	t.Helper()
	hosts := Parse(rows)
	must.OK(t, Build(hosts))
	t.Cleanup(func() {
		if err := Remove(hosts); err != nil {
			t.Error(err)
		}
	})
	return hosts
}

// Hosts are the machines of a network.
type Hosts []Host

// Host returns the host with a name, even if it is not one of the hosts.
func (l Hosts) Host(name string) Host {
	for _, h := range l {
		if h.Name == name {
			return h
		}
	}
	return Host{Name: name}
}

// Remove deletes the hosts, except the one that is Here, and the wires.
func Remove(hosts []Host) error {
	lines := "netns del " + switchName + "\n"
	for _, h := range hosts {
		if h.Name != Here {
			lines += "netns del " + h.Name + "\n"
		}
	}
	return ip(Here, lines)
}

// lines returns the commands that give a connected host its addresses and
// routes. lo is first: while it is down, IPVS considers no address local.
// Duplicate address detection would delay IPv6 addresses.
func (h Host) lines() string {
	var b strings.Builder
	fmt.Fprintln(&b, "link set lo up")
	for _, c := range h.cards {
		for _, address := range c.addresses {
			nodad := ""
			if strings.Contains(address, ":") {
				nodad = "nodad"
			}
			fmt.Fprintln(&b, "addr add", address, "dev", c.name, nodad)
		}
		fmt.Fprintln(&b, "link set", c.name, "up")
	}
	for _, gateway := range h.gateways {
		fmt.Fprintln(&b, "route add default via", gateway)
	}
	return b.String()
}

// port returns the name of a card's port on the switch.
func (h Host) port(c card) string { return h.Name + "-" + c.name }

// Plug plugs in or unplugs all cards of the host. The last card, over which
// directors talk to each other, comes first, so that a director cannot
// announce its departure.
func (h Host) Plug(in bool) error {
	state := map[bool]string{true: "up", false: "down"}[in]
	var lines strings.Builder
	for _, c := range slices.Backward(h.cards) {
		fmt.Fprintf(&lines, "link set %s %s\n", h.port(c), state)
	}
	return ip(switchName, lines.String())
}

// ip runs a batch of ip(8) commands, one per line, on a host.
func ip(host, batch string) error {
	args := []string{"-batch", "-"}
	if host != Here {
		args = append([]string{"-n", host}, args...)
	}
	cmd := exec.Command("ip", args...)
	cmd.Stdin = strings.NewReader(batch)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("ip on %s: %w\n%s%s", host, err, batch, out)
	}
	return nil
}

// Do calls f on a thread in the host's namespace: sockets that f opens and
// commands that it starts belong there.
func (h Host) Do(f func() error) error {
	namespace, err := os.Open("/run/netns/" + h.Name)
	if err != nil {
		return err
	}
	defer namespace.Close()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked, so that the thread ends with its goroutine
		err := unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET)
		if err == nil {
			err = f()
		}
		done <- err
	}()
	return <-done
}
