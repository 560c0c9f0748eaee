// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"bytes"
	"unicode/utf8"
)

// Key is a key press: the rune that was typed, or one of the constants below.
type Key rune

// Keys that do not type a rune.
const (
	KeyOther Key = -iota - 1 // a key without a function here
	KeyEscape
	KeyEnter
	KeyBackspace
	KeyErase  // Ctrl-U
	KeyRedraw // Ctrl-L
	KeyUp
	KeyDown
	KeyLeft
	KeyRight
	KeyPageUp
	KeyPageDown
	KeyHome
	KeyEnd
)

const escape = 0x1b

// Decode returns the first key in terminal input, and its length in bytes.
// The length is 0 if the key is incomplete. If final is set, no more input is
// expected, and an incomplete key is decoded as KeyEscape or KeyOther.
func Decode(b []byte, final bool) (Key, int) {
	switch c := b[0]; {
	case c == escape:
		return decodeEscape(b, final)
	case c == '\r' || c == '\n':
		return KeyEnter, 1
	case c == 0x7f || c == '\b':
		return KeyBackspace, 1
	case c == 'U'-'@':
		return KeyErase, 1
	case c == 'L'-'@':
		return KeyRedraw, 1
	case c < ' ':
		return KeyOther, 1
	}
	if !final && !utf8.FullRune(b) {
		return 0, 0
	}
	r, n := utf8.DecodeRune(b)
	if r == utf8.RuneError {
		return KeyOther, n
	}
	return Key(r), n
}

// decodeEscape decodes input that begins with an escape character: an escape
// sequence, as cursor and function keys send it, or else the escape key.
func decodeEscape(b []byte, final bool) (Key, int) {
	incomplete := func() (Key, int) {
		switch {
		case !final:
			return 0, 0
		case len(b) == 1:
			return KeyEscape, 1
		}
		return KeyOther, len(b)
	}
	if len(b) == 1 {
		return incomplete()
	}
	switch b[1] {
	default:
		return KeyEscape, 1
	case 'O':
		if len(b) == 2 {
			return incomplete()
		}
		return keyOfLetter(b[2]), 3
	case '[':
	}
	if len(b) > 2 && b[2] == '[' { // a function key of the Linux console
		if len(b) == 3 {
			return incomplete()
		}
		return KeyOther, 4
	}
	// The sequence consists of parameters and a letter or tilde.
	for i := 2; i < len(b); i++ {
		switch c := b[i]; {
		case c >= '@' && c <= '~':
			if c == '~' {
				return keyOfNumber(b[2:i]), i + 1
			}
			return keyOfLetter(c), i + 1
		case c < ' ' || c > '?':
			return KeyOther, i
		}
	}
	return incomplete()
}

func keyOfLetter(c byte) Key {
	switch c {
	case 'A':
		return KeyUp
	case 'B':
		return KeyDown
	case 'C':
		return KeyRight
	case 'D':
		return KeyLeft
	case 'H':
		return KeyHome
	case 'F':
		return KeyEnd
	}
	return KeyOther
}

// keyOfNumber returns the key for the first parameter of a sequence that ends
// with a tilde. It ignores the second parameter, which encodes Shift, Alt and
// Control.
func keyOfNumber(parameters []byte) Key {
	number, _, _ := bytes.Cut(parameters, []byte{';'})
	switch string(number) {
	case "1", "7":
		return KeyHome
	case "4", "8":
		return KeyEnd
	case "5":
		return KeyPageUp
	case "6":
		return KeyPageDown
	}
	return KeyOther
}
