// SPDX-License-Identifier: Apache-2.0

package cli

// This file selects the hint after an error, and contains the hints about the
// machine. A hint is a line below a message that says what to do. Only
// terminals get hints: 1.31 prints none, and scripts read its output.
// hints_words.go contains the hints about words, hints_table.go those about
// the table; hints that do not depend on any words are next to their
// messages.

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/ipvsadm-go/ipvsadm/internal/args"
	"github.com/ipvsadm-go/ipvsadm/internal/doctor"
	"github.com/ipvsadm-go/ipvsadm/internal/outfile"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// hintText returns a hint as it is printed: one line, whatever its words
// contain.
func hintText(text string) string {
	return "hint: " + escape(strings.ReplaceAll(text, "\n", `\n`))
}

const (
	// unexaminedHint names what the doctor cannot examine.
	unexaminedHint = "the servers were not examined: their default gateway (-m), virtual address and ARP (-g, -i), tunnel device (-i), firewall"
	changingHint   = "the table keeps changing, entries may be missing: list it again"
	applyHint      = "reading rules from the terminal: Ctrl-D at the start of a line ends the input, which empties the table if no rule was typed; Ctrl-C changes nothing"
	restoreHint    = "reading commands from the terminal, each runs at once: Ctrl-D at the start of a line ends the input"
)

func ignoredHint(words []string) string {
	return fmt.Sprintf("ipvsadm-save ignores %s; use --output FILE to save to a file", shorten(someOf(words)))
}

// errorHint returns the hint after an error, or "".
func errorHint(err error, m machine) string {
	var fault *args.Fault
	var change *ipvs.ChangeError
	var refusal outfile.Refusal
	var netns *ipvs.NetNSError
	words := m.words
	if errors.As(err, &fault) {
		words = append([]string{fault.Word}, words...)
	}
	if text := oneDashHint(words); text != "" {
		return text
	}
	switch {
	case errors.As(err, &netns):
		return m.netnsHint(netns.NetNS)
	case fault != nil:
		return m.faultHint(fault)
	case errors.As(err, &refusal):
		return refusedFiles[refusal].hint
	case errors.Is(err, ipvs.ErrNoIPVS):
		return m.missingHint()
	case errors.Is(err, fs.ErrPermission):
		return m.permissionHint()
	case errors.As(err, &change):
		return m.refusalHint(change)
	}
	return ""
}

// netnsHint returns the hint for a namespace that does not exist.
func (m machine) netnsHint(name string) string {
	const docker = "run/docker/netns/"
	if _, err := fs.Stat(m.files, docker+name); err != nil {
		return ""
	}
	return fmt.Sprintf("%s is a namespace of Docker's, known by its path: --netns /%s%[1]s", name, docker)
}

// permissionHint names the missing privilege, since the second line of 1.31's
// message blames the module.
func (m machine) permissionHint() string {
	switch {
	case m.euid != 0:
		return fmt.Sprintf("this needs root, whether or not the module is loaded: sudo %s ...", m.program)
	case m.inUserNamespace():
		return "this is root of a user namespace, as in a rootless container, but IPVS needs root of the host: run it there"
	}
	return "CAP_NET_ADMIN is missing: start the container with --cap-add NET_ADMIN"
}

// missingHint returns the hint for a kernel without ip_vs.
func (m machine) missingHint() string {
	h := m.facts()
	if h.Modules["ip_vs"] == doctor.Available {
		return "the module is installed; to see why it is not loaded, run modprobe ip_vs as root"
	}
	for _, sign := range []string{".dockerenv", "run/.containerenv", "run/systemd/container"} {
		if _, err := fs.Stat(m.files, sign); err == nil {
			return "this is a container: load the module on its host: modprobe ip_vs"
		}
	}
	return fmt.Sprintf("there is no ip_vs for this kernel, %s: install its modules, or a kernel with CONFIG_IP_VS", h.Kernel)
}
