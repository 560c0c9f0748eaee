// SPDX-License-Identifier: Apache-2.0

// Package must contains checks that end a test if they fail. It imports no
// other package of this module, so that every package's tests can use it.
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

// Patience is the time limit of a wait. It is long because a guest on a busy
// machine pauses for seconds.
const Patience = 3 * time.Minute

// Soon polls until a condition holds, and reports whether it did within
// Patience.
func Soon(holds func() bool) bool {
	for end := time.Now().Add(Patience); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

// Count returns the number of repetitions of a randomized test: few, or many
// with IPVSADM_TEST_FULL=1, as in nightly runs and for a release.
func Count(few, many int) int {
	if os.Getenv("IPVSADM_TEST_FULL") == "1" {
		return many
	}
	return few
}

// Number returns the number in an environment variable, or else the default.
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
