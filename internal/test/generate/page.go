// SPDX-License-Identifier: Apache-2.0

package main

import (
	"embed"
	"fmt"
	"strings"

	"github.com/ipvsadm-go/ipvsadm/internal/doctor"
	"github.com/ipvsadm-go/ipvsadm/internal/manual"
	"github.com/ipvsadm-go/ipvsadm/internal/spec"
)

// templates are the manual pages in mdoc, without the generated parts, which
// replace the lines that begin with placeMark.
//
//go:embed *.7 *.8
var templates embed.FS

const placeMark = `.\"@ `

// pages returns the manual pages by file name.
func pages() (map[string]string, error) {
	files, err := templates.ReadDir(".")
	if err != nil {
		return nil, err
	}
	pages := make(map[string]string)
	for _, f := range files {
		text, err := templates.ReadFile(f.Name())
		if err != nil {
			return nil, err
		}
		pages[f.Name()] = fill(string(text), f.Name())
	}
	return pages, nil
}

// fill replaces the marks of a page. It leaves an unknown mark, a mistake in
// this package, in place.
func fill(page, name string) string {
	var b strings.Builder
	for line := range strings.Lines(page) {
		place, found := strings.CutPrefix(line, placeMark)
		if !found {
			b.WriteString(line)
			continue
		}
		switch strings.TrimSpace(place) {
		case "header":
			pageHeader(&b, name)
		case "synopsis":
			for i := range spec.Commands {
				pageSynopsis(&b, manual.Synopsis(&spec.Commands[i])...)
			}
		case "synopsis save":
			pageSynopsis(&b, manual.WrapperSynopsis(spec.FindCommand(spec.Save)))
		case "synopsis apply":
			pageSynopsis(&b, manual.WrapperSynopsis(spec.FindCommand(spec.Apply)))
		case "commands":
			pageCommands(&b)
		case "options":
			pageSections(&b)
		case "options save":
			pageOptions(&b, spec.FindCommand(spec.Save).Rule.Takes(), manual.SaveOutputLetter)
		case "options apply":
			pageOptions(&b, spec.FindCommand(spec.Apply).Rule.Takes(), 0)
		case "checks":
			pageChecks(&b)
		case "settings":
			pageSettings(&b)
		case "schedulers":
			pageChoices(&b, spec.Schedulers[:], "lblcr")
		case "states":
			pageChoices(&b, spec.ConnectionStates[:], "SHUTDOWN_ACK_SENT")
		case "differences":
			pageDifferences(&b)
		default:
			b.WriteString(line)
		}
	}
	return b.String()
}

// date is the date of the pages.
const date = "December 1, 2026"

// pageHeader writes the title of a page. Releases of groff before 1.23 name
// BSD as the system unless told otherwise.
func pageHeader(b *strings.Builder, name string) {
	title, section, _ := strings.Cut(name, ".")
	fmt.Fprintf(b, ".\\\" %s\n.Dd %s\n.ds doc-volume-operating-system Linux\n", generated(name), date)
	fmt.Fprintf(b, ".Dt %s %s\n.Os\n.ds doc-operating-system Linux\n", strings.ToUpper(title), section)
}

// beyond marks additions to 1.31.
const beyond = "Not in 1.31."

func pageCommands(b *strings.Builder) {
	b.WriteString(".Bl -tag -width Ds\n")
	for i := range spec.Commands {
		c := &spec.Commands[i]
		pageItem(b, &c.Word, c.Short)
		if c.Beyond() {
			pageText(b, beyond)
		}
	}
	b.WriteString(".El\n")
}

// pageSynopsis writes the grammar of a program: each item on a separate line,
// with its brackets and bars as separate macros.
func pageSynopsis(b *strings.Builder, forms ...[]string) {
	separate := strings.NewReplacer("[/length]", "[/length]", "[", " [ ", "]", " ] ", "{", " { ", "}", " } ", "|", " | ")
	macros := map[string]string{"[": "Oo", "]": "Oc", "{": "Bro", "}": "Brc", "|": "|"}
	for _, items := range forms {
		b.WriteString(".Nm\n")
		for _, item := range items {
			var line []string
			for _, word := range strings.Fields(separate.Replace(item)) {
				option, isOption := strings.CutPrefix(word, "-")
				switch macro := macros[word]; {
				case macro != "":
					word = macro
				case isOption:
					word = "Fl " + option
				default:
					word = "Ar " + word
				}
				line = append(line, word)
			}
			fmt.Fprintf(b, ".%s\n", strings.Join(line, " "))
		}
	}
}

func pageSections(b *strings.Builder) {
	for s := range manual.Sections() {
		fmt.Fprintf(b, ".Ss %s\n", roff(s.Title))
		if s.Beyond {
			pageText(b, beyond)
		}
		pageOptions(b, s.Options, 0)
	}
}

// pageOptions writes the list of a set of options; output is the letter of
// --output.
func pageOptions(b *strings.Builder, set spec.Set, output byte) {
	b.WriteString(".Bl -tag -width Ds\n")
	for o, short := range manual.Options(set, output) {
		pageItem(b, &o.Word, short)
	}
	b.WriteString(".El\n")
}

// pageItem writes the list item of a word with the given letter.
func pageItem(b *strings.Builder, w *spec.Word, short byte) {
	b.WriteString(".It ")
	for _, letter := range []byte{short, w.Alias} {
		if letter != 0 {
			fmt.Fprintf(b, "Fl %c , ", letter)
		}
	}
	fmt.Fprintf(b, "Fl -%s", w.Long)
	arg, optional := w.Arg, w.Value == spec.OptionalValue
	if strings.HasPrefix(arg, "[") && strings.HasSuffix(arg, "]") {
		arg, optional = arg[1:len(arg)-1], true
	}
	switch {
	case arg == "":
	case optional:
		fmt.Fprintf(b, " Op Ar %s", arg)
	default:
		fmt.Fprintf(b, " Ar %s", arg)
	}
	b.WriteByte('\n')
	pageText(b, sentence(manual.Text(w)))
	if w.Details != "" {
		pageText(b, w.Details)
	}
	if w.Since != "" && w.Since != firstRelease {
		pageText(b, "Since "+w.Since+".")
	}
}

// firstRelease is the release whose additions the page marks by section, not
// one by one.
const firstRelease = "0.1.0"

// pageChoices writes the list of choices; width is a word of the greatest
// width.
func pageChoices(b *strings.Builder, choices []spec.Choice, width string) {
	fmt.Fprintf(b, ".Bl -tag -width %s -compact\n", width)
	for _, c := range choices {
		fmt.Fprintf(b, ".It %s\n", roff(c.Name))
		pageText(b, sentence(c.Help))
	}
	b.WriteString(".El\n")
}

func pageDifferences(b *strings.Builder) {
	b.WriteString(".Bl -bullet\n")
	for _, d := range manual.Differences() {
		b.WriteString(".It\n")
		pageText(b, "1.31: "+d.Original)
		pageText(b, "Here: "+d.Ours)
		pageText(b, d.Why)
	}
	b.WriteString(".El\n")
}

func pageChecks(b *strings.Builder) {
	b.WriteString(".Bl -tag -width Ds\n")
	for i := range doctor.Checks {
		c := &doctor.Checks[i]
		fmt.Fprintf(b, ".It %s Pq %v\n", roff(c.Name), c.Level)
		pageText(b, sentence(c.Question))
	}
	b.WriteString(".El\n")
}

func pageSettings(b *strings.Builder) {
	b.WriteString(".Bl -tag -width Ds\n")
	for i := range spec.Sysctls {
		s := &spec.Sysctls[i]
		fmt.Fprintf(b, ".It Va %s\n", s.Name)
		pageText(b, sentence(s.Meaning))
		text := "Default: " + s.Default + "."
		if s.Since != "" {
			text += " From Linux " + s.Since + " on."
		}
		pageText(b, text)
	}
	b.WriteString(".El\n")
}

// pageText writes text, each sentence on a new line, and escapes lines that
// troff would take for requests.
func pageText(b *strings.Builder, text string) {
	for part := range strings.SplitSeq(strings.ReplaceAll(roff(text), ". ", ".\n"), "\n") {
		for _, line := range manual.Wrap(part, 78) {
			if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
				line = `\&` + line
			}
			b.WriteString(line + "\n")
		}
	}
}

// roff converts text with code between backquotes to troff source.
func roff(text string) string {
	var b strings.Builder
	code := false
	for i, part := range strings.Split(text, "`") {
		if i > 0 {
			code = !code
			b.WriteString(map[bool]string{true: `\fB`, false: `\fR`}[code])
		}
		b.WriteString(roffText(part))
	}
	return b.String()
}

// roffText keeps troff from turning dashes into hyphens and quotes into curly
// ones.
func roffText(s string) string {
	return strings.NewReplacer(`\`, `\e`, `-`, `\-`, `'`, `\(aq`).Replace(s)
}

// sentence turns a help text into a sentence.
func sentence(help string) string {
	return strings.ToUpper(help[:1]) + help[1:] + "."
}
