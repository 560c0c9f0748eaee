// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ipvsadm-go/ipvsadm/internal/test/cluster"
	"github.com/ipvsadm-go/ipvsadm/internal/test/guest/guesttest"
	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/internal/test/program"
	"github.com/ipvsadm-go/ipvsadm/internal/test/session"
)

func TestMain(m *testing.M) { program.Main(m) }

const (
	readme = "../../README.md"
	guide  = "../../packaging/doc/guide.md"
)

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

// typed is a console block of a page, or an indented command.
type typed struct {
	console, command string
}

// typedIn returns the console blocks and commands of a page, in order. Blocks
// in comments prepare visible ones.
func typedIn(text string) (list []typed) {
	var fence, block string
	for line := range strings.Lines(text) {
		switch indented := strings.TrimPrefix(line, "    "); {
		case strings.HasPrefix(line, "```") && fence == "":
			fence, block = strings.TrimSpace(line), ""
		case strings.HasPrefix(line, "```"):
			if fence == "```console" {
				list = append(list, typed{console: block})
			}
			fence = ""
		case fence != "":
			block += line
		case indented != line && (strings.HasPrefix(indented, "$ ") || strings.HasPrefix(indented, "# ")):
			command, _, _ := strings.Cut(indented[2:], "  #") // a comment
			list = append(list, typed{command: strings.TrimSpace(command)})
		}
	}
	return list
}

var readmeHosts = cluster.Parse(`
here   ens33 inside  192.168.168.50/24
here   ens36 outside 12.0.0.1/24
nginx1 ens33 inside  192.168.168.10/24
nginx2 ens33 inside  192.168.168.20/24
client ens33 outside 12.0.0.10/24
`)

// TestReadme runs the commands that the README shows on a director, its
// servers and a client, and compares the answers. Commands that build, install
// and boot have other tests.
func TestReadme(t *testing.T) { typePage(t, readme, "console", "ip", "curl") }

// TestGuide does the same for the guide.
func TestGuide(t *testing.T) { typePage(t, guide, "console", "ipvsadm") }

// typePage runs the commands of a page. Each of kinds must occur.
func typePage(t *testing.T, page string, kinds ...string) {
	guesttest.InGuest(t, func(t *testing.T) {
		guesttest.Namespace(t)
		program.InPath(t)
		must.OK(t, cluster.Build(readmeHosts))
		hosts := map[string]cluster.Host{}
		for _, h := range readmeHosts {
			hosts[h.Name] = h
		}
		servers := []cluster.Host{hosts["nginx1"], hosts["nginx2"]}
		for _, h := range servers {
			must.OK(t, h.Do(func() error { return serveName(t, h.Name) }))
		}
		run := func(command string) string { return program.Run(t, "sh", "-c", command) }
		ran := map[string]int{}
		var pages []string
		for _, shown := range typedIn(program.Read(t, page)) {
			if shown.console != "" {
				ran["console"]++
				for _, step := range steps(t, session.Root, shown.console) {
					out, err := program.Try("sh", "-c", step.Command)
					if _, err := os.Stat("/proc/thread-self/net/ip_vs_status"); err == nil {
						// Since Linux 7.1, which has this file, the
						// connection table grows.
						out = tableSize.ReplaceAllString(out, "(size=4096)")
					}
					if differs := session.Compare(out, step.Answer); differs != nil {
						t.Errorf("# %s\n%s\n%v (%v)", step.Command, out, differs, err)
					}
				}
				continue
			}
			name, _, _ := strings.Cut(shown.command, " ")
			ran[name]++
			switch name {
			case "ipvsadm":
				run(shown.command)
			case "ip":
				for _, h := range servers {
					run("ip netns exec " + h.Name + " " + shown.command)
				}
			case "curl":
				pages = append(pages, run("ip netns exec client "+shown.command+" -s -m 10"))
			}
		}
		for _, name := range kinds {
			if ran[name] == 0 {
				t.Errorf("no %s is typed", name)
			}
		}
		if slices.Sort(pages); len(pages) > 0 && !slices.Equal(pages, []string{"nginx1", "nginx2"}) {
			t.Errorf("the client has got %q", pages)
		}
	}, "curl")
}

// tableSize matches the size of the connection table.
var tableSize = regexp.MustCompile(`\(size=\d+\)`)

// serveName starts a web server in the calling thread's namespace that answers
// with a name, until the test ends.
func serveName(t *testing.T, name string) error {
	l, err := net.Listen("tcp", ":80")
	if err != nil {
		return err
	}
	t.Cleanup(func() { l.Close() })
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, name) }))
	return nil
}

// TestPagesNameTargets checks that the make commands on all pages have valid
// targets.
func TestPagesNameTargets(t *testing.T) {
	const root = "../../"
	quoted := regexp.MustCompile("`(make [a-z][^`]*)`")
	tried := map[string]bool{}
	pages, err := filepath.Glob(root + "packaging/doc/*.md")
	must.OK(t, err)
	for _, page := range append(pages, readme, root+".github/CONTRIBUTING.md") {
		text := program.Read(t, page)
		var commands []string
		for _, shown := range typedIn(text) {
			commands = append(commands, shown.command)
		}
		for _, match := range quoted.FindAllStringSubmatch(text, -1) {
			commands = append(commands, match[1])
		}
		for _, line := range regexp.MustCompile(`(?m)^    make .*`).FindAllString(text, -1) {
			commands = append(commands, strings.TrimSpace(line))
		}
		for _, c := range commands {
			arguments, isMake := strings.CutPrefix(c, "make")
			if !isMake || tried[c] {
				continue
			}
			tried[c] = true
			if out, err := program.Try("sh", "-c", "make -n -C "+root+arguments); err != nil {
				t.Errorf("%s: %s: %v\n%s", page, c, err, out)
			}
		}
	}
	if len(tried) < 10 {
		t.Errorf("only %d commands of make were found", len(tried))
	}
}

func steps(t *testing.T, prompt *regexp.Regexp, text string) []session.Step {
	t.Helper()
	list, err := session.Parse(prompt, text)
	if err != nil || len(list) == 0 {
		t.Fatalf("%d commands, %v in\n%s", len(list), err, text)
	}
	return list
}

// TestReadmeShowsTheLibrary checks that the README's Go code is part of the
// example, which compiles.
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
