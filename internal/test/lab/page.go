// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/ipvsadm-go/ipvsadm/internal/test/session"
)

const page = "packaging/doc/clusters.md"

// box matches a generated box of the page: the session of a cluster or a
// scenario, or a file of a cluster.
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

// inBox returns the contents of a box, or "" if the name is unknown.
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
// count. Steps that a second host repeats become a note.
func onPage(typed string) string {
	var b strings.Builder
	runs := map[string][]session.Step{} // by kind of host: its last consecutive steps
	steps := slices.DeleteFunc((scenario{typed: typed}).steps(), func(s session.Step) bool { return s.Host == counts })
	for len(steps) > 0 {
		host, n := steps[0].Host, 0
		for n < len(steps) && steps[n].Host == host {
			n++
		}
		run, kind := steps[:n], strings.TrimRight(host, "0123456789")
		steps = steps[n:]
		if other, same := repeats(run, runs[kind]); same {
			b.WriteString("# The same on " + host + other + ".\n")
			continue
		}
		runs[kind] = run
		for _, s := range run {
			b.WriteString(s.String())
		}
	}
	return b.String()
}

// repeats reports whether steps differ from those of another host in
// addresses only, and returns the note's words about the addresses.
func repeats(steps, before []session.Step) (other string, same bool) {
	if len(steps) != len(before) || steps[0].Host == before[0].Host {
		return "", false
	}
	var addresses []string
	for i, s := range steps {
		words, had := strings.Fields(s.Command), strings.Fields(before[i].Command)
		if len(words) != len(had) {
			return "", false
		}
		for j, w := range words {
			if w == had[j] {
				continue
			}
			if _, err := netip.ParseAddr(w); err != nil {
				return "", false
			}
			if !slices.Contains(addresses, w) {
				addresses = append(addresses, w)
			}
		}
	}
	if len(addresses) > 0 {
		other = ", with " + strings.Join(addresses, " and ")
	}
	return other, true
}
