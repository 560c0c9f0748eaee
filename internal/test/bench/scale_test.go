// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestScalePageHasEveryRow looks in each kernel's section for what make scale
// prints.
func TestScalePageHasEveryRow(t *testing.T) {
	page, err := os.ReadFile("../../../packaging/doc/scale.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := strings.Split(string(page), "\n## Linux ")[1:]
	if len(sections) != 3 {
		t.Errorf("%d sections, want one for each of the stock kernels", len(sections))
	}
	for _, section := range sections {
		release, section, _ := strings.Cut(section, "\n")
		for _, of := range scales {
			_, rows, found := strings.Cut(section, "\n| "+of.name+" |")
			if !found {
				t.Errorf("Linux %s: no table of %s", release, of.name)
			}
			rows, _, _ = strings.Cut(rows, "\n\n")
			for _, k := range (suite{}).tasks(table{}, of.watch) {
				row := regexp.MustCompile(`(?m)^\| ` + regexp.QuoteMeta(k.name) + ` \|.* s \|`)
				if !row.MatchString(rows) {
					t.Errorf("Linux %s, %s: no row %s", release, of.name, k.name)
				}
			}
		}
	}
}
