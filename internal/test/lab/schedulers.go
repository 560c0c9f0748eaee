// SPDX-License-Identifier: Apache-2.0

// What each scheduler promises, counted in the cluster nat.

package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// marking is what a service by firewall mark needs.
const marking = "sch_ingress cls_flower act_skbedit"

// manyServices makes one service of many addresses of the director's. Under a
// mark of its own it has no connections yet.
func manyServices(mark int, service string) string {
	return strings.NewReplacer("SERVICE", service, "-f 1", fmt.Sprint("-f ", mark), "mark 1", fmt.Sprint("mark ", mark)).Replace(`
director# ip route replace local 12.0.0.64/28 dev ens36
director# tc qdisc replace dev ens36 clsact
director# tc filter replace dev ens36 ingress protocol ip pref 1 handle 1 flower dst_ip 12.0.0.64/28 ip_proto tcp dst_port 80 action skbedit mark 1
director# ipvsadm -C
director# ipvsadm -A -f 1 SERVICE
director# ipvsadm -a -f 1 -r 192.168.168.10 -m -w 4
director# ipvsadm -a -f 1 -r 192.168.168.20 -m -w 4
director# ipvsadm -a -f 1 -r 192.168.168.30 -m -w 4
`)
}

func manyAddresses() [][]call {
	var groups [][]call
	for i := range 16 {
		groups = append(groups, []call{{address: fmt.Sprintf("12.0.0.%d:80", 64+i)}})
	}
	return groups
}

func manyClients() [][]call {
	var groups [][]call
	for i := range 60 {
		groups = append(groups, []call{{source: fmt.Sprintf("12.0.0.%d", 130+2*i), address: natService}})
	}
	return groups
}

func (c cluster) thirty() (string, error) {
	t, err := c.share(repeat(30, call{address: natService}))
	return t.String(), err
}

// stages opens connections that stay open, some after the other, and says how
// many each server has after each stage.
func (c cluster) stages(h held, numbers ...int) (string, error) {
	var stages []string
	for _, n := range numbers {
		if err := h.hold(repeat(n, call{address: natService})); err != nil {
			return "", err
		}
		stages = append(stages, h.count(c).String())
	}
	return strings.Join(stages, ", then "), nil
}

// leastConnections gives nginx1 more than its share and looks whether the others
// catch up.
func (c cluster) leastConnections() (string, error) {
	h := held{}
	defer h.close()
	even, err := c.stages(h, 12)
	if err != nil {
		return "", err
	}
	if err := enter(natWeights(1, 0, 0)); err != nil {
		return "", err
	}
	skew, err := c.stages(h, 4)
	if err != nil {
		return "", err
	}
	if err := enter(natWeights(1, 1, 1)); err != nil {
		return "", err
	}
	again, err := c.stages(h, 8)
	return even + ", then " + skew + ", then " + again, err
}

func (c cluster) weightedConnections() (string, error) {
	h := held{}
	defer h.close()
	first, err := c.stages(h, 12)
	if err != nil {
		return "", err
	}
	h.close("nginx1")
	if err := c.idle("nginx1"); err != nil {
		return "", err
	}
	h2 := held{}
	defer h2.close()
	_, err = c.stages(h2, 6)
	t := h2.count(c)
	return fmt.Sprintf("%s, after nginx1's ended %d %d of 6", first, t["nginx1"], t["nginx2"]), err
}

// idle waits until the director counts no active connection to the server.
func (c cluster) idle(server string) error {
	return soon(server+" without active connections", func() (bool, error) {
		active, _, err := c.connections(server)
		return active == 0, err
	})
}

// connections are those of a server that the director counts.
func (c cluster) connections(server string) (active, inactive int, err error) {
	at := slices.IndexFunc(c.hosts, func(h host) bool { return h.name == server })
	list, err := director.shell("ipvsadm -Ln")
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(list) {
		fields := strings.Fields(line)
		if len(fields) == 6 && strings.HasPrefix(fields[1], c.hosts[at].address()+":") {
			_, err = fmt.Sscan(fields[4]+" "+fields[5], &active, &inactive)
			return active, inactive, err
		}
	}
	return 0, 0, fmt.Errorf("no server %s in\n%s", server, list)
}

func (c cluster) twoThenEight() (string, error) {
	h := held{}
	defer h.close()
	return c.stages(h, 2, 6)
}

func (c cluster) failOver() (string, error) {
	first, err := c.thirty()
	if err != nil {
		return "", err
	}
	if err := enter(natWeights(1, 0)); err != nil {
		return "", err
	}
	second, err := c.thirty()
	return first + ", without nginx2 " + second, err
}

// locality asks at many addresses, then overloads the server of one of them.
// When the first server is idle again, the next connection says where the address
// belongs now.
func (c cluster) locality() (string, error) {
	sticky, err := c.sticky(manyAddresses(), 3)
	if err != nil {
		return "", err
	}
	h := held{}
	defer h.close()
	address := manyAddresses()[0]
	if err := h.hold(address); err != nil {
		return "", err
	}
	first := slices.Collect(maps.Keys(h))[0]
	if err := h.hold(slices.Repeat(address, 5)); err != nil {
		return "", err
	}
	busy := len(h[first])
	others := 6 - busy
	h.close(first)
	if err := c.idle(first); err != nil {
		return "", err
	}
	if err := h.hold(address); err != nil {
		return "", err
	}
	where := "stays there"
	if len(h[first]) > 0 {
		where = "goes back"
	}
	return fmt.Sprintf("%s; %d %d, %s", sticky, busy, others, where), nil
}

func (c cluster) overflow() (string, error) {
	h := held{}
	defer h.close()
	return c.stages(h, 3, 6)
}
