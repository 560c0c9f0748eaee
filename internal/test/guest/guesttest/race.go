// SPDX-License-Identifier: Apache-2.0

//go:build race

package guesttest

const raceEnabled = true
