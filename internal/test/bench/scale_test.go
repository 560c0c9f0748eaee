// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestSecondsHaveTwoDigits(t *testing.T) {
	for given, want := range map[time.Duration]string{
		994 * time.Millisecond: "0.99 s", 996 * time.Millisecond: "1.0 s",
		9940 * time.Millisecond: "9.9 s", 9960 * time.Millisecond: "10 s", 211 * time.Second: "211 s",
	} {
		if got := seconds(result{time: given}); got != want {
			t.Errorf("%v is shown as %s, want %s", given, got, want)
		}
	}
	if got := seconds(result{}) + peakMemory(result{}); got != "" {
		t.Errorf("what was not measured is shown as %s", got)
	}
}

// TestScalePageHasEveryRow checks that each kernel's section has every row
// that make bench SCALE=1 prints.
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
			for _, k := range (suite{}).scaleRows(table{}, of.watch) {
				row := regexp.MustCompile(`(?m)^\| ` + regexp.QuoteMeta(k.name) + ` \|.* s \|`)
				if !row.MatchString(rows) {
					t.Errorf("Linux %s, %s: no row %s", release, of.name, k.name)
				}
			}
		}
	}
}
