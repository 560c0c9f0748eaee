// SPDX-License-Identifier: Apache-2.0

package packaging

import (
	"strings"
	"testing"

	"github.com/ipvsadm-go/ipvsadm/internal/test/guest/guesttest"
	"github.com/ipvsadm-go/ipvsadm/internal/test/program"
)

// TestPagesAtBoot runs, under systemd, the README's commands for the boot,
// and the guide's for the metrics, of two network namespaces.
func TestPagesAtBoot(t *testing.T) {
	guesttest.InGuest(t, func(t *testing.T) {
		install(t, "debian")
		program.Run(t, "mkdir", "-p", "/var/lib/prometheus/node-exporter") // node_exporter is installed
		m := boot(t)
		_, section, _ := strings.Cut(program.Read(t, "../README.md"), "\n## Five minutes\n")
		section, _, found := strings.Cut(section, "\n## Safety\n")
		_, metrics, found2 := strings.Cut(program.Read(t, "doc/guide.md"), "\n## Lists, rates and metrics\n")
		if !found || !found2 {
			t.Fatal("the pages have other sections")
		}
		guesttest.Modprobe(t, "ip_vs")
		program.Run(t, "ipvsadm", "-A", "-t", "12.0.0.1:80", "-s", "rr")
		program.Run(t, "ipvsadm", "-a", "-t", "12.0.0.1:80", "-r", "192.168.168.10:80", "-m")
		var typed []string
		for line := range strings.Lines(section + metrics) {
			command, isRoot := strings.CutPrefix(line, "    # ")
			switch name, _, _ := strings.Cut(command, " "); {
			case isRoot && (name == "ipvsadm-save" || name == "echo" || name == "systemctl"):
				command, _, _ = strings.Cut(command, "  # ")
				m.succeeds("sh", "-c", command)
				typed = append(typed, strings.TrimSpace(command))
			}
		}
		if len(typed) < 4 {
			t.Errorf("only %q are typed", typed)
		}
		m.file(rulesFile, "--set 900 120 300\n"+webRules)
		m.file("/etc/sysctl.d/50-ipvs.conf", "net.ipv4.ip_forward=1\n")
		_, dropIn, _ := strings.Cut(metrics, "\n```ini\n")
		dropIn, _, _ = strings.Cut(dropIn, "```\n")
		program.Run(t, "mkdir", "/etc/systemd/system/ipvsadm-metrics.service.d")
		program.Write(t, "/etc/systemd/system/ipvsadm-metrics.service.d/override.conf", dropIn)
		m.succeeds("ip", "netns", "add", "blue")
		m.succeeds("ipvsadm", "--netns", "blue", "-A", "-t", "10.0.0.1:80", "-s", "rr")
		m.succeeds("systemctl", "daemon-reload")
		m.succeeds("systemctl", "start", "ipvsadm-metrics.service")
		if got := program.Read(t, "/var/lib/prometheus/node-exporter/ipvs-blue.prom"); !strings.Contains(got, `netns="blue"`) {
			t.Errorf("the metrics of another namespace are %q", got)
		}
		for _, unit := range []string{"ipvsadm.service", "ipvsadm-metrics.timer"} {
			m.succeeds("systemctl", "is-enabled", unit)
			m.succeeds("systemctl", "is-active", unit)
		}
		program.Run(t, "ipvsadm", "-C")
		m.systemctl("reload") // as in the guide, undoes changes since the last save
		m.table(webRules)
		m.systemctl("stop")
		m.table("")
		m.systemctl("start")
		m.table(webRules)
	})
}
