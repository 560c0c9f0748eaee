// SPDX-License-Identifier: Apache-2.0

// Package clients holds the test that replaces the original ipvsadm 1.31 by
// this program and runs programs that call it: Debian's packages ldirectord
// and munin-plugins-core (its plugin cps_) and the init script of ipvsadm
// itself, all unchanged. Each has to get the same result with both.
// keepalived writes the kernel's table without ipvsadm; both have to list it
// alike. Prometheus's programs have to take its metrics.
//
// The packages are fetched into the user's cache, not installed, since some
// would start a daemon on the machine. Package guesttest describes what
// happens without them, or without a kernel.
package clients
