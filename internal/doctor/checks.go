// SPDX-License-Identifier: Apache-2.0

package doctor

import "github.com/ipvsadm-go/ipvsadm/pkg/ipvs"

// Check is one question about the director.
type Check struct {
	Name  string
	Level Level // of findings without a level
	// Question is the fault it looks for, a noun phrase for the manual.
	// Faults of other levels follow a semicolon.
	Question string
	// needs reports whether the facts that OK requires are known; nil if it
	// requires none. Checks of services also require the table.
	needs func(*Case) bool

	// One of these is set. It examines a virtual service, or the host.
	service func(*Case, *ipvs.ServiceEntry) []Finding
	host    func(*Case) []Finding
}

// Checks lists all checks, in the order of findings of one level.
var Checks = [...]Check{
	{Name: "no-services", Level: Warning, host: noServices, needs: (*Case).table,
		Question: "an empty table"},
	{Name: "no-servers", Level: Warning, service: noServers,
		Question: "a virtual service without real servers"},
	{Name: "all-weights-zero", Level: Warning, service: allWeightsZero,
		Question: "a virtual service whose servers all have weight 0"},
	{Name: "hash-weight", Level: Warning, service: hashWeight,
		Question: "the scheduler sh without sh-fallback, and a server of weight 0 or at its upper connection threshold, whose clients are refused; a note for dh, and for mh without mh-fallback"},
	{Name: "vip-local", Level: Error, service: vipLocal,
		Question: "a virtual address that is not local to the director, by an address, a route, a rule or a VRF, or is a broadcast address; a note if this may be a standby director"},
	{Name: "vip-link", Level: Warning, service: vipLink,
		Question: "a virtual address on an interface that is down or has no carrier; a note if ARP requests for it get no answer"},
	{Name: "vip-dad", Level: Error, service: vipDAD,
		Question: "an IPv6 virtual address that another machine has, according to duplicate address detection"},
	{Name: "route", Level: Error, service: route,
		Question: "a real server without a route to it, or whose route is of type blackhole, unreachable or prohibit"},
	{Name: "server-link", Level: Warning, service: serverLink,
		Question: "a real server whose network is on an interface that is down or has no carrier, or to which another route leads elsewhere"},
	{Name: "server-neighbor", Level: Warning, service: serverNeighbor, needs: (*Case).neighbors,
		Question: "a real server, or the gateway to it, that does not answer ARP or neighbor solicitations"},
	{Name: "no-reply", Level: Warning, service: noReply, needs: (*Case).handshakes,
		Question: "a real server with three or more connections in SYN_RECV and none in any other state; a note if they were reset"},
	{Name: "local-nat", Level: Error, service: localNAT,
		Question: "a NAT server (`-m`) with a loopback address"},
	{Name: "on-link", Level: Warning, service: onLink,
		Question: "a server with direct routing (`-g`) behind a gateway that is not the server itself"},
	{Name: "ip-forward", Level: Error, service: ipForward, needs: (*Case).netSettings,
		Question: "a NAT server (`-m`) while forwarding is off, for its address family or for the interface that its replies arrive on"},
	{Name: "rp-filter", Level: Warning, service: rpFilter, needs: (*Case).netSettings,
		Question: "a NAT server on whose network the director has two interfaces, where strict reverse path filtering drops replies that arrive on the other one; a note unless all connections to the server are half-open"},
	{Name: "send-redirects", Level: Warning, service: sendRedirects, needs: (*Case).netSettings,
		Question: "a NAT server behind the same interface as the clients, while the director sends ICMP redirects, which make replies bypass it; a note for IPv6"},
	{Name: "mtu", Level: Warning, service: mtu,
		Question: "a tunnel (`-i`) to a server with an MTU below that of the clients' side; a note if only the tunnel header is too much"},
	{Name: "overloaded", Level: Warning, service: overloaded,
		Question: "a server at its upper connection threshold; a note between its thresholds"},
	{Name: "quiescent-template", Level: Warning, service: quiescentTemplate, needs: (*Case).vsSettings,
		Question: "a persistent service with clients of a server of weight 0 while `expire_quiescent_template` is 0"},
	{Name: "nodest-conn", Level: Note, service: nodestConn, needs: (*Case).vsSettings,
		Question: "a UDP service while `expire_nodest_conn` is 0"},
	{Name: "mark-unset", Level: Note, service: markUnset,
		Question: "a firewall mark with which no packet has arrived"},
	{Name: "port-unused", Level: Warning, service: portUnused,
		Question: "a server with `-g` or `-i` and another port than its service"},
	{Name: "scheduler-module", Level: Error, service: schedulerModule, needs: (*Case).modules,
		Question: "with a file: a scheduler or persistence engine whose module the kernel lacks"},
	{Name: "module", Level: Error, host: module, needs: (*Case).modules,
		Question: "a kernel without IPVS; a note if the module exists but is not loaded"},
	{Name: "conn-table", Level: Warning, host: connTable, needs: (*Case).table,
		Question: "a connection table with eight or more connections per bucket, or near `conn_max`"},
	{Name: "sync-interface", Level: Error, host: syncInterface, needs: (*Case).table,
		Question: "a sync daemon whose interface is down; a warning if it has no carrier or is gone, since a renamed interface still works"},
	{Name: "backup-only", Level: Warning, host: backupOnly, needs: (*Case).table,
		Question: "`backup_only` 1 and a backup sync daemon on a director that has a virtual address on the network"},
	{Name: "conntrack", Level: Warning, host: conntrack, needs: (*Case).netSettings,
		Question: "a connection tracking table that is 90% full"},
	{Name: "firewall", Level: Note, host: firewall, needs: (*Case).firewallChains,
		Question: "a base chain of nftables or iptables that drops packets at input or forward by default; its rules are not examined"},
	{Name: "drop-entry", Level: Warning, host: dropEntry, needs: (*Case).vsSettings,
		Question: "an active defense: `drop_entry` or `drop_packet` at 2 or 3"},
	{Name: "estimator", Level: Note, host: estimator, needs: (*Case).vsSettings,
		Question: "`run_estimation` 0, which makes all rates 0"},
	{Name: "vs-sysctl", Level: Note, host: vsSysctl, needs: (*Case).vsSettings,
		Question: "any other IPVS setting that differs from its default"},
}
