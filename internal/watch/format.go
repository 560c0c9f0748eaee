// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"math"
	"strconv"
	"strings"
)

// units is how bytes and large numbers are shown.
type units uint8

const (
	inUnits  units = iota // bytes, with K, M, G and so forth: thousands
	inBits                // likewise, bits
	inDigits              // bytes, with all digits where the column has room
	unitsCount
)

// number writes a number that is not negative.
func number(v float64, u units, width int) string {
	if u == inDigits {
		if s := decimal(v); len(s) <= width {
			return s
		}
	}
	unit := ""
	for i := 0; i < len("KMGTPE") && math.Round(v) >= 1000; i++ {
		v, unit = v/1000, "KMGTPE"[i:i+1]
	}
	return decimal(v) + unit
}

// decimal writes a number with a decimal place if it is small and not whole.
func decimal(v float64) string {
	places := 0
	if v < 9.95 && v != math.Trunc(v) {
		places = 1
	}
	return strconv.FormatFloat(v, 'f', places, 64)
}

const (
	ellipsis    = '…'
	fullBlock   = '█'
	narrowBlock = '▏' // the last of eight
)

// cut leaves out the middle of a text that is too long, since addresses differ
// at their ends.
func cut(text string, width int, l Look) string {
	if len(text) <= width || width < 1 {
		return text[:min(len(text), width)]
	}
	mark := "~"
	if l.UTF8 {
		mark = string(ellipsis)
	}
	tail := width / 2
	return text[:width-1-tail] + mark + text[len(text)-tail:]
}

// bar shows a part of a whole, from 0 to 1, and with room its percentage.
func bar(part float64, width int, l Look) string {
	label := ""
	if width >= 16 {
		percent := strconv.Itoa(int(math.Round(100*part))) + "% "
		label = strings.Repeat(" ", len("100% ")-len(percent)) + percent
		width -= len("100% ")
	}
	if !l.UTF8 {
		return label + strings.Repeat("#", int(math.Round(part*float64(width))))
	}
	eighths := int(math.Round(part * float64(8*width)))
	b := strings.Repeat(string(fullBlock), eighths/8)
	if rest := rune(eighths % 8); rest > 0 {
		b += string(fullBlock + 8 - rest)
	}
	return label + b
}
