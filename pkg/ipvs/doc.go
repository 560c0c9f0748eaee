// SPDX-License-Identifier: Apache-2.0

// Package ipvs administers IP Virtual Server, the load balancer in the Linux
// kernel: its virtual services, their real servers (destinations), the
// timeouts of connections, the daemons that synchronize connections between
// directors, and the list of connections. It talks to the kernel over Generic
// Netlink and needs no cgo and no other program.
//
// # Kernels
//
// The package is tested on Linux 6.1, 6.12 and 7.2. It reads what older kernels
// leave out of their answers: 64-bit counters (4.1), the settings of sync
// daemons (4.3), the kinds of tunnel (5.2). [Dial] does not load the module
// ip_vs. IPVS obeys CAP_NET_ADMIN of the initial user namespace only, so root
// in a container may be refused. The package compiles on other systems, where
// Dial fails.
//
// # Overview
//
// A [Client] asks the kernel and makes changes. What it reads is a [Table] or a
// part of one, plain data; every alteration is a [Change], made by a function
// such as [AddService]. [Diff] returns the changes that lead from one table to
// another, and a [Model] answers changes in memory as the kernel does. Package
// ipvstest has a kernel in memory for tests.
//
//	client, err := ipvs.Dial(ctx, ipvs.Config{})
//	if err != nil {
//		return err // errors.Is(err, ipvs.ErrNoIPVS): the module ip_vs is not loaded
//	}
//	defer client.Close()
//	web := ipvs.AddrID(ipvs.TCP, netip.MustParseAddr("12.0.0.1"), 80)
//	return client.Apply(ctx,
//		ipvs.AddService(ipvs.NewService(web, "rr")),
//		ipvs.AddDestination(web, ipvs.Destination{
//			Addr: netip.MustParseAddr("192.168.168.10"), Port: 80,
//			Forward: ipvs.Masquerade, Weight: 1,
//		}))
//
// # JSON
//
// The types marshal to JSON as "ipvsadm --json" prints them: names in
// lower_snake_case, words for enumerations, whole seconds, and nothing that does
// not apply. AppendJSON does so without a copy. Nothing unmarshals them.
//
// # What a list promises
//
// [Client.Services], [Client.Destinations], [Client.ServicesWithDestinations]
// and [Client.Table] return every entry that stood from the beginning of the
// call to its end, once, whatever other programs add, edit and delete
// meanwhile. What is added or deleted meanwhile may be in the list or not; a
// service that is deleted is left out when its destinations are asked for. So
// a list is not of one instant, unless nobody writes.
//
// The kernel sends a list in datagrams of up to 32 KiB, about 90 entries, and
// loses its place between two of them when entries come and go. A list of one
// datagram is exact and is read once. A longer one is read again, cut at other
// places, until a reading has every entry found so far, or three in a row find
// nothing new: twice if nobody writes. If that takes more than three seconds,
// what was found is returned with an error that matches [ErrChanging]. A caller
// that shows a list can show it with a warning; one that saves or compares it
// should treat it as failed.
//
// # Versions
//
// Until version 1 the API may change with any minor version, v0.1 to v0.2, and
// the changelog says how; patch versions keep it.
package ipvs
