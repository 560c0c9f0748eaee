// SPDX-License-Identifier: Apache-2.0

package doctor

import "slices"

// Setting is a row about a file below /proc/sys/net/ipv4/vs.
type Setting struct {
	Name string
	// Default is the value that the kernel begins with, in words where that
	// depends on the machine.
	Default string
	// Others are defaults too: of network namespaces other than the first.
	Others []string
	// Varies says that the default depends on the machine.
	Varies bool
	// Since is the kernel that it came with, of those after 6.1.
	Since string
	// Meaning says what it does, in a sentence without its full stop.
	Meaning string
}

// isDefault reports whether a value is a default, or may be one.
func (s *Setting) isDefault(value string) bool {
	return s.Varies || value == s.Default || slices.Contains(s.Others, value)
}

// Settings are the settings of IPVS in Linux 6.1 to 7.2. Kernels have some of
// them only if they are built so, or while a module is loaded.
var Settings = [...]Setting{
	{Name: "am_droprate", Default: "10",
		Meaning: "with drop_packet 3, one of so many packets of new connections is dropped"},
	{Name: "amemthresh", Default: "1024",
		Meaning: "memory counts as short, which sets the defenses of value 1 to work, while fewer pages than this are free"},
	{Name: "backup_only", Default: "0",
		Meaning: "1 keeps a director with a backup sync daemon from balancing, so that two directors that are real servers of each other send no packet in circles"},
	{Name: "cache_bypass", Default: "0",
		Meaning: "1 sends packets of a firewall mark to their own destination while no server can take them, as transparent proxies need it"},
	{Name: "conn_lfactor", Default: "-4", Others: []string{"-2"}, Since: "7.1",
		Meaning: "how large the connection table grows: 2 to the power of minus this is the number of buckets for a connection (-2 in network namespaces other than the first)"},
	{Name: "conn_max", Default: "1073741824", Since: "7.2",
		Meaning: "the most connections there can be in this network namespace"},
	{Name: "conn_reuse_mode", Default: "1",
		Meaning: "what becomes of a new TCP connection from an address and port whose old connection is still known: with 0 it goes to the old server, with 1 to any if the old one is over, with 2 also if the client has closed it"},
	{Name: "conntrack", Default: "0",
		Meaning: "1 keeps connection tracking for balanced connections, which stateful firewall rules and SNAT of them need, and which costs time with every packet"},
	{Name: "debug_level", Default: "0",
		Meaning: "how much IPVS writes to the kernel's log, 0 to 12; only where the kernel is built with CONFIG_IP_VS_DEBUG"},
	{Name: "drop_entry", Default: "0",
		Meaning: "whether connections that are not established are dropped at random against floods: 0 never, 1 when memory is short, which makes it 2 meanwhile, 3 always"},
	{Name: "drop_packet", Default: "0",
		Meaning: "whether packets of new connections are dropped at random, with values as for drop_entry"},
	{Name: "est_cpulist", Default: "all that the kernel's own threads may use", Varies: true, Since: "6.2",
		Meaning: "the processors on which rates are estimated; with an empty list they are not"},
	{Name: "est_nice", Default: "0", Since: "6.2",
		Meaning: "the nice value of the threads that estimate rates"},
	{Name: "expire_nodest_conn", Default: "0",
		Meaning: "1 ends a connection at its next packet once its server has been deleted; with 0 its packets are dropped until its time is over, unless the server comes back"},
	{Name: "expire_quiescent_template", Default: "0",
		Meaning: "1 sends persistent clients of a server of weight 0 to another one; with 0 they return to it"},
	{Name: "ignore_tunneled", Default: "0",
		Meaning: "1 leaves packets of protocols that IPVS does not balance, such as those of tunnels to this machine, out of further balancing"},
	{Name: "lblc_expiration", Default: "86400",
		Meaning: "after how many seconds without use the scheduler lblc forgets the server of an address; there while ip_vs_lblc is loaded"},
	{Name: "lblcr_expiration", Default: "86400",
		Meaning: "after how many seconds without use the scheduler lblcr forgets the servers of an address; there while ip_vs_lblcr is loaded"},
	{Name: "nat_icmp_send", Default: "0",
		Meaning: "1 answers a packet of a server with NAT, of whose connection nothing is known, with ICMP port unreachable"},
	{Name: "pmtu_disc", Default: "1",
		Meaning: "1 refuses packets that do not fit in a tunnel with ICMP fragmentation needed; 0 fragments them"},
	{Name: "run_estimation", Default: "1",
		Meaning: "0 stops the estimation of rates, which saves time where there are very many services, and leaves them 0"},
	{Name: "schedule_icmp", Default: "0",
		Meaning: "1 balances ICMP errors of connections that are not known, as several directors of one address need it"},
	{Name: "secure_tcp", Default: "0",
		Meaning: "whether half-open TCP connections have shorter timeouts against floods, with values as for drop_entry"},
	{Name: "sloppy_sctp", Default: "0",
		Meaning: "1 lets any packet of SCTP begin a connection, so that a director can take one over that it does not know"},
	{Name: "sloppy_tcp", Default: "0",
		Meaning: "1 lets any packet of TCP begin a connection, not a SYN only, so that a director can take one over that it does not know"},
	{Name: "snat_reroute", Default: "1",
		Meaning: "1 looks up the way of replies of NAT servers again, as if they came from the director, which rules of routing by source address need"},
	{Name: "svc_lfactor", Default: "-3", Others: []string{"-2"}, Since: "7.1",
		Meaning: "how large the table of services grows, as conn_lfactor says for connections (-2 in network namespaces other than the first)"},
	{Name: "sync_persist_mode", Default: "0",
		Meaning: "1 synchronizes only the persistence templates of persistent services, not their connections"},
	{Name: "sync_ports", Default: "1",
		Meaning: "over how many UDP ports, 8848 and those after it, and by how many threads sync daemons work; it has to be the same on all directors"},
	{Name: "sync_qlen_max", Default: "a thirty-second of the pages of memory", Varies: true,
		Meaning: "the most sync messages that wait to be sent, beyond which they are dropped"},
	{Name: "sync_refresh_period", Default: "0",
		Meaning: "after how many seconds a connection that goes on is synchronized again, instead of by counting packets"},
	{Name: "sync_retries", Default: "0",
		Meaning: "how often a sync message is repeated, 0 to 3, at an eighth of sync_refresh_period"},
	{Name: "sync_sock_size", Default: "0",
		Meaning: "the size of the buffer of a sync daemon's socket in bytes; 0 is the system's"},
	{Name: "sync_threshold", Default: "3 50",
		Meaning: "two numbers: a connection is synchronized first with its packet of the first number, and then with every one that follows by the second"},
	{Name: "sync_version", Default: "1",
		Meaning: "the format of sync messages; 0 is for directors with Linux before 2.6.39"},
}
