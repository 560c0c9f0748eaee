// SPDX-License-Identifier: Apache-2.0

package guesttest

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/test/guest"
)

func TestMain(m *testing.M) { Main(m) }

// TestSample is the subject of the tests below: run alone, by a copy of this
// program, it ends as IPVSADM_TEST_SAMPLE says.
func TestSample(t *testing.T) {
	end := os.Getenv("IPVSADM_TEST_SAMPLE")
	if end == "" {
		t.Skip("for the other tests")
	}
	InGuest(t, func(t *testing.T) {
		t.Log("log of the whole")
		t.Run("passes", func(t *testing.T) {
			t.Run("deep down", func(t *testing.T) { t.Log("two\nlines") })
			fmt.Println("printed")
		})
		t.Run(end, func(t *testing.T) {
			switch end {
			case "fail":
				t.Error("the reason")
			case "skip":
				t.Skip("the reason")
			case "panic":
				panic("the reason")
			case "exit":
				fmt.Println("the reason")
				os.Exit(0)
			case "hang":
				t.Log("the reason")
				time.Sleep(time.Hour)
			case "crash":
				t.Log("the reason")
				time.Sleep(100 * time.Millisecond) // output still in transit when the kernel dies is lost
				os.WriteFile("/proc/sysrq-trigger", []byte("c"), 0)
			}
		})
		if end == "skip" {
			t.Skip("the whole as well")
		}
	})
}

func TestTheGuestsResultsBecomeTheHosts(t *testing.T) {
	if guest.InGuest() {
		t.Skip("boots guests itself")
	}
	hang := "-test.timeout=20s"
	if Kernel(t).Image != "" {
		hang = "-test.timeout=2m" // boot included
	}
	const (
		pass = "--- PASS: TestSample/passes/deep_down\n--- PASS: TestSample/passes\n"
		log  = "=== RUN   TestSample/passes/deep_down\n    guesttest_test.go: two\n        lines\n=== RUN   TestSample/passes\n    printed\n"
	)
	for end, c := range map[string]struct {
		args string
		want []string
	}{
		"pass":  {"", []string{log, "\n--- PASS: TestSample\n" + pass + "--- PASS: TestSample/pass\nPASS\n", ".go: log of the whole\n"}},
		"fail":  {"", []string{log, "\n--- FAIL: TestSample\n" + pass + "--- FAIL: TestSample/fail\nFAIL\n", ".go: the reason\n"}},
		"skip":  {"", []string{log, "\n--- SKIP: TestSample\n" + pass + "--- SKIP: TestSample/skip\nPASS\n", ".go: the reason\n", ".go: the whole as well\n"}},
		"panic": {"", []string{log, "\n--- FAIL: TestSample\n" + pass, "panic: the reason", "guesttest_test.go:"}},
		"exit":  {"", []string{log, "\n--- FAIL: TestSample\n" + pass, "TestSample/exit did not end", "the reason\n", "the guest's test ended with status "}},
		"hang":  {hang, []string{log, "\n--- FAIL: TestSample\n" + pass, "the reason\n", "panic: test timed out after "}},
		"crash": {"", []string{log, "\n--- FAIL: TestSample\n" + pass, "the reason\n", "Kernel panic - not syncing: sysrq"}},
		"only":  {"-test.run=^TestSample$/only", []string{"\n--- PASS: TestSample\n--- PASS: TestSample/only\nPASS\n"}},
	} {
		t.Run(end, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(os.Args[0], append([]string{"-test.v", "-test.run=^TestSample$"}, strings.Fields(c.args)...)...)
			cmd.Env = append(os.Environ(), "IPVSADM_TEST_SAMPLE="+end)
			out, err := cmd.CombinedOutput()
			got := withoutNumbers(string(out))
			for _, want := range c.want {
				if !strings.Contains(got, want) {
					t.Errorf("%v, want\n%s\nin\n%s", err, want, got)
				}
			}
		})
	}
}

var lineNumber = regexp.MustCompile(`(guesttest_test\.go:)\d+:`)

// withoutNumbers removes line numbers, and the times and indents of verdicts.
func withoutNumbers(out string) string {
	var b strings.Builder
	for line := range strings.Lines(out) {
		if trimmed := strings.TrimLeft(line, " "); strings.HasPrefix(trimmed, "--- ") {
			line = trimmed[:strings.LastIndex(trimmed, " (")] + "\n"
		}
		b.WriteString(lineNumber.ReplaceAllString(line, "$1"))
	}
	return b.String()
}

func TestParserSortsLogsByTest(t *testing.T) {
	const m = mark
	text := m + "=== RUN   TestA\n" +
		"    a_test.go:1: of A\n" +
		m + "=== RUN   TestA/one\n" +
		m + "=== PAUSE TestA/one\n" +
		m + "=== RUN   TestA/two\n" +
		"    a_test.go:2: of two\n        and more\n" +
		m + "=== CONT  TestA/one\n" +
		"no newline" + m + "=== NAME  TestA/two\n" +
		"--- FAIL: TestA/two (a line that a test printed)\n" +
		m + "--- SKIP: TestA/two (0.00s)\n" +
		m + "--- FAIL: TestA/one (0.00s)\n" +
		m + "=== NAME  TestA\n" +
		"    a_test.go:3: of A"
	const open = "TestA did not end\na_test.go:1: of A\na_test.go:3: of A\n"
	want := []outcome{
		{"TestA/two", "SKIP", "a_test.go:2: of two\n    and more\n--- FAIL: TestA/two (a line that a test printed)\n"},
		{"TestA/one", "FAIL", "no newline\n"},
	}
	for size := 1; size <= len(text); size++ {
		var got []outcome
		p := parser{top: "TestA", done: func(r outcome) { got = append(got, r) }}
		for chunk := range slices.Chunk([]byte(text), size) {
			p.Write(chunk)
		}
		if rest := p.close(); !slices.Equal(got, want) || rest != open {
			t.Fatalf("in pieces of %d: got %q and %q, want %q and %q", size, got, rest, want, open)
		}
	}
}

func TestGuestRunsWhatTheHostRuns(t *testing.T) {
	for hostRun, want := range map[string]string{
		"":                "^TestA$",
		"TestA":           "^TestA$",
		"A/one":           "^TestA$/one",
		"A/one/deep":      "^TestA$/one/deep",
		"TestA/one|TestB": "^TestA$/one",
		"TestB/one|TestA": "^TestA$",
		"A/one|A/two":     "^TestA$/one|^TestA$/two",
		"(TestA|B)/one":   "^TestA$",
	} {
		if got := guestRun("TestA", hostRun); got != want {
			t.Errorf("-run %q: %q, want %q", hostRun, got, want)
		}
	}
}
