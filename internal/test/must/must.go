// SPDX-License-Identifier: Apache-2.0

// Package must has checks that end a test when they fail. It imports nothing
// of this module, so that the tests of every package can use it.
package must

import (
	"os"
	"strconv"
	"testing"
)

// OK fails the test if there is an error.
func OK(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
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
