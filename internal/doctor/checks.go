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
		Question: "a virtual service all of whose servers have weight 0",
		Fine:     "every virtual service with servers has one of a weight over 0"},
	{Name: "vip-local", Level: Error, service: vipLocal,
		Question: "a virtual address that is on no interface of the director; a note where VRRP or a backup sync daemon runs, since a standby director does not have it",
		Fine:     "every virtual address is one of this machine's"},
	{Name: "route", Level: Error, service: route,
		Question: "a real server that no route leads to",
		Fine:     "a route leads to every real server"},
	{Name: "on-link", Level: Error, service: onLink,
		Question: "a server with direct routing (`-g`) that is reached through a gateway",
		Fine:     "every server with direct routing is on a network of this machine"},
	{Name: "ip-forward", Level: Error, service: ipForward, needs: networkSettings,
		Question: "a server with NAT (`-m`) while forwarding is off, for its family or for the interface that its replies come in by",
		Fine:     "forwarding is on wherever NAT needs it"},
	{Name: "rp-filter", Level: Warning, service: rpFilter, needs: networkSettings,
		Question: "a server with NAT that has two interfaces of the director on its network, where strict reverse path filtering drops replies that come in by the other one",
		Fine:     "no reverse path filter drops replies of NAT servers"},
	{Name: "send-redirects", Level: Warning, service: sendRedirects, needs: networkSettings,
		Question: "a server with NAT behind the interface that clients come in by, while the director sends ICMP redirects, which lead its replies past the director",
		Fine:     "no ICMP redirects lead replies of NAT servers past this director"},
	{Name: "mtu", Level: Warning, service: mtu,
		Question: "a tunnel (`-i`) to a server whose MTU is below that of the clients' side; a note where only the tunnel's header is too much",
		Fine:     "full packets fit in every tunnel"},
	{Name: "overloaded", Level: Warning, service: overloaded,
		Question: "a server at its upper connection threshold",
		Fine:     "no server is at its upper connection threshold"},
	{Name: "quiescent-template", Level: Warning, service: quiescentTemplate, needs: ownSettings,
		Question: "a persistent service with a server of weight 0 while `expire_quiescent_template` is 0",
		Fine:     "weight 0 keeps persistent clients away from every server that has it"},
	{Name: "nodest-conn", Level: Note, service: nodestConn, needs: ownSettings,
		Question: "a UDP service while `expire_nodest_conn` is 0",
		Fine:     "UDP clients of a deleted server go to another one"},
	{Name: "scheduler-module", Level: Error, service: schedulerModule, needs: moduleStates,
		Question: "with a file: a scheduler or persistence engine that the kernel has no module of",
		Fine:     "the kernel has every scheduler and persistence engine"},
	{Name: "module", Level: Error, host: module, needs: moduleStates,
		Question: "a kernel without IPVS; a note where the module is there and not loaded",
		Fine:     "the kernel has IPVS"},
	{Name: "conn-table", Level: Warning, host: connTable, needs: virtualServices,
		Question: "a connection table with eight connections to a bucket and more, or near `conn_max`",
		Fine:     "the connection table has room"},
	{Name: "sync-interface", Level: Error, host: syncInterface, needs: virtualServices,
		Question: "a sync daemon whose interface is down or gone",
		Fine:     "the interface of every sync daemon is up"},
	{Name: "conntrack", Level: Warning, host: conntrack, needs: networkSettings,
		Question: "a table of connection tracking that is nine tenths full",
		Fine:     "connection tracking is off or has room"},
	{Name: "drop-entry", Level: Warning, host: dropEntry, needs: ownSettings,
		Question: "a defense that is at work: `drop_entry` or `drop_packet` at 2 or 3",
		Fine:     "no defense drops connections or packets"},
	{Name: "estimator", Level: Note, host: estimator, needs: ownSettings,
		Question: "`run_estimation` 0, with which all rates are 0",
		Fine:     "rates are estimated"},
	{Name: "vs-sysctl", Level: Note, host: vsSysctl, needs: ownSettings,
		Question: "any other setting of IPVS that is not at its default",
		Fine:     "the other settings of IPVS are at their defaults"},
}
