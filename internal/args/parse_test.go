// SPDX-License-Identifier: Apache-2.0

package args

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ipvsadm-go/ipvsadm/internal/names"
	"github.com/ipvsadm-go/ipvsadm/internal/rule"
	"github.com/ipvsadm-go/ipvsadm/internal/spec"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

type noDNS struct{}

func (noDNS) LookupNetIP(ctx context.Context, _, _ string) ([]netip.Addr, error) {
	return nil, errors.Join(ctx.Err(), errors.New("no such host"))
}

func (noDNS) LookupAddr(context.Context, string) ([]string, error) {
	return nil, errors.New("no such address")
}

func newParser(t testing.TB) *Parser {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"hosts":    "12.0.0.1 vip\n10.0.0.1 web1\n2001:db8::1 vip6\n255.255.0.0 class-b\n",
		"services": "http 80/tcp\nsip 5060/udp\nsip5 5061/sctp\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return New(names.NewFrom(filepath.Join(dir, "hosts"), filepath.Join(dir, "services"), noDNS{}))
}

// argv splits a line into words at blanks. In a word, _ means a blank, and ""
// is an empty word.
func argv(line string) []string {
	words := strings.Fields(line)
	for i, w := range words {
		words[i] = strings.ReplaceAll(strings.ReplaceAll(w, `""`, ""), "_", " ")
	}
	return words
}

// ruleText returns the change of a command as rule text.
func ruleText(t testing.TB, cmd Command) string {
	t.Helper()
	c, ok := cmd.Change()
	if !ok {
		t.Fatalf("command %d has no change", cmd.ID)
	}
	return string(rule.Writer{}.Append(nil, c))
}

func TestEquivalentCommandLines(t *testing.T) {
	for want, lines := range map[string][]string{
		"-A -t 12.0.0.1:80 -s rr": {
			"-A -t 12.0.0.1:80 -s rr", "-At 12.0.0.1:80 -srr", "-At12.0.0.1:80 -s=rr", "-A -t=12.0.0.1:80 --scheduler rr",
			"-A --tcp-service=12.0.0.1:80 --scheduler=rr", "--add-service --tcp-service 12.0.0.1:80 -s rr",
			"-A -s rr -t 12.0.0.1:80 --sort --sort", "-A -t 12.0.0.1:80 -s rr --", "-A -t vip:http -s rr",
			"-A -t 12.1:+80 -s rr", "-A -t 0xc.0.1:_80 -s rr", "-A -t 014.0.0.1:0080 -s rr", "-A -t [12.0.0.1:80]:9 -s rr",
		},
		"-A -t 12.0.0.1:80 -s wlc": {
			"-A -t 12.0.0.1:80", `-A -t 12.0.0.1:80 -s ""`, "-A -t 12.0.0.1:80 -s=", "-A -t 12.0.0.1:80 --scheduler=",
			"-A -t 12.0.0.1:80 -b ,", `-A -t 12.0.0.1:80 -b ""`, `-A -t 12.0.0.1:80 --pe ""`, "-A -t 12.0.0.1:80 -M 255.0.0.0",
		},
		"-A -t 12.0.0.1:80 -s wlc -p 360": {
			"-A -t 12.0.0.1:80 -p", "-A -p -t 12.0.0.1:80", "-A -t 12.0.0.1:80 --persistent", "-A -t 12.0.0.1:80 -p=360", "-A -t 12.0.0.1:80 -p --",
		},
		"-A -t 12.0.0.1:80 -s wlc -p 60": {
			"-A -t 12.0.0.1:80 -p60", "-A -t 12.0.0.1:80 -p 60", "-A -t 12.0.0.1:80 -p +60", "-A -t 12.0.0.1:80 -p _060",
			"-A -t 12.0.0.1:80 --persistent=60", "-A -t 12.0.0.1:80 --persistent 60",
		},
		"-A -t 12.0.0.1:80 -s wlc -p 360 -M 255.255.0.0": {
			"-A -t 12.0.0.1:80 -p -M 255.255.0.0", "-A -M class-b -p -t 12.0.0.1:80", "-A -t 12.0.0.1:80 -p -M=0xffff0000",
		},
		"-A -f 7 -s wlc -p 360 -M 0.0.0.24": {"-A -f 7 -p -M 24"},
		"-A -t [2001:db8::1]:80 -s rr -p 360 -M 64": {
			"-A -t [2001:db8::1]:80 -s rr -p -M 64", "-A -t [2001:DB8:0::1]:80 -s rr -p -M 64x", "-A -t [vip6]:http -s rr -p -M _+64/",
		},
		"-A -t [2001:db8::1]:0 -s wlc -p 360": {"-A -t 2001:db8::1 -p", "-A -M 255.0.0.0 -p -t 2001:db8::1", "-A -p -t [2001:db8::1]:0 -M 128"},
		"-A -f 5 -6 -s wlc -p 360":            {"-A -f 5 -6 -p", "-A -f +5 --ipv6 -6 -p", "-A -p -f 5 -M 255.0.0.0 -6", "-A --fwmark-service=5 -p -6 -M 128"},
		"-A -f 4294967295 -s wlc -o":          {"-A -f 4294967295 -o", "-A --ops -f 4294967295"},
		"-A -u 12.0.0.1:5060 -s sh -o -b sh-fallback,sh-port": {
			"-A -u 12.0.0.1:5060 -s sh -o -b sh-port,sh-fallback", "-A -b flag-2,,flag-1, -o -u vip:sip -s sh",
		},
		"-A -u 12.0.0.1:80 -s abcdefghijklmno -p 360 --pe abcdefghijklmnop": {
			"-A -u 12.0.0.1:80 -s abcdefghijklmnop -p --pe abcdefghijklmnopq",
		},
		"-E --sctp-service 12.0.0.1:5061 -s mh -b mh-port,flag-3": {"-E --sctp-service vip:sip5 -s mh -b mh-port,flag-3"},
		"-D -t 12.0.0.1:0":                                                         {"-D -t 12.0.0.1", "--delete-service -t 12.0.0.1:0"},
		"-a -t 12.0.0.1:80 -r 10.0.0.1:80 -g -w 1":                                 {"-a -t 12.0.0.1:80 -r 10.0.0.1", "-a -r 10.0.0.1:8080 -g -t 12.0.0.1:80", "-a -t vip:80 -r web1:http", "-a -t 12.0.0.1:80 -r 10.1 -w 1"},
		"-a -t 12.0.0.1:80 -r 10.0.0.1:0 -m -w 1":                                  {"-a -r 10.0.0.1 -t 12.0.0.1:80 -m"},
		"-a -t 12.0.0.1:80 -r 10.0.0.1:80 -m -w 0 -x 2147483647":                   {"-a -t 12.0.0.1:80 -m -r 10.0.0.1 -w -0 -x 2147483647 -y 0"},
		"-a -f 5 -r 10.0.0.1:8080 -g -w 2147483647 -x 2 -y 1":                      {"-a -f 5 -r 10.0.0.1:8080 -w 2147483647 -x 2 -y 1"},
		"-a -f 5 -r 10.0.0.1:80 -i -w 1 --tun-type ipip":                           {"-a -f 5 -r web1:http -i", "-a -r 10.0.0.1:80 --tun-type=ipip --ipip -f 5"},
		"-a -t 12.0.0.1:80 -r [::a]:80 -i -w 1 --tun-type ipip":                    {"-a -t 12.0.0.1:80 -r ::a -i", "-a -t 12.0.0.1:80 -r [::a]:9 -i"},
		"-a -f 5 -6 -r [::a]:80 -m -w 1":                                           {"-a -f 5 -6 -r [::a]:80 -m", "-a -r [::a]:80 -m -f 5 -6"},
		"-e -f 5 -r 10.0.0.1:0 -i -w 1 --tun-type gre --tun-nocsum":                {"-e -f 5 -r 10.0.0.1 -i --tun-type gre", "-e -f 5 -r 10.0.0.1 -i --tun-type gre --tun-nocsum"},
		"-e -f 5 -r 10.0.0.1:0 -i -w 1 --tun-type gre --tun-csum":                  {"-e -f 5 -r 10.0.0.1 --tun-csum --tun-type gre -i"},
		"-a -f 5 -r 10.0.0.1:0 -i -w 1 --tun-type gue --tun-port 99 --tun-remcsum": {"-a -f 5 -r 10.0.0.1 -i --tun-type gue --tun-port 99 --tun-remcsum"},
		"-d -t 12.0.0.1:80 -r 10.0.0.1:8080":                                       {"-d -t 12.0.0.1:80 -r 10.0.0.1:8080", "-d -r 10.0.0.1:8080 -t 12.0.0.1:80"},
		"-C":                                                                       {"-C", "--clear", "-C --"},
		"-Z":                                                                       {"-Z", "--zero"},
		"-Z -u 12.0.0.1:53":                                                        {"-Z -u 12.0.0.1:53"},
		"--set 1 2 3":                                                              {"--set 1 2 3", "1 --set 2 3", "--set 1 --sort 2 -- 3", "--set +1 _2 03"},
		"--start-daemon master --mcast-interface eth0 --syncid 0": {
			"--start-daemon master", "--start-daemon=master", `--start-daemon master --mcast-interface ""`, "--start-daemon master --syncid 0",
		},
		"--start-daemon backup --mcast-interface abcdefghijklmno --syncid 255 --sync-maxlen 65507 --mcast-group ff02::1 --mcast-port 65535 --mcast-ttl 255": {
			"--start-daemon backup --mcast-interface abcdefghijklmnop --syncid 255 --sync-maxlen 65507 --mcast-group ff02::1 --mcast-port 65535 --mcast-ttl 255",
		},
		"--stop-daemon backup": {"--stop-daemon backup", "--stop-daemon=backup --syncid 5"},
	} {
		for _, line := range lines {
			t.Run(line, func(t *testing.T) {
				cmd, err := newParser(t).Parse(t.Context(), argv(line))
				if err != nil {
					t.Fatal(err)
				}
				if got := ruleText(t, cmd); got != want {
					t.Errorf("parsed as %s, want %s", got, want)
				}
			})
		}
	}
}

func TestHelpAndVersionIgnoreTheRestOfTheLine(t *testing.T) {
	for line, want := range map[string]spec.CommandID{
		"-h": spec.Help, "--help foo": spec.Help, "-h -q": spec.Help, "-hq": spec.Help, "--help -A -t x": spec.Help,
		"-v": spec.Version, "--version -D": spec.Version, "-vL": spec.Version, "-v -t": spec.Version,
	} {
		cmd, err := newParser(t).Parse(t.Context(), argv(line))
		if err != nil || cmd.ID != want {
			t.Errorf("%s: %+v, %v", line, cmd, err)
		}
	}
}

// TestOptionsOfEachCommand combines each option that 1.31 lacks with each
// command, which accepts it only if its row has it. The options of 1.31 are
// in testdata/script/rules-of-commands.txtar.
func TestOptionsOfEachCommand(t *testing.T) {
	words := map[spec.CommandID]string{
		spec.AddService: "-f 1", spec.EditService: "-f 1", spec.DeleteService: "-f 1", spec.SetTimeouts: "1 2 3",
		spec.AddServer: "-f 1 -r 10.0.0.1", spec.EditServer: "-f 1 -r 10.0.0.1", spec.DeleteServer: "-f 1 -r 10.0.0.1",
		spec.StartDaemon: "master", spec.StopDaemon: "master",
	}
	value := func(o *spec.Option) string {
		switch {
		case o.Value == spec.NoValue:
			return ""
		case o.Choices != nil:
			return "=" + o.Choices[0].Name
		case o.Kind == spec.ClientAddress:
			return "=10.0.0.1"
		}
		return fmt.Sprint("=", o.Max)
	}
	for i := range spec.Commands {
		c := &spec.Commands[i]
		if c.ID == spec.Help || c.ID == spec.Version { // they ignore the rest of the line
			continue
		}
		takes := c.Rule.Takes()
		for _, w := range c.Rule.With { // without the option that it needs
			takes &^= w.Takes
		}
		for j := range spec.Options {
			o := &spec.Options[j]
			if !o.Beyond() {
				continue
			}
			line := fmt.Sprintf("--%s %s --%s%s", c.Long, words[c.ID], o.Long, value(o))
			_, err := newParser(t).Parse(t.Context(), argv(line))
			f, _ := errors.AsType[*Fault](err)
			if refused := f != nil && f.Kind == IllegalOption && f.Words[0] == o.Long && f.Words[1] == c.Name; refused == takes.Has(o.ID) {
				t.Errorf("%s: %v", line, err)
			}
		}
	}
}

// FuzzParse checks that the change of a command line is the same after it is
// written as rule text and parsed again.
func FuzzParse(f *testing.F) {
	for _, line := range []string{
		"-A -t 12.0.0.1:80 -s rr -p 60 -M 255.255.0.0 --pe sip", "-A -u vip:sip -s sh -o -b sh-port,flag-3", "-A -f 5 -6 -p -M 64x",
		"-E -t [2001:db8::1]:80 -s mh -b mh-fallback", "-D --sctp-service 12.0.0.1", "-a -t 12.0.0.1:80 -r web1:8080 -m -w 5 -x 4 -y 3",
		"-a -f 4294967295 -r ::a -i --tun-type gue --tun-port 6080 --tun-csum", "-e -f 1 -r 10.0.0.1 -i --tun-type gre", "-d -f 1 -r 10.0.0.1:80",
		"-C", "-Z", "-Z -f 1", "--set 1 2 3", "--start-daemon master --syncid 5 --mcast-group 224.0.0.1 --mcast-ttl 5 --mcast-port 1 --sync-maxlen 9",
		"--stop-daemon backup", "-Lnc --persistent-conn", "-S -n", "--apply file --strict", "-A -t=[::]:80 --", "-A\xff -t", "-At\x00:1",
	} {
		f.Add(strings.ReplaceAll(line, " ", "\n"))
	}
	p := newParser(f)
	f.Fuzz(func(t *testing.T, text string) {
		cmd, err := p.Parse(t.Context(), strings.Split(text, "\n"))
		if err != nil {
			if _, ok := errors.AsType[*Fault](err); !ok {
				t.Fatalf("the error is not a *Fault: %v", err)
			}
			return
		}
		c, ok := cmd.Change()
		if !ok {
			return
		}
		line := rule.Writer{}.Append(nil, c)
		words := rule.AppendWords(nil, line)
		for _, name := range []string{c.Service.Scheduler, c.Service.PersistenceEngine, c.Daemon.Interface} {
			if name != "" && !slices.Contains(words, name) {
				return // rule text cannot contain names with blanks
			}
		}
		parsed, err := p.Parse(t.Context(), words)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if c.Service.Scheduler != "" && c.Service.Flags&ipvs.FlagPersistent == 0 {
			c.Service.Netmask = ipvs.FullNetmask(c.Service.Family()) // not part of rule text
		}
		if got, _ := parsed.Change(); got != c {
			t.Errorf("%s\nis parsed as %+v\nwant %+v", line, got, c)
		}
	})
}

func TestACanceledLookupIsNoFault(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, line := range []string{"-A -t unknown:80", "-A -t [unknown]:80", "-a -t 12.0.0.1:80 -r unknown:80", "-A -t 12.0.0.1:80 -p -M unknown"} {
		if _, err := newParser(t).Parse(ctx, argv(line)); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want %v", line, err, context.Canceled)
		}
	}
}
