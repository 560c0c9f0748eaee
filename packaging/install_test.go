// SPDX-License-Identifier: Apache-2.0

package packaging

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/internal/test/program"
)

// TestMakeInstall installs into a directory and uninstalls again.
func TestMakeInstall(t *testing.T) {
	const usr, local = "usr", "usr/local"
	for name, c := range map[string]struct {
		prepare func(root string) error
		args    []string
		prefix  string
		has     []string // in addition to the files of every case
		hasNot  []string
		text    map[string]string // a file, and text that it must contain
	}{
		"for Debian": {
			nil, nil, usr,
			[]string{"usr/share/zsh/vendor-completions/_ipvsadm", "etc/default/ipvsadm"},
			[]string{"sbin", "etc/ipvsadm.rules"},
			map[string]string{
				"usr/lib/ipvsadm-go/service": "\nrules=/etc/ipvsadm.rules\nsettings=/etc/default/ipvsadm\nsave_on_stop=no\n",
			},
		},
		"for Red Hat": {
			nil, []string{"FAMILY=redhat"}, usr,
			[]string{"usr/share/zsh/site-functions/_ipvsadm", "etc/sysconfig/ipvsadm-config"},
			[]string{"etc/default", "etc/sysconfig/ipvsadm"},
			map[string]string{
				"usr/lib/ipvsadm-go/service": "\nrules=/etc/sysconfig/ipvsadm\nsettings=/etc/sysconfig/ipvsadm-config\nsave_on_stop=yes\n",
			},
		},
		"with the distribution's own": {
			func(root string) error { return os.Mkdir(root+"/sbin", 0o755) }, []string{"PREFIX=/usr/local"}, local,
			[]string{"usr/local/share/zsh/site-functions/_ipvsadm"},
			[]string{"usr/sbin", "sbin/ipvsadm"},
			map[string]string{
				"usr/local/lib/systemd/system/ipvsadm.service": "ExecStop=/usr/local/lib/ipvsadm-go/service stop\n",
				"usr/local/lib/ipvsadm-go/service":             "\t/usr/local/sbin/ipvsadm -C ",
			},
		},
		"where /sbin is /usr/sbin": {
			func(root string) error { return os.Symlink("usr/sbin", root+"/sbin") }, nil, usr,
			[]string{"sbin/ipvsadm", "sbin/ipvsadm-save", "sbin/ipvsadm-restore"}, nil, nil,
		},
		"where /sbin is a separate directory": {
			func(root string) error { return os.Mkdir(root+"/sbin", 0o755) }, nil, usr,
			[]string{"sbin/ipvsadm", "sbin/ipvsadm-save", "sbin/ipvsadm-restore"}, nil, nil,
		},
		"over settings that are there": {
			func(root string) error {
				if err := os.MkdirAll(root+"/etc/default", 0o755); err != nil {
					return err
				}
				return os.WriteFile(root+"/etc/default/ipvsadm", []byte("DAEMON=master\n"), 0o644)
			}, nil, usr, nil, nil, map[string]string{"etc/default/ipvsadm": "DAEMON=master\n"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			if c.prepare != nil {
				must.OK(t, c.prepare(root))
			}
			before := files(t, root)
			args := append([]string{"FAMILY=debian", "DESTDIR=" + root}, c.args...)
			runMake(t, "install", args...)
			for _, name := range []string{
				"sbin/ipvsadm", "sbin/ipvsadm-save", "sbin/ipvsadm-restore",
				"share/man/man8/ipvsadm.8", "share/man/man8/ipvsadm-save.8", "share/man/man8/ipvsadm-restore.8",
				"share/man/man7/ipvs-sysctl.7", "share/man/man7/ipvsadm-compat.7",
				"share/bash-completion/completions/ipvsadm", "share/bash-completion/completions/ipvsadm-save",
				"share/fish/vendor_completions.d/ipvsadm.fish", "share/fish/vendor_completions.d/ipvsadm-save.fish",
				"share/doc/ipvsadm-go/ipvsadm.schema.json", "share/doc/ipvsadm-go/README.md", "share/doc/ipvsadm-go/CHANGELOG.md",
				"lib/systemd/system/ipvsadm-metrics.service", "lib/systemd/system/ipvsadm-metrics.timer", "lib/systemd/system/ipvsadm-monitor.service",
			} {
				c.has = append(c.has, filepath.Join(c.prefix, name))
			}
			for _, name := range c.has {
				if _, err := os.Stat(filepath.Join(root, name)); err != nil {
					t.Error(err)
				}
			}
			for _, name := range c.hasNot {
				if _, err := os.Lstat(filepath.Join(root, name)); err == nil {
					t.Errorf("there is %s", name)
				}
			}
			for name, want := range c.text {
				if b, err := os.ReadFile(filepath.Join(root, name)); err != nil || !strings.Contains(string(b), want) {
					t.Errorf("%s does not have %q: %v\n%s", name, want, err, b)
				}
			}
			runMake(t, "uninstall", args...)
			if left := files(t, root); !slices.Equal(left, before) {
				t.Errorf("uninstall leaves %q, before the installation there was %q", left, before)
			}
		})
	}
}

// TestMakeUninstallKeepsChangedSettings changes the settings after the
// installation.
func TestMakeUninstallKeepsChangedSettings(t *testing.T) {
	root := t.TempDir()
	runMake(t, "install", "FAMILY=debian", "DESTDIR="+root)
	program.Write(t, root+"/etc/default/ipvsadm", "DAEMON=master\n")
	program.Write(t, root+"/etc/ipvsadm.rules", webRules)
	runMake(t, "uninstall", "FAMILY=debian", "DESTDIR="+root)
	if left := files(t, root); !slices.Equal(left, []string{"etc/default/ipvsadm", "etc/ipvsadm.rules"}) {
		t.Errorf("uninstall leaves %q", left)
	}
}

// files returns the files below a directory.
func files(t *testing.T, root string) (list []string) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(root), ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			list = append(list, path)
		}
		return err
	})
	must.OK(t, err)
	return list
}
