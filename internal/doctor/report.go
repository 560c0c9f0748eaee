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

// WriteText writes a line for each finding, with the name of its check at the
// end and its command in a line below, and a last line that counts. Findings
// that differ in their service or server only are one line, with the command of
// the first.
func WriteText(w io.Writer, findings []Finding) error {
	b := bufio.NewWriter(w)
	var checks []string
	counts := map[Level]int{}
	for _, g := range alike(findings) {
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
	if totals == nil {
		fmt.Fprintf(b, "%s, nothing found\n", plural(len(checks), "check"))
	} else {
		fmt.Fprintf(b, "%s: %s\n", plural(len(checks), "check"), strings.Join(totals, ", "))
	}
	return b.Flush()
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// fill puts servers into the text of a finding.
func fill(text, servers string) string { return strings.Replace(text, "%s", servers, 1) }

// group is findings that differ in their service, server and fix only.
type group struct {
	Finding                           // the first
	services, servers, fixes []string // each once
}

// alike groups findings in the order of the first of each group.
func alike(findings []Finding) []*group {
	var groups []*group
	places := map[Finding]*group{}
	type part struct {
		of   *[]string
		word string
	}
	seen := map[part]bool{}
	for _, f := range findings {
		key := Finding{Level: f.Level, Check: f.Check, Text: f.Text}
		if f.Fix != "" {
			key.Fix = "any"
		}
		g := places[key]
		if g == nil {
			g = &group{Finding: f}
			places[key] = g
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

// few lists the first of many names.
func few(names []string) string {
	const most = 3
	if n := len(names); n > most+1 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), n-most)
	}
	return strings.Join(names, ", ")
}

// WriteJSON writes the findings as a document in one line.
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
