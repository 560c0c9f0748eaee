// SPDX-License-Identifier: Apache-2.0

// The NAT cluster with which every LVS course begins: a director between the
// outside, where the client is, and the inside, where two web servers are.

package main

const listTitle = `IP Virtual Server version 1.2.1 (size=<\d+>)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
`

var demo = script{
	hosts: []host{
		{name: "director", cards: []card{{"ens33", "inside", "192.168.168.50/24"}, {"ens36", "outside", "12.0.0.1/24"}}},
		{name: "nginx1", cards: []card{{"ens33", "inside", "192.168.168.10/24"}}, gateway: "192.168.168.50", page: "this is nginx1"},
		{name: "nginx2", cards: []card{{"ens33", "inside", "192.168.168.20/24"}}, gateway: "192.168.168.50", page: "this is nginx2"},
		{name: "client", cards: []card{{"ens33", "outside", "12.0.0.10/24"}}},
	},
	folders: []string{"/etc/sysconfig"},
	steps: []step{
		{
			note: "The director forwards what the servers answer.",
			host: "director", command: "sysctl -w net.ipv4.ip_forward=1",
			answer: "net.ipv4.ip_forward = 1\n",
		},

		{
			note: "A virtual service, round robin, with two real servers behind NAT.",
			host: "director", command: "ipvsadm -C",
		},
		{host: "director", command: "ipvsadm -A -t 12.0.0.1:80 -s rr"},
		{host: "director", command: "ipvsadm -a -t 12.0.0.1:80 -r 192.168.168.10:80 -m"},
		{host: "director", command: "ipvsadm -a -t 12.0.0.1:80 -r 192.168.168.20:80 -m"},
		{host: "director", command: "ipvsadm -Ln", answer: listTitle +
			"TCP  12.0.0.1:80 rr\n" +
			"  -> 192.168.168.10:80            Masq    1      0          0\n" +
			"  -> 192.168.168.20:80            Masq    1      0          0\n"},

		// The kernel puts a new server at the head of its list.
		{
			note: "The servers take turns.",
			host: "client", command: "curl -s 12.0.0.1", answer: "this is nginx2\n",
		},
		{host: "client", command: "curl -s 12.0.0.1", answer: "this is nginx1\n"},
		{host: "client", command: "curl -s 12.0.0.1", answer: "this is nginx2\n"},
		{host: "client", command: "curl -s 12.0.0.1", answer: "this is nginx1\n"},
		{host: "director", command: "ipvsadm -Lnc", answer: "" +
			"IPVS connection entries\n" +
			"pro expire state       source             virtual            destination\n" +
			connection + connection + connection + connection},
		{
			note: "The kernel adds up its counters every two seconds.",
			host: "director", command: "ipvsadm -Ln --stats", soon: true, answer: `IP Virtual Server version 1.2.1 (size=<\d+>)
Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes
  -> RemoteAddress:Port
TCP  12.0.0.1:80                         4` + counters + `
  -> 192.168.168.10:80                   2` + counters + `
  -> 192.168.168.20:80                   2` + counters + "\n",
		},

		{
			note: "Saved, cleared and restored.",
			host: "director", command: "ipvsadm-save -n > /etc/sysconfig/ipvsadm",
		},
		{host: "director", command: "cat /etc/sysconfig/ipvsadm", answer: "" +
			"-A -t 12.0.0.1:80 -s rr\n" +
			"-a -t 12.0.0.1:80 -r 192.168.168.10:80 -m -w 1\n" +
			"-a -t 12.0.0.1:80 -r 192.168.168.20:80 -m -w 1\n"},
		{host: "director", command: "ipvsadm -C"},
		{host: "director", command: "ipvsadm -Ln", answer: listTitle},
		{host: "director", command: "ipvsadm-restore < /etc/sysconfig/ipvsadm"},
		// A server that is added again while it has connections gets them back.
		{host: "director", command: "ipvsadm -Ln", answer: listTitle +
			"TCP  12.0.0.1:80 rr\n" +
			`  -> 192.168.168.10:80            Masq    1      0          <\d+>` + "\n" +
			`  -> 192.168.168.20:80            Masq    1      0          <\d+>` + "\n"},

		{
			note: "A server less, then no service.",
			host: "director", command: "ipvsadm -d -r 192.168.168.20:80 -t 12.0.0.1:80",
		},
		{host: "director", command: "ipvsadm -Ln", answer: listTitle +
			"TCP  12.0.0.1:80 rr\n" +
			`  -> 192.168.168.10:80            Masq    1      0          <\d+>` + "\n"},
		{host: "client", command: "curl -s 12.0.0.1", answer: "this is nginx1\n"},
		{host: "client", command: "curl -s 12.0.0.1", answer: "this is nginx1\n"},
		{host: "director", command: "ipvsadm -D -t 12.0.0.1:80"},
		{host: "director", command: "ipvsadm -Ln", answer: listTitle},

		{
			note: "Weighted round robin: the first server gets twice as much.",
			host: "director", command: "ipvsadm -A -t 12.0.0.1:80 -s wrr",
		},
		{host: "director", command: "ipvsadm -a -t 12.0.0.1:80 -r 192.168.168.10:80 -m -w 2"},
		{host: "director", command: "ipvsadm -a -t 12.0.0.1:80 -r 192.168.168.20:80 -m -w 1"},
		{host: "director", command: "ipvsadm -Ln", answer: listTitle +
			"TCP  12.0.0.1:80 wrr\n" +
			`  -> 192.168.168.10:80            Masq    2      0          <\d+>` + "\n" +
			`  -> 192.168.168.20:80            Masq    1      0          <\d+>` + "\n"},
		{host: "client", command: thirtyRequests, answer: "" +
			"     20 this is nginx1\n" +
			"     10 this is nginx2\n"},

		{
			note: "Weighted least connections, the default: both servers have something to do.",
			host: "director", command: "ipvsadm -E -t 12.0.0.1:80 -s wlc",
		},
		{host: "director", command: "ipvsadm -Ln", answer: listTitle +
			"TCP  12.0.0.1:80 wlc\n" +
			`  -> 192.168.168.10:80            Masq    2      0          <\d+>` + "\n" +
			`  -> 192.168.168.20:80            Masq    1      0          <\d+>` + "\n"},
		{host: "client", command: thirtyRequests, answer: "" +
			`< +\d+> this is nginx1` + "\n" +
			`< +\d+> this is nginx2` + "\n"},

		{
			note: "Mistakes that are often made: missing blanks, a scheduler on a real server, a service that is not there.",
			host: "director", command: "ipvsadm -a-t 12.0.0.1:80-r192.168.233.61:80 -m",
			answer: "-a-t: unknown option\n", status: 255,
		},
		{
			host: "director", command: "ipvsadm -a -t 12.0.0.1:80 -r 192.168.168.10:80 -s rr -m",
			answer: "Illegal 'scheduler' option with the 'add-server' command\n", status: 2,
		},
		{
			host: "director", command: "ipvsadm -a -t 12.0.0.1:8080 -r 192.168.168.10:80 -m",
			answer: "Service not defined\n", status: 255,
		},
		{
			host: "director", command: "ipvsadm -D -t 12.0.0.1:8080",
			answer: "No such service\n", status: 255,
		},
	},
}

// connection is a line of -Lnc.
const connection = `TCP <0[12]:\d\d>  TIME_WAIT   12.0.0.10:<\d{5}>    12.0.0.1:80        192.168.168.<[12]>0:80` + "\n"

// counters are packets and bytes, in and out, none of which is zero.
const counters = `<(?: +[1-9]\d*){4}>`

// thirtyRequests come from one curl: what takes longest in the guest is to start
// one. The servers do not look at what stands after the question mark.
const thirtyRequests = `curl -s '12.0.0.1/?[1-30]' | sort | uniq -c`
