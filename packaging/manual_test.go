// SPDX-License-Identifier: Apache-2.0

package packaging

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/ipvsadm-go/ipvsadm/internal/spec"
	"github.com/ipvsadm-go/ipvsadm/internal/test/guest/guesttest"
	"github.com/ipvsadm-go/ipvsadm/internal/test/program"
)

func TestManualPages(t *testing.T) {
	guesttest.InGuest(t, func(t *testing.T) {
		program.Need(t, "mandoc")
		pages, err := filepath.Glob("man/*.8")
		if err != nil || len(pages) != 3 {
			t.Fatalf("%d pages, %v", len(pages), err)
		}
		if out, err := program.Try(append([]string{"mandoc", "-T", "lint", "-W", "warning"}, pages...)...); err != nil || out != "" {
			t.Errorf("mandoc: %v\n%s", err, out)
		}
		text := program.Run(t, "mandoc", "-T", "ascii", "-O", "width=200", "man/ipvsadm.8")
		for len(text) > 0 { // bold letters are printed twice
			before, after, found := strings.Cut(text, "\b")
			if !found {
				break
			}
			text = before[:len(before)-1] + after
		}
		var missing []string
		for _, o := range spec.Options {
			if !strings.Contains(text, "--"+o.Long) {
				missing = append(missing, o.Long)
			}
		}
		for _, c := range spec.Commands {
			if !strings.Contains(text, "--"+c.Long) {
				missing = append(missing, c.Long)
			}
		}
		if missing != nil {
			t.Errorf("the manual does not have %q:\n%s", missing, text)
		}
	})
}
