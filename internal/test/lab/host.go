// SPDX-License-Identifier: Apache-2.0

// The network: each host is a network namespace, and each wire a bridge in one
// more namespace, the switch. A card is one end of a veth pair, whose other end
// is a port of the bridge.

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// host is a machine of a scenario.
type host struct {
	name    string
	cards   []card
	gateway string // addresses of the default routes with blanks between, "" for none
	page    string // what its nginx serves, "" for no nginx
}

// card is a network card.
type card struct {
	name    string
	wire    string // hosts on the same wire hear each other
	address string // one or more with prefix length, blanks between
}

const switchName = "switch"

// build makes the network and starts what runs in it.
func build(hosts []host) error {
	if err := connect(hosts); err != nil {
		return err
	}
	for _, h := range hosts {
		if err := h.start(); err != nil {
			return fmt.Errorf("%s: %w", h.name, err)
		}
	}
	return nil
}

// connect makes the hosts' namespaces and the wires between them.
func connect(hosts []host) error {
	var world, ports strings.Builder
	fmt.Fprintln(&world, "netns add", switchName)
	fmt.Fprintln(&ports, "link set lo up")
	wires := map[string]bool{}
	for _, h := range hosts {
		fmt.Fprintln(&world, "netns add", h.name)
		for _, c := range h.cards {
			if !wires[c.wire] {
				wires[c.wire] = true
				fmt.Fprintf(&world, "link add %s netns %s type bridge\n", c.wire, switchName)
				fmt.Fprintf(&ports, "link set %s up\n", c.wire)
			}
			fmt.Fprintf(&world, "link add %s netns %s type veth peer name %s netns %s\n", c.name, h.name, h.port(c), switchName)
			fmt.Fprintf(&ports, "link set %s master %s up\n", h.port(c), c.wire)
		}
	}
	if err := ip(world.String()); err != nil {
		return err
	}
	return ip(ports.String(), "-n", switchName)
}

// port is the name of a card's port of the switch.
func (h host) port(c card) string { return h.name + "-" + c.name }

// plug pulls the plugs of all the host's cards, or puts them in again. The last
// one, on which directors talk to each other, comes first, lest a director says
// good-bye.
func (h host) plug(in bool) error {
	state := map[bool]string{true: "up", false: "down"}[in]
	var lines strings.Builder
	for _, c := range slices.Backward(h.cards) {
		fmt.Fprintf(&lines, "link set %s %s\n", h.port(c), state)
	}
	return ip(lines.String(), "-n", switchName)
}

// ip runs a batch of ip(8) commands, one a line.
func ip(batch string, options ...string) error {
	cmd := exec.Command("ip", append(options, "-batch", "-")...)
	cmd.Stdin = strings.NewReader(batch)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w\n%s%s", strings.Join(options, " "), err, batch, out)
	}
	return nil
}

// start gives a connected host its home, addresses and route, and starts its nginx.
func (h host) start() error {
	if err := os.MkdirAll(h.home(), 0o755); err != nil {
		return err
	}
	// lo comes first: without it IPVS takes no address for the host's own.
	lines := []string{"link set lo up"}
	for _, c := range h.cards {
		for _, address := range strings.Fields(c.address) {
			line := "addr add " + address + " dev " + c.name
			if strings.Contains(address, ":") {
				line += " nodad" // to be there at once
			}
			lines = append(lines, line)
		}
		lines = append(lines, "link set "+c.name+" up")
	}
	for _, gateway := range strings.Fields(h.gateway) {
		lines = append(lines, "route add default via "+gateway)
	}
	if err := ip(strings.Join(lines, "\n")+"\n", "-n", h.name); err != nil {
		return err
	}
	if h.page != "" {
		return h.startNginx()
	}
	return nil
}

// address is the first of the host's first card.
func (h host) address() string {
	address, _, _ := strings.Cut(h.cards[0].address, "/")
	return address
}

// home is the working directory of what runs on the host.
func (h host) home() string { return filepath.Join("/run/lab", h.name) }

// run runs a command on the host and returns its standard output and error.
func (h host) run(cmd *exec.Cmd) (output []byte, err error) {
	cmd.Dir = h.home()
	cmd.Env = append(os.Environ(), "HOME="+h.home())
	err = h.do(func() error {
		output, err = cmd.CombinedOutput()
		return err
	})
	return output, err
}

// do calls f on a thread of the host's: sockets that it opens and commands that
// it starts are in the host's namespace.
func (h host) do(f func() error) error {
	namespace, err := os.Open("/run/netns/" + h.name)
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
