// SPDX-License-Identifier: Apache-2.0

// Package must has checks that end a test when they fail. It imports nothing
// of this module, so that the tests of every package can use it.
package must

import (
	"os"
	"strconv"
	"testing"
	"time"
)

// OK fails the test if there is an error.
func OK(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Patience is the time limit of a wait. It is long since a guest on a busy
// machine stands still for seconds.
const Patience = 3 * time.Minute

// Soon polls until a condition holds, and reports whether it did before
// Patience ended.
func Soon(holds func() bool) bool {
	for end := time.Now().Add(Patience); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

// Count returns how often a test of chance does something: a few times, or many
// with IPVSADM_TEST_FULL=1, as at night and for a release.
func Count(few, many int) int {
	if os.Getenv("IPVSADM_TEST_FULL") == "1" {
		return many
	}
	return few
}

// Number returns the number in an environment variable, or else the usual one.
func Number(t testing.TB, variable string, usual int) int {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	OK(t, err)
	return n
}
