// SPDX-License-Identifier: Apache-2.0

package main

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ipvsadm-go/ipvsadm/internal/test/guest/guesttest"
	"github.com/ipvsadm-go/ipvsadm/internal/test/program"
	"github.com/ipvsadm-go/ipvsadm/internal/test/session"
)

func TestMain(m *testing.M) { program.Main(m) }

const readme = "../../README.md"

// blocks returns the code blocks of a kind.
func blocks(text, kind string) []string {
	var list []string
	for {
		_, rest, found := strings.Cut(text, "```"+kind+"\n")
		if !found {
			return list
		}
		block, after, _ := strings.Cut(rest, "```")
		list = append(list, block)
		text = after
	}
}

// TestReadme runs the commands that the README shows, on a director with its
// addresses, and compares the answers.
func TestReadme(t *testing.T) {
	guesttest.InGuest(t, func(t *testing.T) {
		guesttest.Namespace(t)
		program.InPath(t)
		guesttest.Modprobe(t, "dummy")
		for name, address := range map[string]string{"ens33": "192.168.168.50/24", "ens36": "12.0.0.1/24"} {
			program.Run(t, "ip", "link", "add", name, "type", "dummy")
			program.Run(t, "ip", "addr", "add", address, "dev", name)
			program.Run(t, "ip", "link", "set", name, "up")
		}
		shown := blocks(program.Read(t, readme), "console")
		if len(shown) == 0 {
			t.Error("nothing is typed")
		}
		for _, block := range shown {
			for _, step := range steps(t, session.Root, block) {
				out, err := program.Try("sh", "-c", step.Command)
				if differs := session.Compare(out, step.Answer); differs != nil {
					t.Errorf("# %s\n%s\n%v (%v)", step.Command, out, differs, err)
				}
			}
		}
	})
}

func steps(t *testing.T, prompt *regexp.Regexp, text string) []session.Step {
	t.Helper()
	list, err := session.Parse(prompt, text)
	if err != nil || len(list) == 0 {
		t.Fatalf("%d commands, %v in\n%s", len(list), err, text)
	}
	return list
}

// TestReadmeShowsTheDemo finds each excerpt in the demo, commands and answers
// without a gap.
func TestReadmeShowsTheDemo(t *testing.T) {
	demo, found := steps(t, session.Host, program.Read(t, "../../internal/test/lab/demo.txt")), false
	for _, block := range blocks(program.Read(t, readme), "text") {
		if !strings.Contains(block, "[root@") {
			continue
		}
		shown := steps(t, session.Terminal, block)
		found = true
		at := 0
		for at+len(shown) <= len(demo) && !slices.EqualFunc(shown, demo[at:at+len(shown)], func(a, b session.Step) bool {
			return a.Host == b.Host && a.Command == b.Command && session.Compare(a.Answer, b.Answer) == nil
		}) {
			at++
		}
		if at+len(shown) > len(demo) {
			t.Errorf("this is no part of the demo:\n%s", block)
		}
	}
	if !found {
		t.Error("nothing is typed")
	}
}

// TestReadmeShowsTheLibrary checks that the README's piece of Go is part of
// the example, which the compiler has seen.
func TestReadmeShowsTheLibrary(t *testing.T) {
	shown := blocks(program.Read(t, readme), "go")
	if len(shown) != 1 {
		t.Fatalf("the README shows %d pieces of Go", len(shown))
	}
	var indented strings.Builder
	for line := range strings.Lines(shown[0]) {
		indented.WriteString("\t\t" + line)
	}
	if !strings.Contains(program.Read(t, "../../pkg/ipvs/example_test.go"), indented.String()) {
		t.Errorf("the example is not\n%s", shown[0])
	}
}
