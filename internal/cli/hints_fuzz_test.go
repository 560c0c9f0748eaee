// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"unicode"

	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/internal/args"
	"github.com/ipvsadm-go/ipvsadm/internal/doctor"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// FuzzHints makes the hints for random command lines: after a usage error, or
// after each error of the kernel. A hint must be one short printable line.
func FuzzHints(f *testing.F) {
	for _, line := range []string{
		"-A -t [::1]x]:80", "-A -t [", "-A -t []:80", "-a -t 1.2.3.4:80 -r [fe80::1", "-A -t http://vip:80", "-A -f 1 -b rr", "-A -f 1 -s sh -b mh-port",
		"-A -t fd00::30:80", "list", "--lsit", "-", "–n", "\ufeff-A", "-A <file", "-A -f 1 -r x", "-L -\x00", "-L -\xff", "--start-daemon=x", "--set 1 2",
		"-a -f 1 -r 10.0.0.1 --tun-type vxlan", "-e --keep -f 1 -r 10.0.0.1 -w 5", "-E -f 1 -s wrr", "-D -f 1", "-C", "-L --stats --rate",
		"-a -t 1.2.3.4:80 -r 1.2.3.4:8080 -g", "-a -f 1 -r 10.0.0.1 -w \x1b[2J", "-A -f " + strings.Repeat("9", 500), "-A <" + strings.Repeat("x\x02", 1000),
	} {
		f.Add(strings.ReplaceAll(strings.ReplaceAll(line, " ", "\x01"), "\x02", " "))
	}
	p := args.New(noNames())
	table := newFakeKernel(f, "-A -t 1.2.3.4:80 -s sh -b sh-port -p 300\n-a -t 1.2.3.4:80 -r 10.0.0.1:81 -m -w 3 -x 9\n-A -f 1\n-a -f 1 -r 10.0.0.1 -i\n").Now()
	m := machine{
		files: fstest.MapFS{}, program: "ipvsadm", before: table,
		host: func() *doctor.Host {
			return &doctor.Host{Kernel: "6.1.0", Links: []doctor.Link{{Name: "lo", Loopback: true}}}
		},
	}
	m.table = func() *ipvs.Table { return table }
	f.Fuzz(func(t *testing.T, text string) {
		words := strings.Split(text, "\x01")
		check := func(hint string) {
			if shown := hintText(hint); len(shown) > 1000 || strings.ContainsFunc(shown, unicode.IsControl) {
				t.Errorf("%q: %d bytes: %q", words, len(shown), shown)
			}
		}
		cmd, err := p.Parse(t.Context(), words)
		if err != nil {
			check(errorHint(parseFailure(err, "ipvsadm"), m))
			return
		}
		check(m.successHint(cmd, words))
		c, ok := cmd.Change()
		if !ok {
			return
		}
		for _, errno := range []unix.Errno{unix.ESRCH, unix.ENOENT, unix.EEXIST, unix.EINVAL, unix.ERANGE, unix.ENODEV, unix.EPERM} {
			for _, inFile := range []bool{false, true} {
				m := m
				m.inFile = inFile
				check(errorHint(changeFailure(c.Op, &ipvs.ChangeError{Change: c, Err: fmt.Errorf("refused: %w", errno)}), m))
			}
		}
		for _, err := range []error{ipvs.ErrNoService, ipvs.ErrNoDestination, ipvs.ErrServiceExists, ipvs.ErrDestinationExists, ipvs.ErrNoScheduler, ipvs.ErrDaemonRunning, ipvs.ErrNoDaemon} {
			check(errorHint(changeFailure(c.Op, &ipvs.ChangeError{Change: c, Err: err}), m))
		}
	})
}
