// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/internal/args"
	"github.com/ipvsadm-go/ipvsadm/internal/doctor"
	"github.com/ipvsadm-go/ipvsadm/internal/names"
	"github.com/ipvsadm-go/ipvsadm/internal/outfile"
	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/internal/test/terminal"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// Most hints after errors are tested in TestMistakesOnAKernel and
// TestHintsOnAKernel. This test has those for kernels and files that a guest
// cannot provide.
func TestErrorsThatPeopleMeetHaveHints(t *testing.T) {
	user := machine{euid: 1000}
	with := func(state doctor.ModuleState) machine {
		return machine{host: func() *doctor.Host {
			return &doctor.Host{Kernel: "6.1.0", Modules: map[string]doctor.ModuleState{"ip_vs": state}}
		}}
	}
	noScheduler := func(s ipvs.Service) error {
		c := ipvs.Change{Op: ipvs.OpAddService, Service: s}
		return changeFailure(c.Op, &ipvs.ChangeError{Change: c, Err: unix.ENOENT})
	}
	for name, c := range map[string]struct {
		err  error
		m    machine
		want string // part of the hint; empty for no hint
	}{
		"ip_vs of another kernel":                 {initFailure(ipvs.ErrNoIPVS), with(doctor.Missing), "no ip_vs for this kernel, 6.1.0"},
		"a module that is not there":              {noScheduler(ipvs.Service{Scheduler: "rr", PersistenceEngine: "sip"}), machine{}, "modprobe -a ip_vs_rr ip_vs_pe_sip"},
		"a service that is there":                 {changeFailure(ipvs.OpAddService, unix.EEXIST), machine{}, ""},
		"no such service":                         {listFailure(unix.ESRCH), machine{}, ""},
		"a save into a directory of another user": {fileFailure("write", "x", outfile.DirOwner), machine{}, "ipvsadm-save -n > file"},
		"a save into an immutable file":           {fileFailure("write", "x", outfile.Immutable), machine{}, "chattr -i"},
		"a save that may not be":                  {fileFailure("write", "x", unix.EACCES), user, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if c.m.files == nil {
				c.m.files = fstest.MapFS{}
			}
			if got := errorHint(c.err, c.m); !strings.Contains(got, c.want) || (got == "") != (c.want == "") {
				t.Errorf("hint %q, want %q in it", got, c.want)
			}
		})
	}
}

func TestChangesThatMayNotDoWhatWasMeantHaveHints(t *testing.T) {
	for line, want := range map[string]string{
		"-d -t 192.0.2.1:80 -r 192.0.2.2:80":            "",
		"-a -t 192.0.2.1:80 -r 192.0.2.2:80 -g":         "",
		"-a -t 192.0.2.1:80 -r 192.0.2.2":               "",
		"-a -t 192.0.2.1:80 -r 192.0.2.2:8080":          "port 8080 is not used",
		"-a -t 192.0.2.1:80 -r192.0.2.2:8080 -i":        "service's port, 80;",
		"-e -t 192.0.2.1:80 --real-server=192.0.2.2:81": "port 81 is not used",
		"-a -t 192.0.2.1:80 -r 192.0.2.1:8080":          "port 8080 is not used",
		"-a -f 1 -r 192.0.2.2:8080":                     "",
		"-A -t 192.0.2.1:80 -p -M 24":                   "for a prefix of 24 bits write 255.255.255.0",
	} {
		t.Run(line, func(t *testing.T) {
			words := strings.Fields(line)
			cmd, err := args.New(names.New()).Parse(t.Context(), words)
			must.OK(t, err)
			if got := (machine{}).successHint(cmd, words); !strings.Contains(got, want) || (got == "") != (want == "") {
				t.Errorf("hint %q, want %q in it", got, want)
			}
		})
	}
}

// A restore without a file reports that it reads from the terminal.
func TestInputFromATerminalIsAnnounced(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"ipvsadm-restore", "--check"}, "hint: reading rules from the terminal: Ctrl-D"},
		{[]string{"ipvsadm", "-R"}, "hint: reading commands from the terminal, each runs at once: Ctrl-D"},
	} {
		on := terminal.New(t, 80, 24)
		must.OK(t, on.Type("\x04")) // Ctrl-D
		p := newFakeKernel(t, "").session(Process{Args: c.args, Stdin: on.Slave, Stdout: new(bytes.Buffer), Stderr: on.Slave})
		if status := p.start(t.Context()); status != 0 {
			t.Errorf("%v: status %d", c.args, status)
		}
		if got := on.Output(t); !strings.HasPrefix(strings.TrimPrefix(got, "^D\b\b"), c.want) {
			t.Errorf("%v: %q, want %q", c.args, got, c.want)
		}
	}
}

// onTerminal runs the program with a terminal as standard error and returns
// its output.
func (k *fakeKernel) onTerminal(t *testing.T, stdin string, argv ...string) string {
	t.Helper()
	on := terminal.New(t, 80, 24)
	p, _ := k.process(new(answer), stdin, argv...)
	p.Stderr = on.Slave
	p.start(t.Context())
	return strings.ReplaceAll(on.Output(t), "\r", "")
}

// Hints do not read the table for each of any number of refused lines.
func TestHintsReadTheTableAFewTimes(t *testing.T) {
	lines := strings.Repeat("-d -t 12.0.0.1:80 -r 10.0.0.9:80\n", 500)
	k := newFakeKernel(t, "-A -t 12.0.0.1:80 -s rr\n")
	if got := k.onTerminal(t, lines, "ipvsadm", "-R"); k.reads > maxHints || strings.Count(got, "hint: ") != 1 || strings.Count(got, "No such destination") != 500 {
		t.Errorf("%d readings, %d bytes are shown", k.reads, len(got))
	}
	k = newFakeKernel(t, "-A -t 12.0.0.1:80 -s rr\n")
	k.tableErr = context.DeadlineExceeded
	if k.onTerminal(t, lines, "ipvsadm", "-R"); k.reads != 1 {
		t.Errorf("a table that can't be read is read %d times", k.reads)
	}
}
