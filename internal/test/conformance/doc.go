// SPDX-License-Identifier: Apache-2.0

// Package conformance compares this program with the original, ipvsadm 1.31,
// on the same kernel. Both run scripts of command lines, each starting with
// an empty table in a new network namespace. Exit status, standard output and
// error of each command line, and the kernel's table after it, must be the
// same. Exceptions are listed in manual.Differences, with a rule for each in
// differences_test.go.
//
// The original is Debian's package ipvsadm. If it or a kernel is missing, the
// tests are skipped, or fail with REQUIRE_KERNEL=1. Environment:
//
//	KERNEL                  version of the kernel
//	IPVSADM_TEST_CASES      number of generated scripts that TestGenerated runs
//	IPVSADM_TEST_SEED       seed of the generator
//	IPVSADM_TEST_FIRST      number of the first script, by default 0
//	IPVSADM_TEST_SCRIPTS    file or directory of more scripts for TestScripts, as
//	                        in testdata/conformance, and of rule files
package conformance
