// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"os"
	"regexp"
	"strings"
)

const page = "packaging/doc/clusters.md"

// box matches a place on the page for the session of a cluster or a scenario,
// or for a file of a cluster.
var box = regexp.MustCompile("(?s)<!-- (typed|file): (\\S+) -->\n```text\n.*?```\n")

// fillPage returns the page of the clusters with the sessions in its boxes.
func fillPage(name string) (string, error) {
	old, err := os.ReadFile(name)
	if err != nil {
		return "", err
	}
	shown := map[string]bool{}
	text := box.ReplaceAllStringFunc(string(old), func(old string) string {
		match := box.FindStringSubmatch(old)
		kind, name := match[1], match[2]
		lines := inBox(kind, name)
		if lines == "" {
			err = fmt.Errorf("the page has a box for an unknown %s %s", kind, name)
		}
		cluster, _, _ := strings.Cut(name, "/")
		shown[cluster] = true
		return "<!-- " + kind + ": " + name + " -->\n```text\n" + lines + "```\n"
	})
	for _, c := range clusters {
		if !shown[c.name] {
			err = fmt.Errorf("the page does not show the cluster %s", c.name)
		}
	}
	return text, err
}

// writePage writes the page of the clusters.
func writePage() error {
	text, err := fillPage(page)
	if err != nil {
		return err
	}
	return os.WriteFile(page, []byte(text), 0o644)
}

// inBox returns what a box has to show, or "" if the name is unknown.
func inBox(kind, name string) string {
	for _, c := range clusters {
		if kind == "file" {
			for _, f := range c.files {
				if name == c.name+"/"+f.host+"/"+f.name {
					return f.text
				}
			}
			continue
		}
		if name == c.name {
			return onPage(c.typed)
		}
		for _, s := range c.scenarios {
			if name == c.fullName(s) {
				return onPage(cmp.Or(s.page, s.typed))
			}
		}
	}
	return ""
}

// onPage returns a session as a terminal shows it, without the steps that
// count.
func onPage(typed string) string {
	var b strings.Builder
	for _, s := range (scenario{typed: typed}).steps() {
		if s.Host != counts {
			b.WriteString(s.String())
		}
	}
	return b.String()
}
