// SPDX-License-Identifier: Apache-2.0

package watch

import "strings"

// Key is a key press: the byte that it sends, or one of the constants below.
type Key int

// Keys that send a control character.
const (
	KeyRedraw    Key = 'L' - '@' // Ctrl-L
	KeyEnter     Key = '\r'
	KeyErase     Key = 'U' - '@' // Ctrl-U
	KeyEscape    Key = 0x1b
	KeyBackspace Key = 0x7f
)

// Keys that send an escape sequence.
const (
	KeyOther Key = 0x100 + iota // a key without a function here
	KeyUp
	KeyDown
	KeyLeft
	KeyRight
	KeyPageUp
	KeyPageDown
	KeyHome
	KeyEnd
)

// sequences contains the keys whose escape sequence ends with a letter, or
// with a number and a tilde.
var sequences = map[string]Key{
	"A": KeyUp, "B": KeyDown, "C": KeyRight, "D": KeyLeft, "H": KeyHome, "F": KeyEnd,
	"1~": KeyHome, "7~": KeyHome, "4~": KeyEnd, "8~": KeyEnd, "5~": KeyPageUp, "6~": KeyPageDown,
}

// Decode returns the first key in terminal input, and its length in bytes.
// The length is 0 if the key is incomplete. If final is set, no more input is
// expected, and an incomplete key is decoded as KeyEscape or KeyOther.
func Decode(b []byte, final bool) (Key, int) {
	switch Key(b[0]) {
	case KeyEscape:
		return decodeEscape(b, final)
	case '\n':
		return KeyEnter, 1
	case '\b':
		return KeyBackspace, 1
	}
	return Key(b[0]), 1
}

// decodeEscape decodes input that begins with an escape character: an escape
// sequence, as cursor and function keys send it, or else the escape key.
func decodeEscape(b []byte, final bool) (Key, int) {
	if len(b) > 1 && b[1] != '[' && b[1] != 'O' {
		return KeyEscape, 1
	}
	// The sequence consists of parameters and a letter or tilde.
	for i := 2; i < len(b); i++ {
		switch c := b[i]; {
		case c == '[' && i == 2: // a function key of the Linux console
		case c >= '@' && c <= '~':
			return sequenceKey(string(b[2:i]), string(c)), i + 1
		case c < ' ' || c > '?':
			return KeyOther, i
		}
	}
	switch {
	case !final:
		return 0, 0
	case len(b) == 1:
		return KeyEscape, 1
	}
	return KeyOther, len(b)
}

// sequenceKey returns the key of an escape sequence. Its second parameter,
// which it ignores, encodes Shift, Alt and Control.
func sequenceKey(parameters, end string) Key {
	number, _, modified := strings.Cut(parameters, ";")
	if modified && end != "~" {
		number = ""
	}
	if k, ok := sequences[number+end]; ok {
		return k
	}
	return KeyOther
}
