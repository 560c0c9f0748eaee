// SPDX-License-Identifier: Apache-2.0

package manual

import (
	"strings"

	"github.com/ipvsadm-go/ipvsadm/internal/spec"
)

// Difference is a deliberate difference from ipvsadm 1.31. The documents list
// all of them, and the tests that compare the two programs allow no other.
type Difference struct {
	ID       string // name in tests
	Original string // what 1.31 does
	Ours     string // what this program does
	Why      string
}

// Differences returns all differences.
func Differences() []Difference { return append(differences[:], newWords()) }

// newWords returns the difference that lists the options added to 1.31.
func newWords() Difference {
	var words []string
	for r := range spec.Rows() {
		if r.Beyond() {
			words = append(words, "`--"+r.Long+"`")
		}
	}
	last := len(words) - 1
	return Difference{ID: "new-options",
		Original: strings.Join(words[:last], ", ") + " and " + words[last] + " are unknown, and ipvsadm-restore ignores its arguments.",
		Ours:     "They are options, and ipvsadm-restore takes them and a file.",
		Why:      "This program adds them."}
}

var differences = [...]Difference{
	{ID: "thresholds-saved",
		Original: "`-S` loses the connection thresholds, `-x` and `-y`.",
		Ours:     "They are saved after the weight, if they are not zero.",
		Why:      "A save must restore the same table. 1.31's `-R` reads them."},
	{ID: "third-flag-saved",
		Original: "`-S` loses the third scheduler flag of sh and mh.",
		Ours:     "It is saved as `flag-3`.",
		Why:      "A save must restore the same table. 1.31's `-R` reads it."},
	{ID: "unsigned-fwmark",
		Original: "A firewall mark of 2147483648 or more is printed as a negative number, which cannot be restored.",
		Ours:     "It is printed as an unsigned number.",
		Why:      "Marks are unsigned."},
	{ID: "wide-counters",
		Original: "The counters of a real server are truncated to 32 bits.",
		Ours:     "All 64 bits are shown.",
		Why:      "The kernel counts in 64 bits, and a busy server passes 4294967296 bytes in seconds."},
	{ID: "long-names-saved",
		Original: "Names longer than 59 bytes are truncated in a save, which cannot be restored.",
		Ours:     "Names are never truncated in a save.",
		Why:      "A save must restore the same table."},
	{ID: "names-lead-back",
		Original: "A save without `-n` contains the name of an address even if that name resolves to another address, so that a restore changes the address.",
		Ours:     "It contains a name only if that resolves to the same address and port, else the number.",
		Why:      "A save must restore the same table."},
	{ID: "ipv6-names-read",
		Original: "A save without `-n` contains names of IPv6 hosts in brackets, which cannot be restored.",
		Ours:     "A name in brackets is looked up as an IPv6 host.",
		Why:      "A save must restore the same table."},
	{ID: "empty-flags",
		Original: "`-b ,` crashes.",
		Ours:     "It means no flags.",
		Why:      "Empty items of the list are skipped elsewhere too."},
	{ID: "no-kernel-needed",
		Original: "Without ip_vs or privilege every command fails, even `-h` and `-v`, and mistakes on the command line are not reported.",
		Ours:     "`-h`, `-v` and messages about mistakes need neither.",
		Why:      "They need nothing from the kernel."},
	{ID: "own-help",
		Original: "`-h`, and the usage of ipvsadm-save, list 1.31's options.",
		Ours:     "They list this program's options; `ipvsadm-save -h` and `--help` print the usage to standard output, with status 0. `-v` has a second line with this program's own version.",
		Why:      "They describe this program."},
	{ID: "vanished-service",
		Original: "A list fails if a service is deleted while it runs.",
		Ours:     "The service is left out.",
		Why:      "The others can still be listed."},
	{ID: "line-numbers",
		Original: "Messages of `-R` do not name the line.",
		Ours:     "They begin with the line number, as in `line 3: No such service`.",
		Why:      "A faulty line must be easy to find."},
	{ID: "full-output",
		Original: "If standard output cannot be written, the output is lost and the status is 0.",
		Ours:     "There is a message, and status 1.",
		Why:      "A truncated save must not look complete."},
	{ID: "restore-checks-first",
		Original: "ipvsadm-restore empties the table first, whatever the file contains, then runs it line by line and stops at a faulty line.",
		Ours:     "It reads and checks everything first. If a line is faulty, nothing is changed; with a FILE, nothing is changed if the kernel refuses a line either. Each such line is reported, with status 2. Otherwise only what differs is changed. From standard input, a service whose line is refused keeps its settings. Into an empty table, standard input is applied up to the fault, as in 1.31.",
		Why:      "A typing error must not take services down, and a restore must not drop connections of services that stay."},
	{ID: "names-not-found",
		Original: "A host or service name that is not found is reported as an illegal address.",
		Ours:     "For lines that ipvsadm-restore reads, the message contains the name: `host web7 not found`, `service htpp/tcp not found`, `can't look up host web7: no answer from the name server`.",
		Why:      "A name server that fails is not a mistake in the rules."},
	{ID: "indented-comments",
		Original: "ipvsadm-restore skips lines that begin with `#`, but stops at an indented comment, a comment after a command, a path to ipvsadm, and a byte order mark.",
		Ours:     "It accepts these too. As in 1.31, `-R` does not accept comments.",
		Why:      "Rules that are edited by hand or copied from a script contain them."},
	{ID: "filtered-connections",
		Original: "`-L -c` lists all connections: it takes no service and no server.",
		Ours:     "With `-t`, `-u`, `--sctp-service` or `-f`, or with `-r`, it lists only their connections.",
		Why:      "A busy director has too many connections to read all of them."},
	{ID: "process-limits",
		Original: "A few megabytes of address space (`ulimit -v`) and 4 open files (`ulimit -n`) are enough.",
		Ours:     "It needs about 800 MB of address space and 8 open files. With less, Go's runtime exits with a message of its own.",
		Why:      "Go's runtime reserves address space at the start. That is not memory in use."},
	{ID: "stopped-daemon",
		Original: "`--stop-daemon` right after `--start-daemon` can wait forever: the kernel sends no answer if the daemon's thread has not run yet.",
		Ours:     "It returns.",
		Why:      "The daemon has been stopped."},
}
