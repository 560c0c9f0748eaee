// SPDX-License-Identifier: Apache-2.0

package packaging

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ipvsadm-go/ipvsadm/internal/spec"
	"github.com/ipvsadm-go/ipvsadm/internal/test/guest/guesttest"
	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/internal/test/program"
)

// TestJqLinesOfTheManual runs the examples that follow a comment with "jq".
func TestJqLinesOfTheManual(t *testing.T) {
	page, err := os.ReadFile("man/ipvsadm.8")
	must.OK(t, err)
	// The kernel sums up every two seconds.
	wait := map[string]string{"difference": "command sleep 3\n"}
	examples := make(map[string]string)
	for _, part := range strings.Split(string(page), `.\" jq `)[1:] {
		name, text, _ := strings.Cut(part, "\n.Bd -literal -offset indent\n")
		text, _, found := strings.Cut(text, ".Ed\n")
		if !found {
			t.Fatalf("%s has no example", name)
		}
		examples[name] = strings.ReplaceAll(text, `\e`, `\`)
	}
	// A client on the director itself makes the connections.
	const prepare = `cd "$(mktemp -d)"
ip link add dummy0 type dummy && ip link set dummy0 up
ip addr add 192.168.168.1/24 dev dummy0 && ip addr add 12.0.0.1/32 dev dummy0
connect() { for i in $(seq $2); do bash -c "printf x >/dev/udp/12.0.0.1/$1"; done; }
sleep() { connect 53 2; connect 54 1; command sleep 3; }
ipvsadm -A -u 12.0.0.1:53 -s rr
ipvsadm -a -u 12.0.0.1:53 -r 192.168.168.10 -m
ipvsadm -a -u 12.0.0.1:53 -r 192.168.168.11 -m -w 0
ipvsadm -A -u 12.0.0.1:54 -s rr
ipvsadm -a -u 12.0.0.1:54 -r 192.168.168.20:5400 -m
ipvsadm -A -t 12.0.0.1:80 -s rr
ipvsadm -a -t 12.0.0.1:80 -r 192.168.168.40 -m
ipvsadm -A -t 12.0.0.1:81 -s rr
ipvsadm -a -t 12.0.0.1:81 -r 192.168.168.41 -m
ipvsadm -A -f 7 -s rr
ipvsadm -a -f 7 -r 192.168.168.30 -g -w 0
ipvsadm -A -t [2001:db8::1]:80 -s rr
connect 54 3
for port in 80 81 81; do timeout 0.5 bash -c "echo >/dev/tcp/12.0.0.1/$port"; done
`
	answers := map[string]string{
		"weight 0":   "192.168.168.11 53\n192.168.168.30 0\n",
		"no servers": "[\"tcp\",\"2001:db8::1\",80]\n[7]\n",
		"top":        "2 192.168.168.41 81\n1 192.168.168.40 80\n0 192.168.168.10 53\n0 192.168.168.11 53\n0 192.168.168.20 5400\n0 192.168.168.30 0\n",
		"difference": `{
  "inet tcp 12.0.0.1 80": 0,
  "inet tcp 12.0.0.1 81": 0,
  "inet udp 12.0.0.1 53": 2,
  "inet udp 12.0.0.1 54": 1,
  "inet6 tcp 2001:db8::1 80": 0,
  "inet 7": 0
}
`,
	}
	if len(examples) != len(answers) {
		t.Errorf("%d examples, %d answers", len(examples), len(answers))
	}
	guesttest.InGuest(t, func(t *testing.T) {
		program.Need(t, "jq")
		program.InPath(t)
		guesttest.Modprobe(t, "ip_vs", "dummy")
		for name, want := range answers {
			t.Run(name, func(t *testing.T) {
				guesttest.Namespace(t)
				if out := program.Run(t, "bash", "-c", prepare+wait[name]+examples[name]); out != want {
					t.Errorf("got\n%s, want\n%s", out, want)
				}
			})
		}
	})
}

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
