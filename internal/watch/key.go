// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"bytes"
	"unicode/utf8"
)

// Key is a key of the keyboard: the rune that it types, or one of the constants
// below.
type Key rune

// Keys that type no rune.
const (
	KeyOther Key = -iota - 1 // any other
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

// Decode returns the first key of what a terminal sent, and its length in
// bytes. The length is 0 where more has to come to know the key; if final is
// set, nothing more comes for now.
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

// decodeEscape reads what begins with an escape character: the key of that
// name, if nothing follows or what follows is a key of its own, or the sequence
// that a key of the cursor or a function key sends.
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
	// Parameters, and a letter or a tilde.
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

// keyOfNumber returns the key of a number. Behind a semicolon is which of
// Shift, Alt and Control are held.
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
