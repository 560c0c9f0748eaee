// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// WriteText writes a line for each finding, which ends with its check's name,
// and below it the command that fixes it. The last line is a summary.
// Findings that differ only in service or server share a line, with the
// first's command.
func WriteText(w io.Writer, findings []Finding) error {
	b := bufio.NewWriter(w)
	var checks []string
	counts := map[Level]int{}
	for _, g := range grouped(findings) {
		if !slices.Contains(checks, g.Check) {
			checks = append(checks, g.Check)
		}
		if g.Level == OK {
			continue
		}
		counts[g.Level]++
		subject := ""
		if g.services != nil {
			subject = few(g.services) + ": "
		}
		fmt.Fprintf(b, "%v: %s%s [%s]\n", g.Level, subject, fill(g.Text, few(g.servers)), g.Check)
		switch n := len(g.fixes); {
		case n == 1:
			fmt.Fprintf(b, "  fix: %s\n", g.Fix)
		case n > 1:
			fmt.Fprintf(b, "  fix: %s # and %d more like this, see --json\n", g.Fix, n-1)
		}
	}
	var totals []string
	for level := Error; level > OK; level-- {
		if n := counts[level]; n > 0 {
			totals = append(totals, plural(n, level.String()))
		}
	}
	end := ", nothing found"
	if totals != nil {
		end = ": " + strings.Join(totals, ", ")
	}
	fmt.Fprintln(b, plural(len(checks), "check")+end)
	return b.Flush()
}

// plural returns a number with its noun.
func plural[N int | uint64](n N, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// fill inserts servers into the text of a finding.
func fill(text, servers string) string { return strings.Replace(text, "%s", servers, 1) }

// group is a set of findings that differ only in service, server and fix.
type group struct {
	Finding                           // the first
	services, servers, fixes []string // each once
}

// grouped returns findings in groups, ordered by their first members.
func grouped(findings []Finding) []*group {
	var groups []*group
	byKey := map[Finding]*group{}
	type part struct {
		list *[]string
		word string
	}
	seen := map[part]bool{}
	for _, f := range findings {
		key := Finding{Level: f.Level, Check: f.Check, Text: f.Text}
		if f.Fix != "" {
			key.Fix = "any"
		}
		g := byKey[key]
		if g == nil {
			g = &group{Finding: f}
			byKey[key] = g
			groups = append(groups, g)
		}
		add := func(list *[]string, word string) {
			if p := (part{list, word}); word != "" && !seen[p] {
				seen[p] = true
				*list = append(*list, word)
			}
		}
		add(&g.services, f.Service)
		add(&g.servers, f.Server)
		add(&g.fixes, f.Fix)
	}
	return groups
}

// few joins names, at most the first few of a long list.
func few(names []string) string {
	const most = 3
	if n := len(names); n > most+1 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), n-most)
	}
	return strings.Join(names, ", ")
}

// WriteJSON writes the findings as one line of JSON.
func WriteJSON(w io.Writer, findings []Finding) error {
	document := struct {
		Schema   int       `json:"json_schema_version"`
		Findings []Finding `json:"findings"`
	}{1, slices.Clone(findings)}
	for i := range document.Findings {
		f := &document.Findings[i]
		f.Text = fill(f.Text, f.Server)
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(document)
}
