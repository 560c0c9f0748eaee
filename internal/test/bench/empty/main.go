// SPDX-License-Identifier: Apache-2.0

// Empty does nothing. Its time is that of any Go program.
package main

func main() {}
