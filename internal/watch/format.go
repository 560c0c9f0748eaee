// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"math"
	"strconv"
	"strings"
)

// units selects the format of figures.
type units uint8

const (
	scaled     units = iota // bytes, with K, M, G and so on as powers of 1000
	scaledBits              // bits, likewise
	exact                   // bytes, with all digits if the column is wide enough
	unitsCount
)

// formatNumber formats a number that is not negative. Exact numbers that are
// too wide for the column are scaled.
func formatNumber(v float64, u units, width int) string {
	if u == exact {
		if s := formatDecimal(v); len(s) <= width {
			return s
		}
	}
	unit := ""
	for i := 0; i < len("KMGTPE") && math.Round(v) >= 1000; i++ {
		v, unit = v/1000, "KMGTPE"[i:i+1]
	}
	return formatDecimal(v) + unit
}

// formatDecimal formats a number with one decimal place if it is less than 10
// and not an integer, and otherwise rounds it.
func formatDecimal(v float64) string {
	places := 0
	if v < 9.95 && v != math.Trunc(v) {
		places = 1
	}
	return strconv.FormatFloat(v, 'f', places, 64)
}

const (
	ellipsis    = '…'
	fullBlock   = '█'
	narrowBlock = '▏' // the last of eight; each is narrower than the one before
)

// shorten removes the middle of a text that is too long, since similar
// addresses differ at the end.
func shorten(text string, width int, d Display) string {
	if len(text) <= width || width < 1 {
		return text[:min(len(text), width)]
	}
	mark := "~"
	if d.UTF8 {
		mark = string(ellipsis)
	}
	tail := width / 2
	return text[:width-1-tail] + mark + text[len(text)-tail:]
}

// bar returns a bar for a share between 0 and 1. A bar of 16 columns or more
// begins with the percentage.
func bar(share float64, width int, d Display) string {
	label := ""
	if width >= 16 {
		percent := strconv.Itoa(int(math.Round(100*share))) + "% "
		label = strings.Repeat(" ", len("100% ")-len(percent)) + percent
		width -= len("100% ")
	}
	if !d.UTF8 {
		return label + strings.Repeat("#", int(math.Round(share*float64(width))))
	}
	eighths := int(math.Round(share * float64(8*width)))
	b := strings.Repeat(string(fullBlock), eighths/8)
	if rest := rune(eighths % 8); rest > 0 {
		b += string(fullBlock + 8 - rest)
	}
	return label + b
}
