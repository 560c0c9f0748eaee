// SPDX-License-Identifier: Apache-2.0

package conformance

// This file has one row for each entry of manual.Differences: either a rule
// that removes exactly this difference from two answers, or the file that
// tests it.

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/ipvsadm-go/ipvsadm/internal/manual"
	"github.com/ipvsadm-go/ipvsadm/internal/spec"
	"github.com/ipvsadm-go/ipvsadm/internal/test/program"
)

// rule belongs to one entry of manual.Differences.
type rule struct {
	id string
	// apply removes the difference from the answers, or sets s.diverged
	// if the tables differ from here on.
	apply func(s *step)
	// chance means that the original shows the difference only sometimes.
	chance bool
	// shown is the file that tests a difference that no script can show.
	shown string
}

// The first rules need our messages unchanged.
var rules = []rule{
	{id: "names-not-found", apply: nameNoNames},
	{id: "restore-checks-first", apply: checkFirst},
	{id: "indented-comments", apply: indentComments},
	{id: "line-numbers", apply: stripLineNumbers},
	{id: "thresholds-saved", apply: func(s *step) { s.editSaved(savedThresholds, "$1") }},
	{id: "third-flag-saved", apply: func(s *step) { s.editSaved(savedThirdFlag, "$1") }},
	{id: "unsigned-fwmark", apply: unsignMarks},
	{id: "long-names-saved", apply: func(s *step) { s.editSaved(savedLongName, "$1") }},
	{id: "ipv6-names-read", apply: readIPv6Names},
	{id: "names-lead-back", apply: leadAway, chance: true},
	{id: "empty-flags", apply: surviveEmptyFlags},
	{id: "own-help", apply: replaceHelp},
	{id: "filtered-connections", apply: filterConnections},
	{id: "stopped-daemon", apply: stopDaemon, chance: true},
	{id: "new-options", apply: takeNewOptions},
	{id: "wide-counters", shown: "../../render"},
	{id: "no-kernel-needed", shown: "../../../testdata/script"},
	{id: "vanished-service", shown: "../../../testdata/script"},
	{id: "full-output", shown: "../../../testdata/script"},
	{id: "process-limits", shown: "../../../testdata/script"},
}

func byChance(id string) bool {
	return slices.ContainsFunc(rules, func(r rule) bool { return r.id == id && r.chance })
}

var (
	savedThresholds = regexp.MustCompile(`(?m)^(-a .* -w \d+)(?: -x [1-9]\d*)?(?: -y [1-9]\d*)?`)
	savedThirdFlag  = regexp.MustCompile(`(?m)^(-A .* -s [sm]h .*-b \S*?),?flag-3$`)
	namedAway       = regexp.MustCompile(`( (?:-[tur]|--sctp-service) )192\.168\.7\.9:`)
	savedLongName   = regexp.MustCompile(`( (?:-[tur]|--sctp-service) \S{59})\S+`)
	negativeMark    = regexp.MustCompile(`(?m)^(-[Aa] -f |FWM  )(-\d+)( IPv6)?( *)`)
	lineNumber      = regexp.MustCompile(`(?m)^(?:<stdin>: )?line (\d+): `)
	nameNotFound    = regexp.MustCompile(`(?m)^(<stdin>: line \d+: )(?:(?:host|service) \S+ not found|can't look up host .*)$`)
	illegalName     = regexp.MustCompile(`illegal (?:(?:virtual|real) server address\[:port\]|virtual server persistent mask) specified\n$`)
	nameInBrackets  = regexp.MustCompile(`\[[^]:]*[^].0-9][^]:]*\]:`)
	commentBehind   = regexp.MustCompile(`(?m)[^\s#]\s+#`)
	indentedComment = regexp.MustCompile(`(?m)^[ \t\r]+#`)
	emptyFlags      = regexp.MustCompile(`(?:^| )(?:-[A-Za-z6]*b|--sched-flags)[= ]?,+(?: |$)`)
	// A cluster of letters begins with the command, and contains -c among
	// letters without values.
	listsConnections = regexp.MustCompile(`^(-[Ll][nX6]*c|(-[Ll]\S*|--list)( .*)? (-[nX6]*c|--connection))`)
	originalVersion  = regexp.MustCompile(`(?m)^(ipvsadm v1\.31 2019/12/24 \(compiled with )popt( and IPVS v1\.2\.1\))$`)
	ourVersion       = regexp.MustCompile(`(?m)^(ipvsadm v1\.31 2019/12/24 \(compiled with )pflag( and IPVS v1\.2\.1\))\nipvsadm-go .*$`)
)

// nameNoNames replaces our message about a name that is not found by the
// original's.
func nameNoNames(s *step) {
	said := strings.TrimSuffix(illegalName.FindString(s.original.Stderr), "\n")
	if s.program() == "ipvsadm-restore" && said != "" {
		s.ours.Stderr = nameNotFound.ReplaceAllString(s.ours.Stderr, "${1}"+said)
	}
}

// stripLineNumbers removes the line numbers from our messages about rules.
func stripLineNumbers(s *step) {
	if !s.restores() {
		return
	}
	count := strings.Count(s.stdin, "\n") + 1
	for _, m := range lineNumber.FindAllStringSubmatch(s.ours.Stderr, -1) {
		if n, err := strconv.Atoi(m[1]); err != nil || n < 1 || n > count {
			return // no line of the input
		}
	}
	s.ours.Stderr = lineNumber.ReplaceAllString(s.ours.Stderr, "")
}

// editSaved edits the rules that we print, in a save or a restore's line.
func (s *step) editSaved(pattern *regexp.Regexp, by string) {
	if s.saves() || s.restores() {
		s.ours.Stdout = pattern.ReplaceAllString(s.ours.Stdout, by)
	}
}

// leadAway replaces an address in our saves by the host name 198.51.100.9,
// which reads as another address.
func leadAway(s *step) {
	if strings.Contains(s.original.Stdout, " 198.51.100.9:") {
		s.editSaved(namedAway, "${1}198.51.100.9:")
	}
}

// unsignMarks makes the original's negative marks unsigned.
func unsignMarks(s *step) {
	s.original.Stdout = negativeMark.ReplaceAllStringFunc(s.original.Stdout, func(text string) string {
		m := negativeMark.FindStringSubmatch(text)
		n, err := strconv.ParseInt(m[2], 10, 32)
		if err != nil {
			return text
		}
		mark := strconv.FormatUint(uint64(uint32(n)), 10)
		blanks := m[4]
		if len(blanks) > 1 { // keep the column's width
			blanks = strings.Repeat(" ", len(blanks)+len(m[2])-len(mark))
		}
		return m[1] + mark + m[3] + blanks
	})
}

// readIPv6Names accepts that we read [name]:port, unlike the original.
func readIPv6Names(s *step) {
	if !slices.ContainsFunc(s.lines(), func(words []string) bool {
		return slices.ContainsFunc(words, nameInBrackets.MatchString)
	}) {
		return
	}
	for _, noun := range []string{"virtual server", "real server"} {
		if s.original.Status == 2 && strings.HasSuffix(s.original.Stderr, "illegal "+noun+" address[:port] specified\n") &&
			s.original.Stderr != s.ours.Stderr {
			s.diverged = true
		}
	}
}

// surviveEmptyFlags accepts that the original crashes on an empty list of
// flags.
func surviveEmptyFlags(s *step) {
	const segmentationFault = 128 + 11
	if s.original.Status != segmentationFault {
		return
	}
	s.diverged = slices.ContainsFunc(s.lines(), func(words []string) bool {
		return emptyFlags.MatchString(strings.Join(words, " "))
	})
}

// ourHelp matches the beginning of our help: a paragraph and the usage.
var ourHelp = regexp.MustCompile(`^(?:(?:[A-Z].*\n)+\n)?Usage:`)

// replaceHelp accepts our help in place of the original's.
func replaceHelp(s *step) {
	s.original.Stdout = originalVersion.ReplaceAllString(s.original.Stdout, "${1}pflag$2")
	s.ours.Stdout = ourVersion.ReplaceAllString(s.ours.Stdout, "${1}pflag$2")
	help := func(text string) bool { return ourHelp.MatchString(text) }
	if s.program() == "ipvsadm-save" && s.original.Status == 1 {
		switch w := s.first(); {
		case help(s.ours.Stderr):
			s.ours.Stderr = s.original.Stderr
		case (w == "-h" || w == "--help") && s.ours.Status == 0 && help(s.ours.Stdout):
			s.ours = s.original
		}
	}
	if at := strings.Index(s.original.Stdout, "ipvsadm v1.31 "); at >= 0 && help(s.ours.Stdout[min(at, len(s.ours.Stdout)):]) {
		s.ours.Stdout = s.original.Stdout
	}
}

// checkFirst accepts that ipvsadm-restore changes nothing if a line is
// faulty, or is a command that does not change the table.
func checkFirst(s *step) {
	if s.program() != "ipvsadm-restore" {
		return
	}
	// Only the kernel knows its schedulers and engines. We do not try one
	// that a later line replaces or removes, and if the kernel refuses
	// the new version of a service, the old one remains.
	const notFound = "Scheduler or persistence engine not found\n"
	refused := strings.Count(s.original.Stderr, notFound)
	if refused > 0 && s.ours.Status != 2 && (s.after != s.theirs || refused > strings.Count(s.ours.Stderr, notFound)) {
		s.diverged = true
		return
	}
	if s.ours.Status != 2 || s.before != s.after {
		return
	}
	// We report all faulty lines; the original stops at the first.
	complaints := lineNumber.Split(s.ours.Stderr, -1)
	s.diverged = complaints[0] == "" && slices.ContainsFunc(complaints[1:], func(c string) bool {
		return strings.HasSuffix(s.original.Stderr, c) || strings.HasSuffix(c, "' command does not change the table\n")
	})
}

// indentComments accepts that ipvsadm-restore skips an indented comment,
// where the original stops.
func indentComments(s *step) {
	s.diverged = s.program() == "ipvsadm-restore" && s.original.Status != 0 &&
		(indentedComment.MatchString(s.stdin) || commentBehind.MatchString(s.stdin))
}

// takeNewOptions accepts options that the original does not know.
func takeNewOptions(s *step) {
	switch s.program() {
	case "ipvsadm-save":
		s.diverged = s.original.Status == 1 && s.ours.Status == 0 && slices.Contains(s.words, "--numeric")
	case "ipvsadm-restore":
		s.diverged = len(s.words) > 1
	default:
		s.diverged = s.original.Status == 255 && slices.ContainsFunc(s.lines(), func(words []string) bool {
			return slices.ContainsFunc(words, func(w string) bool {
				name, isLong := strings.CutPrefix(w, "--")
				name, _, _ = strings.Cut(name, "=")
				r, found := spec.FindLong(name)
				return isLong && found && r.Beyond()
			})
		})
	}
}

// filterConnections accepts that we list selected connections, or report
// another fault, where the original refuses.
func filterConnections(s *step) {
	refused := slices.ContainsFunc([]string{
		"The option 'service-address' conflicts with the 'connection' option in the 'list' command\n",
		"Illegal 'real-server' option with the 'list' command\n",
	}, func(text string) bool { return strings.HasSuffix(s.original.Stderr, text) })
	if refused && s.original.Status == 2 && s.ours.Stderr != s.original.Stderr {
		s.diverged = slices.ContainsFunc(s.lines(), func(words []string) bool {
			return listsConnections.MatchString(strings.Join(words, " "))
		})
	}
}

// stopDaemon accepts that the original can hang.
func stopDaemon(s *step) {
	if s.original.hung && !s.ours.hung && slices.ContainsFunc(s.lines(), func(words []string) bool {
		return len(words) > 0 && strings.HasPrefix(words[0], "--stop-daemon")
	}) {
		s.diverged = true
	}
}

func TestEachDifferenceHasItsRule(t *testing.T) {
	for _, d := range manual.Differences() {
		i := slices.IndexFunc(rules, func(r rule) bool { return r.id == d.ID })
		switch {
		case i < 0:
			t.Errorf("%s has no rule", d.ID)
		case (rules[i].apply == nil) == (rules[i].shown == ""):
			t.Errorf("%s needs either a rule or a place that shows it", d.ID)
		case rules[i].shown != "" && !mentions(t, rules[i].shown, d.ID):
			t.Errorf("%s does not name %s", rules[i].shown, d.ID)
		}
	}
	for _, r := range rules {
		if !slices.ContainsFunc(manual.Differences(), func(d manual.Difference) bool { return d.ID == r.id }) {
			t.Errorf("%s is not in the list of differences", r.id)
		}
	}
}

// TestRulesTakeNoMoreThanTheirDifference tries answers that resemble a
// difference.
func TestRulesTakeNoMoreThanTheirDifference(t *testing.T) {
	answers := func(line string, ours, original answer) step {
		c, err := parseCommand(line)
		if err != nil {
			t.Fatal(err)
		}
		return step{command: c, ours: ours, original: original, before: "table", after: "table", theirs: "table"}
	}
	out := func(text string) answer { return answer{Answer: program.Answer{Stdout: text}} }
	hangs := answer{Answer: program.Answer{Status: 137}, hung: true}
	fails := func(status int, text string) answer {
		return answer{Answer: program.Answer{Status: status, Stderr: text}}
	}
	for name, c := range map[string]struct {
		step step
		same bool
	}{
		"both thresholds":                {answers("ipvsadm -S", out("-a -f 1 -r a -g -w 1 -x 5 -y 4\n"), out("-a -f 1 -r a -g -w 1\n")), true},
		"a threshold of zero":            {answers("ipvsadm -S", out("-a -f 1 -r a -g -w 1 -x 0\n"), out("-a -f 1 -r a -g -w 1\n")), false},
		"thresholds of a list":           {answers("ipvsadm -L", out("-a -f 1 -r a -g -w 1 -x 5\n"), out("-a -f 1 -r a -g -w 1\n")), false},
		"thresholds and another weight":  {answers("ipvsadm -S", out("-a -f 1 -r a -g -w 2 -x 5\n"), out("-a -f 1 -r a -g -w 1\n")), false},
		"a third flag of another":        {answers("ipvsadm -S", out("-A -f 1 -s rr -b flag-3\n"), out("-A -f 1 -s rr -b \n")), false},
		"a second flag":                  {answers("ipvsadm -S", out("-A -f 1 -s sh -b sh-port,flag-2\n"), out("-A -f 1 -s sh -b sh-port\n")), false},
		"a mark that is another":         {answers("ipvsadm -S", out("-A -f 4294967294 -s rr\n"), out("-A -f -1 -s rr\n")), false},
		"a wider column":                 {answers("ipvsadm -L --stats", out("FWM  4294967295        0\n"), out("FWM  -1        0\n")), false},
		"a long name":                    {answers("ipvsadm -S", out("-A -t "+strings.Repeat("n", 70)+" -s rr\n"), out("-A -t "+strings.Repeat("n", 59)+" -s rr\n")), true},
		"a name cut elsewhere":           {answers("ipvsadm -S", out("-A -t "+strings.Repeat("n", 70)+" -s rr\n"), out("-A -t "+strings.Repeat("n", 58)+" -s rr\n")), false},
		"a long name in a list":          {answers("ipvsadm -L", out("-A -t "+strings.Repeat("n", 70)+" -s rr\n"), out("-A -t "+strings.Repeat("n", 59)+" -s rr\n")), false},
		"a line number":                  {answers("printf %s $'x\\n' | ipvsadm -R", fails(255, "line 1: m\n"), fails(255, "m\n")), true},
		"a line that is not there":       {answers("printf %s $'x\\n' | ipvsadm -R", fails(255, "line 9: m\n"), fails(255, "m\n")), false},
		"a line number without lines":    {answers("ipvsadm -C", fails(255, "line 1: m\n"), fails(255, "m\n")), false},
		"a line number, another status":  {answers("printf %s $'x\\n' | ipvsadm -R", fails(2, "line 1: m\n"), fails(255, "m\n")), false},
		"a crash at other flags":         {answers("ipvsadm -A -f 1 -b flag-1,", out(""), fails(139, "")), false},
		"a crash without flags":          {answers("ipvsadm -A -f 1 ,", out(""), fails(139, "")), false},
		"a name in brackets":             {answers("ipvsadm -A -t [six]:80", out(""), fails(2, "illegal virtual server address[:port] specified\n")), true},
		"an IPv4 address in brackets":    {answers("ipvsadm -A -t [1.2.3.4]:80", out(""), fails(2, "illegal virtual server address[:port] specified\n")), false},
		"help for another command":       {answers("ipvsadm -L", out("Usage: ipvsadm\n"), out("IP Virtual Server\n")), false},
		"the help of a save":             {answers("ipvsadm-save -h", out("Usage: ipvsadm-save\n"), fails(1, "ipvsadm-save: x\n")), true},
		"help in the place of a save":    {answers("ipvsadm-save -n", out("Usage: ipvsadm-save\n"), fails(1, "ipvsadm-save: x\n")), false},
		"another version":                {answers("ipvsadm -v", out("ipvsadm v1.32 2019/12/24 (compiled with pflag and IPVS v1.2.1)\nipvsadm-go x\n"), out("ipvsadm v1.31 2019/12/24 (compiled with popt and IPVS v1.2.1)\n")), false},
		"a daemon stopped for ever":      {answers("ipvsadm --stop-daemon master", out(""), hangs), true},
		"a list for ever":                {answers("ipvsadm -L", out(""), hangs), false},
		"both for ever":                  {answers("ipvsadm --stop-daemon master", answer{hung: true}, hangs), false},
		"an old option":                  {answers("ipvsadm -S --numeric", out(""), fails(255, "--numeric: unknown option\n")), false},
		"connections of a service":       {answers("ipvsadm -Lc -f 1", out("IPVS\n"), fails(2, "The option 'service-address' conflicts with the 'connection' option in the 'list' command\n")), true},
		"connections of a server":        {answers("ipvsadm -l -n --connection -r 10.0.0.1", out("IPVS\n"), fails(2, "Illegal 'real-server' option with the 'list' command\n")), true},
		"a list of a server":             {answers("ipvsadm -L -n -r 10.0.0.1", out("IPVS\n"), fails(2, "Illegal 'real-server' option with the 'list' command\n")), false},
		"connections of a weight":        {answers("ipvsadm -Lc -w 1", out("IPVS\n"), fails(2, "Illegal 'weight' option with the 'list' command\n")), false},
		"a fault found first":            {answers("printf %s $'x\\n' | ipvsadm-restore", fails(2, "<stdin>: line 1: m\n"), fails(255, "m\n")), true},
		"another fault":                  {answers("printf %s $'x\\n' | ipvsadm-restore", fails(2, "<stdin>: line 1: n\n"), fails(255, "m\n")), false},
		"an indented comment":            {answers("printf %s $'\\t# x\\n' | ipvsadm-restore", out(""), fails(255, "Try it for more information.\n")), true},
		"a comment of the command":       {answers("printf %s $' # x\\n' | ipvsadm -R", out(""), fails(255, "Try it for more information.\n")), false},
		"a comment in the first column":  {answers("printf %s $'# x\\n' | ipvsadm-restore", out(""), fails(255, "Try it for more information.\n")), false},
		"a name, and the shell's word":   {answers("printf %s $'x\\n' | ipvsadm-restore", fails(2, "<stdin>: line 1: host x not found\n"), fails(2, "illegal virtual server address[:port] specified\n/usr/sbin/ipvsadm-restore: line 25: echo: write error: Broken pipe\n")), true},
		"a fault that is not to be seen": {answers("printf %s $'x\\n' | ipvsadm-restore", fails(2, ""), fails(255, "m\n")), false},
	} {
		t.Run(name, func(t *testing.T) {
			var cmp comparison
			if mismatch := c.step.compare(&cmp); (mismatch == "") != c.same {
				t.Errorf("taken for the same: %v, want %v; rules %q\n%s", mismatch == "", c.same, cmp.used, mismatch)
			}
		})
	}
	s := answers("printf %s $'x\\n' | ipvsadm-restore", fails(2, "<stdin>: line 1: m\n"), fails(255, "m\n"))
	s.after = "another table"
	if s.compare(&comparison{}) == "" {
		t.Error("a faulty line may alter the table")
	}
	s = answers("printf %s $'x\\n' | ipvsadm-restore", fails(2, "<stdin>: line 1: m\n"), fails(2, "m\n"))
	s.theirs = "emptied"
	if s.compare(&comparison{}) != "" {
		t.Error("the original may not empty the table before a faulty line")
	}
}

// mentions reports whether a file, or one below a directory, names the
// difference.
func mentions(t *testing.T, path, id string) bool {
	t.Helper()
	found := false
	err := walk(path, func(_ string, text []byte) error {
		found = found || strings.Contains(string(text), id)
		return nil
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return found
}
