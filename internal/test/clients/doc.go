// SPDX-License-Identifier: Apache-2.0

// Package clients holds the test that puts this program in the place of the
// original, ipvsadm 1.31, and runs programs that call it: Debian's packages
// ldirectord, munin-plugins-core (its plugin cps_) and the init script of
// ipvsadm itself, all unchanged. Each has to come to the same result with
// either. keepalived, which writes the kernel's table without ipvsadm, gives a
// table for both to list.
//
// The packages are fetched into the user's cache, not installed, since some
// would start a daemon on the machine. See internal/test/guest/guesttest for what happens
// without them, or without a kernel.
package clients
