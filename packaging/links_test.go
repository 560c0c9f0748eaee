// SPDX-License-Identifier: Apache-2.0

package packaging

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ipvsadm-go/ipvsadm/internal/test/program"
)

// TestLinks follows the links of the documents, in the repository and as
// installed, to files and headings. Of external links it checks only the
// form.
func TestLinks(t *testing.T) {
	root := t.TempDir()
	runMake(t, "install", "FAMILY=debian", "DESTDIR="+root)
	for dir, patterns := range map[string][]string{
		"..":                               {"*.md", ".github/*.md", "packaging/doc/*.md"},
		root + "/usr/share/doc/ipvsadm-go": {"*.md"},
	} {
		var pages []string
		for _, pattern := range patterns {
			found, err := filepath.Glob(filepath.Join(dir, pattern))
			if err != nil || len(found) == 0 {
				t.Errorf("%s: %q, %v", pattern, found, err)
			}
			pages = append(pages, found...)
		}
		for _, page := range pages {
			for _, link := range links(program.Read(t, page)) {
				if err := follow(dir, page, link); err != nil {
					t.Errorf("%s: %s: %v", page, link, err)
				}
			}
		}
	}
}

// TestDeadLinksAreFound checks that the functions of TestLinks report dead
// links.
func TestDeadLinksAreFound(t *testing.T) {
	dir := t.TempDir()
	page := dir + "/page.md"
	program.Write(t, dir+"/other.md", "# One, `two` & three\n\n```sh\n# no heading\n```\n## Again\n## Again\n")
	program.Write(t, page, "# Here\n")
	for link, good := range map[string]bool{
		"other.md": true, "other.md#one-two--three": true, "other.md#again-1": true, "#here": true, "https://go.dev/dl": true,
		"https://github.com/ipvsadm-go/ipvsadm/blob/main/README.md": true,
		"none.md": false, "other.md#no-heading": false, "#there": false, "../page.md": false, "http:/go.dev": false, "go dev": false,
		"https://github.com/ipvsadm-go/ipvsadm/blob/main/none.md": false,
	} {
		if err := follow(dir, page, link); (err == nil) != good {
			t.Errorf("%s: %v", link, err)
		}
	}
	const text = "[a](one) and ![b](two.svg \"title\"), `[c](no)`\n\n    [d](no)\n\n```\n[e](no)\n```\n- [f\n  g](three)\n\n[h]: four\n<img src=\"five\">"
	if got, want := links(text), []string{"one", "two.svg", "three", "four", "five"}; !slices.Equal(got, want) {
		t.Errorf("the links are %q, want %q", got, want)
	}
}

const ownPages = "https://github.com/ipvsadm-go/ipvsadm/blob/main/"

// follow follows a link of a page to a file in the directory of the pages.
func follow(dir, page, link string) error {
	u, err := url.Parse(link)
	switch {
	case err != nil:
		return err
	case strings.Contains(link, " "):
		return fmt.Errorf("a blank")
	case strings.HasPrefix(link, ownPages):
		_, err := os.Stat("../" + strings.TrimPrefix(u.Scheme+"://"+u.Host+u.Path, ownPages))
		return err
	case u.Scheme != "":
		if u.Scheme != "https" || u.Host == "" {
			return fmt.Errorf("no address of a page")
		}
		return nil
	}
	target := page
	if u.Path != "" {
		target = filepath.Join(filepath.Dir(page), u.Path)
	}
	if within, err := filepath.Rel(dir, target); err != nil || !filepath.IsLocal(within) {
		return fmt.Errorf("outside of %s", dir)
	}
	text, err := os.ReadFile(target)
	if err == nil && u.Fragment != "" && !slices.Contains(anchors(string(text)), u.Fragment) {
		return fmt.Errorf("no such heading, of %q", anchors(string(text)))
	}
	return err
}

var (
	fenced   = regexp.MustCompile("(?ms)^ *```.*?^ *```$")
	indented = regexp.MustCompile(`(?m)^(    |\t).*$`)
	inline   = regexp.MustCompile("`[^`\n]*`")
	linkText = regexp.MustCompile(`\]\(([^)"]*?)(?: +"[^"]*")?\)|(?m:^\[[^\]]+\]: +(.*)$)|(?:src|href)="([^"]*)"`)
	heading  = regexp.MustCompile(`(?m)^#+ +(.*)$`)
	dropped  = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// links returns the targets of the links of a Markdown page.
func links(text string) (list []string) {
	text = inline.ReplaceAllString(indented.ReplaceAllString(fenced.ReplaceAllString(text, ""), ""), "")
	for _, m := range linkText.FindAllStringSubmatch(text, -1) {
		list = append(list, m[1]+m[2]+m[3])
	}
	return list
}

// anchors returns the anchors that GitHub generates for a page's headings.
func anchors(text string) (list []string) {
	seen := map[string]int{}
	for _, m := range heading.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
		name := strings.ReplaceAll(dropped.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")
		if n := seen[name]; n > 0 {
			list = append(list, fmt.Sprint(name, "-", n))
		} else {
			list = append(list, name)
		}
		seen[name]++
	}
	return list
}
