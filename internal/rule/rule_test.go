// SPDX-License-Identifier: Apache-2.0

package rule

import (
	"slices"
	"strings"
	"testing"

	"github.com/ipvsadm-go/ipvsadm/internal/test/change"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

func TestWords(t *testing.T) {
	for _, c := range []struct {
		name, line string
		want       []string
	}{
		{"blanks and tabs separate", " -A  -t\t12.0.0.1:80 \t", []string{"-A", "-t", "12.0.0.1:80"}},
		{"CR and LF separate", "-A\r-t\r\n12.0.0.1:80\n", []string{"-A", "-t", "12.0.0.1:80"}},
		{"other white space does not", "a\vb\fc\u00a0d\u2003e", []string{"a\vb\fc\u00a0d\u2003e"}},
		{"quotes have no meaning", `'a b' "c" d\ e`, []string{"'a", "b'", `"c"`, `d\`, "e"}},
		{"the program's name is dropped anywhere", "ipvsadm -A ipvsadm -s ipvsadm", []string{"-A", "-s"}},
		{"a word that contains the name is kept", "ipvsadmx /sbin/ipvsadm IPVSADM", []string{"ipvsadmx", "/sbin/ipvsadm", "IPVSADM"}},
		{"a zero byte ends a word", "-A\x00x \x00 ipvsadm\x00-s", []string{"-A", ""}},
		{"a word is split at 4096 bytes", strings.Repeat("a", 4096) + "b", []string{strings.Repeat("a", 4096), "b"}},
		{"a comment has no meaning", "# -C", []string{"#", "-C"}},
		{"an empty line", "", nil},
		{"only blanks and the name", " \t ipvsadm \r\n", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := AppendWords([]string{"before"}, []byte(c.line))
			if want := append([]string{"before"}, c.want...); !slices.Equal(got, want) {
				t.Errorf("%q has the words %q, want %q", c.line, got, want)
			}
		})
	}
}

// TestAValueEqualToTheProgramsNameIsKept checks a round trip. The reader
// drops the program's name if it is a word of its own.
func TestAValueEqualToTheProgramsNameIsKept(t *testing.T) {
	for _, c := range []ipvs.Change{
		change.StartDaemon(ipvs.Daemon{State: ipvs.Master, Interface: "ipvsadm"}),
		change.AddService(ipvs.Service{ServiceID: ipvs.MarkID(5, ipvs.IPv4), Scheduler: "ipvsadm", PersistenceEngine: "ipvsadm", Netmask: 1<<32 - 1}),
	} {
		line := Writer{}.Append(nil, c)
		if got := strings.Join(AppendWords(nil, line), " "); got != string(line) {
			t.Errorf("%s is read as %s", line, got)
		}
	}
}
