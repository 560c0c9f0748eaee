// SPDX-License-Identifier: Apache-2.0

// Package ipvs administers IP Virtual Server, the load balancer in the Linux
// kernel: its virtual services, their real servers (destinations), the
// timeouts of connections, the daemons that synchronize connections between
// directors, and the list of connections. It talks to the kernel over Generic
// Netlink and needs no cgo and no other program.
//
// # Kernels
//
// The package works on Linux 5.10 to 7.2 and is tested on 5.10, 6.1, 6.12 and
// 7.2. Kernels before 5.2 have no tunnel types; those before 4.3 are not
// supported. [Dial] makes the kernel load the module ip_vs by its alias. The
// kernel requires CAP_NET_ADMIN in the initial user namespace, so root in a
// container may be refused. The package compiles on other systems, where Dial
// fails.
//
// # Overview
//
// A [Client] reads the table and changes it: AddService, AddDestination and
// the other methods make one change, [Client.Apply] makes a [Batch] of them
// with few system calls, and [Client.Reconcile] makes services match a list.
// [Diff] returns the changes between two lists of services. Package ipvstest
// has a kernel in memory for tests.
//
//	client, err := ipvs.Dial(ctx, ipvs.Config{})
//	if err != nil {
//		return err // errors.Is(err, ipvs.ErrNoIPVS): the kernel has no IPVS
//	}
//	defer client.Close()
//	web := ipvs.AddrID(ipvs.TCP, netip.MustParseAddr("12.0.0.1"), 80)
//	if err := client.AddService(ctx, ipvs.NewService(web, "rr")); err != nil {
//		return err
//	}
//	server := ipvs.NewDestination(netip.MustParseAddrPort("192.168.168.10:80"))
//	return client.AddDestination(ctx, web, server)
//
// The examples are whole programs: a reconciler, an exporter of statistics, and
// the retirement of a server without breaking connections.
//
// # JSON
//
// The types marshal to JSON as "ipvsadm --json" prints them, and unmarshal from
// it: names in lower_snake_case, words for enumerations, whole seconds, and
// nothing that does not apply. Unknown fields are errors.
//
// # What a list promises
//
// [Client.Services], [Client.Destinations], [Client.ServicesWithDestinations]
// and [Client.Table] return every entry that existed during the whole call
// once, whatever other programs change meanwhile. Entries that are added or
// deleted meanwhile may be in the list or not. So the list is not a snapshot,
// unless no other program changes the table.
//
// The kernel sends a list in datagrams of up to 32 KiB, about 90 entries, and
// can skip entries between two datagrams if the table changes. A list of one
// datagram is exact and is read once. A longer one is read again, cut at
// other places, until a reading contains every entry found so far, or three
// in a row find nothing new: twice if the table does not change. If that
// takes more than three seconds, the entries found are returned with an error
// that matches [ErrChanging]. A caller that displays the list can add a
// warning; one that saves or compares it should fail.
//
// # Versions
//
// Until version 1 the API may change with any minor version, v0.1 to v0.2, and
// the changelog says how; patch versions keep it.
package ipvs
