// SPDX-License-Identifier: Apache-2.0

package guesttest

import (
	"fmt"
	"os"
	"os/exec"
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

func TestTheGuestsResultIsTheHosts(t *testing.T) {
	if guest.InGuest() {
		t.Skip("boots guests itself")
	}
	hang := "-test.timeout=20s"
	if Kernel(t).Image != "" {
		hang = "-test.timeout=2m" // boot included
	}
	const ran = ": two\n"
	for end, c := range map[string]struct {
		args   string
		result string
		want   []string
	}{
		"pass":  {"", "PASS", []string{ran, "log of the whole\n", "printed\n", "--- PASS: TestSample/passes/deep_down ", "--- PASS: TestSample/pass "}},
		"quiet": {"-test.v=false", "", nil},
		"fail":  {"-test.v=false", "FAIL", []string{"--- FAIL: TestSample/fail ", "the reason\n", "the guest's test ended with status 1\n"}},
		"skip":  {"", "SKIP", []string{ran, "--- SKIP: TestSample/skip ", "the reason\n", "the whole as well\n"}},
		"panic": {"", "FAIL", []string{ran, "panic: the reason", "guesttest_test.go:"}},
		"exit":  {"", "FAIL", []string{ran, "the reason\n", "the guest's test ended with status 2\n"}},
		"hang":  {hang, "FAIL", []string{ran, "the reason\n", "panic: test timed out after "}},
		"crash": {"", "FAIL", []string{ran, "the reason\n", "Kernel panic - not syncing: sysrq"}},
		"only":  {"-test.run=^TestSample$/only", "PASS", []string{"--- PASS: TestSample/only "}},
	} {
		t.Run(end, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(os.Args[0], append([]string{"-test.v", "-test.run=^TestSample$"}, strings.Fields(c.args)...)...)
			cmd.Env = append(os.Environ(), "IPVSADM_TEST_SAMPLE="+end)
			out, err := cmd.CombinedOutput()
			if c.result == "" {
				if string(out) != "PASS\n" {
					t.Errorf("%s", out)
				}
				return
			}
			for _, want := range append(c.want, "\n--- "+c.result+": TestSample ") {
				if !strings.Contains("\n"+string(out), want) {
					t.Errorf("%v, want %q in\n%s", err, want, out)
				}
			}
		})
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
