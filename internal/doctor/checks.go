// SPDX-License-Identifier: Apache-2.0

package doctor

import "github.com/ipvsadm-go/ipvsadm/pkg/ipvs"

// Check is one question about the director.
type Check struct {
	Name  string
	Level Level // of its findings, where they do not have their own
	// Question is what it looks for, a noun phrase for the manual.
	Question string
	// Fine is what holds where it finds nothing.
	Fine string
	// needs are facts without which finding nothing says nothing. A check of
	// services needs the table besides.
	needs fact

	// One of these answers: for each virtual service, or for the host.
	service func(*Case, *ipvs.ServiceEntry) []Finding
	host    func(*Case) []Finding
}

// Checks are all checks.
var Checks = [...]Check{
	{Name: "no-servers", Level: Warning, service: noServers,
		Question: "a virtual service without real servers",
		Fine:     "every virtual service has a real server"},
	{Name: "all-weights-zero", Level: Warning, service: allWeightsZero,
		Question: "a virtual service whose servers all have weight 0",
		Fine:     "no virtual service has only servers of weight 0"},
	{Name: "vip-local", Level: Error, service: vipLocal,
		Question: "a virtual address that is on no interface of the director; a note if VRRP or a backup sync daemon runs, since a standby director does not have it",
		Fine:     "every virtual address is on this machine"},
	{Name: "route", Level: Error, service: route,
		Question: "a real server without a route to it",
		Fine:     "there is a route to every real server"},
	{Name: "on-link", Level: Error, service: onLink,
		Question: "a server with direct routing (`-g`) behind a gateway",
		Fine:     "every server with direct routing is directly connected"},
	{Name: "ip-forward", Level: Error, service: ipForward, needs: networkSettings,
		Question: "a NAT server (`-m`) while forwarding is off, for its address family or for the interface that its replies arrive on",
		Fine:     "forwarding is on wherever NAT needs it"},
	{Name: "rp-filter", Level: Warning, service: rpFilter, needs: networkSettings,
		Question: "a NAT server on whose network the director has two interfaces, where strict reverse path filtering drops replies that arrive on the other one",
		Fine:     "no reverse path filter drops replies from NAT servers"},
	{Name: "send-redirects", Level: Warning, service: sendRedirects, needs: networkSettings,
		Question: "a NAT server behind the same interface as the clients, while the director sends ICMP redirects, which make replies bypass it",
		Fine:     "no ICMP redirects make replies from NAT servers bypass this director"},
	{Name: "mtu", Level: Warning, service: mtu,
		Question: "a tunnel (`-i`) to a server with an MTU below that of the clients' side; a note if only the tunnel header is too much",
		Fine:     "full-size packets fit in every tunnel"},
	{Name: "overloaded", Level: Warning, service: overloaded,
		Question: "a server at its upper connection threshold",
		Fine:     "no server is at its upper connection threshold"},
	{Name: "quiescent-template", Level: Warning, service: quiescentTemplate, needs: ownSettings,
		Question: "a persistent service with a server of weight 0 while `expire_quiescent_template` is 0",
		Fine:     "no server of weight 0 gets persistent clients"},
	{Name: "nodest-conn", Level: Note, service: nodestConn, needs: ownSettings,
		Question: "a UDP service while `expire_nodest_conn` is 0",
		Fine:     "UDP clients of a deleted server go to another one"},
	{Name: "scheduler-module", Level: Error, service: schedulerModule, needs: moduleStates,
		Question: "with a file: a scheduler or persistence engine whose module the kernel lacks",
		Fine:     "the kernel has every scheduler and persistence engine"},
	{Name: "module", Level: Error, host: module, needs: moduleStates,
		Question: "a kernel without IPVS; a note if the module exists but is not loaded",
		Fine:     "the kernel has IPVS"},
	{Name: "conn-table", Level: Warning, host: connTable, needs: virtualServices,
		Question: "a connection table with eight or more connections per bucket, or near `conn_max`",
		Fine:     "the connection table has room"},
	{Name: "sync-interface", Level: Error, host: syncInterface, needs: virtualServices,
		Question: "a sync daemon whose interface is down or missing",
		Fine:     "the interface of every sync daemon is up"},
	{Name: "conntrack", Level: Warning, host: conntrack, needs: networkSettings,
		Question: "a connection tracking table that is 90% full",
		Fine:     "connection tracking is off or has room"},
	{Name: "drop-entry", Level: Warning, host: dropEntry, needs: ownSettings,
		Question: "an active defense: `drop_entry` or `drop_packet` at 2 or 3",
		Fine:     "no defense drops connections or packets"},
	{Name: "estimator", Level: Note, host: estimator, needs: ownSettings,
		Question: "`run_estimation` 0, which makes all rates 0",
		Fine:     "rates are estimated"},
	{Name: "vs-sysctl", Level: Note, host: vsSysctl, needs: ownSettings,
		Question: "any other IPVS setting that differs from its default",
		Fine:     "all other IPVS settings have their defaults"},
}
