// SPDX-License-Identifier: Apache-2.0

package manual

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ipvsadm-go/ipvsadm/internal/spec"
	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
)

func help(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	must.OK(t, Help(&b, "a-name"))
	return b.String()
}

func TestHelpHasEachCommandAndOptionOnce(t *testing.T) {
	text := help(t)
	once := func(long string, letters ...byte) {
		row := "(?m)^  "
		for _, c := range letters {
			if c != 0 {
				row += fmt.Sprintf("-%c, ?", c)
			}
		}
		if n := len(regexp.MustCompile(row+" *--"+long+"( |$)").FindAllString(text, -1)); n != 1 {
			t.Errorf("the help has --%s with the letters %q %d times", long, letters, n)
		}
	}
	for _, c := range spec.Commands {
		once(c.Long, c.Short, c.Alias)
	}
	for _, o := range spec.Options {
		once(o.Long, o.Short)
	}
}

// TestHelpNamesAllWords checks that the help has the schedulers and all other
// valid words for values.
func TestHelpNamesAllWords(t *testing.T) {
	text := strings.Join(strings.Fields(help(t)), " ")
	for _, s := range spec.Schedulers {
		if !strings.Contains(text, " "+s.Name+" ") {
			t.Errorf("the scheduler %s is not in the help", s.Name)
		}
	}
	for _, want := range []string{": " + strings.Join(spec.Names(spec.Schedulers[:]), " ") + " ", " sh-port ", " flag-3 ", "engine: sip ", ": ipip gue gre "} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in the help", want)
		}
	}
}

func TestHelpHasAnExampleForEachPart(t *testing.T) {
	parts := regexp.MustCompile(`(?m)^[A-Z].*:$`).Split(help(t), -1)
	for _, part := range parts[2:] {
		if n := strings.Count(part, "\n  Example: ipvsadm -"); n != 1 {
			t.Errorf("%d examples in%s", n, part)
		}
	}
	if want := len(spec.Sections) + 2; len(parts)-2 != want { // one is the usage
		t.Errorf("%d parts, want %d", len(parts)-1, want)
	}
}

func TestHelpFitsATerminal(t *testing.T) {
	texts := map[string]string{"ipvsadm": help(t)}
	for name, id := range map[string]spec.CommandID{"ipvsadm-save": spec.Save, "ipvsadm-restore": spec.Apply} {
		var b bytes.Buffer
		must.OK(t, Wrapper(&b, name, id))
		texts[name] = b.String()
	}
	for name, text := range texts {
		for line := range strings.Lines(text) {
			if line = strings.TrimSuffix(line, "\n"); len(line) > 80 || strings.TrimRight(line, " ") != line {
				t.Errorf("%s: %d columns: %q", name, len(line), line)
			}
		}
		if !strings.HasSuffix(text, "\n") {
			t.Errorf("%s: the last line has no end", name)
		}
	}
}

func TestHelpNamesTheProgramAsItWasCalled(t *testing.T) {
	if want := "\nUsage:\n  a-name -A {"; !strings.Contains(help(t), want) {
		t.Errorf("the help does not have %q", want)
	}
}

func TestSynopsisIsTheGrammarOfTheRules(t *testing.T) {
	lines := func(id spec.CommandID) (lines []string) {
		for _, items := range Synopsis(spec.FindCommand(id)) {
			lines = append(lines, strings.Join(items, " "))
		}
		return lines
	}
	for id, want := range map[spec.CommandID]string{
		spec.AddService:  "-A {-t|-u|--sctp-service|-f} address [-s name] [-b flags] [--pe engine] [-p [seconds]] [-M mask] [-o] [--exist]",
		spec.Zero:        "-Z [{-t|-u|--sctp-service|-f} address]",
		spec.Save:        "-S [-n] [--all] [--output file | --update file]",
		spec.SetTimeouts: "--set tcp tcpfin udp",
		spec.StopDaemon:  "--stop-daemon {master|backup} [--syncid number]",
		spec.Doctor:      "--doctor [--json] [file]",
	} {
		if got := lines(id); len(got) != 1 || got[0] != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got, want := lines(spec.List)[2:], []string{"-L {--timeout|--daemon} [--json]", "-L --metrics [--output file]"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	wrapper := strings.Join(WrapperSynopsis(spec.FindCommand(spec.Save)), " ")
	if want := "[-n] [--all] [-o file | --update file] [--netns namespace]"; wrapper != want {
		t.Errorf("got %q, want %q", wrapper, want)
	}
}

func TestDifferencesAreWhole(t *testing.T) {
	id := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	seen := make(map[string]bool)
	for _, d := range Differences() {
		if !id.MatchString(d.ID) || seen[d.ID] {
			t.Errorf("%q is no name or is taken", d.ID)
		}
		seen[d.ID] = true
		for _, s := range []string{d.Original, d.Ours, d.Why} {
			if !strings.HasSuffix(s, ".") || strings.Contains(s, "\n") {
				t.Errorf("%s: %q is no sentence", d.ID, s)
			}
		}
	}
}
