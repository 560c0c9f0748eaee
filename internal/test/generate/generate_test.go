// SPDX-License-Identifier: Apache-2.0

package main

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ipvsadm-go/ipvsadm/internal/manual"
	"github.com/ipvsadm-go/ipvsadm/internal/spec"
	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/internal/test/program"
)

const root = "../../../"

// TestGeneratedFilesAreCurrent compares the files with newly generated ones.
func TestGeneratedFilesAreCurrent(t *testing.T) {
	files, err := generate(root)
	must.OK(t, err)
	for name, want := range files {
		program.Current(t, root+name, want)
	}
}

// TestAllListTheSameSchedulers compares the schedulers in the help, on the
// page, and in the completions, which use their list if the kernel does not
// show its own.
func TestAllListTheSameSchedulers(t *testing.T) {
	var help strings.Builder
	must.OK(t, manual.Help(&help, "ipvsadm"))
	pages, err := pages()
	must.OK(t, err)
	_, page, _ := strings.Cut(pages["ipvsadm.8"], "\n.Sh SCHEDULERS\n")
	page, _, _ = strings.Cut(page, "\n.El\n")
	scripts := completions()
	all := func(text, pattern string) (names []string) {
		for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
			names = append(names, strings.Fields(match[1])...)
		}
		return names
	}
	for where, names := range map[string][]string{
		"the help":             all(help.String(), `(?s)scheduler \(default wlc\): (.*?)\n +-b`),
		"the options":          all(pages["ipvsadm.8"], `(?s)\nScheduler \(default wlc\): (.*?)\.\n`),
		"the page":             all(page, `(?m)^\.It (\w+)$`),
		"Bash":                 all(scripts["ipvsadm.bash"], `(?m)\|\| printf '%s\\n' ((?:\w+ ?)+)$`),
		"zsh":                  all(scripts["_ipvsadm"], `names=\(((?:\w+ ?)+)\)`),
		"zsh, with their text": all(scripts["_ipvsadm"], `(?m)^        (\w+) '.*'$`),
		"fish":                 all(scripts["ipvsadm.fish"], `or set names ((?:\w+ ?)+)`),
		"fish, with its text":  all(scripts["ipvsadm.fish"], `case (\w+)\n +set about `),
	} {
		if !slices.Equal(names, spec.Names(spec.Schedulers[:])) {
			t.Errorf("%s: %q, want %q", where, names, spec.Names(spec.Schedulers[:]))
		}
	}
}
