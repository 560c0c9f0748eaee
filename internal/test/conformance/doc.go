// SPDX-License-Identifier: Apache-2.0

// Package conformance compares this program with the original, ipvsadm 1.31,
// on the same kernel. Both run scripts of command lines, each from an empty
// table in a network namespace of its own. Exit status, standard output and
// error of each command line, and the kernel's table after it, have to be the
// same. Exceptions are listed in manual.Differences, with a rule for each in
// differences_test.go.
//
// The original is Debian's package ipvsadm. Without it, or without a kernel,
// the tests are skipped, or fail with REQUIRE_KERNEL=1. Environment:
//
//	KERNEL                  version of the kernel
//	IPVSADM_TEST_CASES      how many generated scripts TestGenerated runs
//	IPVSADM_TEST_SEED       what they are generated from
//	IPVSADM_TEST_FIRST      the number of the first of them, 0 if not given
//	IPVSADM_TEST_SCRIPTS    file or folder of further scripts for TestScripts, as
//	                        in testdata/conformance, and of rule files
package conformance
