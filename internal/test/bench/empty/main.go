// SPDX-License-Identifier: Apache-2.0

// Empty does nothing: what it takes, every Go program takes.
package main

func main() {}
