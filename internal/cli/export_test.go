// SPDX-License-Identifier: Apache-2.0

package cli

// What the tests outside the package share with those inside.
var (
	OpenTerminal = openTerminal
	ReadUntil    = readUntil
)
