// SPDX-License-Identifier: Apache-2.0

package manual

// Difference is something that this program does otherwise than ipvsadm 1.31
// on purpose. The documents list all of them, and the tests that compare the
// two programs allow nothing else.
type Difference struct {
	ID       string // what tests call it
	Original string // what 1.31 does
	Ours     string // what this program does
	Why      string
}

// Differences is the one list.
var Differences = []Difference{
	{ID: "thresholds-saved",
		Original: "`-S` loses the thresholds, `-x` and `-y`.",
		Ours:     "They are saved, after the weight, where they are not zero.",
		Why:      "A save has to bring back what was there. 1.31's `-R` reads them."},
	{ID: "third-flag-saved",
		Original: "`-S` loses the third scheduler flag of sh and mh.",
		Ours:     "It is saved, as `flag-3`.",
		Why:      "A save has to bring back what was there. 1.31's `-R` reads it."},
	{ID: "unsigned-fwmark",
		Original: "A firewall mark from 2147483648 on is printed as a negative number, which cannot be restored.",
		Ours:     "It is printed as it is.",
		Why:      "A mark is an unsigned number."},
	{ID: "wide-counters",
		Original: "The counters of a real server are cut to 32 bits.",
		Ours:     "All 64 bits are shown.",
		Why:      "The kernel counts so, and a busy server passes 4294967296 bytes in seconds."},
	{ID: "long-names-saved",
		Original: "Names longer than 59 bytes are cut in a save, which cannot be restored.",
		Ours:     "Names are never cut in a save.",
		Why:      "A save has to bring back what was there."},
	{ID: "names-lead-back",
		Original: "A save without `-n` has the name of an address even where the name is that of another address first: restored, a service has another address than before.",
		Ours:     "It has names only where they lead back to the same address and port, else numbers.",
		Why:      "A save has to bring back what was there."},
	{ID: "ipv6-names-read",
		Original: "A save without `-n` has the names of IPv6 hosts in brackets, which cannot be restored.",
		Ours:     "A name in brackets is looked up as an IPv6 host.",
		Why:      "What was saved has to be readable."},
	{ID: "empty-flags",
		Original: "`-b ,` crashes.",
		Ours:     "It means no flags.",
		Why:      "Empty pieces of the list are skipped elsewhere too."},
	{ID: "no-kernel-needed",
		Original: "Every command line fails without ip_vs or without privilege, even `-h` and `-v`, and a faulty one for that reason.",
		Ours:     "`-h`, `-v` and the message about a faulty command line need neither.",
		Why:      "They need nothing of the kernel."},
	{ID: "own-help",
		Original: "`-h`, and the usage of ipvsadm-save.",
		Ours:     "The same options in other words; `ipvsadm-save -h` and `--help` print it on standard output and end with 0. `-v` has a second line with this program's own version.",
		Why:      "They describe this program."},
	{ID: "vanished-service",
		Original: "A service that is removed while the list runs ends it with an error.",
		Ours:     "That service is left out.",
		Why:      "The others are still there to be listed."},
	{ID: "line-numbers",
		Original: "Messages of `-R` do not say where.",
		Ours:     "`line 3: ` stands in front of the message.",
		Why:      "Somebody has to find the line."},
	{ID: "full-output",
		Original: "When standard output takes no more, the rest is lost and the status is 0.",
		Ours:     "A message and status 1.",
		Why:      "A save that was cut short must not look whole."},
	{ID: "restore-checks-first",
		Original: "ipvsadm-restore empties the table whatever the file holds, then runs it line by line, and stops halfway at a faulty line.",
		Ours:     "It reads and checks all of it first. Where a line is faulty nothing is changed, and of a FILE also where one is refused: each such line is reported, status 2. Otherwise only what differs is changed; a service whose line on standard input is refused keeps its settings.",
		Why:      "A typing error must not take the services down, nor must a restore drop connections of what stays."},
	{ID: "indented-comments",
		Original: "ipvsadm-restore drops lines that begin with `#`, and ends at an indented one, at a comment behind a command, at a path to ipvsadm and at a byte order mark.",
		Ours:     "It passes over these. `-R` takes no comments, as in 1.31.",
		Why:      "Rules that are edited by hand, or copied from a script, have them."},
	{ID: "new-options",
		Original: "`--apply`, `--all`, `--output`, `--update`, `--strict`, `--keep-going`, `--check`, `--dry-run`, `--lock`, `--netns`, `--json`, `--metrics`, `--client`, `--state` and `--wide` are unknown, and ipvsadm-restore takes no notice of its arguments.",
		Ours:     "They are options, and ipvsadm-restore takes them and a file.",
		Why:      "They are what this program adds."},
	{ID: "filtered-connections",
		Original: "A list of connections, `-L -c`, is of all: it takes no service and no server.",
		Ours:     "With `-t`, `-u`, `--sctp-service` or `-f`, or with `-r`, it has their connections only.",
		Why:      "Who looks for the connections of one among many should not have to read all."},
	{ID: "stopped-daemon",
		Original: "`--stop-daemon` right after `--start-daemon` can wait for an answer for ever: the kernel has none when the daemon's thread did not run yet.",
		Ours:     "It ends.",
		Why:      "The daemon has been stopped."},
}
