// SPDX-License-Identifier: Apache-2.0

// Empty does nothing: it measures what every Go program takes.
package main

func main() {}
