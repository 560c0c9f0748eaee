// SPDX-License-Identifier: Apache-2.0

// Package network builds networks of namespaces: each host is a network
// namespace, and each wire a bridge in one more namespace, the switch. A card is
// one end of a veth pair, whose other end is a port of the bridge.
package network

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Here is the name of a host that is the calling thread's namespace.
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

// Parse reads hosts, a card a line: the host's name, the card's, the wire's, and
// the card's addresses with prefix length, then "via" and gateways of default
// routes, if any. Hosts on the same wire hear each other. It panics if a line is
// none of these, since hosts are written into the tests.
func Parse(text string) []Host {
	var hosts []Host
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

// Build makes the hosts and the wires between them.
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
	// The kernel refuses a card for another namespace whose name is taken here.
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

// Remove takes the hosts and the wires away, but for the one here.
func Remove(hosts []Host) error {
	lines := "netns del " + switchName + "\n"
	for _, h := range hosts {
		if h.Name != Here {
			lines += "netns del " + h.Name + "\n"
		}
	}
	return ip(Here, lines)
}

// lines give a connected host its addresses and routes. lo comes first: without
// it IPVS takes no address for the host's own. An IPv6 address is there at once,
// without a search for duplicates.
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

// port is the name of a card's port of the switch.
func (h Host) port(c card) string { return h.Name + "-" + c.name }

// Plug pulls the plugs of all the host's cards, or puts them in again. The last
// one, on which directors talk to each other, comes first, lest a director says
// good-bye.
func (h Host) Plug(in bool) error {
	state := map[bool]string{true: "up", false: "down"}[in]
	var lines strings.Builder
	for _, c := range slices.Backward(h.cards) {
		fmt.Fprintf(&lines, "link set %s %s\n", h.port(c), state)
	}
	return ip(switchName, lines.String())
}

// ip runs a batch of ip(8) commands, one a line, on a host.
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

// Address is the first of the host's first card.
func (h Host) Address() string {
	address, _, _ := strings.Cut(h.cards[0].addresses[0], "/")
	return address
}

// Do calls f on a thread of the host's: sockets that it opens and commands that
// it starts are in the host's namespace.
func (h Host) Do(f func() error) error {
	namespace, err := os.Open("/run/netns/" + h.Name)
	if err != nil {
		return err
	}
	defer namespace.Close()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: a thread in another namespace must end with its goroutine
		err := unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET)
		if err == nil {
			err = f()
		}
		done <- err
	}()
	return <-done
}
