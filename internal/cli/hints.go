// SPDX-License-Identifier: Apache-2.0

package cli

// This file has the hints: a line after a message, that says what to do. Only
// a terminal gets them, since 1.31 has none and scripts see its bytes.

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/internal/args"
	"github.com/ipvsadm-go/ipvsadm/internal/outfile"
	"github.com/ipvsadm-go/ipvsadm/internal/spec"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// machine is what hints look at besides the error.
type machine struct {
	files   fs.FS // the root of the file tree
	release string
	euid    int
}

func thisMachine() machine {
	var u unix.Utsname
	_ = unix.Uname(&u) // fails for a bad pointer alone
	return machine{os.DirFS("/"), unix.ByteSliceToString(u.Release[:]), os.Geteuid()}
}

// hint writes a hint where there is somebody to read it, each once.
func (s *session) hint(find func(machine) string) {
	if !isTerminal(s.Stderr) {
		return
	}
	text := find(thisMachine())
	if text == "" || s.hinted[text] {
		return
	}
	if s.hinted == nil {
		s.hinted = map[string]bool{}
	}
	s.hinted[text] = true
	fmt.Fprintln(s.Stderr, "hint: "+text)
}

// changingHint is the hint beside a list that may not be whole.
const changingHint = "the table keeps changing, entries may be missing: list it again"

// errorHint is the hint after an error, empty if there is none.
func errorHint(err error, m machine) string {
	var fault *args.Fault
	var change *ipvs.ChangeError
	var refusal outfile.Refusal
	switch {
	case errors.As(err, &fault):
		return faultHint(fault)
	case errors.As(err, &refusal):
		return refusalHint(refusal)
	case errors.Is(err, ipvs.ErrNoIPVS):
		return m.missingHint()
	case errors.Is(err, fs.ErrPermission) && m.euid != 0:
		return "only root may do this: sudo ipvsadm ..."
	case errors.Is(err, fs.ErrPermission):
		return "this root lacks CAP_NET_ADMIN; a container is given it when it is started, with --cap-add NET_ADMIN for example"
	case errors.Is(err, ipvs.ErrNoScheduler) && errors.As(err, &change):
		modules := []string{"ip_vs_" + change.Change.Service.Scheduler}
		if pe := change.Change.Service.PersistenceEngine; pe != "" {
			modules = append(modules, "ip_vs_pe_"+pe)
		}
		return fmt.Sprintf("this needs the kernel's %s: modprobe %[1]s says why it is not there", strings.Join(modules, " and "))
	}
	return ""
}

// refusalHint says how to save all the same.
func refusalHint(r outfile.Refusal) string {
	switch r {
	case outfile.FolderOwner, outfile.FolderShared, outfile.FileOwner, outfile.FileLinked:
		return "save into a folder that only root can write to, or redirect standard output: ipvsadm-save -n > file"
	case outfile.Immutable:
		return "make it writable: chattr -i file"
	case outfile.AppendOnly:
		return "make it writable: chattr -a file"
	}
	return ""
}

func faultHint(f *args.Fault) string {
	switch f.Kind {
	case args.IllegalOption:
		toServer := f.Words[1] == spec.FindCommand(spec.AddServer).Name || f.Words[1] == spec.FindCommand(spec.EditServer).Name
		if toServer && f.Words[0] == spec.OptScheduler.String() {
			return "the scheduler is the virtual service's: ipvsadm -E -t address -s scheduler"
		}
	case args.IllegalValue:
		if f.Words[0] == spec.FindOption(spec.OptTCPService).Noun || f.Words[0] == spec.FindOption(spec.OptRealServer).Noun {
			return "write host:port or [IPv6]:port; a name has to be known (getent hosts name), and so has a port's (getent services port)"
		}
	}
	return ""
}

// missingHint says how to come by ip_vs.
func (m machine) missingHint() string {
	if found, err := fs.Glob(m.files, "lib/modules/"+m.release+"/kernel/net/netfilter/ipvs/ip_vs.ko*"); err == nil && len(found) > 0 {
		return "the module is on this machine: modprobe ip_vs, as root, says why it is not loaded"
	}
	for _, sign := range []string{".dockerenv", "run/.containerenv", "run/systemd/container"} {
		if _, err := fs.Stat(m.files, sign); err == nil {
			return "this is a container: load the module on its host, with modprobe ip_vs"
		}
	}
	return fmt.Sprintf("there is no ip_vs for this kernel, %s: install its modules, or a kernel with CONFIG_IP_VS", m.release)
}

// successHint is the hint after a change that was made and yet may not do what
// was meant; words are the command line.
func successHint(cmd args.Command, words []string, m machine) string {
	if cmd.ID != spec.AddServer && cmd.ID != spec.EditServer {
		return ""
	}
	d := &cmd.Destination
	if d.Forward == ipvs.Masquerade {
		setting := "net.ipv4.ip_forward"
		if d.Addr.Is6() {
			setting = "net.ipv6.conf.all.forwarding"
		}
		value, err := fs.ReadFile(m.files, "proc/sys/"+strings.ReplaceAll(setting, ".", "/"))
		if err == nil && strings.TrimSpace(string(value)) == "0" {
			return fmt.Sprintf("with -m this machine has to forward, but does not: sysctl -w %s=1", setting)
		}
		return ""
	}
	if cmd.Service.FWMark != 0 {
		return ""
	}
	for _, word := range words {
		word = word[strings.IndexByte(word, '=')+1:]
		typed, err := netip.ParseAddrPort(strings.TrimPrefix(word, "-r"))
		if err == nil && typed.Addr() == d.Addr && typed.Port() != d.Port {
			return fmt.Sprintf("port %d is not used: with -g and -i packets keep the service's port, %d; -m would change it", typed.Port(), d.Port)
		}
	}
	return ""
}
