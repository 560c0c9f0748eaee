// SPDX-License-Identifier: Apache-2.0

package main

import "fmt"

// limits is the cluster nat, with servers that take no more connections.
var limits = cluster{
	name:  "limits",
	hosts: natHosts,
	typed: natTyped,
	scenarios: []scenario{
		// This one first: a server keeps the connections that it had.
		{
			name: "thresholds", expected: "2 4 0, when nginx1's are gone 1 1 of 2",
			typed: thresholds,
			count: cluster.thresholds,
		},
		{
			name: "weight-0", expected: "2 2 0, new ones 0 10 0, 4 old ones answer",
			typed: natServers("-s rr", 1, 1), steps: noMore,
			count: cluster.weightZero,
		},
	},
}

// thresholds lets the first server have at most two connections, and again some
// when it has less than one.
const thresholds = `
director# ipvsadm -C
director# ipvsadm -A -t 12.0.0.1:80 -s rr
director# ipvsadm -a -t 12.0.0.1:80 -r 192.168.168.10:80 -m -x 2 -y 1
director# ipvsadm -a -t 12.0.0.1:80 -r 192.168.168.20:80 -m
`

// noMore lets the first server get no more connections.
var noMore = []step{{host: "director", command: "ipvsadm -e -t 12.0.0.1:80 -r 192.168.168.10:80 -m -w 0"}}

func (c cluster) weightZero() (string, error) {
	old := held{}
	defer old.close()
	before, err := c.stages(old, 4)
	if err != nil {
		return "", err
	}
	if err := typeAll(noMore); err != nil {
		return "", err
	}
	t, err := c.share(repeat(10, call{address: natService}))
	return fmt.Sprintf("%s, new ones %v, %d old ones answer", before, t, old.answering()), err
}

func (c cluster) thresholds() (string, error) {
	h := held{}
	defer h.close()
	before, err := c.stages(h, 6)
	if err != nil {
		return "", err
	}
	h.reset("nginx1")
	err = soon("nginx1 without connections", func() (bool, error) {
		active, inactive, err := c.connections("nginx1")
		return active+inactive == 0, err
	})
	if err != nil {
		return "", err
	}
	again := held{}
	defer again.close()
	_, err = c.stages(again, 2)
	t := again.count(c)
	return fmt.Sprintf("%s, when nginx1's are gone %d %d of 2", before, t["nginx1"], t["nginx2"]), err
}
