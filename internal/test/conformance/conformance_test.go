// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ipvsadm-go/ipvsadm/internal/test/cluster"
	"github.com/ipvsadm-go/ipvsadm/internal/test/guest/guesttest"
	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/internal/test/program"
)

func TestMain(m *testing.M) { program.Main(m) }

const testdata = "../../../testdata/conformance"

// inGuest runs body in a guest with both programs.
func inGuest(t *testing.T, body func(t *testing.T, p programs)) {
	t.Helper()
	guesttest.InGuest(t, func(t *testing.T) {
		program.Need(t, cluster.Original+"/ipvsadm")
		prepareGuest(t)
		body(t, programs{original: cluster.Original, ours: program.Dir(t)})
	})
}

// One script in processEvery runs our program as a process. The others run
// the same code within the test, because a process is slow to start in a
// guest.
const processEvery = 10

// TestScripts runs the scripts in testdata, which cover every rule of the
// list of differences, and those in the directory or file
// IPVSADM_TEST_SCRIPTS. Files whose names do not end in .txt are rule files.
func TestScripts(t *testing.T) {
	inGuest(t, func(t *testing.T, p programs) {
		used := map[string]bool{}
		run := func(path string, text []byte) error {
			parse := parseScripts
			if filepath.Ext(path) != ".txt" {
				parse = ruleFile
			}
			scripts, err := parse(path, string(text))
			for i, s := range scripts {
				p := p
				if i%processEvery != 0 {
					p.ours = ""
				}
				t.Run(s.name, func(t *testing.T) {
					c := check(t, p, s)
					id, _, about := strings.Cut(s.name, ": ")
					if filepath.Base(path) == "differences.txt" && about && !slices.Contains(c.used, id) && !byChance(id) {
						t.Errorf("the programs do not differ in %q", id)
					}
					for _, id := range c.used {
						used[id] = true
					}
				})
			}
			return err
		}
		must.OK(t, walk(testdata, run))
		if own := os.Getenv("IPVSADM_TEST_SCRIPTS"); own != "" {
			must.OK(t, walk(own, run))
		}
		for _, r := range rules {
			if r.apply != nil && !r.chance && !used[r.id] {
				t.Errorf("no script shows %s", r.id)
			}
		}
	})
}

// walk reads one file or the files below a directory.
func walk(path string, read func(path string, text []byte) error) error {
	return filepath.WalkDir(path, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return read(path, text)
	})
}

// check compares the programs and reports the shortest script for which they
// differ.
func check(t *testing.T, p programs, s script) comparison {
	t.Helper()
	c, err := p.compare(s)
	must.OK(t, err)
	if c.mismatch != "" {
		short, c := p.shrink(s, c)
		t.Errorf("the programs differ after\n%v%s", short, c.mismatch)
	}
	return c
}

// A run ends after maxFailures: more failures rarely show anything new.
const maxFailures = 10

// TestGenerated compares the programs with generated scripts.
func TestGenerated(t *testing.T) {
	inGuest(t, func(t *testing.T, p programs) {
		seed, first := must.Number(t, "IPVSADM_TEST_SEED", 1), must.Number(t, "IPVSADM_TEST_FIRST", 0)
		end := first + must.Number(t, "IPVSADM_TEST_CASES", 60)
		all := runs{used: map[string]int{}}
		for ; first < end && all.failures < maxFailures; first += batch {
			last := min(first+batch, end)
			t.Run(fmt.Sprintf("scripts %d to %d", first, last-1), func(t *testing.T) {
				for n := first; n < last && all.failures < maxFailures; n++ {
					all.generated(t, p, seed, n)
				}
			})
		}
		t.Logf("seed %d: %d scripts, %d commands, %d scripts differ; taken from the list of differences: %v",
			seed, all.scripts, all.commands, all.failures, all.used)
	})
}

// batch is the number of scripts per subtest.
const batch = 100

// runs counts the generated scripts.
type runs struct {
	scripts, commands, failures int
	used                        map[string]int
}

// generated runs the script with this seed and number.
func (r *runs) generated(t *testing.T, p programs, seed, n int) {
	s := generator{rand.New(rand.NewPCG(uint64(seed), uint64(n)))}.script()
	s.name = fmt.Sprintf("seed %d, script %d", seed, n)
	if n%processEvery != 0 {
		p.ours = ""
	}
	c := check(t, p, s)
	r.scripts++
	r.commands += c.steps
	for _, id := range c.used {
		r.used[id]++
	}
	if c.mismatch != "" {
		r.failures++
	}
}

// ruleFile returns a script that restores a rule file and lists the result.
func ruleFile(path, text string) ([]script, error) {
	list := func(words ...string) command { return command{words: append([]string{"ipvsadm"}, words...)} }
	return []script{{filepath.Base(path), []command{
		{[]string{"ipvsadm", "-R"}, text}, list("-S", "-n"), list("-L", "-n"), list("-S"), list("-L"), list("-L", "--nosort"),
		{[]string{"ipvsadm-restore"}, text}, list("-L", "-n", "--thresholds"), {words: []string{"ipvsadm-save"}},
	}}}, nil
}
