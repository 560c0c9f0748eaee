// SPDX-License-Identifier: Apache-2.0

// The tests here install manual pages, completions, units and packages in a
// guest and use them there.

package packaging

import (
	"os"
	"testing"

	"github.com/ipvsadm-go/ipvsadm/internal/test/program"
)

func TestMain(m *testing.M) { program.Main(m) }

// install runs make install with this test binary as the program.
func install(t *testing.T) {
	t.Helper()
	bin, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program.Run(t, "rm", "-f", "/etc/default/ipvsadm", "/etc/ipvsadm.rules")
	program.Run(t, "make", "-C", "..", "-o", bin, "install", "BIN="+bin, "FAMILY=debian")
}
