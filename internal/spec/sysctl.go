// SPDX-License-Identifier: Apache-2.0

package spec

import "slices"

// Sysctl describes a file in /proc/sys/net/ipv4/vs.
type Sysctl struct {
	Name string
	// Default is the kernel's default, in words if it depends on the machine.
	Default string
	// Others are the defaults in network namespaces other than the first.
	Others []string
	// Varies reports whether the default depends on the machine.
	Varies bool
	// Since is the first kernel with the setting, empty for 6.1 and earlier.
	Since string
	// Meaning is its effect, a clause without a full stop.
	Meaning string
}

// IsDefault reports whether a value is a default, or may be one.
func (s *Sysctl) IsDefault(value string) bool {
	return s.Varies || value == s.Default || slices.Contains(s.Others, value)
}

// Sysctls lists the settings of IPVS in Linux 6.1 to 7.2. Some exist only
// with certain build options, or while a module is loaded.
var Sysctls = [...]Sysctl{
	{Name: "am_droprate", Default: "10",
		Meaning: "with drop_packet 3, one in this many packets of new connections is dropped"},
	{Name: "amemthresh", Default: "1024",
		Meaning: "memory counts as short while fewer pages than this are free, which activates defenses set to 1"},
	{Name: "backup_only", Default: "0",
		Meaning: "1 stops balancing on a director with a backup sync daemon, so that packets do not loop between two directors that are real servers of each other"},
	{Name: "cache_bypass", Default: "0",
		Meaning: "1 sends packets of a firewall mark service on to their destination while no server is available, as transparent proxies need"},
	{Name: "conn_lfactor", Default: "-4", Others: []string{"-2"}, Since: "7.1",
		Meaning: "load factor of the connection table, which has 2^-value buckets per connection (-2 in network namespaces other than the first)"},
	{Name: "conn_max", Default: "1073741824", Since: "7.2",
		Meaning: "maximum number of connections in this network namespace"},
	{Name: "conn_reuse_mode", Default: "1",
		Meaning: "server of a new TCP connection from an address and port whose old connection is still known: 0 uses the old server, 1 schedules it anew if the old connection has ended, 2 also if the client has closed it"},
	{Name: "conntrack", Default: "0",
		Meaning: "1 keeps connection tracking for balanced connections, which stateful firewall rules and SNAT need, at a cost for every packet"},
	{Name: "debug_level", Default: "0",
		Meaning: "verbosity of IPVS in the kernel log, 0 to 12; only in kernels with CONFIG_IP_VS_DEBUG"},
	{Name: "drop_entry", Default: "0",
		Meaning: "random dropping of connections that are not established, against floods: 0 never, 1 while memory is short (it then reads 2), 3 always"},
	{Name: "drop_packet", Default: "0",
		Meaning: "random dropping of packets of new connections, with values as for drop_entry"},
	{Name: "est_cpulist", Default: "all that the kernel's own threads may use", Varies: true, Since: "6.2",
		Meaning: "processors that estimate rates; an empty list turns the estimation off"},
	{Name: "est_nice", Default: "0", Since: "6.2",
		Meaning: "nice value of the threads that estimate rates"},
	{Name: "expire_nodest_conn", Default: "0",
		Meaning: "1 ends a connection at its next packet once its server has been deleted; with 0 its packets are dropped until it times out, unless the server comes back"},
	{Name: "expire_quiescent_template", Default: "0",
		Meaning: "1 sends persistent clients of a server of weight 0 to another one; with 0 they return to it"},
	{Name: "ignore_tunneled", Default: "0",
		Meaning: "1 exempts packets of protocols that IPVS does not balance, such as those of tunnels to this machine, from further scheduling"},
	{Name: "lblc_expiration", Default: "86400",
		Meaning: "seconds without use after which the scheduler lblc forgets the server of an address; exists while ip_vs_lblc is loaded"},
	{Name: "lblcr_expiration", Default: "86400",
		Meaning: "seconds without use after which the scheduler lblcr forgets the servers of an address; exists while ip_vs_lblcr is loaded"},
	{Name: "nat_icmp_send", Default: "0",
		Meaning: "1 answers a packet from a NAT server that belongs to no known connection with ICMP port unreachable"},
	{Name: "pmtu_disc", Default: "1",
		Meaning: "1 rejects packets that do not fit in a tunnel with ICMP fragmentation needed; 0 fragments them"},
	{Name: "run_estimation", Default: "1",
		Meaning: "0 turns the estimation of rates off, which saves time with very many services; all rates are then 0"},
	{Name: "schedule_icmp", Default: "0",
		Meaning: "1 balances ICMP errors of unknown connections, as several directors of one address need"},
	{Name: "secure_tcp", Default: "0",
		Meaning: "shorter timeouts of half-open TCP connections, against floods, with values as for drop_entry"},
	{Name: "sloppy_sctp", Default: "0",
		Meaning: "1 lets any SCTP packet start a connection, so that a director can take over connections that it does not know"},
	{Name: "sloppy_tcp", Default: "0",
		Meaning: "1 lets any TCP packet start a connection, not only a SYN, so that a director can take over connections that it does not know"},
	{Name: "snat_reroute", Default: "1",
		Meaning: "1 routes replies from NAT servers as if they came from the director, as policy routing by source address needs"},
	{Name: "svc_lfactor", Default: "-3", Others: []string{"-2"}, Since: "7.1",
		Meaning: "load factor of the service table, like conn_lfactor (-2 in network namespaces other than the first)"},
	{Name: "sync_persist_mode", Default: "0",
		Meaning: "1 synchronizes only the persistence templates of persistent services, not their connections"},
	{Name: "sync_ports", Default: "1",
		Meaning: "number of UDP ports, from 8848 on, and of threads that sync daemons use; must be the same on all directors"},
	{Name: "sync_qlen_max", Default: "1/32 of the pages of memory", Varies: true,
		Meaning: "maximum number of sync messages that wait to be sent; more are dropped"},
	{Name: "sync_refresh_period", Default: "0",
		Meaning: "seconds after which an ongoing connection is synchronized again, instead of by counting packets"},
	{Name: "sync_retries", Default: "0",
		Meaning: "number of times a sync message is repeated, 0 to 3, every eighth of sync_refresh_period"},
	{Name: "sync_sock_size", Default: "0",
		Meaning: "buffer size of a sync daemon's socket in bytes; 0 is the system default"},
	{Name: "sync_threshold", Default: "3 50",
		Meaning: "two numbers, N and M: a connection is synchronized at its Nth packet, and then at every Mth packet after that"},
	{Name: "sync_version", Default: "1",
		Meaning: "format of sync messages; 0 is for directors with Linux before 2.6.39"},
}
