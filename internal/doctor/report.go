// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// WriteText writes a line for each finding, with the name of its check at the
// end, and its command in a line below. Findings that differ in their service only are one line.
func WriteText(w io.Writer, findings []Finding) error {
	b := bufio.NewWriter(w)
	for _, g := range alike(findings) {
		fmt.Fprintf(b, "%v: %s%s [%s]\n", g.Level, g.subject(), g.Text, g.Check)
		if g.Fix != "" {
			fmt.Fprintf(b, "  fix: %s\n", g.Fix)
		}
	}
	return b.Flush()
}

// group is findings that differ in their service only.
type group struct {
	Finding
	services []string
}

// alike groups findings in the order of the first of each group.
func alike(findings []Finding) []group {
	var groups []group
	places := map[Finding]int{}
	for _, f := range findings {
		service := f.Service
		f.Service = ""
		i, known := places[f]
		if !known {
			i = len(groups)
			places[f] = i
			groups = append(groups, group{Finding: f})
		}
		groups[i].services = append(groups[i].services, service)
	}
	return groups
}

// subject names the services of a group, a few if there are many.
func (g *group) subject() string {
	const few = 3
	switch n := len(g.services); {
	case g.services[0] == "":
		return ""
	case n > few+1:
		return fmt.Sprintf("%s and %d more: ", strings.Join(g.services[:few], ", "), n-few)
	}
	return strings.Join(g.services, ", ") + ": "
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
		document.Findings[i] = finding{f.Level.String(), f.Check, f.Service, f.Text, f.Fix}
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(document)
}
