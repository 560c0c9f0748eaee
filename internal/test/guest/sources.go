// SPDX-License-Identifier: Apache-2.0

// The machine's own package sources, read to learn which mirror it uses.

package guest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
)

// source is one entry of apt's sources, as sources.list(5) describes them.
type source struct {
	uris, suites, components []string
	signedBy                 string // paths, fingerprints, or a key of several lines; "" for apt's own keys
	trusted                  string // "yes", "no" or ""
}

// suiteSources is a source file for a suite, at the mirrors from which the
// machine has its own suite.
func suiteSources(suite string) (string, error) {
	release, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return "", err
	}
	own := ""
	for line := range strings.Lines(string(release)) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "VERSION_CODENAME="); ok {
			own = strings.Trim(v, `"`)
		}
	}
	all, err := readSources("/etc/apt")
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, s := range all {
		if slices.Contains(s.suites, own) {
			s.suites = []string{suite}
			b.WriteString(s.deb822())
		}
	}
	if b.Len() == 0 {
		return "", fmt.Errorf("no package source below /etc/apt has this machine's suite %q", own)
	}
	return b.String(), nil
}

func readSources(dir string) ([]source, error) {
	paths := []string{filepath.Join(dir, "sources.list")}
	more, err := filepath.Glob(filepath.Join(dir, "sources.list.d", "*"))
	if err != nil {
		return nil, err
	}
	var all []source
	for _, path := range append(paths, more...) {
		parse := parseList
		switch filepath.Ext(path) {
		case ".sources":
			parse = parseDeb822
		case ".list":
		default:
			continue
		}
		text, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		found, err := parse(string(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		all = append(all, found...)
	}
	return all, nil
}

// parseList reads the format with one entry a line:
//
//	deb [signed-by=/path trusted=yes] uri suite component...
//
// Entries for source packages are left out.
func parseList(text string) ([]source, error) {
	var all []source
	n := 0
	for line := range strings.Lines(text) {
		n++
		line, _, _ = strings.Cut(line, "#")
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), "deb")
		if !ok || strings.TrimLeft(rest, " \t[") == rest {
			continue
		}
		var s source
		rest = strings.TrimSpace(rest)
		if after, ok := strings.CutPrefix(rest, "["); ok {
			options, fields, closed := strings.Cut(after, "]")
			if !closed {
				return nil, fmt.Errorf("line %d: options without an end: %s", n, rest)
			}
			for _, option := range strings.Fields(options) {
				switch name, value, _ := strings.Cut(option, "="); name {
				case "signed-by":
					s.signedBy = strings.Join(strings.FieldsFunc(value, func(r rune) bool { return r == ',' }), " ")
				case "trusted":
					s.trusted = value
				}
			}
			rest = fields
		}
		fields := strings.Fields(rest)
		if len(fields) < 2 {
			return nil, fmt.Errorf("line %d: want a URI and a suite: %s", n, strings.TrimSpace(line))
		}
		s.uris, s.suites, s.components = fields[:1], fields[1:2], fields[2:]
		all = append(all, s)
	}
	return all, nil
}

// parseDeb822 reads the format with one field a line and an empty line between
// entries. Entries that are disabled or for source packages are left out.
func parseDeb822(text string) ([]source, error) {
	var all []source
	n, field, entry := 0, "", map[string]string{}
	end := func() error {
		s := source{
			uris: strings.Fields(entry["uris"]), suites: strings.Fields(entry["suites"]),
			components: strings.Fields(entry["components"]), signedBy: entry["signed-by"], trusted: entry["trusted"],
		}
		if entry["enabled"] != "no" && slices.Contains(strings.Fields(entry["types"]), "deb") {
			if len(s.uris) == 0 || len(s.suites) == 0 {
				return fmt.Errorf("the entry that ends in line %d lacks URIs or Suites", n)
			}
			all = append(all, s)
		}
		field, entry = "", map[string]string{}
		return nil
	}
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimRightFunc(line, unicode.IsSpace)
		name, value, named := strings.Cut(line, ":")
		switch {
		case strings.HasPrefix(line, "#"):
		case line == "":
			if err := end(); err != nil {
				return nil, err
			}
		case line[0] == ' ' || line[0] == '\t':
			if field == "" {
				return nil, fmt.Errorf("line %d continues no field: %s", n, line)
			}
			entry[field] += "\n" + line
		case !named || strings.ContainsAny(name, " \t"):
			return nil, fmt.Errorf("line %d: want a field and a colon: %s", n, line)
		default:
			field = strings.ToLower(name)
			entry[field] = strings.TrimSpace(value)
		}
	}
	if err := end(); err != nil {
		return nil, err
	}
	return all, nil
}

func (s source) deb822() string {
	var b strings.Builder
	for _, f := range []struct{ name, value string }{
		{"Types", "deb"},
		{"URIs", strings.Join(s.uris, " ")},
		{"Suites", strings.Join(s.suites, " ")},
		{"Components", strings.Join(s.components, " ")},
		{"Signed-By", s.signedBy},
		{"Trusted", s.trusted},
	} {
		if f.value != "" {
			fmt.Fprintf(&b, "%s: %s\n", f.name, f.value)
		}
	}
	return b.String() + "\n"
}
