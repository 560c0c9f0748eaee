// SPDX-License-Identifier: Apache-2.0

package packaging

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/ipvsadm-go/ipvsadm/internal/test/cluster"
	"github.com/ipvsadm-go/ipvsadm/internal/test/guest/guesttest"
	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/internal/test/program"
)

const fleetPage = "doc/fleet.md"

var fleetHosts = cluster.Parse(`
director1 ens33 inside  192.168.168.51/24
director1 ens36 outside 12.0.0.2/24
director2 ens33 inside  192.168.168.52/24
director2 ens36 outside 12.0.0.3/24
`)

// fleet is a test of the playbook, with the directory of its files.
type fleet struct {
	*testing.T
	dir string
}

// TestFleet runs the playbook of fleet.md against two network namespaces,
// without the tasks that need a service manager.
func TestFleet(t *testing.T) {
	if os.Getenv("IPVSADM_TEST_FLEET") == "" {
		t.Skip("needs Ansible and minutes: make test FULL=1")
	}
	guesttest.InGuest(t, func(t *testing.T) {
		program.Need(t, "ansible-playbook")
		program.InPath(t)
		guesttest.Modprobe(t, "ip_vs")
		must.OK(t, cluster.Build(fleetHosts))
		f := fleet{t, t.TempDir()}
		page := program.Read(t, fleetPage)
		program.Write(t, f.dir+"/hosts", block(t, page, "ini"))
		playbook := block(t, page, "yaml")
		program.Write(t, f.dir+"/directors.yml", playbook)
		program.Run(t, "sh", "-c", "mkdir -p /dev/shm && mount -t tmpfs none /dev/shm")
		t.Setenv("LC_ALL", "C.UTF-8")
		t.Setenv("HOME", f.dir)

		const web = "-A -t 12.0.0.1:80 -s wlc\n-a -t 12.0.0.1:80 -r 192.168.168.10:80 -m -w 1\n-a -t 12.0.0.1:80 -r 192.168.168.20:80 -m -w 1\n"
		const none = "changed=0"
		const mark = "-A -f 7 -s rr\n"

		// On a new director the table, the rules and keepalived's
		// settings would change.
		f.play(nil, "changed=3", "changed=3", "--check")
		f.tables("", "")
		for _, host := range fleetHosts {
			if left := files(t, f.home(host.Name)); len(left) > 0 {
				t.Errorf("check mode leaves %q on %s", left, host.Name)
			}
		}
		f.play(nil, "changed=3", "changed=3")
		f.tables(web, web)
		for i, host := range fleetHosts {
			conf := program.Read(t, f.home(host.Name)+"/keepalived.conf")
			if priority := fmt.Sprintf("    priority %d\n", 150-50*i); !strings.Contains(conf, priority) {
				t.Errorf("no %s in the settings of %s:\n%s", priority, host.Name, conf)
			}
			if got := program.Run(t, "ipvsadm", "--netns", host.Name, "-L", "--daemon"); strings.Count(got, "syncid=7") != 2 {
				t.Errorf("%s has not two sync daemons:\n%s", host.Name, got)
			}
		}
		f.play(nil, none, none)
		f.tables(web, web)

		// A weight set by hand is put back.
		program.Run(t, "ipvsadm", "--netns", "director2", "-e", "-t", "12.0.0.1:80", "-r", "192.168.168.20:80", "--keep", "-w", "9")
		changed := strings.Replace(web, "20:80 -m -w 1", "20:80 -m -w 9", 1)
		if out := f.play(nil, none, "changed=1", "--check"); !strings.Contains(out, `"+-a -t 12.0.0.1:80 -r 192.168.168.20:80 -m -w 1"`) {
			t.Errorf("check mode does not show the line that differs:\n%s", out)
		}
		f.tables(web, changed)
		f.play(nil, none, "changed=1")
		f.tables(web, web)

		// --merge keeps a service of another program.
		program.Run(t, "ipvsadm", "--netns", "director1", "-A", "-f", "7", "-s", "rr")
		merge := map[string]string{"restore": "ipvsadm-restore --merge --netns {{ inventory_hostname }}"}
		f.play(merge, none, none)
		f.tables(web+mark, web)

		// A faulty line stops the playbook at the first director.
		f.play(map[string]string{"table": web + "-A -t 12.0.0.1:81 -q\n"}, "changed=0.*failed=1", "")
		f.tables(web+mark, web)
	}, "ansible-core", "iproute2", "kmod")
}

// home returns the directory of a host's files.
func (f fleet) home(host string) string { return filepath.Join(f.dir, host) }

// play runs the playbook and compares its counts for the two directors.
func (f fleet) play(vars map[string]string, first, second string, options ...string) string {
	f.Helper()
	all := map[string]string{
		"ansible_connection": "local", "ansible_become": "false", "ansible_python_interpreter": "/usr/bin/python3",
		"restore": "ipvsadm-restore --netns {{ inventory_hostname }}",
		"rules":   f.dir + "/{{ inventory_hostname }}/ipvsadm.rules", "keepalived": f.dir + "/{{ inventory_hostname }}/keepalived.conf",
	}
	for name, value := range vars {
		all[name] = value
	}
	for _, host := range fleetHosts {
		must.OK(f, os.MkdirAll(f.home(host.Name), 0o755))
	}
	extra, err := json.Marshal(all)
	must.OK(f, err)
	out, _ := program.Try(append([]string{"ansible-playbook", "-i", f.dir + "/hosts", f.dir + "/directors.yml",
		"--skip-tags", "system", "-e", string(extra)}, options...)...)
	_, recap, _ := strings.Cut(out, "PLAY RECAP")
	for host, want := range map[string]string{"director1": first, "director2": second} {
		counts := regexp.MustCompile(host + ` .*`).FindString(recap)
		if !strings.Contains(want, "failed") && want != "" {
			want += " .*failed=0"
		}
		if matched := regexp.MustCompile(want).MatchString(counts); !matched || want == "" && counts != "" {
			f.Fatalf("%v %v: %s: %q, want %q\n%s", vars, options, host, counts, want, out)
		}
	}
	return out
}

// tables compares the tables of the two directors.
func (f fleet) tables(want ...string) {
	f.Helper()
	for i, host := range fleetHosts {
		if got := program.Run(f.T, "ipvsadm", "--netns", host.Name, "-Sn"); got != want[i] {
			f.Errorf("the table of %s is\n%swant\n%s", host.Name, got, want[i])
		}
	}
}

// block returns the only code block of a language on a page.
func block(t *testing.T, page, kind string) string {
	t.Helper()
	parts := strings.Split(page, "```"+kind+"\n")
	text, _, found := strings.Cut(parts[len(parts)-1], "```\n")
	if len(parts) != 2 || !found {
		t.Fatalf("%s has not one block of %s", fleetPage, kind)
	}
	return text
}
