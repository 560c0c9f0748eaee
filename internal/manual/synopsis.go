// SPDX-License-Identifier: Apache-2.0

package manual

import (
	"slices"
	"strings"

	"github.com/ipvsadm-go/ipvsadm/internal/spec"
)

// Synopsis returns the grammar of a command, a list of items for each of its
// forms: the command itself, then each option or group of options that it
// takes, in brackets unless one is needed.
func Synopsis(c *spec.Command) [][]string {
	command := "--" + c.Long
	if c.Short != 0 {
		command = "-" + string(rune(c.Short))
	}
	var arguments []string
	if c.MaxArgs > 0 {
		arguments = []string{c.Arg}
	} else {
		command += value(&c.Word)
	}
	forms := c.Forms
	if forms == nil {
		forms = []spec.Form{{Takes: c.Rule.Takes()}}
	}
	var list [][]string
	for _, f := range forms {
		f.Takes &^= spec.Global
		list = append(list, slices.Concat([]string{command}, formItems(c, f, 0), arguments))
	}
	return list
}

// WrapperSynopsis returns the grammar of the program for a single command,
// such as ipvsadm-save.
func WrapperSynopsis(c *spec.Command) []string {
	items := formItems(c, spec.Form{Takes: c.Rule.Takes()}, wrapperOutput(c))
	if c.MaxArgs > 0 {
		items = append(items, c.Arg)
	}
	return items
}

// value returns the placeholder for a word's value in the help and the
// synopsis.
func value(w *spec.Word) string {
	switch {
	case w.Arg == "":
		return ""
	case w.Value == spec.OptionalValue:
		return " [" + w.Arg + "]"
	case strings.Contains(w.Arg, "|"):
		return " {" + w.Arg + "}"
	}
	return " " + w.Arg
}

func formItems(c *spec.Command, f spec.Form, output byte) []string {
	var items []string
	if f.Needs != 0 {
		items = append(items, group(f.Needs, output, true))
		f.Takes &^= f.Needs
	}
	for left := f.Takes &^ spec.Uncounted; left != 0; {
		var o *spec.Option
		for o = range Options(left, output) {
			break
		}
		_, alternatives := o.Alternatives()
		if alternatives == spec.Of(o.ID) {
			alternatives |= c.Rule.Excluded(o.ID)
		}
		alternatives &= left
		items = append(items, group(alternatives, output, c.Rule.Required.Has(o.ID)))
		left &^= alternatives
	}
	return items
}

// group returns an item for options that exclude each other. Those that name
// a service share their value.
func group(options spec.Set, output byte, needed bool) string {
	var words []string
	last := ""
	for o, short := range Options(options, output) {
		word := "--" + o.Long
		if short != 0 {
			word = "-" + string(rune(short))
		}
		switch {
		case spec.ServiceAddress.HasAny(options) && last == "":
			last = value(&o.Word)
		case !spec.ServiceAddress.HasAny(options):
			word += value(&o.Word)
		}
		words = append(words, word)
	}
	text := strings.Join(words, "|")
	if strings.Contains(text, " ") {
		text = strings.Join(words, " | ")
	}
	if len(words) > 1 && (needed || last != "") {
		text = "{" + text + "}"
	}
	if text += last; !needed {
		text = "[" + text + "]"
	}
	return text
}
