// SPDX-License-Identifier: Apache-2.0

// The tests here install manual pages, completions, units and packages in a
// guest and use them there.

package packaging

import (
	"os"
	"testing"

	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/internal/test/program"
)

func TestMain(m *testing.M) { program.Main(m) }

// runMake runs make with this test binary as the program.
func runMake(t *testing.T, target string, args ...string) {
	t.Helper()
	bin, err := os.Executable()
	must.OK(t, err)
	program.Run(t, append([]string{"make", "-C", "..", target, "BIN=" + bin}, args...)...)
}

// install installs the program, without settings and rules of an earlier one.
func install(t *testing.T, family string) {
	t.Helper()
	program.Run(t, "rm", "-rf", "/etc/default/ipvsadm", "/etc/ipvsadm.rules", "/etc/sysconfig")
	runMake(t, "install", "FAMILY="+family)
}
