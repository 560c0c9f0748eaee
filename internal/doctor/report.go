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
		if g.services[0] != "" {
			subject = few(g.services) + ": "
		}
		fmt.Fprintf(b, "%v: %s%s [%s]\n", g.Level, subject, fill(g.Text, few(g.servers)), g.Check)
		switch {
		case g.fixes == 1:
			fmt.Fprintf(b, "  fix: %s\n", g.Fix)
		case g.fixes > 1:
			fmt.Fprintf(b, "  fix: %s # and %d more like this, see --json\n", g.Fix, g.fixes-1)
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
	Finding                    // the first
	services, servers []string // each once
	fixes             int      // different ones
	seen              map[Finding]bool
}

// alike groups findings in the order of the first of each group.
func alike(findings []Finding) []*group {
	var groups []*group
	places := map[Finding]*group{}
	for _, f := range findings {
		key := Finding{Level: f.Level, Check: f.Check, Text: f.Text}
		if f.Fix != "" {
			key.Fix = "any"
		}
		g := places[key]
		if g == nil {
			g = &group{Finding: f, seen: map[Finding]bool{}}
			places[key] = g
			groups = append(groups, g)
		}
		if g.first(Finding{Service: f.Service}) {
			g.services = append(g.services, f.Service)
		}
		if f.Server != "" && g.first(Finding{Server: f.Server}) {
			g.servers = append(g.servers, f.Server)
		}
		if f.Fix != "" && g.first(Finding{Fix: f.Fix}) {
			g.fixes++
		}
	}
	return groups
}

// first reports whether a part of a finding has not been seen before.
func (g *group) first(part Finding) bool {
	known := g.seen[part]
	g.seen[part] = true
	return !known
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
	type finding struct {
		Level   string `json:"level"`
		Check   string `json:"check"`
		Service string `json:"service,omitempty"`
		Text    string `json:"text"`
		Fix     string `json:"fix,omitempty"`
	}
	document := struct {
		Schema   int       `json:"json_schema_version"`
		Findings []finding `json:"findings"`
	}{1, make([]finding, len(findings))}
	for i, f := range findings {
		document.Findings[i] = finding{f.Level.String(), f.Check, f.Service, fill(f.Text, f.Server), f.Fix}
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(document)
}
