// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"strings"
	"testing"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// TestStatisticsAreReadWhereTheyAreShown has the kernel reached with and
// without the statistics of a table.
func TestStatisticsAreReadWhereTheyAreShown(t *testing.T) {
	for line, want := range map[string]bool{
		"ipvsadm": false, "ipvsadm -Ln": false, "ipvsadm -Ln -t 10.0.0.1:80 --thresholds": false, "ipvsadm -Ln --exact": false,
		"ipvsadm -Ln --stats": true, "ipvsadm -Ln --rate --stats": true, "ipvsadm -L --json": true, "ipvsadm -L --metrics": true,
		"ipvsadm -S -n": false, "ipvsadm-save -n": false, "ipvsadm-restore": false, "ipvsadm -R": true,
	} {
		k := newFakeKernel(t, "-A -t 10.0.0.1:80 -s rr\n")
		var a answer
		p, done := k.process(&a, "", strings.Fields(line)...)
		dials, read := 0, false
		p.dial = func(_ context.Context, cfg ipvs.Config) (kernel, error) {
			dials++
			read = !cfg.NoStats
			return k, nil
		}
		if p.Args[0] == restoreName {
			p.Args = append([]string{restoreName}, restoreArgs(t)[1:]...)
		}
		status := p.start(t.Context())
		done()
		if status != 0 || dials != 1 || read != want {
			t.Errorf("%s: status %d, %d connections, statistics %v, want %v", line, status, dials, read, want)
		}
	}
}
