// SPDX-License-Identifier: Apache-2.0

package cli

// These are for the tests outside the package.
var (
	OpenTerminal = openTerminal
	ReadUntil    = readUntil
)
