// SPDX-License-Identifier: Apache-2.0

// Package clients tests unchanged programs that call ipvsadm, with 1.31 and
// with this program in its place: ldirectord, and the init script of Debian's
// ipvsadm. Each must get the same result with both. keepalived writes the kernel's
// table without ipvsadm; both must list it alike. Prometheus's programs must
// accept the metrics.
//
// The packages are fetched into the user's cache, not installed, because some
// would start a daemon on the machine. Package guesttest describes what
// happens if they or a kernel are missing.
package clients
